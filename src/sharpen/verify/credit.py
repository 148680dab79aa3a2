"""What each turn of the student is worth: the turns judged one by one, and a shape that makes credit of their rewards.

A shape is a function of the turns' rewards, in order, to what each turn is worth. The verdict stays that on the last turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sharpen.core import Task, Verdict
from sharpen.verify import verdicts

Shape = Callable[[Sequence[float]], Sequence[float]]


def each_turn(
    task: Task, response: str, shape: Shape, verifier: Callable[[Task, str], Verdict] = verdicts.verify, *, turns: Sequence[str]
) -> Verdict:
    """The verdict on the last turn, with credit for each. Unscorable where one of the turns cannot be judged."""
    found = [verifier(task, said) for said in turns]
    lost = next((verdict for verdict in found if verdict.reward is None), None)
    if lost is not None:
        return lost
    worth = shape([float(verdict.reward or 0.0) for verdict in found])
    return replace(found[-1], credit=tuple(float(value) for value in worth))


def taught(task: Task, response: str, verifier: Callable[[Task, str], Verdict] = verdicts.verify) -> Verdict:
    """The verdict, which is also what the role `teacher` is paid: its example is worth what the student makes of it."""
    found = verifier(task, response)
    return found if found.reward is None else replace(found, parts={**found.parts, "teacher": found.reward})


def improvement(rewards: Sequence[float], alpha: float = 10.0) -> list[float]:
    """SCoRe (arXiv 2409.12917, section 4.2): the last turn is also paid alpha times what it is better than the one before it.

    The bonus belongs to the later turn alone: paid to the earlier one, failing on purpose would be worth it.
    """
    bonus = [0.0, *(alpha * (after - before) for before, after in zip(rewards, rewards[1:]))]
    return [reward + more for reward, more in zip(rewards, bonus)]


def discounted(rewards: Sequence[float], gamma: float = 0.5) -> list[float]:
    """UFO (arXiv 2507.14295, section 3): what an episode earns is gamma^(turns - 1) times its last reward, for every turn."""
    return [gamma ** (len(rewards) - 1) * rewards[-1]] * len(rewards)
