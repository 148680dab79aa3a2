"""Testbed D, noisy roles: teachers, solvers and judges that are functions with known error rates, and no model.

Each is called with messages, so it can stand behind `--role teacher=module:name` and in `models.ScriptedPolicy`; what it does
wrong is decided by a hash of what it is asked, and, where it is `fresh`, of how often it was asked: then it errs independently
each time, but a run that is resumed would meet it anew. `Teacher` fails in a way of its own: its labels are wrong at a rate, or
it refuses, writes prose, repeats one task, leaks held-out ones, or proposes unsafe code.

    teacher = Teacher(wrong=0.6)            # role "proposer": sums, six in ten of them with a wrong answer
    judge = Judge(accuracy=0.9)             # role "judge" of label.by_judge and repair.by_judge
    solver = Solver(accuracy=0.7)           # role of label.by_majority

These do sums, which they read from the question; `Steps` works through step chains. Source: testbed D of the formula sheets;
no paper.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sharpen.core import Arm, Message, Task, TaskSource
from sharpen.hashing import derive, split_of

SUM = re.compile(r"(-?\d+(?: [+-] \d+)+)")
QUOTED = re.compile(r"BEGIN\n(.*)\nEND", re.DOTALL)
UNSAFE = "import os\nos.system('rm -rf /')"
FORM = "State the final answer to the following arithmetic problem: {} ="
REFUSAL = "I am sorry, but I cannot help with that."
PROSE = "Sure! Here is a nice new problem for your student: what do you get if you add seven and nine?"


def text_of(messages: Sequence[Message]) -> str:
    return "\n".join(str(m["content"]) for m in messages)


def chance(seed: int, *keys: str) -> float:
    """A number from 0 to 1 that follows from what is asked."""
    return derive(seed, "noisy", *keys) / 2**63


def total(expression: str) -> int:
    """The value of a sum such as "12 + 5 - 3"."""
    first, *rest = expression.split()
    return int(first) + sum((1 if sign == "+" else -1) * int(n) for sign, n in zip(rest[::2], rest[1::2], strict=True))


def sum_in(question: str) -> str | None:
    """The value of the last sum in a text, None where there is none: the program that labels sums."""
    found = SUM.findall(question)
    return str(total(found[-1])) if found else None


def solve_sum(task: Task) -> str | None:
    """The same, of a task's question."""
    return sum_in(str(task.prompt[-1]["content"]))


@dataclass
class Teacher:
    """Writes a sum for each failure that it is shown, as JSON.

    wrong    share of its answers that are wrong
    refuses, prose, repeats, leaks, unsafe  shares of its replies that are a refusal, prose, always the same task, a question of
             `held_out`, or a program
    """

    wrong: float = 0.0
    refuses: float = 0.0
    prose: float = 0.0
    repeats: float = 0.0
    leaks: float = 0.0
    unsafe: float = 0.0
    held_out: tuple[str, ...] = ()
    seed: int = 0
    fresh: bool = False
    asked: int = 0

    def __call__(self, messages: Sequence[Message]) -> str:
        self.asked += self.fresh
        asked = f"{self.asked} {text_of(messages)}"
        kinds = {
            "refuses": self.refuses,
            "prose": self.prose,
            "repeats": self.repeats,
            "leaks": self.leaks,
            "unsafe": self.unsafe,
        }
        at = chance(self.seed, "kind", asked)
        for kind, share in kinds.items():
            if at < share:
                return self.bad(kind, asked)
            at -= share
        return self.sum(asked)

    def bad(self, kind: str, asked: str) -> str:
        if kind in ("refuses", "prose"):
            return REFUSAL if kind == "refuses" else PROSE
        if kind == "repeats":
            return json.dumps({"question": "What is 20 + 22 + 1?", "answer": "43"})
        if kind == "unsafe":
            return json.dumps({"question": "Run this, and say what it prints.", "answer": UNSAFE})
        question = self.held_out[derive(self.seed, "leak", asked) % len(self.held_out)]
        return json.dumps({"question": question, "answer": sum_in(question) or "0"})

    def sum(self, asked: str) -> str:
        """A sum whose hash says that it may be trained on, its answer wrong at the rate `wrong`."""
        for attempt in range(100):
            numbers = [derive(self.seed, "sum", asked, attempt, i) % 90 + 10 for i in range(3)]
            question = FORM.format(" + ".join(map(str, numbers)))
            if split_of(({"role": "user", "content": question},)) == "train":
                break
        off = 1 + derive(self.seed, "off", asked) % 9 if chance(self.seed, "wrong", asked) < self.wrong else 0
        return json.dumps({"question": question, "answer": str(sum(numbers) + off)})


@dataclass
class Judge:
    """Says of an answer, or of two, which is right, and errs at the rate 1 - accuracy."""

    accuracy: float = 1.0
    seed: int = 0
    fresh: bool = False
    asked: int = 0

    def __call__(self, messages: Sequence[Message]) -> str:
        self.asked += self.fresh
        text = text_of(messages)
        quoted = QUOTED.search(text)
        if not quoted:
            return "I see nothing to judge."
        material = json.loads(quoted[1])
        right = sum_in(material["question"])
        errs = chance(self.seed, "judge", f"{self.asked} {text}") >= self.accuracy
        if "answer 1" in material:
            kind = which(str(right), said(str(material["answer 1"])), said(str(material["answer 2"])))
            other = {"1": "2", "2": "1", "both": "neither", "neither": "both"}
            return f"I worked it out: {right}.\nRight: {other[kind] if errs else kind}"
        fits = said(str(material["answer"])) == right
        return f"I worked it out step by step: {right}.\nVerdict: {'right' if fits != errs else 'wrong'}"


def which(right: str, first: str, second: str) -> str:
    one, two = first == right, second == right
    return "both" if one and two else "1" if one else "2" if two else "neither"


def said(text: str) -> str:
    """The last number of an answer."""
    numbers = re.findall(r"-?\d+", text)
    return numbers[-1] if numbers else ""


@dataclass
class Solver:
    """Does sums, each try right with probability `accuracy`, and else off by one to `spread`, independently.

    Where it is not `fresh`, it gives the same wrong answer every time, and a majority is worth no more than one try.
    """

    accuracy: float = 1.0
    spread: int = 20
    seed: int = 0
    fresh: bool = True
    asked: int = 0

    def __call__(self, messages: Sequence[Message]) -> str:
        self.asked += self.fresh
        text = text_of(messages)
        right = sum_in(text)
        if right is None:
            return "I do not know."
        key = f"{self.asked} {text}"
        off = 1 + derive(self.seed, "off", key) % self.spread if chance(self.seed, "solve", key) >= self.accuracy else 0
        return f"<answer>{int(right) + off}</answer>"


def sums(levels: int = 3) -> TaskSource:
    """Sums of two to levels + 1 numbers, in the words of the family chain_sum; a task is a pure function of its arguments."""

    def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
        for attempt in range(1000):
            keys = ("sums", split, arm.level, index, attempt)
            parts = [derive(seed, *keys, i) % 90 + 10 for i in range(arm.level + 1)]
            asked = ({"role": "user", "content": FORM.format(" + ".join(map(str, parts)))},)
            if split_of(asked) == split:
                break
        answer = str(sum(parts))
        steps = [str(sum(parts[: i + 1])) for i in range(1, len(parts))]
        return Task(
            asked, answer, arm.family, arm.level, split, "number", solution=f"{' '.join(steps)}<answer>{answer}</answer>"
        )

    return TaskSource("sums", tuple(Arm("chain_sum", level) for level in range(1, levels + 1)), draw, languages=frozenset())


CHAIN = re.compile(r"Start at (\d+), count mod (\d+): ([-+ \d]+)")


@dataclass
class Steps:
    """Works through a step chain (tasks/chain.py) and errs in each step at the rate `wrong`, going on from what it wrote.

    systematic  False: another wrong number each time, uniform over the others; True: always the one above the right one
    """

    wrong: float = 0.25
    systematic: bool = False
    seed: int = 0

    def __call__(self, messages: Sequence[Message]) -> str:
        found = CHAIN.findall(text_of(messages))
        if not found:
            return "I do not know."
        start, modulus, changes = found[-1]
        states = self.states(int(start), [int(c) for c in changes.split()], int(modulus))
        return f"{' '.join(map(str, states))}<answer>{states[-1]}</answer>"

    def states(self, start: int, changes: Sequence[int], modulus: int) -> list[int]:
        key, states = f"{start} {list(changes)}", [start]
        for i, change in enumerate(changes):
            off = 0
            if chance(self.seed, "step", key, str(i)) < self.wrong:
                off = 1 if self.systematic else 1 + derive(self.seed, "step off", key, i) % (modulus - 1)
            states.append((states[-1] + change + off) % modulus)
        return states[1:]


def weak_steps(messages: Sequence[Message]) -> str:
    """A weak supervisor of step chains, wrong in a quarter of its steps: `--role weak=sharpen.data.noisy:weak_steps`."""
    return Steps()(messages)


@dataclass(frozen=True)
class Outcome:
    """What a supervisor of chains is, and what comes of it.

    taught  share of the chains that it brings to the right end
    learnt  share of the (number, change) pairs of its chains for which most of what it wrote is right: what a table that is
            tuned on all of them, right or wrong, answers when it is asked for the likeliest
    """

    taught: float
    learnt: float


def outcome_of(teacher: Steps, steps: int, chains: int, modulus: int = 10) -> Outcome:
    """By so many chains of so many steps."""
    counts: dict[tuple[int, int], list[int]] = {}
    right = 0
    for n in range(chains):
        start, *changes = (derive(teacher.seed, "chain", n, i) % 9 + 1 for i in range(steps + 1))
        written = teacher.states(start, changes, modulus)
        right += written[-1] == (start + sum(changes)) % modulus
        for before, change, after in zip([start, *written], changes, written, strict=False):
            counts.setdefault((before, change), [0] * modulus)[after] += 1
    table = {key: max(range(modulus), key=seen.__getitem__) for key, seen in counts.items()}
    fits = sum(after == (before + change) % modulus for (before, change), after in table.items())
    return Outcome(right / chains, fits / len(table))


def learnable(wrong: float, values: int, systematic: bool = False) -> bool:
    """Whether a table that is tuned on all of a supervisor's steps, wrong at this rate, and asked for the likeliest is right:
    1 - e > e / (values - 1) where errors spread over the other values, 1 - e > e where they are always the same. Exact."""
    return 1 - wrong > (wrong if systematic else wrong / (values - 1))
