"""Lessons in which a tutor judges, hints and goes on, with what it decides said aloud, can be imitated as conversations.

Paper: arXiv 2305.13272 (CLASS), section 3
Parent: sft
Differs: conversations of a scripted pupil with a tutor whose every turn is a record, the right one, written by rule; they end
    when the pupil is right. What is measured is whether the pupil is, after hints in which the answer is masked. From the
    paper: no scaffolding set and no generator; fewer evaluations, actions and states
"""

from dataclasses import replace
from functools import partial

from sharpen import tasks
from sharpen.core import Role
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import sft
from sharpen.rollouts import tutoring


def recipe(rounds: int = 3, max_tokens: int = 128, tutor: bool = True) -> Recipe:
    parent = replace(sft.recipe(), max_tokens=max_tokens)
    if not tutor:
        return parent
    return replace(
        parent,
        tasks=tasks.step_chain,
        rollout=partial(tutoring.lesson, rounds=rounds),
        verify=tutoring.helped,
        select=tutoring.lessons,
        roles=(Role("pupil", bound="sharpen.rollouts.tutoring:pupil"),),
    )


NEUTRAL = dict(tutor=False, max_tokens=48)


def check(made: Recipe) -> bool:
    """A hint helps this pupil now and then, and the answer itself never does: it is masked."""
    from sharpen.core import Arm

    arm, helped, leaked = Arm("step_chain", 3), 0, 0
    for i in range(8):
        task = made.tasks().draw(arm, "train", i, 0)
        tried = tutoring.pupil(task.prompt)
        hint = tutoring.right_record(task, tried)["text"]
        told = [{"role": "user", "content": f"{task.prompt[0]['content']}\nHint: {text}"} for text in (hint, "It is [masked].")]
        answers = [tutoring.pupil([message]).endswith(f"<answer>{task.answer}</answer>") for message in told]
        helped, leaked = helped + answers[0], leaked + answers[1]
    return helped > 0 == leaked
