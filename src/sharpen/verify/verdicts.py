"""Verifiers: plain functions of (task, response) that return a `Verdict`.

1. `final.final_answer` finds the final answer: in the last `<answer>…</answer>`, else in prose, never in thoughts. What rewards
   in a run is the same function that judges files and audits; the rule that found the answer begins `Verdict.rule`.
2. A verifier compares the final answer with the task's own, under one strict rule that it writes into `Verdict.rule`.
   Text is data: nothing here evaluates, imports, unpickles or symbolically parses what a model wrote.
3. `correct` has reward 1; `wrong`, `malformed` (no answer, or one that the rule cannot read) and `limit` (too long an answer)
   have 0. Feedback never holds the right answer, so a self-correcting model may be shown it.
4. `unscorable` is our fault: the task's own answer cannot be read, or the verifier itself failed. `boundary` is the one place
   where an exception becomes a verdict. It cannot stop a verifier that never returns: that is done by judging.py.
"""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.metadata
import traceback
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from sharpen.core import Task, UserError, Verdict, suggest
from sharpen.families import SCORED, dataset
from sharpen.verify.final import STRAIGHT, final_answer, read_number, read_numbers, right_answers
from sharpen.verify.final import tidy_text as tidy
from sharpen.verify.maths import without_thoughts

Verifier = Callable[..., Verdict]  # (task, response), and what else it asks for by name: `turns`, `ledger`

VERSION = "5"  # raised whenever a verdict could change: scores of different versions are not comparable
LONGEST_ANSWER = 10_000  # characters that an answer may have beyond the length of the task's own


def verify(task: Task, response: str) -> Verdict:
    """Judge by the verifier that the task names; what a recipe uses unless it says otherwise.

    Raises UserError where no verifier has that name.
    """
    return named(task.verifier)(task, response)


def named(name: str) -> Verifier:
    """The verifier of that name. Raises UserError where there is none."""
    if name not in VERIFIERS:
        raise UserError(f"There is no verifier {name!r}.{suggest(name, VERIFIERS)} There are: {', '.join(VERIFIERS)}.")
    return VERIFIERS[name]


def seen_with(verifier: Verifier, seen: Sequence[tuple[str, Any]]) -> Verifier:
    """A verifier with what it asks for by name, such as `turns`; where it asks for nothing, the verifier itself."""
    return functools.partial(verifier, **dict(seen)) if seen else verifier


def boundary(verifier: Verifier) -> Verifier:
    """The same verifier, except that an exception in it makes its verdict `unscorable`, with the traceback as feedback.

    So a mistake in a user's own verifier costs no model a reward, and the share of unscorable rollouts shows it. A UserError
    passes through: it is about the run, not about one rollout.
    """

    @functools.wraps(verifier)
    def guarded(task: Task, response: str) -> Verdict:
        try:
            verdict = verifier(task, response)
            if not isinstance(verdict, Verdict):
                raise TypeError(f"a verifier returns a Verdict, and this one returned {type(verdict).__name__}")
            return verdict
        except UserError:
            raise
        except Exception:  # whatever a user's function raises is that function's fault, not the model's
            return Verdict("unscorable", None, feedback=traceback.format_exc(limit=-3), rule="verifier failed")

    return guarded


def exact(task: Task, response: str) -> Verdict:
    """The same text, apart from spaces at the ends of lines and of the whole, and from how Unicode composes its letters.

    Task data: `spaces` false ignores all spacing; `accept` lists further right answers.
    """
    spaces = task.data.get("spaces", True)
    return _compare(task, response, "exact" if spaces else "exact, spaces ignored", lambda text: tidy(text, spaces))


def choice(task: Task, response: str) -> Verdict:
    """The same text, blind to case and to how quotes are drawn: for answers picked from a list, such as True, or a name.

    Task data: `accept` lists further right answers.
    """
    return _compare(task, response, "exact, blind to case", lambda text: tidy(text.translate(STRAIGHT)).casefold() or None)


def number(task: Task, response: str) -> Verdict:
    """The same number, compared exactly: 7, +7, 7.0, 7e0 and 007 are one number; 6.99 and 7.01 are others.

    Only ASCII digits, decimal notation, an exponent of up to three digits and well-placed thousands commas are read; never
    units, words, infinities or expressions. A ratio such as 3/4 is read only where the task's own answer is one: otherwise a
    question about a division could be answered by repeating it. Task data: `accept` lists further right answers.
    """
    ratio = any("/" in answer for answer in right_answers(task))
    return _compare(task, response, "number", lambda text: read_number(text, ratio))


def numbers(task: Task, response: str) -> Verdict:
    """The same numbers in the same order, separated by commas, semicolons, ×, * or spaces, with or without [] and quotes.

    Task data: `any_order` true ignores the order, not how often a number occurs.
    """
    loose = bool(task.data.get("any_order", False))

    def read(text: str) -> list[Fraction] | None:
        found = read_numbers(text)
        return sorted(found) if found and loose else found

    return _compare(task, response, "numbers in any order" if loose else "numbers", read)


def gym(task: Task, response: str) -> Verdict:
    """reasoning-gym's own scorer of the task's family, where a question has several right answers: correct means score ≥ 1.

    Task data: `metadata`, the part of reasoning-gym's entry that the scorer reads. Only the families in
    `families.SCORED` come here; their scorers neither evaluate nor symbolically parse an answer.
    A scorer that raises is tried on the task's own answer: if it accepts that one, it works, and the model's text is
    `malformed`; if not, the task is `unscorable`.
    """
    if task.family not in SCORED:
        raise ValueError(f"reasoning-gym's scorer of {task.family} must not run on a model's text")
    rule = f"reasoning-gym {task.family} score ≥ 1"
    version = f"{VERSION}, reasoning-gym {importlib.metadata.version('reasoning-gym')}"
    gold = (task.answer or "").strip()
    given, how = final_answer(task, response)
    if how not in ("tag", "box", "marker"):  # a grid, or a list of moves, has no last line that says it all
        given = without_thoughts(response).strip()
    if stopped := _refused(given, gold, rule, version):
        return stopped
    scorer = dataset(task.family, task.level).score_answer

    def right(answer: str) -> bool:  # the scorer may write into its entry, hence the copy
        return bool(scorer(answer, {"answer": gold, "metadata": copy.deepcopy(task.data["metadata"])}) >= 1)

    try:
        return _judged(right(given), rule, version)
    except Exception:  # whatever it raises on a model's text, the task's own answer tells whose fault it is
        if right(gold):
            return Verdict("malformed", 0.0, feedback="The answer could not be read.", rule=rule, version=version)
        raise


def code_io(task: Task, response: str) -> Verdict:
    """The code in the response, run in the sandbox on the task's cases: `sharpen.code`."""
    from sharpen.verify.code import code_io  # here, because only code tasks need it

    return code_io(task, response)


def environment(task: Task, response: str) -> Verdict:
    """A task that its environment judges: where none did, nobody can."""
    why = "only its environment can judge this task: name it with --env, and give its class reward()"
    return Verdict("unscorable", None, feedback=why, rule="environment")


def _compare(task: Task, response: str, rule: str, read: Callable[[str], Any]) -> Verdict:
    """Judge by reading both answers and comparing what was read. `read` returns None (or an empty value) for the unreadable."""
    golds = right_answers(task)
    expected = [read(gold) for gold in golds]
    if any(value is None for value in expected) or not all(golds):
        return Verdict("unscorable", None, feedback=f"the task's own answer cannot be read by the rule {rule!r}", rule=rule)
    text, how = final_answer(task, response, rule.partition(" ")[0].rstrip(","))
    said = f"{how}: {rule}"
    if stopped := _refused(text, max(golds, key=len), said):
        return stopped
    given = read(text)
    if given is None:
        return Verdict("malformed", 0.0, feedback=f"The answer cannot be read by the rule {rule!r}.", rule=said)
    return _judged(given in expected, said)


def _refused(text: str, gold: str, rule: str, version: str = VERSION) -> Verdict | None:
    """The verdict on an answer that is empty or too long to be worth reading; None for any other."""
    longest = LONGEST_ANSWER + len(gold)
    if not text:
        return Verdict("malformed", 0.0, feedback="There is no answer.", rule=rule, version=version)
    if len(text) > longest:
        return Verdict("limit", 0.0, feedback=f"The answer has more than {longest} characters.", rule=rule, version=version)
    return None


def _judged(right: bool, rule: str, version: str = VERSION) -> Verdict:
    if right:
        return Verdict("correct", 1.0, rule=rule, version=version)
    return Verdict("wrong", 0.0, feedback="The answer is wrong.", rule=rule, version=version)


def later(module: str, name: str) -> Verifier:
    """The verifier of that name in a module that is imported when a task first needs it."""

    def verifier(task: Task, response: str) -> Verdict:
        return getattr(importlib.import_module(f"sharpen.verify.{module}"), name)(task, response)

    return verifier


VERIFIERS: dict[str, Verifier] = {
    "exact": exact,
    "choice": choice,
    "number": number,
    "numbers": numbers,
    "gym": gym,
    "reasoning_gym": gym,
    "math": later("maths.maths", "math"),
    "multiple_choice": later("answers", "multiple_choice"),
    "json": later("answers", "json_value"),
    "tool_call": later("tool_calls", "tool_call"),
    "rubric": later("rewards", "rubric"),
    "judge": later("judge_model", "judge"),
    "code_io": code_io,
    "environment": environment,
    "tour": later("tours", "tour"),
    "journey": later("journeys", "journey"),
}

# Pure functions of bounded text: microseconds, whatever a model wrote. All others are judged in a process that can be killed.
INSTANT = frozenset({"exact", "choice", "number", "numbers"})
