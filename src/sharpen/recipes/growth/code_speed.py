"""Measured speed-up is a reward: the student rewrites programs that are right until they are faster, and stay right.

Paper: arXiv 2312.14949 (id and abstract only), case studies of a loop in which tests check and timing decides
Parent: code_quickstart
Differs: the task is a worked solution to be made faster; its tests come first, then old and new run in turn, and the median
    ratio pays log(ratio) / log 40 where a sign test is sure. From the paper: no person in the loop, and the form of the
    reward
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, verify
from sharpen.core import Ran, Run
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.loop import code_quickstart


def recipe(runs: int = 9, **knobs) -> Recipe:
    parent = code_quickstart.recipe(**knobs)
    if not runs:
        return parent
    return replace(parent, rollout=rollouts.rewrite_program, verify=partial(verify.speedup, runs=runs))


NEUTRAL = dict(runs=0)


def check(made: Recipe) -> bool:
    """Four times as fast is paid log 4 / log 40, the same program nothing, and a faster one that is wrong nothing either."""
    (task, _), *_ = growing.tasks()
    task = replace(task, solution="old", data={"tests": [{"stdin": "1", "stdout": "2"}]})
    verdicts = []
    for seconds, prints in ((0.25, "2"), (1.0, "2"), (0.1, "3")):

        def ran(event: Run, seconds: float = seconds, prints: str = prints) -> Ran:
            return Ran("ok", "2", "", 1.0) if event.code == "old" else Ran("ok", prints, "", seconds)

        verdicts.append(growing.driven(made.verify(task, "new"), str, ran)[0])
    return [round(v.reward, 3) for v in verdicts] == [0.376, 0.0, 0.0] and verdicts[0].correct
