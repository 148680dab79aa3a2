"""One answer after another, the later ones in sight of the earlier: drafts, reviews, structures, programs.

iterated       propose, verify, keep the better: IAD
coarse_to_fine many answers, and a review only of what is hard: MAgICoRe
structured     modules of thought, then a structure of them, then the answer: Auto-Evolve
efficient      several algorithms, of which the right one that does least wins: LLM4EFFI
mended         a call that failed is written again from a few tokens before it: THOR
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from sharpen.core import Ask, Branch, Ran, RolloutGenerator, Run, Searched, Task, Turn
from sharpen.rollouts.rollout import with_system
from sharpen.rollouts.search import whole
from sharpen.rollouts.tools import PYTHON, shown
from sharpen.rollouts.values import Value, answer_of, by_likelihood

BETTER = "The best answer so far, worth {best:.2f} of 1:\n{answer}\n\nGive a better one."
WORST = "\nThis one was worth {worst:.2f}, do not repeat its mistakes:\n{answer}"
REVIEW = "Say in one or two sentences what is wrong with this answer, or what it lacks. It is worth {worth:.2f} of 1:\n{answer}"
REFINE = "An earlier answer:\n{answer}\n\nA review of it:\n{review}\n\nAnswer the question again, rightly."
MODULES = (
    "Here is the kind of question that you will be asked. List the few ways of thinking that solve such questions.\n\n{kind}"
)
STRUCTURE = "Make of them one plan of numbered steps that can be followed for each such question."
BETTER_PLAN = "Improve the plan: what is missing, and what is not needed? Give the whole plan again."
FOLLOW = "Follow this plan, step by step, then give the answer.\n\n{plan}"
WAYS = "Name {n} different algorithms for this task, one a line, with how their time grows, the fastest first."
WRITE = "Write a Python program that solves the task with this algorithm, between <python> and </python>: {way}"


def iterated(
    task: Task, n: int = 8, value: Value = by_likelihood, worst: bool = True, enough: float = math.inf, system: str = ""
) -> RolloutGenerator:
    """IAD (arXiv 2504.01931): each proposal sees the best so far with its score, and the worst; it is kept only if it scores
    higher. The best is the answer. That the worst is shown is from a note on the paper."""
    found: list[tuple[float, Turn]] = []
    asked = with_system(task, system)
    while len(found) < n and max((v for v, _ in found), default=-math.inf) < enough:
        messages = asked
        if found:
            (high, best), (low, bad) = max(found, key=lambda f: f[0]), min(found, key=lambda f: f[0])
            words = BETTER.format(best=high, answer=best.text)
            words += WORST.format(worst=low, answer=bad.text) if worst and low < high else ""
            messages = (*asked, {"role": "assistant", "content": best.text}, {"role": "user", "content": words})
        turn = yield Ask(messages)
        (worth,) = yield from value(task, [turn])
        found.append((worth, turn))
    return max(found, key=lambda f: f[0])[1]


def coarse_to_fine(
    task: Task, n: int = 8, rounds: int = 3, value: Value = by_likelihood, certain: float = 0.5, system: str = ""
) -> RolloutGenerator:
    """MAgICoRe (arXiv 2409.12147): n answers; where the question is easy, the weighted vote. Where it is hard each answer is
    reviewed and refined, and the n best of all go on, `rounds` times at most. The student is solver, reviewer and refiner.

    The reward is one value, where the paper adds that of an outcome and that of a process model, and it is compared within the
    question, where the paper's z-scores are of the data set.
    """
    turns = yield [Ask(with_system(task, system))] * n
    worth = list((yield from value(task, turns)))
    for _ in range(rounds):
        if not hard([answer_of(task, t) for t in turns], worth, certain):
            break
        asks = [_about(task, REVIEW.format(worth=w, answer=t.text)) for t, w in zip(turns, worth, strict=True)]
        reviews = yield asks
        fine = [
            Ask(_with(task, system, REFINE.format(answer=t.text, review=r.text))) for t, r in zip(turns, reviews, strict=True)
        ]
        new = yield fine
        both = [*zip(worth, turns, strict=True), *zip((yield from value(task, new)), new, strict=True)]
        kept = sorted(range(len(both)), key=lambda i: -both[i][0])[:n]
        worth, turns = [both[i][0] for i in kept], [both[i][1] for i in kept]
    votes = weights([answer_of(task, t) for t in turns], worth)
    most = max(votes, key=votes.__getitem__)
    return next(t for t in turns if answer_of(task, t) == most)


def _about(task: Task, words: str) -> Ask:
    return Ask(({"role": "user", "content": f"{task.prompt[-1]['content']}\n\n{words}"},))


def _with(task: Task, system: str, words: str) -> Any:
    *before, last = with_system(task, system)
    return (*before, {**last, "content": f"{last['content']}\n\n{words}"})


def weights(answers: Sequence[str], worth: Sequence[float]) -> dict[str, float]:
    """The summed worth of each answer."""
    found: dict[str, float] = defaultdict(float)
    for answer, w in zip(answers, worth, strict=True):
        found[answer] += w
    return found


def confidence(votes: dict[str, float]) -> float:
    """2 (1 - sigmoid(entropy)) of an answer's weighted distribution: 1 where all agree, 1/2 at an entropy of ln 3."""
    total = sum(votes.values())
    shares = [v / total for v in votes.values() if v > 0] if total > 0 else []
    return 2 * (1 - 1 / (1 + math.exp(sum(p * math.log(p) for p in shares))))


def hard(answers: Sequence[str], worth: Sequence[float], certain: float) -> bool:
    """Both: the majority's answers are worth less than the others, and the weighted vote is not sure."""
    most = Counter(answers).most_common(1)[0][0]
    z = np.array(worth) - np.mean(worth)
    below = float(np.mean([v for v, a in zip(z, answers, strict=True) if a == most])) < 0
    return (below or len(set(answers)) == len(answers)) and confidence(weights(answers, worth)) < certain


def structured(task: Task, refinements: int = 1, system: str = "") -> RolloutGenerator:
    """Auto-Evolve (arXiv 2410.06328): the student lists ways of thinking for the kind of question, makes a plan of them,
    improves it, and answers with it. The kind is the task's family and level. The plan is made for each question anew, in words
    that do not hold it, so within a batch the questions of a kind share the prompt. Without refinements the plan is the first
    one."""
    kind = f"{task.family}, level {task.level}"
    turn = yield Ask(({"role": "user", "content": MODULES.format(kind=kind)},))
    for words in (STRUCTURE, *[BETTER_PLAN] * refinements):
        turn = yield Ask(({"role": "user", "content": words},), after=turn)
    return (yield Ask(_with(task, system, FOLLOW.format(plan=turn.text))))


COUNTED = """import sys
_n = 0
def _line(frame, event, arg):
    global _n
    _n += event == "line"
    return _line
sys.settrace(_line)
try:
    exec(compile({code!r}, "program", "exec"), {{"__name__": "__main__"}})
finally:
    sys.settrace(None)
    print(f"\\nlines executed: {{_n}}", file=sys.stderr)
"""


def efficient(task: Task, ways: int = 3, stdin: str = "", seconds: float = 10.0, system: str = "") -> RolloutGenerator:
    """LLM4EFFI (arXiv 2502.18489), for questions that a program answers: algorithms first, then a program for each; of the
    programs that print what most of them print, the one that executes fewest lines wins. Lines are counted, since seconds
    differ from run to run. Its output is put behind it, and the student answers."""
    listed = yield Ask(_with(task, system, WAYS.format(n=ways)))
    named = [line for line in listed.text.splitlines() if line.strip()][:ways] or ["any"]
    turns: list[Turn] = yield [Ask(_with(task, system, WRITE.format(way=way))) for way in named]
    programs = [program(t) for t in turns]
    runs: list[Ran] = yield [Run(COUNTED.format(code=code), stdin=stdin, seconds=seconds) for code in programs]
    best = leanest([(run.status, run.stdout.strip(), lines_of(run.stderr)) for run in runs])
    if best is None:
        return turns[0]
    return (yield Ask((), after=turns[best], insert=f"<output>{runs[best].stdout.strip()}</output>"))


def lines_of(stderr: str) -> int:
    """How many lines a program executed; a very large number where it does not say."""
    digits = stderr.rpartition("lines executed: ")[2].split()
    return int(digits[0]) if digits and digits[0].isdecimal() and len(digits[0]) < 16 else 10**15


def leanest(runs: Sequence[tuple[str, str, int]]) -> int | None:
    """Of (status, output, lines) the number of the one with fewest lines among those with the commonest output: right comes
    before fast. None where none ended well with an output."""
    well = [i for i, (status, said, _) in enumerate(runs) if status == "ok" and said]
    if not well:
        return None
    votes = Counter(runs[i][1] for i in well)
    most = max(votes.values())
    return min((i for i in well if votes[runs[i][1]] == most), key=lambda i: runs[i][2])


def mended(task: Task, calls: int = 4, suffix: int = 20, tries: int = 4, system: str = "") -> RolloutGenerator:
    """THOR (arXiv 2509.13761): programs within the answer are run. Where one fails, `suffix` tokens before its call are written
    again with the call, `tries` times side by side; each is a branch, worth 1 where its program runs, and the first that does
    goes on."""
    opens, closes = (f"<{PYTHON}>",), (f"</{PYTHON}>",)
    turn: Turn = yield Ask(with_system(task, system), stop=opens)
    tried: list[Branch] = []
    for left in reversed(range(calls)):
        if turn.stop != "stop":
            break
        start, call = turn.spans[-1].start, len(turn.tokens)
        turn = yield Ask((), after=turn, stop=closes)
        found: Ran = yield Run(program(turn))
        if found.status != "ok" and tries:
            at = max(start, call - suffix)
            again: list[Turn] = yield [Ask((), after=turn, cut=at, stop=closes)] * tries
            runs: list[Ran] = yield [Run(program(other)) for other in again]
            well = [run.status == "ok" and other.stop == "stop" for run, other in zip(runs, again, strict=True)]
            tried += [Branch(other, at, -1, float(good), 1) for other, good in zip(again, well, strict=True)]
            if any(well):
                turn, found = again[well.index(True)], runs[well.index(True)]
        turn = yield Ask((), after=turn, insert=f"<output>{shown(found)}</output>", stop=opens if left else ())
    return Searched(whole(turn), tuple(tried))


def program(turn: Turn) -> str:
    """The last program that a turn holds."""
    return turn.all_text.rpartition(f"<{PYTHON}>")[2].partition(f"</{PYTHON}>")[0]
