"""More imitation, then practice where tokens have 0.3 nats: the stronger start keeps its lead, and a smaller one.

Paper: arXiv 2506.13284 (AceReason-Nemotron 1.1), abstract; the target of 0.3 nats, and filters of overlong answers in early
    stages
Parent: grpo
Differs: worked solutions, then practice at half of the longest answer without what runs out of tokens, then at all of it with
    it; prompts that are always right or always wrong are left out; the temperature of each step follows the entropy of the
    last. From the paper: two lengths; the temperature is steered, not chosen once; the axes of the imitation are `sft.prompts`
    and `sft.warmup_demos`
"""

from dataclasses import replace
from functools import partial

from sharpen import data, guard
from sharpen.data import lengths
from sharpen.guard import handover
from sharpen.objectives import entropy
from sharpen.recipe import Stage, Stages
from sharpen.recipes import staging
from sharpen.recipes.played import answers, as_forced
from sharpen.recipes.policy_gradient import grpo
from sharpen.recipes.supervised import sft


def recipe(imitate: float = 0.3, short: float = 0.3, target: float = 0.3, start: float = 0.85) -> Stages:
    whole = grpo.recipe()
    steered = begun = whole
    if target:
        to = partial(entropy.tempered, target=target)
        steered = replace(whole, temperature=start, select=partial(to, then=data.gate))
        begun = replace(steered, max_tokens=whole.max_tokens // 2, select=partial(to, then=lengths.ended))
    return staging.sequence(
        Stage("sft", sft.recipe(), imitate, handover.last, guard.always),
        Stage("short", begun, short, handover.last, guard.always),
        Stage("long", steered, 1 - imitate - short, handover.last, guard.always),
    )


NEUTRAL = dict(imitate=0.0, short=0.0, target=0.0)


def check(made: Stages) -> bool:
    """Tokens of 1 nat cool the next step, of none warm it; what ran out of tokens is not learnt from while answers are
    short."""
    long, moved = made.stages[2].recipe, []
    pair = answers(("4", 1), ("5", 0))  # of 1 nat a token; forced, of none
    for said in (pair, [as_forced(s) for s in pair]):
        notes: dict = {}
        long.select(said, temperature=0.85, notes=notes)
        moved.append(notes["temperature"] < 0.85)
    cut = [replace(s, rollout=replace(s.rollout, stop="length")) for s in pair]
    return moved == [True, False] and made.stages[1].recipe.select(cut, temperature=0.85, notes={}) == []
