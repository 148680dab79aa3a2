"""Training texts about mistakes: right answers told after wrong ones.

The functions take judged samples and ask the loop for `retell(sample, messages, answer)`: a new sample with the sample's
verdict, in which that answer follows these messages. What is read and not to be learnt (a wrong attempt, a wrong step, an
error's prefix) is context: it has no loss, and everything after it is conditioned on it. Source of each form: its function.
"""

from __future__ import annotations

import bisect
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.core import Message, Rollout, Sample, Task, UserError, Verdict
from sharpen.data.pairs import by_prompt
from sharpen.data.selection import keep_all, keep_correct
from sharpen.verify import attempts, says_right, steps

Retell = Callable[..., Sample]
Decode = Callable[[np.ndarray], str]

PHRASE = "Wait, that is wrong."
REVISE = "Check your answer and correct it if it is wrong."
WAYS = ("fix", "restart")


# What of a sample is learnt.


def learnt_from(sample: Sample, start: int, decode: Decode, stop: int | None = None) -> Sample:
    """The sample trained on characters [start, stop) of its answer only; the rest is read. `stop` None: to the end, its mark
    included. Which token ends where is found on the decoded beginnings, so that nothing is tokenised again."""
    places = np.flatnonzero(sample.rollout.sampled)

    def tokens_before(n: int) -> int:
        """So many tokens are needed to have written n characters."""
        return bisect.bisect_left(range(len(places) + 1), n, key=lambda k: len(decode(sample.rollout.tokens[places[:k]])))

    first = tokens_before(start) if start else 0
    last = len(places) if stop is None else tokens_before(stop)
    sampled = np.isin(np.arange(len(sample.rollout.tokens)), places[first:last])
    return replace(sample, rollout=replace(sample.rollout, sampled=sampled))


def learnt_turns(sample: Sample, *wanted: int) -> Sample:
    """The sample trained on those of the student's turns only."""
    rollout = sample.rollout
    if not rollout.spans:
        return sample
    sampled = np.zeros(len(rollout.tokens), bool)
    for span in rollout.spans:
        if not span.author and span.turn in wanted:
            sampled[span.start : span.stop] = rollout.sampled[span.start : span.stop]
    return replace(sample, rollout=replace(rollout, sampled=sampled))


def rights(sample: Sample) -> list[bool]:
    """Whether each attempt was right, as the verdict's parts say; the verdict alone where these say nothing."""
    parts = sample.verdict.parts
    found: list[bool] = []
    while (name := f"turn {len(found) + 1}") in parts:
        found.append(parts[name] > 0)
    return found or [sample.verdict.correct]


def asked_after(sample: Sample, said: Sequence[str], words: Sequence[str]) -> list[Message]:
    """The sample's question, then each of these answers followed by these words."""
    messages: list[Message] = list(sample.rollout.task.prompt)
    for answer, word in zip(said, words, strict=True):
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": word}]
    return messages


# Splices.


def spliced(
    samples: Sequence[Sample],
    phrase: str = PHRASE,
    ways: tuple[str, ...] = ("fix",),
    mask: bool = True,
    mixed: bool = True,
    at: str = "error",
    own: bool = True,
    *,
    retell: Retell,
    decode: Decode,
    demos: Sequence[Sample],
) -> list[Sample]:
    """Of each wrong answer: up to its first wrong step, then `phrase`, then the way a right answer of its task goes on.

    The right answer is the student's own where the group has one (an adjacent path), else the worked solution. Which step is
    wrong the checker says (`verify.steps`), or, where there is none, the first in which the two differ.

    ways   "fix": on from where the right answer leaves the wrong one; "restart": the right answer from its beginning; several
           are told in turn
    mask   the wrong steps are read and not learnt: else the student learns to make errors as well as to mend them
    mixed  right answers are learnt as they are, too
    own    False: the right answer is always the worked solution
    at     "error": cut after the first wrong step; "end": the whole wrong answer stays (the control)
    Source: Agent-R (arXiv 2501.11425), S3c-Math (2409.01524), LEMMA (2503.17439, both ways).
    """
    if unknown := set(ways) - set(WAYS):
        raise UserError(f"ways={sorted(unknown)}: there are {', '.join(WAYS)}.")
    shown = {demo.group: demo for demo in demos}
    found: list[Sample] = list(keep_correct(samples)) if mixed else []
    told = 0
    for group in by_prompt(samples):
        sibling = next((s for s in group if s.verdict.correct), None) if own else None
        right = sibling or shown.get(group[0].group)
        for wrong in (s for s in group if right is not None and not s.verdict.correct):
            assert right is not None
            parts = splice(wrong, right, phrase, ways[told % len(ways)], at)
            if parts is None:
                continue
            told += 1
            made = retell(right, list(right.rollout.task.prompt), "".join(parts))
            found.append(learnt_from(made, len(parts[0]), decode) if mask else made)
    return found


def splice(wrong: Sample, right: Sample, phrase: str, way: str, at: str = "error") -> tuple[str, str] | None:
    """(what went wrong, how it goes on); None where the answers do not part."""
    task, said, good = wrong.rollout.task, wrong.rollout.response, right.rollout.response
    mine, other = steps.steps_of(task, said), steps.steps_of(task, good)
    same = steps.shared(mine, other)
    bad = steps.first_error(task, said)
    cut = same if bad is None else bad
    if said.split() == good.split() or not said.strip():
        return None
    begun = said[: mine[cut].stop] if cut < len(mine) and at == "error" else said
    rest = good if way == "restart" else good[other[same].start :] if same < len(other) else good[len(steps.working(good)) :]
    return begun, f" {phrase} {rest}"


# Revisions.


def mended(
    samples: Sequence[Sample],
    first: bool = True,
    hidden: float = 0.0,
    *,
    rng: np.random.Generator,
    mask_token: int,
) -> list[Sample]:
    """Verified revisions: episodes whose last attempt is right after a wrong one, of which that attempt alone is learnt; and,
    with `first`, those that were right at once. Attempts that repeat the one before are no revisions.

    hidden   share of the tokens of earlier attempts that the student does not see: CYCLE's past-generation mask (arXiv
             2403.18746), so that a fault is not copied; they stay what they are for everything else
    """
    found = []
    for sample in keep_correct(samples):
        right, said = rights(sample), sample.rollout.turns
        if len(right) == 1:
            found += [sample] if first else []
            continue
        if right[-2] or said[-1].split() == said[-2].split():
            continue
        last = max((span.turn for span in sample.rollout.spans if not span.author), default=0)
        one = learnt_turns(sample, last)
        if hidden:
            earlier = sample.rollout.sampled & ~one.rollout.sampled
            lost = (rng.random(len(earlier)) < hidden) & earlier
            one = replace(one, inputs=np.where(lost, mask_token, sample.rollout.tokens))
        found.append(one)
    return found


def repaired(samples: Sequence[Sample]) -> list[Sample]:
    """Right answers that were right at once, and of right revisions all but the first attempt: what was said of the fault is
    learnt too (LeDex, arXiv 2405.18649). Where nothing is right, nothing is learnt."""
    found = []
    for sample in keep_correct(samples):
        spoken = {span.turn for span in sample.rollout.spans if not span.author}
        found.append(learnt_turns(sample, *(spoken - {0})) if len(sample.rollout.turns) > 1 else sample)
    return found


def refinements(
    samples: Sequence[Sample],
    ask: str | Callable[[Task, str], str | None] = REVISE,
    same: float = 1.0,
    direct: bool = True,
    own: bool = False,
    *,
    retell: Retell,
    demos: Sequence[Sample],
    rng: np.random.Generator,
) -> list[Sample]:
    """Wrong answers followed by the right one, and right answers followed by themselves, so that stopping is learnt too. Of an
    episode of several attempts the first is the answer.

    ask      what is said in between; a function of the task and the answer says it of each, or None: this one is not told
    same     so many of the latter for each of the former; 0 makes a student that changes everything
    own      a wrong answer is followed by a right one of the student's own only, never by the worked solution
    direct   right answers are also learnt as they are, where the prompt was not solved every time: what is mastered teaches
             nothing, what never was has no own answer. Source: ToolACE-R (arXiv 2504.01400); rule and ratio are stand-ins
    """
    shown = {} if own else {demo.group: demo for demo in demos}
    found: list[Sample] = []
    kept: list[Sample] = []
    mends = 0

    def followed(attempt: str, by: Sample) -> list[Sample]:
        words = ask if isinstance(ask, str) else ask(by.rollout.task, attempt)
        return [] if words is None else [retell(by, asked_after(by, [attempt], [words]), by.rollout.turns[0])]

    for group in by_prompt(samples):
        solved = [s for s in group if rights(s)[0]]
        wrong = [s for s in group if not rights(s)[0]]
        right = next(iter(solved), shown.get(group[0].group))
        found += [learnt_turns(s, 0) for s in solved if direct and wrong]
        kept += solved
        mends += len(wrong)
        found += [told for s in wrong if right is not None for told in followed(s.rollout.turns[0], right)]
    chosen = rng.permutation(len(kept))[: round(same * mends)] if mends else range(len(kept) if not found else 0)
    return found + [told for i in chosen for told in followed(kept[i].rollout.turns[0], kept[i])]


CHECK, AGAIN = "Is this right? Say what is wrong with it, if anything.", "Try again."


def proposals(
    samples: Sequence[Sample],
    ask: str = CHECK,
    again: str = AGAIN,
    balanced: bool = True,
    mask: bool = True,
    *,
    retell: Retell,
    demos: Sequence[Sample],
) -> list[Sample]:
    """Question, wrong answer, "wrong", right answer; and question, right answer, "right": SPOC's first stage, SELF's
    meta-skill.

    What finds an answer wrong says which step is, where that is known. Wrong answers are read only. Right ones count as often
    as wrong ones (`balanced`): else a student learns to call everything what most of it is. Source: arXiv 2506.06923, and
    arXiv 2310.00533, whose feedback a stronger model writes.
    """
    shown = {demo.group: demo for demo in demos}
    yes, no, mends = [], [], []
    for group in by_prompt(samples):
        right = next((s for s in group if s.verdict.correct), shown.get(group[0].group))
        for s in group:
            said = s.rollout.response
            asked = asked_after(s, [said], [ask])
            if s.verdict.correct:
                yes.append(retell(s, asked, "It is right."))
                continue
            words = f"It is wrong. {steps.words_on(s.rollout.task, said)}".strip()
            no.append(retell(s, asked, words))
            if right is not None:
                mends.append(retell(right, [*asked, answer(words), question(again)], right.rollout.response))
    if balanced and yes and no:
        few = min(len(yes), len(no))
        yes, no = (
            [replace(s, weight=s.weight * few / len(yes)) for s in yes],
            [replace(s, weight=s.weight * few / len(no)) for s in no],
        )
    return [*(keep_correct(samples) if mask else keep_all(samples)), *yes, *no, *mends]


def answer(text: str) -> Message:
    return {"role": "assistant", "content": text}


def question(text: str) -> Message:
    return {"role": "user", "content": text}


def by_own_verdict(samples: Sequence[Sample], filtered: bool = True, *, retell: Retell) -> list[Sample]:
    """The refined answer of each episode, told as if it had been given at once, where the student itself called it right at the
    end: SELF's evolution (arXiv 2310.00533). No verifier is asked, so what it lets through is to be watched: the verdicts'
    shares of right ones before and after say what this filter is worth.

    filtered  False: every episode, the paper's control
    """
    found = []
    for s in keep_all(samples):
        said = s.rollout.turns
        tried = attempts(said, "ac")
        if tried and (not filtered or (len(said) % 2 == 0 and says_right(said[-1]) is True) or len(said) == 1):
            found.append(retell(s, list(s.rollout.task.prompt), tried[-1]))
    return found


def thoughts_and_answer(
    samples: Sequence[Sample],
    rounds: int = 2,
    ask: str = "Improve on this.",
    thoughts: bool = True,
    *,
    retell: Retell,
    demos: Sequence[Sample],
) -> list[Sample]:
    """Attempts, worst first, then the instruction to improve, then the worked solution: PTR (arXiv 2410.13413). The loss is on
    the answer alone: that is what the release does; the paper's three weights are not defined in it.

    thoughts  False: the solution alone, which is imitation, and the control without which PTR is not told from it
    """
    shown = {demo.group: demo for demo in demos}
    found = []
    for group in by_prompt(samples):
        best = shown.get(group[0].group) or next((s for s in group if s.verdict.correct), None)
        if best is None:
            continue
        weak = sorted(group, key=lambda s: s.verdict.reward or 0.0)[:rounds] if thoughts else []
        words = [s.rollout.response for s in weak]
        found.append(retell(best, asked_after(best, words, [ask] * len(words)), best.rollout.response))
    return found


def marked(
    samples: Sequence[Sample],
    right: str = "[CORRECT RATIONALE]",
    wrong: str = "[INCORRECT RATIONALE]",
    whole: bool = True,
    both: bool = True,
    *,
    retell: Retell,
) -> list[Sample]:
    """Right and wrong answers, each after its mark: mistake tuning (arXiv 2403.20046, section 3), with the loss on all tokens,
    the question's too (`whole`). `both=False`: right ones alone. Without marks wrong answers would be learnt as answers."""
    found = []
    for s in keep_all(samples):
        if s.verdict.correct or both:
            mark = {"role": "system", "content": right if s.verdict.correct else wrong}
            told = retell(s, [mark, *s.rollout.task.prompt], s.rollout.response)
            everything = replace(told.rollout, sampled=np.arange(len(told.rollout.tokens)) > 0)
            found.append(replace(told, rollout=everything) if whole else told)
    return found


# For looking at them.


def example(
    select: Callable[..., list[Sample]], said: Sequence[str], answer: str, solution: str | None = None
) -> list[tuple[str, str]]:
    """(what is read, what is learnt) of each text that a select function makes of these answers to one task, tokens being
    bytes: for checks and for looking at it by hand. The right answers are those that end in `answer`."""
    task = Task(({"role": "user", "content": "?"},), answer, "f", 1, solution=solution)

    def told(text: str, verdict: Verdict, messages: Sequence[Message] = ()) -> Sample:
        read = "".join(f"[{m['content']}]" for m in messages[1:] or ())
        tokens = np.frombuffer((read + text).encode(), np.uint8).astype(np.int32)
        made = Rollout(
            task, tokens, np.arange(len(tokens)) >= len(read.encode()), np.zeros(len(tokens)), (text,), "end", 0, 0, text
        )
        return Sample(made, verdict, 0)

    def retell(sample: Sample, messages: Sequence[Message], answer: str | None = None) -> Sample:
        return told(sample.rollout.response if answer is None else answer, sample.verdict, messages)

    right, wrong = Verdict("correct", 1.0), Verdict("wrong", 0.0)
    samples = [told(text, right if text.endswith((answer, f"{answer}</answer>")) else wrong) for text in said]
    demos = [told(solution, right)] if solution else []
    made = dict(retell=retell, decode=text_of, demos=demos, rng=np.random.default_rng(0), mask_token=0, progress=1.0)
    inner = select.func if isinstance(select, partial) else select
    asked = {n for n, p in inspect.signature(inner).parameters.items() if p.kind is p.KEYWORD_ONLY and p.default is p.empty}
    found = select(samples, **{name: value for name, value in made.items() if name in asked})
    return [(text_of(s.rollout.tokens[~s.rollout.sampled]), text_of(s.rollout.tokens[s.rollout.sampled])) for s in found]


def text_of(tokens: np.ndarray) -> str:
    return bytes(np.asarray(tokens).astype(np.uint8)).decode(errors="replace")
