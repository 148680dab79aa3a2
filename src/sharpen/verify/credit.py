"""What each turn of the student is worth: the turns judged one by one, and a shape that makes credit of their rewards.

A shape is a function of the turns' rewards, in order, to what each turn is worth. The verdict stays that on the last turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from sharpen.core import Task, Verdict
from sharpen.verify import verdicts
from sharpen.verify.judgement import read_yes

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


def improvement(rewards: Sequence[float], alpha: float = 10.0) -> list[float]:
    """SCoRe (arXiv 2409.12917, section 4.2): the last turn is also paid alpha times what it is better than the one before it.

    The bonus belongs to the later turn alone: paid to the earlier one, failing on purpose would be worth it.
    """
    bonus = [0.0, *(alpha * (after - before) for before, after in zip(rewards, rewards[1:]))]
    return [reward + more for reward, more in zip(rewards, bonus)]


def discounted(rewards: Sequence[float], gamma: float = 0.5) -> list[float]:
    """UFO (arXiv 2507.14295, section 3): what an episode earns is gamma^(turns - 1) times its last reward, for every turn."""
    return [gamma ** (len(rewards) - 1) * rewards[-1]] * len(rewards)


def co_evolved(
    task: Task, response: str, verifier: Callable[[Task, str], Verdict] = verdicts.verify, *, turns: Sequence[str]
) -> Verdict:
    """Credit of `rollouts.co_evolved`: two answers as the verifier judges them, yes or no to the first where that is so, A or B
    where that one is better (1/2 where neither is), and the mended answer. The verdict is that on the second answer, and an
    answer alone is judged as ever. Source: SPARK, arXiv 2509.22624, section 3.
    """
    if len(turns) < 5:
        return verifier(task, response)
    first, second, mended = (verifier(task, turns[i]) for i in (0, 1, 4))
    lost = next((v for v in (first, second, mended) if v.reward is None), None)
    if lost is not None:
        return lost
    point = float(read_yes(turns[2]) is first.correct)
    said = set(re.findall(r"\b[AB]\b", turns[3]))
    better = {True: "A", False: "B"}[first.correct]
    pair = float(said == {better}) if first.correct != second.correct else 0.5
    credit = (float(first.reward or 0.0), float(second.reward or 0.0), point, pair, float(mended.reward or 0.0))
    parts = {"judged_rightly": point, "mended": float(mended.correct) - float(first.correct)}
    return replace(second, parts={**second.parts, **parts}, credit=credit)
