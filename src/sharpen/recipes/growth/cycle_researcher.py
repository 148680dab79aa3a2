"""Reviews by several reviewers order a writer's drafts; best against worst, with the best imitated too, improves the writer.

Paper: arXiv 2411.00816 (CycleResearcher); three drafts, SimPO plus likelihood of the chosen one
Parent: simpo
Differs: the verdict is the mean score of three reviewers of different strictness, the role `judge`, and pairs are the best
    and the worst of three drafts at temperature 0.4. From the paper: SimPO's numbers, and the judge is not trained on reviews
"""

from dataclasses import replace

from sharpen import verify
from sharpen.core import Role
from sharpen.data import pairs
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.preference import simpo


def recipe(reviewed: bool = True, **knobs) -> Recipe:
    parent = simpo.recipe(**knobs)
    if not reviewed:
        return parent
    made = replace(parent, verify=verify.reviewed, select=pairs.best_vs_worst, samples=3, temperature=0.4)
    return replace(made, roles=(Role("judge"),))


NEUTRAL = dict(reviewed=False)


def check(made: Recipe) -> bool:
    """Scores of 4, 6 and 8 are a reward of 0.6, with a spread of 0.4; reviews without a score are nobody's verdict."""
    (task, _), *_ = growing.tasks()
    scores = iter(["Score: 4", "Score: 6", "Score: 8", *["Good."] * 3])
    first, second = (growing.driven(made.verify(task, "a draft"), lambda ask: next(scores))[0] for _ in range(2))
    return abs(first.reward - 0.6) < 1e-9 and abs(first.parts["spread"] - 0.4) < 1e-9 and second.reward is None
