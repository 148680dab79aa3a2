"""What a method is held against: recipes made from it, each without one thing that the method claims to need.

A control is a pure function of a method, so it is run, compared and resumed like any recipe: `sharpen run grpo --as-control
shuffled`. It has the method's student, tasks, verifier, warm-up, evaluations and budget. What it gains, the method's own idea
does not explain.

    untrained   the student as it was after the warm-up: what measuring alone moves
    solutions   worked solutions instead of practice, with the method's optimizer, guard and learning rate: those that the
                warm-up shows, again and again; without a warm-up those of the practised tasks, or their bare answers
    even        the same practice, every arm as often as any other
    shuffled    the same practice and objective, but the verdicts are dealt anew among the answers to a task: what learning
                gains that does not know which answers were right
    prompt      no learning: the best of a few instructions, chosen on the validation stream as rounds are
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sharpen import curriculum, data, guard, rollouts
from sharpen.core import Arm, Choices, Sample, Task, UserError, growth, suggest
from sharpen.curriculum import History
from sharpen.objectives import policy_gradient
from sharpen.recipe import Method, Recipe, Stages, asked_for, describe, identities, opening
from sharpen.verify import right_response


def untrained(method: Method) -> Recipe:
    """Not a step is made: the weights after the warm-up are measured again."""
    return replace(opening(method), control=partial(guard.enough, most=0), grow=growth.nothing)


def solutions(method: Method) -> Recipe:
    """Imitation of worked solutions for as long: in every step as many rows as the method's may have, its rollouts and what is
    replayed. UserError where the tasks have none, or the rollout needs what a run knows."""
    first = opening(method)
    wrapped(first)
    source = first.tasks()
    shown = (source.draw(arm, "train", 0, 0) for arm in curriculum.trainable(source))
    if not any(task.solution is not None or right_response(task) is not None for task in shown):
        raise UserError("its tasks have neither worked solutions nor answers that could be shown")
    return replace(
        first,
        curriculum=worked_solutions,
        rollout=partial(rollouts.demonstrated, rollout=first.rollout),
        select=data.keep_correct,
        objective=policy_gradient.sft,
        grow=growth.nothing,
        prompts=first.prompts * first.samples + first.replay,
        samples=1,
        refills=0,
        replay=0,
    )


def even(method: Method) -> Method:
    """Uniform choice of arms. UserError where that is what the method does."""
    made = each(method, lambda recipe: replace(recipe, curriculum=curriculum.uniform))
    if identities(made) == identities(method):
        raise UserError("it practises every arm alike already")
    return made


def shuffled(method: Method) -> Method:
    """Verdicts without their answers. UserError where no task is tried more than once, or nothing tells answers apart."""
    made = each(method, lambda recipe: replace(recipe, shuffled=recipe.samples > 1))
    if identities(made) == identities(method):
        raise UserError("it has one answer to a task, and so no group to deal verdicts in")
    return made


def prompt(method: Method) -> Recipe:
    """A round for each instruction: the best so far is kept as weights are. UserError as for `solutions`."""
    first = opening(method)
    wrapped(first)
    return replace(
        first,
        curriculum=next_instruction,
        rollout=partial(rollouts.instructed, rollout=rollouts.unaided(first.rollout)),
        select=learn_nothing,
        guard=partial(guard.ratchet, tolerance=1.0),
        control=partial(guard.enough, most=len(rollouts.INSTRUCTIONS) - 1),
        grow=growth.nothing,
        prompts=1,
        samples=1,
        refills=0,
        replay=0,
        extrapolation=0.0,
        round_steps=1,
    )


CONTROLS: Mapping[str, Callable[[Method], Method]] = {
    "untrained": untrained,
    "solutions": solutions,
    "even": even,
    "shuffled": shuffled,
    "prompt": prompt,
}


def made(name: str, method: Method) -> Method:
    """The control of that name. UserError for an unknown name, and where the method has no such control, saying why."""
    if name not in CONTROLS:
        raise UserError(f"There is no control {name!r}.{suggest(name, CONTROLS)} There are: {', '.join(CONTROLS)}.")
    try:
        return CONTROLS[name](method)
    except UserError as error:
        raise UserError(f"The recipe has no control {name!r}: {error}.") from error


def each(method: Method, change: Callable[[Recipe], Recipe]) -> Method:
    """The method with every stage changed."""
    if isinstance(method, Recipe):
        return change(method)
    return Stages(tuple(replace(stage, recipe=change(stage.recipe)) for stage in method.stages))


def wrapped(recipe: Recipe) -> None:
    """UserError where the rollout asks the loop for something: then nothing else can stand before it."""
    if names := asked_for(recipe.rollout) - {"ledger"}:
        raise UserError(f"{describe(recipe.rollout)} asks for {', '.join(sorted(names))}, which changes while the run learns")


def worked_solutions(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    *,
    worked: Callable[[int], Task],
    totals: Mapping[Arm, int],
) -> Choices:
    """The next tasks whose worked solutions the warm-up would show, had it gone on."""
    first = sum(totals.values())
    return [(worked(first + i), samples) for i in range(prompts)]


def next_instruction(
    history: History,
    arms: Sequence[Arm],
    prompts: int,
    samples: int,
    rng: np.random.Generator,
    *,
    kept: MutableMapping[str, Any],
    totals: Mapping[Arm, int],
) -> Choices:
    """Any task, and under the next instruction: that of step k is number k + 1. What is kept goes back with the round."""
    number = sum(totals.values()) // (prompts * samples) + 1
    kept["instruction"] = np.array([number % len(rollouts.INSTRUCTIONS)])
    return [(sorted(arms)[int(rng.integers(len(arms)))], samples) for _ in range(prompts)]


def learn_nothing(samples: Sequence[Sample]) -> list[Sample]:
    """None of them: the weights stay as they are."""
    return []
