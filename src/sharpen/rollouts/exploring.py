"""Searches that ask somebody on their way: what is promising, what is new, which of two is better, what would help.

debated    a tree whose values, and hints for the next try, a role gives; at the end debaters choose: SWE-Search
explored   an archive of beginnings, out of which a role chooses: Intelligent Go-Explore
glimpsed   every action is looked at for a few tokens, and only the most hopeful is carried out: Q*
retrieved  a role chooses what the student reads, or nothing: RLCoder
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpen.core import GREEDY, Ask, Measure, RolloutGenerator, Searched, Task, Turn
from sharpen.hashing import digest
from sharpen.rollouts import trees
from sharpen.rollouts.rollout import with_system
from sharpen.rollouts.search import Steps, branches, chosen, said_so_far, whole
from sharpen.rollouts.trees import Child, Node, Select
from sharpen.rollouts.values import NUMBER, Value, by_likelihood, ended, rated

JUDGED = "How good is this {what}? First a number from 0 to 10, then one sentence: what should be tried instead?"
ARGUE = "Which answer is right, 1 or 2? Argue in a sentence.\n1: {one}\n2: {two}\n{said}"
DECIDE = "Which answer is right? Say 1 or 2.\n1: {one}\n2: {two}\n{said}"
PROMISING = "Which of these beginnings of an answer is the most promising? Say its number.\n{listed}"
NEW = "Is this beginning of an answer interestingly new, beside those before? Say yes or no.\n{text}"
WHICH = "Which of these helps to answer the question? Say its number, or 0 for none.\n{listed}"


@dataclass(frozen=True)
class Advised(Steps):
    """Steps of which each but the first from a beginning is told what the role said of the one before."""

    role: str = "value"

    def expand(self, node: Node) -> Generator[Any, Any, list[Child]]:
        after: Turn | None = node.state
        how: dict[str, Any] = dict(stop=self.ends, max_tokens=self.step, sampling=self.sampling)
        last, made, advice = node.depth + 1 >= self.steps, dict[bytes, Turn](), ""
        for _ in range(self.branch):
            if after:
                ask = Ask((), after, cut=len(after.tokens), insert=f"\n[Another way: {advice}]\n" if advice else "", **how)
            else:
                hint = f"Another try went wrong: {advice}" if advice else ""
                ask = Ask(with_system(self.task, f"{self.system} {hint}".strip()), **how)
            turn: Turn = yield ask
            made.setdefault(turn.tokens.tobytes(), turn)
            comment = yield judged_by(self.task, turn, self.role)
            advice = comment.text.lstrip("0123456789.,:/ ").strip()[:200]
        return [Child(turn, done=ended(turn) or last) for turn in made.values()]

    def score(self, nodes: Sequence[Node]) -> Generator[Any, Any, Sequence[float]]:
        """The role's number; 1/2 where it says none."""
        comments = yield [judged_by(self.task, node.state, self.role) for node in nodes]
        return [rated(comment.text) for comment in comments]


def judged_by(task: Task, turn: Turn, role: str) -> Ask:
    """What a role is asked about a turn."""
    words = JUDGED.format(what="answer" if ended(turn) else "beginning of an answer")
    shown = {"role": "assistant", "content": turn.all_text}
    return Ask((*task.prompt, shown, {"role": "user", "content": words}), role=role, sampling=GREEDY, max_tokens=48)


def debated(
    task: Task,
    scored: int = 16,
    select: Select = trees.uct,
    debaters: int = 2,
    rounds: int = 1,
    role: str = "value",
    **steps: Any,
) -> RolloutGenerator:
    """SWE-Search (arXiv 2410.20285) on steps of an answer: `trees.mcts` by backed-up means, values and hints by a role, and at
    the end the two best answers are debated by `debaters` for `rounds`, and voted on. `select=trees.by_own` is the release."""
    parts = Advised(task, by_likelihood, role=role, **steps)
    root = yield from trees.mcts(Node(None), parts.expand, parts.score, scored, select)
    finished = sorted((n for n in root.below()[1:] if ended(n.state)), key=lambda n: -n.own)[:2]
    if len(finished) < 2 or not debaters:
        return (yield from chosen(parts, root))
    one, two = (node.state for node in finished)
    heard: list[str] = []
    for _ in range(rounds):
        words = ARGUE.format(one=one.all_text, two=two.all_text, said="\n".join(heard))
        arguments = yield [Ask((*task.prompt, {"role": "user", "content": words}), role=role, max_tokens=48)] * debaters
        heard += [argument.text for argument in arguments]
    words = DECIDE.format(one=one.all_text, two=two.all_text, said="\n".join(heard))
    votes = yield [Ask((*task.prompt, {"role": "user", "content": words}), role=role, max_tokens=8)] * debaters
    second = sum(vote.text.strip().startswith("2") for vote in votes)
    return Searched(whole(two if second > debaters / 2 else one), branches(root))


def explored(task: Task, limit: int = 16, role: str = "judge", **steps: Any) -> RolloutGenerator:
    """Intelligent Go-Explore (arXiv 2405.15143) over beginnings of an answer: the role says which of the archive is the most
    promising, and whether a new one is worth keeping. An answer whose number is none falls back to one by chance."""
    parts = Steps(task, by_likelihood, **{"branch": 1, **steps})
    tried: dict[int, int] = {}

    def choose(nodes: Sequence[Node]) -> Generator[Any, Any, int]:
        if len(nodes) == 1:
            return 0
        listed = "\n".join(f"{i}: {shown(node)}" for i, node in enumerate(nodes))
        words = PROMISING.format(listed=listed)
        answer = yield Ask((*task.prompt, {"role": "user", "content": words}), role=role, sampling=GREEDY, max_tokens=8)
        found = NUMBER.search(answer.text)
        if found and float(found.group()) < len(nodes):
            return int(float(found.group()))
        return int(digest([task.id, listed]), 16)

    def act(node: Node) -> Generator[Any, Any, Child | None]:
        if tried.get(id(node), 0) >= 4:
            return None
        tried[id(node)] = tried.get(id(node), 0) + 1
        (child,) = yield from parts.expand(node)
        return child

    def interesting(node: Node) -> Generator[Any, Any, bool]:
        words = NEW.format(text=shown(node))
        answer = yield Ask((*task.prompt, {"role": "user", "content": words}), role=role, sampling=GREEDY, max_tokens=8)
        return "no" not in answer.text.casefold().split()

    root = Node(None)
    goal = yield from trees.archive(root, choose, act, interesting, said_so_far, limit, lambda n: ended(n.state))
    return Searched(whole(goal.state), branches(root)) if goal else (yield from chosen(parts, root))


def shown(node: Node) -> str:
    return node.state.all_text[-200:] if node.state else "(nothing yet)"


def glimpsed(
    task: Task, limit: int = 16, glimpse: int = 4, value: Value = by_likelihood, weight: float = 1.0, **steps: Any
) -> RolloutGenerator:
    """Q* (arXiv 2102.04518) over steps of an answer: of each action `glimpse` tokens are drawn, all side by side, and valued;
    only the action of the least cost so far + (1 - value) is carried on to the step's end. A step costs its share of the
    answer's steps."""
    parts = Steps(task, value, **steps)
    root = Node(None)
    queue: list[tuple[float, int, Node, Turn]] = []
    for made in range(limit):
        node = root if not queue and not made else None
        if node is None:
            if not queue:
                break
            queue.sort(key=lambda entry: entry[:2])
            _, _, at, begun = queue.pop(0)
            turn = begun if ended(begun) else (yield Ask((), after=begun, stop=parts.ends, max_tokens=parts.step))
            done = ended(turn) or at.depth + 1 >= parts.steps
            node = Node(turn, at, paid=at.paid + 1 / parts.steps, done=done)
            (node.own,) = yield from value(task, [turn])
            at.children = [*(at.children or ()), node]
            if ended(turn):
                return Searched(whole(turn), branches(root))
            if done:
                continue
        after = node.state
        ask = (
            Ask((), after, cut=len(after.tokens), max_tokens=glimpse)
            if after
            else Ask(with_system(task, ""), max_tokens=glimpse)
        )
        seen: list[Turn] = yield [ask] * parts.branch
        for i, (turn, worth) in enumerate(zip(seen, (yield from value(task, seen)), strict=True)):
            queue.append((weight * node.paid + 1 - worth, made * parts.branch + i, node, turn))
    return (yield from chosen(parts, root))


def retrieved(task: Task, role: str = "retriever", system: str = "") -> RolloutGenerator:
    """RLCoder (arXiv 2407.19487): of the task's `candidates` (texts) a role chooses one by its number, or 0 for none, and the
    student answers with it before the question.

    In training the role is shown the number of the candidate with which the right answer is likeliest, nothing among them: the
    "reinforcement" of its release is this imitation. Of several alike the first is taken that a hash of the task names. Without
    candidates: one answer.
    """
    listed = [str(text) for text in task.data.get("candidates", ())]
    if not listed:
        return (yield Ask(with_system(task, system)))
    words = WHICH.format(listed="\n".join(f"{i}: {text}" for i, text in enumerate(listed, 1)))
    asked = (*task.prompt, {"role": "user", "content": words})
    best = None
    if task.split == "train" and task.answer is not None:
        found = yield [Measure(reading(task, text, system), task.answer) for text in ("", *listed)]
        best = lowest([-float(np.sum(m.logprobs)) for m in found], task.id)
    answer = yield Ask(asked, role=role, answer=None if best is None else str(best), max_tokens=4)
    number = NUMBER.search(answer.text)
    which = int(float(number.group())) if number else 0
    return (yield Ask(reading(task, listed[which - 1] if 0 < which <= len(listed) else "", system)))


def reading(task: Task, text: str, system: str = "") -> Any:
    """The task's messages with a text before the question; "": without."""
    *before, last = with_system(task, system)
    return (*before, {**last, "content": f"{text}\n\n{last['content']}" if text else last["content"]})


def lowest(losses: Sequence[float], salt: str, near: float = 1e-9) -> int:
    """The number of the lowest loss; of several alike one that a hash names, else the first would be learnt everywhere."""
    least = [i for i, loss in enumerate(losses) if loss - min(losses) <= near]
    return least[int(digest(["lowest", salt]), 16) % len(least)]
