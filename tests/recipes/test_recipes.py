"""One conformance test over every recipe that the catalog finds: what can be shown without a model run."""

import dataclasses
import functools
import importlib
import pickle
import zlib

import numpy as np
import pytest
import torch

from sharpen import rollouts
from sharpen.core import Batch, Branch, Rollout, Sample, Task, Turn, UserError, Verdict
from sharpen.objectives import tableau
from sharpen.recipe import SLOTS, Recipe, call, describe
from sharpen.recipes import catalog, validation

RECIPES = {info.name: info for info in catalog.recipes()}
each = pytest.mark.parametrize("info", RECIPES.values(), ids=RECIPES)


def module(info):
    return importlib.import_module(f"sharpen.recipes.{info.family}.{info.name}")


def samples():
    """Groups that are mixed, all right, all wrong, of one, and with a member that cannot be scored; equal answers; lengths up
    to the limit of 64; outcomes of every reward."""
    found = []
    for group, rewards in enumerate([(1, 0, 0, 1, 1), (1, 1), (0, 0, 0), (1,), (0.5, 1, None), (0, 1), (0, 0, 1, 0)]):
        for i, reward in enumerate(rewards):
            n = [3, 60, 64, 7, 3][(group + i) % 5]
            task = Task(({"role": "user", "content": f"question {group}"},), "4", "sum", group % 3)
            outcome = "unscorable" if reward is None else "correct" if reward == 1 else "wrong"
            tokens, sampled = np.arange(n + 2, dtype=np.int32), np.arange(n + 2) >= 2
            logprobs = np.where(sampled, -1.0 - 0.01 * i, 0).astype(np.float32)
            logprobs[-1] = 0 if group == 0 and i in (0, 1) else logprobs[-1]  # a word that was put into the answer
            answer = "4" if i in (0, 3) else f"{i}"
            turn = Turn(answer, tokens, sampled, logprobs, "end")
            tried = (Branch(turn, 2, -1, 0.9, 3), Branch(turn, 2, -1, 0.1, 1))
            rollout = Rollout(task, tokens, sampled, logprobs, (answer,), "end", 0, i, f"{group}-{i}", branches=tried)
            found.append(Sample(rollout, Verdict(outcome, reward), group, weight=1 + 0.5 * (i % 2)))
    return found


def offered(given):
    """What the loop offers a data function, on the fixed samples: a worked solution of each task, and made-up entropies."""
    rng = np.random.default_rng(1)
    lengths = [len(s.rollout.tokens) for s in given]
    firsts = {s.group: s for s in given}.values()
    shown = [
        dataclasses.replace(
            s,
            rollout=dataclasses.replace(
                s.rollout, stop="forced", id=f"{s.group}-demo", logprobs=np.zeros_like(s.rollout.logprobs)
            ),
            verdict=Verdict("correct", 1.0),
        )
        for s in firsts
    ]
    return dict(
        progress=0.1,
        demos=shown,
        entropy=[rng.random(n) for n in lengths],
        logprobs=[-rng.random(n) for n in lengths],
        retell=lambda sample, messages, answer=None: dataclasses.replace(
            sample, rollout=dataclasses.replace(sample.rollout, stop="forced")
        ),
        decode=lambda tokens: "".join(f"{t} " for t in tokens),
        mask_token=0,
        temperature=1.0,
        notes={},
        library={},
        buffer=list(shown) * 4,
        rng=np.random.default_rng(2),
        stage=1,
        earlier=[dataclasses.replace(s, rollout=dataclasses.replace(s.rollout, id=f"old {s.rollout.id}")) for s in given[:4]],
        likelihood=lambda listed: -np.arange(len(listed), dtype=float),
        embed=lambda listed: np.eye(3)[[len(m[0]["content"]) % 3 for m in listed]],
    )


def said_by_another(sample):
    """The first answer of a group as another model's: forced, and unlike all others."""
    told = dataclasses.replace(sample.rollout, stop="forced", turns=("17",), logprobs=np.zeros_like(sample.rollout.logprobs))
    return dataclasses.replace(sample, rollout=told)


def parts(method):
    """A recipe, or those of its stages."""
    return [method] if isinstance(method, Recipe) else [stage.recipe for stage in method.stages]


def coefficients(method):
    """By rollout id, the coefficients that data and objective give the fixed samples, and the gradient of a penalty; of stages
    those of each."""
    if not isinstance(method, Recipe):
        return {f"{n} {key}": row for n, one in enumerate(parts(method)) for key, row in coefficients(one).items()}
    recipe, given = method, samples()
    kept = call(recipe.select, given, **offered(given))
    if not kept:  # it learns from what another model said
        given = [said_by_another(s) if i == 0 or given[i - 1].group != s.group else s for i, s in enumerate(given)]
        kept = call(recipe.select, given, **offered(given))
    width = max(len(s.rollout.tokens) for s in kept)

    def rows(values, dtype):
        return np.array([np.pad(v, (0, width - len(v))) for v in values], dtype=dtype)

    batch = Batch(
        tokens=rows([s.rollout.tokens for s in kept], np.int64),
        mask=rows([s.rollout.sampled for s in kept], np.float64),
        sampling=rows([s.rollout.logprobs for s in kept], np.float64),
        reward=np.array([s.verdict.reward for s in kept], dtype=np.float64),
        group=np.array([s.group for s in kept]),
        weight=np.array([s.weight for s in kept]),
        lengths=np.array([len(s.rollout.tokens) for s in kept]),
        forced=np.array([s.rollout.stop == "forced" for s in kept]),
        turn=rows([np.where(s.rollout.sampled, np.arange(len(s.rollout.tokens)) % 2, -1) for s in kept], np.int64),
        credit=rows([s.rollout.sampled * (0.5 + i) for i, s in enumerate(kept)], np.float32),
    )
    objective = call(recipe.objective, progress=0.3, policy=None, batch=None, notes={}, losses=(0.9, 0.8, 0.7), stage=1)
    if objective.before:
        batch = dataclasses.replace(batch, before=batch.sampling)
    drift = np.random.default_rng(0).choice([-0.5, -0.1, 0.1, 0.23, 0.5], batch.mask.shape) * batch.mask
    apart = {"": 0, "start": 0.05, "accepted": 0.1, "teacher": 0.15}[objective.reference]  # another model each
    logp, other = torch.tensor(batch.sampling + drift), torch.tensor(batch.sampling + (drift[:, ::-1] - apart) * batch.mask)
    entropy = torch.tensor(np.random.default_rng(3).random(batch.mask.shape))
    found, factors = tableau.weigh(objective, batch, logp, reference=other if objective.reference else None, entropy=entropy)
    more = factors.numpy() * penalty_gradient(objective, batch.mask.shape) if objective.penalty else 0 * factors.numpy()
    both = np.concatenate([found.numpy(), more], axis=1)
    held = {name: getattr(objective, name) for name in ("keep", "hold", "stir")}  # which show in weights alone
    marks = {name: np.array([float(zlib.crc32(describe(f, True).encode()))]) for name, f in held.items() if f}
    return marks | {f"{s.rollout.id}@{i}": row for i, (s, row) in enumerate(zip(kept, both, strict=True))}


@functools.cache
def shipped(name):
    """The coefficients of a recipe as it ships, which its children are set against too."""
    return coefficients(module(RECIPES[name]).recipe())


def penalty_gradient(objective, shape):
    """(B, T): of the penalty by the first of three logits of each token, the reference's being others."""
    logits, other = np.random.default_rng(4).normal(size=(2, *shape, 3))
    return tableau.example_penalty(objective, logits.reshape(-1, 3), other.reshape(-1, 3))[1][:, 0].reshape(shape)


def equal(a, b):
    """The same rows, of which the shorter may leave out zeros at the end: padding, or the gradient of no penalty."""

    def same(x, y):
        short, long = sorted((x, y), key=len)
        return np.allclose(short, long[: len(short)], rtol=0, atol=1e-12) and not long[len(short) :].any()

    return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)


def test_the_recipes_that_ship_are_found():
    assert {"quickstart", "grpo", "dapo", "ppo", "nft", "star", "hpt", "amft", "sft", "rft"} <= set(RECIPES)


@each
def test_builds_prints_and_pickles(info):
    recipe = module(info).recipe()
    for one in parts(recipe):
        validation.validate(one)
    text = str(recipe)
    assert text == str(catalog.build(info.name)) and all(f"\n{slot} " in f"\n{text}" or f".{slot} " in text for slot in SLOTS)
    assert " at 0x" not in text  # an address: the text would differ from run to run, and resume compares it
    again = pickle.loads(pickle.dumps(recipe))
    assert str(again) == text and equal(coefficients(again), shipped(info.name))


@each
def test_docstring_is_complete(info):
    assert info.claim.endswith((".", "…")) and len(info.claim) > 20
    assert info.paper and info.differs and info.status in catalog.STATUSES
    assert info.parent is None or info.parent in RECIPES


@each
def test_keeps_to_its_tier(info):
    assert info.tier in catalog.TIERS, f"{info.name} is {info.tier}: move a piece to the library"


@each
def test_at_neutral_it_is_its_parent(info):
    """Same coefficients, and every slot and number that these do not show is the parent's too."""
    if info.parent is None:
        assert module(info).NEUTRAL == {}
        return
    own, parent = module(info).recipe(**module(info).NEUTRAL), module(RECIPES[info.parent]).recipe()
    (own,) = parts(own)
    assert equal(coefficients(own), shipped(info.parent))
    for field in dataclasses.fields(own):
        if field.name not in ("select", "objective"):
            assert describe(getattr(own, field.name)) == describe(getattr(parent, field.name))


@each
def test_away_from_neutral_it_is_not_its_parent(info):
    if info.parent is not None:
        own, parent = module(info).recipe(), module(RECIPES[info.parent]).recipe()
        assert module(info).NEUTRAL and str(own) != str(parent)
        if not isinstance(own, Recipe) or describe(own.objective, True) != describe(parent.objective, True):
            assert not equal(shipped(info.name), shipped(info.parent))


@each
def test_every_knob_does_something(info):
    """A knob at another value than its default changes the recipe: none is silently ignored."""
    for name, knob in catalog.parameters(info).items():
        other = {bool: lambda v: not v, float: lambda v: v * 0.5 or 0.25, int: lambda v: v + 1}.get(
            type(knob.default), lambda v: 33
        )
        try:
            changed = module(info).recipe(**{name: other(knob.default)})
        except UserError:  # one that takes names alone: refused is not ignored
            continue
        assert str(changed) != str(module(info).recipe()), name


@each
def test_its_check_passes(info):
    assert module(info).check(module(info).recipe())


@pytest.mark.parametrize(
    "name, other",
    [("quickstart", "grpo"), ("grpo", "sft"), ("dapo", "grpo"), ("reinforce", "rloo"), ("rloo", "reinforce"), ("sft", "grpo")],
)
def test_a_check_tells_its_method_from_another(name, other):
    assert not module(RECIPES[name]).check(module(RECIPES[other]).recipe())


def test_dapo_takes_its_limit_from_the_longest_response():
    """Else a user who allows longer answers would be paying for them."""
    dapo = module(RECIPES["dapo"])
    assert dapo.recipe(max_tokens=200).select.keywords["limit"] == dapo.recipe(max_tokens=200).max_tokens == 200
    assert dapo.recipe().select.keywords["limit"] == dapo.recipe().max_tokens


def test_sft_and_rft_train_as_many_rollouts_a_step_as_grpo():
    rows = {name: module(RECIPES[name]).recipe() for name in ("grpo", "sft", "rft")}
    assert len({r.prompts * r.samples for r in rows.values()}) == 1 and rows["sft"].samples == 1


@pytest.mark.parametrize("name", ["score", "self_correct"])
def test_feedback_reaches_every_stage_and_the_revisions_that_are_imitated(name):
    """The same words of an attempt in the warm-up, in the form stage and in both stages of practice."""
    made = catalog.build(name, ["feedback=first_error", "form=0.2"])
    given = rollouts.feedback.named("first_error", until_right=False)
    recipes = [stage.recipe for stage in made.stages]
    wanted = describe(functools.partial(rollouts.retry, feedback=given))
    assert all(describe(recipe.rollout) == wanted for recipe in recipes)
    assert describe(recipes[0].select.keywords["ask"]) == describe(functools.partial(rollouts.words_on, feedback=given))
    with pytest.raises(UserError, match="first_eror"):
        catalog.build(name, ["feedback=first_eror"])
