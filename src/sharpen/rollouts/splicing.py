"""Control inside one answer: it is cut, something is put in, and it goes on; or it is made to answer now.

    forced       at most `budget` tokens of thought, then the words that make it answer: budget forcing
    deepening    blocks that grow, and after each the words that make it think again
    hinted       at its end a hint that suggests a tool; a program that it then writes is run
    in_mode      as much thought as the mode allows that its system message names: ThinkDial
    tagged       says how hard the question is, and is told what that is good for: AdaCtrl
    retraced     a right answer, its thoughts cut short one after the other where that stays right: Retro-Search
    stoppable    a beginning, what it would answer there, and how it goes on: MRT
    parallel     several ways side by side, then one summary: Parallel-R1

What is put in is context and carries no loss. Tokens are counted by the model's own tokenizer: a cut is a number of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sharpen.core import Ask, Check, Hook, RolloutGenerator, Run, Task, Turn, Verdict
from sharpen.data import lengths
from sharpen.rollouts.decoding import shut
from sharpen.rollouts.rollout import with_system
from sharpen.rollouts.search import whole
from sharpen.rollouts.tools import PYTHON, shown

ANSWER_NOW = "\nThe answer is "
RETHINK = "\nWait, I may have made a mistake. Let me think again.\n"
HINT = "\nWait, maybe using Python here is a good idea.\n<python>"
TAGS = "First write [Easy] or [Hard], for how hard the question is for you; then answer, at length only where it is hard."
PARALLEL = (
    "Where it helps, think in parallel: <Parallel><Path>one way</Path><Path>another way</Path></Parallel>, then "
    "<Summary>what they come to</Summary>."
)


def forced(task: Task, budget: int = 64, bridge: str = ANSWER_NOW, longest: int = 16, system: str = "") -> RolloutGenerator:
    """At most `budget` tokens; who has not answered by then is made to, in `longest` more. Source: s1, arXiv 2501.19393."""
    turn = yield Ask(with_system(task, system), max_tokens=budget)
    if turn.stop == "length":
        turn = yield Ask((), after=turn, insert=bridge, max_tokens=longest)
    return whole(turn)


def deepening(
    task: Task, first: int = 16, growth: float = 2.0, blocks: int = 3, trigger: str = RETHINK, system: str = ""
) -> RolloutGenerator:
    """Iterative deepening sampling (arXiv 2502.05449): after first * growth ** i tokens in all the trigger is put in, and the
    same answer goes on; `blocks` blocks. What it said before the end of a block is taken for no answer yet.

    The text of the trigger, the first budget and the growth are ours: the abstract names none. Each block is only what is new,
    so what is drawn is the final length, and no multiple of it.
    """
    ends = [max(1, round(first * growth**i)) for i in range(blocks)]
    turn = yield Ask(with_system(task, system), max_tokens=ends[0])
    for before, end in zip(ends, ends[1:], strict=False):
        turn = yield Ask((), after=turn, insert=trigger, max_tokens=end - before)
    if turn.stop == "length":  # the last block ran out of tokens: it may say its answer
        turn = yield Ask((), after=turn, insert=ANSWER_NOW, max_tokens=first)
    return whole(turn)


def hinted(task: Task, hints: int = 1, hint: str = HINT, system: str = "", calls: int = 4) -> RolloutGenerator:
    """START's hint-infer (arXiv 2503.04625): the answer, and at its end a hint; if it goes on with a program, that is run, what
    it prints is put in, and it goes on; `hints` times. Without hints it is one answer, in which programs are run too."""
    turn = yield Ask(with_system(task, system), stop=(f"</{PYTHON}>",))
    turn = yield from ran(turn, calls)
    for _ in range(hints):
        turn = yield Ask((), after=turn, insert=hint, stop=(f"</{PYTHON}>",))
        turn = yield from ran(turn, calls, open=hint.endswith(f"<{PYTHON}>"))
    return whole(turn)


def ran(turn: Turn, calls: int, open: bool = False) -> Any:
    """The turn, each program that it stopped at run and its output put in. open: it stands within a program already."""
    for left in reversed(range(calls)):
        before, mark, code = turn.text.rpartition(f"<{PYTHON}>")
        if turn.stop != "stop" or not (mark or open):
            break
        found = yield Run(code if mark else turn.text)
        stop = (f"</{PYTHON}>",) if left else ()
        turn = yield Ask((), after=turn, insert=f"<output>{shown(found)}</output>", stop=stop)
        open = False
    return turn


def in_mode(task: Task, mode: str = "", system: str = "") -> RolloutGenerator:
    """One answer after the system message of a mode, "high", "medium" or "low"; "": that of `lengths.mode_of`."""
    words = lengths.MODES[mode or lengths.mode_of(task)].words
    return (yield Ask(with_system(task, f"{system} {words}".strip())))


def in_budget(
    task: Task, start: float = 64, end: float = 22, drops: int = 3, system: str = "", *, progress: float
) -> RolloutGenerator:
    """One answer to the question with this moment's budget behind it: train long, think short (arXiv 2508.08940)."""
    *before, last = task.prompt
    words = f"Use exactly {round(lengths.budget_at(progress, start, end, drops))} tokens."
    asked = {**last, "content": f"{last['content']}\n\n{words}"} if isinstance(last["content"], str) else last
    return (yield Ask(with_system(replace(task, prompt=(*before, asked)), system)))


def tagged(task: Task, system: str = TAGS) -> RolloutGenerator:
    """One answer that begins with [Easy] or [Hard]."""
    return (yield Ask(with_system(task, system)))


def stoppable(task: Task, after: int = 16, bridge: str = ANSWER_NOW, longest: int = 16, system: str = "") -> RolloutGenerator:
    """`after` tokens of an answer; what it would say if it had to answer there; and how it goes on. The last is judged, and
    turn 1 is the answer there: its reward is MRT's termination reward (arXiv 2503.07572). One that ends before has none."""
    begun = yield Ask(with_system(task, system), max_tokens=after)
    if begun.stop != "length":
        return begun
    _, turn = yield [Ask((), after=begun, insert=bridge, max_tokens=longest), Ask((), after=begun)]
    return whole(turn)


def retraced(
    task: Task, ends: Sequence[str] = ("Wait", "Alternatively"), step: int = 24, tries: int = 8, system: str = ""
) -> RolloutGenerator:
    """Retro-Search (arXiv 2504.04383): of a right answer, at each of its cuts, first to last, the words that begin another
    thought are shut out for one token and it is brought to its end; where that is right and shorter, it takes the place.

    Cuts are every `step` tokens: thoughts have no marks in a small student's answers. The verifier decides, so nothing is done
    with a wrong answer, nor on any task that is not for training.
    """
    turn = yield Ask(with_system(task, system))
    if task.split != "train" or not (yield from right(task, turn)):
        return whole(turn)
    at = turn.begin + step
    for _ in range(tries):
        if at >= len(turn.tokens):
            break
        other = yield Ask((), after=turn, cut=at, hook=Hook(partial(shut, words=tuple(ends))))
        shorter = len(other.tokens) < len(turn.tokens) and other.stop == "end"
        if shorter and (yield from right(task, other)):
            turn = other
        at += step
    return whole(turn)


def right(task: Task, turn: Turn) -> Any:
    """Whether the verifier takes the whole turn for right."""
    verdict: Verdict = yield Check(task, turn.all_text)
    return verdict.correct


def parallel(task: Task, paths: int = 3, longest: int = 32, system: str = "") -> RolloutGenerator:
    """Parallel-R1's form (arXiv 2509.07980), written side by side: `paths` ways from the same words, each to </Path>, put one
    behind another; then the summary. The ways are context of the last turn; each is learnt from where it was written."""
    opened = yield Ask(with_system(task, system), max_tokens=longest, stop=("<Parallel>",))
    if opened.stop == "end":
        return whole(opened)
    start = "<Path>" if opened.stop == "stop" else "<Parallel><Path>"
    ways = yield [Ask((), after=opened, insert=start, max_tokens=longest, stop=("</Path>",))] * paths
    said = "".join(f"<Path>{way.text}</Path>" for way in ways)
    block = f"{'' if opened.stop == 'stop' else '<Parallel>'}{said}</Parallel><Summary>"
    last = yield Ask((), after=opened, insert=block)
    return (*map(only_last, ways), whole(last))


def only_last(turn: Turn) -> Turn:
    """The turn, of which only its last part is learnt from: what stands before is another conversation's too."""
    last = turn.spans[-1]
    own = turn.sampled & (np.arange(len(turn.tokens)) >= last.start)
    return replace(turn, sampled=own, logprobs=np.where(own, turn.logprobs, 0).astype(np.float32), spans=(last,))
