"""Whether a recipe can teach anything: its own curriculum, select function and objective are asked, on toy batches.

A method that compares the answers to one prompt learns nothing of one answer, nor of answers that are all the same; which
methods those are, the objective knows, and no list of names. Asked are reward patterns from all wrong to all right, at
likelihood ratios around 1, at the beginning and in the midst of the budget. One coefficient that is not zero, or one penalty
with a gradient, is enough. What cannot be asked without a model, or is not sharpen's own, is taken to teach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from sharpen import rollouts
from sharpen.core import Arm, ArmStats, Batch, Branch, Rollout, Sample, Span, Tableau, Task, Turn, UserError, Verdict
from sharpen.data import make_batch
from sharpen.objectives import example_penalty, weigh
from sharpen.recipe import Recipe, asked_for, call, describe

GROUPS, ENOUGH = 3, 4  # prompts of a toy batch at most, and answers to each with which a method that compares has enough
COLDEST = 1e-3  # the temperature below which all answers to a prompt are the same
PROGRESS = (0.5, 0.0, 0.99)


def check(recipe: Recipe) -> None:
    """Refuse a recipe that would run and learn nothing. UserError that names the setting."""
    learning_roles = [role for role in recipe.roles if role.objective]
    if recipe.lr == 0 and not any(role.lr for role in learning_roles):
        raise UserError(
            "lr=0: no weight would ever change. Take a learning rate above 0, such as lr=1e-5; `eval` only measures."
        )
    if learning_roles or recipe.replay:
        return
    sizes, same = answers(recipe), greedy(recipe)
    if any(teaches(recipe, n, same) for n in sizes):
        return
    what, n = describe(recipe.objective), max(sizes)
    if not kept_any(recipe, n, same) and not kept_any(recipe, ENOUGH, False):
        raise UserError(
            f"select={describe(recipe.select)} leaves nothing to learn from, whatever the rewards. Mend its settings."
        )
    if same and teaches(recipe, n, False):
        raise UserError(
            f"temperature={recipe.temperature}, top_k={recipe.top_k}, top_p={recipe.top_p}, min_p={recipe.min_p}: "
            f"all answers to a prompt come out the same, and objective={what} learns only where they differ. Sample with "
            "temperature=1."
        )
    if n < ENOUGH and teaches(recipe, ENOUGH, same):
        raise UserError(
            f"samples={recipe.samples}: objective={what} compares the answers to one prompt with each other, and so would "
            "learn nothing. Take samples=8, or an objective that needs no comparison, such as reinforce or sft."
        )
    raise UserError(
        f"objective={what} teaches nothing: with these settings every coefficient is 0, whatever the rewards and the answers. "
        "Look at its arguments, such as a clip or a weight of 0."
    )


def greedy(recipe: Recipe) -> bool:
    """Whether sampling always takes the likeliest token, so that answers to one prompt do not differ."""
    alike = recipe.temperature <= COLDEST or recipe.top_k == 1 or recipe.min_p >= 1 or recipe.top_p <= COLDEST
    return alike and not recipe.roles


def answers(recipe: Recipe) -> set[int]:
    """How many answers to a prompt the curriculum may ask for, as far as it can be asked; no more than ENOUGH."""
    own = describe(recipe.curriculum, modules=True).startswith("sharpen.")
    asked = asked_for(recipe.curriculum)
    if not own or "attempts" in asked or recipe.samples >= ENOUGH:
        return {recipe.samples if own and "attempts" not in asked else ENOUGH}
    named = getattr(recipe.curriculum, "keywords", {}).get("families", "").partition(",")[0] or "toy"  # one that keeps to some
    arms = [Arm(named, level) for level in (1, 2, 3, 4)]
    history = {arm: [ArmStats(0, arm, 4, i % 4, 0.5, 9)] for i, arm in enumerate(arms)}
    made: dict[str, Any] = dict(progress=0.5, evaluations=[], totals={}, kept={}, tried=[])
    offered = {name: made[name] for name in asked & made.keys()}
    found = {1}
    for seen in ({}, history):
        rng = np.random.default_rng(0)
        found |= {int(n) for _, n in call(recipe.curriculum, seen, arms, 8, recipe.samples, rng, **offered)}
    return {min(n, ENOUGH) for n in found if n} | {recipe.samples}


def teaches(recipe: Recipe, n: int, same: bool) -> bool:
    """Whether any toy batch of n answers to each prompt has a gradient. same: they are all alike, and so are their rewards."""
    if "policy" in asked_for(recipe.objective):
        return True
    for samples in toys(min(recipe.prompts, GROUPS), min(n, ENOUGH), same, helped(recipe)):
        for progress in PROGRESS:
            kept = selected(recipe, samples, progress)
            if kept is None:
                return True
            if kept:
                batch = make_batch(kept)
                given: dict[str, Any] = dict(progress=progress, batch=batch, notes={}, losses=[1.0, 0.9], stage=0)
                tableau = call(recipe.objective, **{k: v for k, v in given.items() if k in asked_for(recipe.objective)})
                if moves(tableau, batch):
                    return True
    return False


def kept_any(recipe: Recipe, n: int, same: bool) -> bool:
    """Whether select leaves anything of any toy batch."""
    batches = toys(min(recipe.prompts, GROUPS), min(n, ENOUGH), same, helped(recipe))
    return any(selected(recipe, samples, progress) != [] for samples in batches for progress in PROGRESS)


def helped(recipe: Recipe) -> bool:
    """Whether an answer may be another's: every rollout but the plain one may force some."""
    return getattr(recipe.rollout, "func", recipe.rollout) is not rollouts.single


def toys(groups: int, n: int, same: bool, helped: bool) -> Iterator[list[Sample]]:
    """Toy batches, the likeliest to teach first: rewards mixed within groups, then alike within them, then everywhere; then
    with answers that others gave. helped: some of a group may be others' where the student's are alike."""
    alike = [[[float(g % 2)] * n for g in range(groups)], [[1.0] * n] * groups, [[0.0] * n] * groups]
    mixed = [[[float(i < k) for i in range(n)]] * groups for k in range(1, n)]
    for rewards in alike if same else [*mixed, *alike]:
        yield [toy(g, i, r, same) for g, group in enumerate(rewards) for i, r in enumerate(group)]
    if n > 1 and (
        helped or not same
    ):  # somebody else's answer, wrong and forced, beside those of the student, who all say otherwise
        yield [toy(g, i, float(i > 0), same, forced=i == 0) for g in range(groups) for i in range(n)]
    yield [toy(g, 0, 1.0, same, forced=True) for g in range(groups)]


def toy(group: int, number: int, reward: float, same: bool = False, forced: bool = False) -> Sample:
    """An answer of three tokens to a prompt of two."""
    task = Task(({"role": "user", "content": f"{group} ?"},), "1", "toy", 1, solution="<answer>1</answer>")
    said = 0 if same else number
    tokens, sampled = np.array([1, 2, 3 + said, 4, 5], np.int32), np.array([False, False, True, True, True])
    logprobs = np.where(sampled, 0.0 if forced else -1.0, 0.0).astype(np.float32)
    text, stop = f"{said} <answer>{int(reward)}</answer>", "forced" if forced else "end"
    spans, name = (Span(2, 5, forced=forced),), f"toy.{group}.{number}.{forced}"
    turn = Turn(text, tokens, sampled, logprobs, stop)
    tried = () if same else (Branch(turn, 2, -1, 1.0, 3), Branch(turn, 2, -1, 0.0, 1))  # what a search might leave
    rollout = Rollout(task, tokens, sampled, logprobs, (text,), stop, 0, 0, name, spans=spans, branches=tried)
    return Sample(rollout, Verdict("correct", 1.0) if reward == 1 else Verdict("wrong", reward, feedback="no"), group)


def selected(recipe: Recipe, samples: Sequence[Sample], progress: float) -> list[Sample] | None:
    """What select keeps of a toy batch; None where it is not sharpen's own and may need more than a toy has, or keeps what it
    was given for later steps."""
    if not describe(recipe.select, modules=True).startswith("sharpen.") or "buffer" in asked_for(recipe.select):
        return None
    groups = sorted({s.group for s in samples})
    made: dict[str, Any] = dict(
        progress=progress,
        demos=[toy(group, 9, 1.0, forced=True) for group in groups],
        entropy=[np.linspace(0.1, 2.0 + i, 5) for i in range(len(samples))],
        logprobs=[np.where(s.rollout.sampled, -1.0 - 0.1 * i, 0.0) for i, s in enumerate(samples)],
        retell=partial(retold, []),
        decode=lambda tokens: " ".join(map(str, tokens)),
        mask_token=0,
        notes={},
        library={},
        rng=np.random.default_rng(0),
        temperature=1.0,
        stage=0,
        earlier=[],
        likelihood=lambda listed: np.zeros(len(listed)),
        embed=lambda listed: np.ones((len(listed), 2)),
    )
    return call(recipe.select, samples, **{name: made[name] for name in asked_for(recipe.select)})


def retold(made: list[None], sample: Sample, messages: Sequence[Any], answer: str | None = None) -> Sample:
    made.append(None)
    rollout = replace(sample.rollout, id=f"{sample.rollout.id}.{len(made)}", parent=sample.rollout.id)
    return replace(sample, rollout=rollout)


def moves(tableau: Tableau, batch: Batch) -> bool:
    """Whether a batch has a gradient, at ratios of 1 and around it."""
    if tableau.returns or tableau.before:
        batch = replace(batch, values=np.zeros_like(batch.mask), before=batch.sampling)
    spread = np.where(batch.mask > 0, np.linspace(-0.05, 0.05, batch.mask.size).reshape(batch.mask.shape), 0.0)
    now = torch.as_tensor(np.where(batch.mask > 0, -1.0, 0.0))
    for logp in (now, now + torch.as_tensor(spread)):
        reference = now - 3 * torch.as_tensor(spread) if tableau.reference else None
        entropy = 0.5 + torch.as_tensor(spread).abs() * 20 if tableau.entropy else None
        found, factor = weigh(tableau, batch, logp, reference=reference, entropy=entropy)
        if found.any() or (tableau.penalty is not None and factor.any() and bends(tableau)):
            return True
    return False


def bends(tableau: Tableau) -> bool:
    """Whether the penalty has a gradient on toy logits that differ from the reference's."""
    logits, reference = [[0.0, 1.0, 2.0], [1.0, 0.5, 0.0]], [[2.0, 0.0, 0.5], [0.0, 0.0, 3.0]]
    return bool(example_penalty(tableau, logits, reference)[1].any())
