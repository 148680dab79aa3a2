"""Imitate where it fails, explore where it does not, and learn anew from the first weights: what was found adds up.

Paper: arXiv 2412.09413 (STILL-2), abstract and README; its counts are second hand
Parent: rft
Differs: of each task the student's own right answers are imitated, and the worked solution of those that always fail; that
    stage goes back to the first weights, whatever it came to, and the last one learns from all that was right so far beside
    what it finds itself. From the paper: worked solutions instead of a larger model's thoughts; no choice by length or
    perplexity; one round, no DPO
"""

from dataclasses import replace

from sharpen import guard
from sharpen.core import Decision, Evaluation
from sharpen.data import routing
from sharpen.guard import handover
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.played import answers, as_forced
from sharpen.recipes.supervised import rft


def anew(before: Evaluation, after: Evaluation) -> Decision:
    """A gate that lets nothing through: what was found is in the store, and the weights begin again."""
    return Decision("worse", "only what was found goes on", {"before": before.accuracy, "after": after.accuracy})


def recipe(explore: float = 0.5, tries: int = 8, replay: int = 128) -> Stages:
    found = replace(rft.recipe(), select=routing.routed, samples=tries, prompts=20)
    return staging.sequence(
        Stage("explore", found, explore, handover.last, anew),
        Stage("improve", replace(rft.recipe(), replay=replay), 1 - explore, handover.last, guard.always),
    )


NEUTRAL = dict(explore=0.0, replay=0)


def check(made: Stages) -> bool:
    """What never succeeds is shown, what does is its own; and however good, the first stage's weights do not go on."""
    tried = [*answers(("4", 1), ("5", 0)), *answers(("5", 0), ("6", 0), group=1)]
    demos = [as_forced(answers((f"shown {g}", 1), group=g)[0]) for g in range(2)]
    kept = made.stages[0].recipe.select(tried, demos=demos, notes={})
    back = made.stages[0].gate(Evaluation({}), Evaluation({})).answer
    return [s.rollout.response for s in kept] == ["4", "shown 1"] and back == "worse" and made.stages[0].otherwise == "back"
