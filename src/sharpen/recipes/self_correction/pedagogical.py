"""A tutor's own records against the right ones, wherever they differ in what they decide, align it better than imitation.

Paper: arXiv 2402.05000 (pedagogical alignment), section 4; the rule of its pairs as in its release
Parent: sft
Differs: a pupil tries, and the tutor answers with a record: evaluation, action, state, words. First right records are imitated,
    then preferred to the tutor's own where a field differs, other words not counting. From the paper: right records are written
    by rule from the step chain's checker, and have three fields of two values; the pupil is scripted, unless `--role pupil=`
"""

from dataclasses import replace
from functools import partial

from sharpen import guard, tasks
from sharpen.core import Role
from sharpen.guard import handover
from sharpen.objectives import preferences
from sharpen.recipe import Method, Stage
from sharpen.recipes import staging
from sharpen.recipes.supervised import sft
from sharpen.rollouts import tutoring


def recipe(imitate: float = 0.6, beta: float = 0.1, max_tokens: int = 128, tutor: bool = True) -> Method:
    parent = replace(sft.recipe(), max_tokens=max_tokens)
    if not tutor:
        return parent
    pupil = (Role("pupil", bound="sharpen.rollouts.tutoring:pupil"),)
    parent = replace(parent, tasks=tasks.step_chain, verify=tutoring.recorded, roles=pupil)
    shown = replace(parent, rollout=partial(tutoring.tutor, record=True, shown=True))
    own = replace(parent, rollout=partial(tutoring.tutor, record=True), prompts=40, samples=4, select=tutoring.record_pairs)
    return staging.sequence(
        Stage("sft", shown, imitate, handover.last, guard.always),
        Stage("prefer", replace(own, objective=partial(preferences.dpo, beta=beta)), 1 - imitate, handover.last, guard.always),
    )


NEUTRAL = dict(tutor=False, max_tokens=48)


def check(made: Method) -> bool:
    """Unparsable, a missing field, another evaluation, other words, the same: pairs are made of the first three."""
    import json

    gold = {"evaluation": "wrong", "action": "hint", "state": "in progress", "text": "Step 2 is wrong."}
    said = ["Well.", json.dumps({"evaluation": "wrong"}), json.dumps({**gold, "evaluation": "right"})]
    said += [json.dumps({**gold, "text": "Look at step 2."}), json.dumps(gold)]
    return [tutoring.differs(gold, text) for text in said] == [True, True, True, False, False]
