"""Paying each stretch of thought for what it adds to an answer given at once makes thinking no longer than it helps.

Paper: arXiv 2503.07572 (MRT), section 4; the READMEs of its release
Parent: grpo
Differs: each answer is cut once, an answer forced there, and gone on with; what follows the cut is also paid alpha times its
    reward less that of the forced answer. From the release: it has that in place of the group's baseline, and takes the cut
    from another rollout
"""

from dataclasses import replace
from functools import partial

from sharpen import verify
from sharpen.objectives import steps
from sharpen.recipe import Recipe
from sharpen.recipes.played import played, settings
from sharpen.recipes.policy_gradient import grpo
from sharpen.rollouts import splicing


def recipe(alpha: float = 1.0, after: int = 12) -> Recipe:
    parent = grpo.recipe()
    if not alpha:
        return parent
    stop, paid = partial(splicing.stoppable, after=after), partial(verify.each_turn, shape=verify.beyond_stopping)
    return replace(parent, rollout=stop, verify=paid, objective=partial(steps.with_progress, alpha=alpha))


NEUTRAL = dict(alpha=0.0)


def check(made: Recipe) -> bool:
    """Thinking on that turns wrong into right is worth 1, right into wrong -1, and nothing before the cut is worth anything."""
    shape = settings(made.verify)["shape"]
    long = "x" * 40
    found = played(made.rollout, long, "<answer>5</answer>", "<answer>4</answer>")
    verdict = made.verify(found.task, found.response, turns=found.turns)
    tells = [shape([0.0, a, b, b])[2] for a, b in ((0.0, 1.0), (1.0, 1.0), (1.0, 0.0))] == [1.0, 0.0, -1.0]
    return tells and verdict.credit == (0.0, 0.0, 1.0, 0.0) and [span.turn for span in found.spans] == [0, 2]
