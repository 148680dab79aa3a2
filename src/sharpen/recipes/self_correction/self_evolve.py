"""Once it can criticise and refine, a model improves on what it itself calls right, without any verdict.

Paper: arXiv 2310.00533 (SELF), section 3
Parent: rft
Differs: first its meta-skill, feedback on answers and answers after feedback, by imitation; then answer, critique, refined
    answer, kept where the student calls it right, and imitated as if given at once. From the paper: a checker writes the
    meta-skill's feedback instead of a stronger model; one stage of evolution; questions are the tasks', none self-made
"""

from dataclasses import replace
from functools import partial

from sharpen import guard, rollouts, verify
from sharpen.data import corrections
from sharpen.guard import handover
from sharpen.recipe import Method, Stage
from sharpen.recipes import staging
from sharpen.recipes.supervised import rft
from sharpen.rollouts import feedback


def recipe(meta: float = 0.3, filtered: bool = True, evolving: bool = True) -> Method:
    if not evolving:
        return rft.recipe()
    parent = replace(rft.recipe(), verify=partial(verify.each_turn, kinds="ac", credited=False))
    asked = partial(rollouts.retry, feedback=partial(feedback.own_critique, until_right=True), attempts=3)
    own = partial(corrections.by_own_verdict, filtered=filtered)
    return staging.sequence(
        Stage("meta", replace(parent, select=corrections.proposals), meta, handover.last, guard.always),
        Stage("evolve", replace(parent, rollout=asked, select=own), 1 - meta, handover.last, guard.always),
    )


NEUTRAL = dict(evolving=False)


def check(made: Method) -> bool:
    """In the first stage an answer's feedback is learnt; in the second the verifier's word counts for nothing."""
    meta, evolve = (stage.recipe.select for stage in made.stages)  # type: ignore[union-attr]
    feedback = [text for _, text in corrections.example(meta, ["3<answer>3</answer>", "4<answer>4</answer>"], "3")]
    kept = [text for _, text in corrections.example(evolve, ["3<answer>3</answer>", "4<answer>4</answer>"], "3")]
    return any("wrong" in text for text in feedback) and len(kept) == 2
