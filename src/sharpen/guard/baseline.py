"""The first look: how the answers of a model came out before it learnt anything, and what that says about the run to come.

Pure functions of a `Tally`, so that a run, `sharpen eval` and the report say the same:

1. `look` names what is wrong as the doctor does. Only what makes every learning step worthless is fatal.
2. `words` says how answers came out in one line; `pick` chooses the answers that are shown beside it.
3. Cures name knobs: those of `--set` in a run, the options of `eval` there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from sharpen.core import Sample, Tally, came_out
from sharpen.guard.doctor import Diagnosis

RUN = {"system": "--system", "max_tokens": "--set max_tokens"}
EVAL = {"system": "--system", "max_tokens": "--max-tokens"}
FEWEST = 32  # judged answers from which something is said; none right of 32: 95 % sure that fewer than one in ten would be
FEW = 4  # … and of so many it is said where none can be read: 95 % sure that nearly half cannot
MUCH = 0.3  # share that could not be read, or was cut off, from which it is said
ALL = 0.98  # share of right answers above which little is left to learn
SHOWN = 3  # answers shown

FORM = "Give the final answer as <answer>…</answer>."  # every verifier of answers reads it


def look(
    tally: Tally,
    told: Collection[str] = (),
    *,
    max_tokens: int = 0,
    knobs: Mapping[str, str] = RUN,
    hopeless: bool = False,
    limit: float = 1.0,
) -> list[Diagnosis]:
    """What is wrong with these answers, the worst first; of fewer than FEWEST that could be judged only that none can be read.

    told       what a chat model is told of each verifier that judged them, for the cure; "": nothing
    max_tokens the longest answer that was allowed, for the cure; 0: not known
    hopeless   whether the method learns from its own right answers only, and none earned anything
    limit      share of unreadable answers from which a hopeless run is stopped (`Recipe.unreadable_limit`)
    """
    few = tally.judged < FEWEST
    if few and (tally.judged < FEW or tally.readable):
        return []
    right, lost = tally.correct / tally.judged, 1 - tally.readable / tally.judged
    evidence = {
        "malformed": tally.malformed / tally.judged,
        "cut_off": tally.cut_off / tally.judged,
        "right": right,
        "answers": float(tally.judged),
    }
    longer = f"raise {knobs['max_tokens']}" + (f", which is {max_tokens}, to {4 * max_tokens}" if max_tokens else "")
    if lost >= MUCH:
        fatal = hopeless and limit < 1 and lost >= limit and not few
        cure = f"{unread(tally)}. {_readable(tally, told, knobs, longer)}"
        if fatal:
            cure += " Nothing was right, so that no step would learn anything. To begin all the same: --set unreadable_limit=1"
        return [Diagnosis("unreadable", fatal, evidence, cure)]
    if evidence["cut_off"] >= MUCH:
        cure = f"Answers are cut off before their end: {longer}, or ask for shorter ones with {knobs['system']}=…"
        return [Diagnosis("cut_off", False, evidence, cure)]
    if not tally.correct:
        cure = "Answers can be read, and none is right: add easier levels to --tasks, or show worked solutions first (`sft`)."
        return [Diagnosis("nothing_right", False, evidence, cure)]
    if right >= ALL:
        cure = "Nearly every answer is right already, so little is left to learn: add harder levels to --tasks."
        return [Diagnosis("nothing_left", False, evidence, cure)]
    return []


def _readable(tally: Tally, told: Collection[str], knobs: Mapping[str, str], longer: str) -> str:
    if tally.malformed < tally.judged - tally.readable - tally.malformed:  # most of them were cut off
        return f"Most of them ran out of tokens: {longer}."
    forms = list(dict.fromkeys(text or FORM for text in sorted(told))) or [FORM]
    asked = f"{knobs['system']}='{forms[0]}'" if len(forms) == 1 else f"{knobs['system']}=…"
    return f"Tell the model how to answer, {asked}, or show it with worked solutions (`sft`)."


def unread(tally: Tally) -> str:
    """ "98 % of 128 answers could not be read (61 % malformed, 37 % cut off)"."""
    lost = tally.judged - tally.readable
    parts = ((tally.malformed, "malformed"), (lost - tally.malformed, "cut off"))
    why = ", ".join(f"{percent(n, tally.judged)} {name}" for n, name in parts if n)
    return f"{percent(lost, tally.judged)} of {tally.judged:,} answers could not be read ({why})"


def words(tally: Tally) -> str:
    """ "24 % right, 40 % wrong, 20 % malformed, 16 % cut off"."""
    parts = ((tally.wrong, "wrong"), (tally.malformed, "malformed"), (tally.cut_off, "cut off"))
    said = [f"{percent(tally.correct, tally.judged)} right", *(f"{percent(n, tally.judged)} {name}" for n, name in parts if n)]
    return ", ".join([*said, f"{tally.lost:,} not judged"] if tally.lost else said)


def percent(n: int, of: int) -> str:
    """A share in whole per cent, which says 0 and 100 only of none and all."""
    whole = round(100 * n / of) if of else 0
    return f"{min(max(whole, int(n > 0)), 99 if n < of else 100)} %"


def pick(kinds: Sequence[str], keys: Sequence[str], most: int = SHOWN) -> list[int]:
    """Numbers of the answers that are shown: of every way to come out (`core.came_out`) in turn, the most frequent first and
    the right ones last, and of each those with the smallest keys. Keys that are hashes make that nobody's choice."""
    found = defaultdict(list)
    for i in sorted(range(len(kinds)), key=lambda i: (keys[i], i)):
        found[kinds[i]].append(i)
    ordered = sorted(found, key=lambda kind: (kind == "correct", -len(found[kind]), kind))
    rounds = zip_longest(*(found[kind] for kind in ordered))
    return [i for turn in rounds for i in turn if i is not None][:most]


def example(sample: Sample) -> dict[str, Any]:
    """One judged answer as JSON."""
    rollout, verdict = sample.rollout, sample.verdict
    return {
        "arm": str(rollout.task.arm),
        "task": rollout.task.id,
        "came_out": came_out(verdict.outcome, rollout.stop),
        "prompt": [dict(message) for message in rollout.task.prompt],
        "answer": rollout.task.answer,
        "response": rollout.response,
        "outcome": verdict.outcome,
        "rule": verdict.rule,
        "feedback": verdict.feedback,
        "stop": rollout.stop,
        "tokens": rollout.n_sampled,
    }
