"""Several updates on a batch, the value head, hidden inputs, what is kept from step to step, and batches that are refused."""

from __future__ import annotations

import dataclasses
import json
import math
import sqlite3
from collections import Counter

import numpy as np
import pytest
import torch
from test_resume import Impatient

from sharpen.core import Batch, FatalDiagnosis, NotFinite, Rollout, Sample, Task, TaskSource, Verdict
from sharpen.data import batching
from sharpen.loop import learning, loop
from sharpen.models import critic, embedded, logprobs, policy
from sharpen.objectives import advantage, entropy, hybrid, off_policy, policy_gradient
from sharpen.recipe import Stages, call
from sharpen.recipes import catalog
from sharpen.store.store import Store
from sharpen.terminal import terminal

NOWHERE = TaskSource("none", (), lambda arm, split, index, seed: Task((), None, "f", 1))


@pytest.fixture
def local() -> policy.LocalPolicy:
    return policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32")


def batch(rows: int = 12, seed: int = 0) -> Batch:
    """Groups of two, one right."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 12, rows)
    mask = (np.arange(12) < lengths[:, None]).astype(np.float32)
    mask[:, :2] = 0
    reward = np.array([0, 1] * (rows // 2), np.float32)
    ones, group = np.ones(rows, np.float32), np.arange(rows) // 2
    return Batch(rng.integers(0, 250, (rows, 12)), mask, -mask, reward, group, ones, lengths)


def weights(local: policy.LocalPolicy) -> torch.Tensor:
    return torch.cat([t.detach().flatten().clone() for t in local.trained.values()])


def same(a: policy.LocalPolicy, b: policy.LocalPolicy) -> bool:
    return torch.equal(weights(a), weights(b))


# -------------------------------------------------------------------------------------------------------- several updates


def test_one_pass_in_one_minibatch_is_one_update(local, tmp_path):
    local.save(str(tmp_path))
    measured = learning.updated(local, batch(), policy_gradient.grpo(), 1e-3, 1, 1, np.random.default_rng(0))
    other = policy.LocalPolicy(*policy.load_model(tmp_path), "fp32")
    assert measured == other.update(batch(), policy_gradient.grpo(), 1e-3) and same(local, other)


def test_portions_are_whole_groups_each_once_a_pass():
    parts = list(batching.portions(batch(), 2, 4, np.random.default_rng(0)))
    assert len(parts) == 8 and parts[0].tolist() != parts[4].tolist()  # shuffled anew
    for one_pass in (parts[:4], parts[4:]):
        assert sorted(np.concatenate(one_pass)) == list(range(12))
        assert all(len(set(batch().group[rows])) * 2 == len(rows) for rows in one_pass)
    again = list(batching.portions(batch(), 2, 4, np.random.default_rng(0)))
    assert all(a.tolist() == b.tolist() for a, b in zip(parts, again, strict=True))
    assert len(list(batching.portions(batch(4), 1, 9, np.random.default_rng(0)))) == 2  # two groups are two minibatches at most


def test_several_updates_are_those_updates(local, tmp_path):
    local.save(str(tmp_path))
    rng = np.random.default_rng(3)
    measured = learning.updated(local, batch(), policy_gradient.loop(), 1e-3, 2, 2, rng)
    other = policy.LocalPolicy(*policy.load_model(tmp_path), "fp32")
    found = []
    for rows in batching.portions(batch(), 2, 2, np.random.default_rng(3)):
        found.append(other.update(batch().take(rows), policy_gradient.loop(), 1e-3))
    assert same(local, other) and len(found) == 4
    assert measured["loss"] == pytest.approx(np.mean([f["loss"] for f in found]))
    assert measured["rows_trained"] == sum(f["rows_trained"] for f in found) and measured["mismatch"] == found[0]["mismatch"]


def test_advantages_do_not_depend_on_the_minibatch():
    rows = np.flatnonzero(np.isin(batch().group, [1, 4]))
    for credit in (advantage.leave_one_out, advantage.normalised, advantage.centred):
        assert np.array_equal(credit(batch().take(rows)), credit(batch())[rows])


def test_the_second_pass_is_clipped_and_no_mismatch(local):
    """Ratios are 1 on the first pass and are not on the second; what earlier versions wrote says nothing about the engine."""
    fresh = dataclasses.replace(batch(), sampling=local.logprobs(batch()), version=np.zeros(12, np.int64))
    first = local.update(fresh, policy_gradient.grpo(), 0.05)
    assert first["mismatch"] < 1e-6
    second = local.update(fresh, policy_gradient.grpo(), 0.05)
    assert second["mismatch"] == 0 and second["grad_norm"] != first["grad_norm"]
    assert local.update(dataclasses.replace(fresh, version=np.full(12, 2)), policy_gradient.grpo(), 0.0)["mismatch"] > 0.1


def test_direction_is_what_update_follows_and_changes_nothing(local):
    before, found = weights(local), local.direction(batch(), policy_gradient.grpo())
    assert torch.equal(weights(local), before) and all(p.grad is None for p in local.trained.values())
    norm = local.update(batch(), policy_gradient.grpo(), 0.0)["grad_norm"]
    assert float(torch.cat([g.flatten() for g in found]).norm()) == pytest.approx(norm, rel=1e-5)


# ------------------------------------------------------------------------------------------------------------- value head


def with_values(values: np.ndarray) -> Batch:
    return dataclasses.replace(batch(), values=values)


def test_generalised_advantages_at_both_ends():
    """lam = 1: reward minus value at every token. lam = 0: the next value, at last the reward, minus the value."""
    values = np.random.default_rng(1).random((12, 12)) * batch().mask
    far = advantage.generalised(with_values(values), 1.0, 1.0, whiten=False)
    on = batch().mask > 0
    assert far[on] == pytest.approx((batch().reward[:, None] - values)[on])
    near = advantage.generalised(with_values(values), 1.0, 0.0, whiten=False)
    for row in range(12):
        at = np.flatnonzero(on[row])
        assert near[row, at] == pytest.approx(np.append(values[row, at[1:]], batch().reward[row]) - values[row, at])
    assert not far[~on].any() and not near[~on].any()


def test_time_stands_still_where_nothing_is_trained():
    """Two turns: what the user says between them is no step, so gamma does not count it."""
    gap = np.array([[0, 1, 0, 0, 1, 1.0]])
    holes = Batch(np.zeros((1, 6), int), gap, -gap, np.array([1.0]), np.zeros(1), np.ones(1), np.array([6]))
    found = advantage.generalised(holes, 0.5, 1.0, whiten=False)
    assert found.tolist() == [[0, 0.25, 0, 0, 0.5, 1]]
    assert advantage.returns(holes, 0.5, 1.0).tolist() == found.tolist()


def test_whitening_of_equal_advantages_is_harmless():
    one = np.ones((2, 3))
    same_everywhere = Batch(one.astype(int), one, -one, np.ones(2), np.arange(2), np.ones(2), np.full(2, 3))
    assert np.isfinite(advantage.generalised(same_everywhere, 1.0, 1.0)).all()


def test_the_value_head_learns_what_to_expect_and_leaves_the_policy_alone(local):
    """It tells the rewards of rows apart by their tokens; with no advantage to follow, the policy stays where it is."""
    tableau = dataclasses.replace(policy_gradient.ppo(lam=1.0), ratio=lambda rows: torch.zeros_like(rows.logp))
    before, seen = weights(local), []
    for _ in range(150):
        ready = local.prepare(batch(), tableau)
        local.update(ready, tableau, 1e-3)
        on = batch().mask > 0
        seen.append(float(((ready.values - batch().reward[:, None])[on] ** 2).mean()))
    assert seen[0] == pytest.approx(float(np.average(batch().reward, weights=batch().mask.sum(1))))  # it begins at 0
    assert seen[-1] < 0.25 * seen[0]
    assert torch.equal(weights(local), before)


def test_the_value_loss_is_ppos():
    """By hand. Value 0 before, now 1, goal 2: error 1; clipped at 0.2 it is 1.8², which is worse, so it counts, and is flat."""
    head = critic.ValueHead(2, torch.device("cpu"))
    found = torch.tensor([[1.0]], requires_grad=True)
    ones = np.ones((1, 1))
    loss = head.loss(found, 4.0, 0 * ones, 2 * ones, ones)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.5 * 1.8**2 / 4) and float(found.grad) == 0


def test_the_value_head_is_saved_and_loaded_bit_for_bit(local, tmp_path):
    tableau = policy_gradient.ppo()
    for seed in range(3):
        local.update(local.prepare(batch(seed=seed), tableau), tableau, 1e-3)
    local.save(str(tmp_path / "a"))
    other = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 1), "fp32")
    other.load(str(tmp_path / "a"))
    for made in (local, other):
        made.update(made.prepare(batch(seed=9), tableau), tableau, 1e-3)
    assert torch.equal(local.critic.weight, other.critic.weight) and same(local, other)
    fresh = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 1), "fp32")
    fresh.save(str(tmp_path / "b"))
    local.load(str(tmp_path / "b"))  # saved without one: rolled back to before there was one
    assert local.critic is None


# ----------------------------------------------------------------------------------------------------------------- inputs


def test_hidden_inputs_change_what_is_read_and_not_what_is_predicted(local):
    hidden = dataclasses.replace(batch(), inputs=np.where(np.arange(12) == 4, 1, batch().tokens))
    found = logprobs.logprobs(local.model, hidden, np.arange(12))
    logits = local.model(torch.from_numpy(hidden.inputs)).logits[:, :-1].log_softmax(-1)
    expected = logits.gather(2, torch.from_numpy(batch().tokens[:, 1:, None])).squeeze(2) * torch.from_numpy(
        batch().mask[:, 1:]
    )
    torch.testing.assert_close(found[:, 1:], expected[:, : found.shape[1] - 1], atol=1e-5, rtol=1e-5)
    plain = logprobs.logprobs(local.model, batch(), np.arange(12))
    assert torch.equal(found[:, :5], plain[:, :5]) and not torch.equal(found[:, 5:], plain[:, 5:])


# ------------------------------------------------------------------------------------------- kept from step to step, in a run


RUN = (
    *("student=micro", "precision=fp32", "warmup_steps=10", "warmup_rows=8", "warmup_levels=1", "prompts=4", "samples=4"),
    *("round_steps=3", "validation=3", "test=3", "max_tokens=12"),
)
TASKS = "chain_sum/1-2,spell_backward/1"


def finished(name: str, directory, cuts: tuple[int, ...], *more: str) -> tuple[dict, list]:
    """(accepted files by name, rows) of a run that was interrupted after so many steps, each time."""
    request = loop.Request(name, (*RUN, *more), 0, "6steps", None, TASKS, directory)
    for i, cut in enumerate((*cuts, 10**9)):
        try:
            stop = Impatient("loop", after=cut)
            loop.start(request, stop) if i == 0 else loop.resume(directory, stop)
        except KeyboardInterrupt:
            assert cut < 10**9
    with Store.open(directory) as store:
        path = store.checkpoint_path(store.last_commit().checkpoint)
    with sqlite3.connect(directory / "run.db") as db:
        rows = [list(map(repr, db.execute(f"SELECT * FROM {t} ORDER BY 1, 2"))) for t in ("steps", "batches", "rollouts")]
        kept = db.execute("SELECT value FROM meta WHERE key IN ('buffer', 'notes') ORDER BY key").fetchall()
    return {file.name: file.read_bytes() for file in path.iterdir()}, [*rows, kept]


@pytest.mark.parametrize(
    "name, more",
    [("ppo", ()), ("remix", ()), ("relift", ("size=6",)), ("amft", ("every=2",)), ("star", ()), ("leti", ())],
)
def test_interrupted_and_resumed_is_never_interrupted(name, more, tmp_path):
    """A value head, a buffer, notes and retold samples are part of the state: bit for bit, also in the middle of a round."""
    whole = finished(name, tmp_path / "whole", (), *more)
    assert finished(name, tmp_path / "cut", (2, 3), *more) == whole
    files, (*_, kept) = whole
    assert ("critic.safetensors" in files) == (name == "ppo")
    assert bool(kept) == (name in ("remix", "relift", "amft"))


def test_a_burst_is_what_waited(tmp_path):
    """ReLIFT: worked solutions of tasks that failed wait, three come at once, and the rest goes on waiting."""
    _, (_, batches, _, kept) = finished("relift", tmp_path / "run", (), "size=3")
    waiting = json.loads(kept[0][0])
    shown = Counter(row.split(",")[0] for row in batches if ".demo'" in row)
    assert shown and set(shown.values()) == {3}
    assert waiting and len(waiting) == len(set(waiting)) and not any(name in row for row in batches for name in waiting)


# ----------------------------------------------------------------------------------------------------------------- refused


def poisoned(samples):
    """From the third step on, the second sample has no number for a reward."""
    if samples[0].rollout.version >= 12:
        samples[1] = dataclasses.replace(samples[1], verdict=Verdict("wrong", math.nan))
    return samples


def test_a_reward_that_is_no_number_stops_the_run_and_keeps_the_batch(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        '"""Poison."""\nfrom dataclasses import replace\nfrom sharpen.recipes.policy_gradient import grpo\n'
        "from test_updates import poisoned\n\n\ndef recipe(**knobs):\n"
        "    return replace(grpo.recipe(**knobs), select=poisoned)\n"
    )
    directory = tmp_path / "run"
    request = loop.Request(str(mine), RUN, 0, "6steps", None, TASKS, directory)
    for attempt in (loop.start, lambda request, progress: loop.resume(directory, progress)):
        with pytest.raises(FatalDiagnosis, match=r"batch_not_finite .*rollouts s000012\.000\.001\. Nothing more was learnt"):
            attempt(request, terminal.Quiet())
    kept = json.loads((directory / "refused" / "000012.json").read_text())
    arrays = np.load(directory / "refused" / "000012.npz")
    assert kept["samples"][1]["rollout"] == "s000012.000.001" and kept["rows"] == [1]
    assert np.isnan(arrays["reward"]).tolist() == [i == 1 for i in range(16)]
    with Store.open(directory) as store:
        assert [(step, d.name, d.fatal) for step, d in store.diagnoses()] == [(12, "batch_not_finite", True)]
        assert store.last_commit().step == 12 and len(store.steps()) == 12


def test_a_warm_up_that_diverges_is_a_diagnosis_and_not_a_traceback(tmp_path):
    request = loop.Request("grpo", (*RUN, "warmup_lr=1e30"), 0, "6steps", None, TASKS, tmp_path / "run")
    for attempt in (loop.start, lambda request, progress: loop.resume(tmp_path / "run", progress)):
        with pytest.raises(FatalDiagnosis, match=r"batch_not_finite .*lower --set warmup_lr"):
            attempt(request, terminal.Quiet())
    with Store.open(tmp_path / "run") as store:
        assert store.last_commit().phase == "warmup" and [d.name for _, d in store.diagnoses()] == ["batch_not_finite"]
        assert (tmp_path / "run" / "refused" / f"{store.last_commit().step:06d}.npz").is_file()


def test_the_row_of_a_minibatch_is_named_by_its_place_in_the_batch(local):
    reward = batch().reward.copy()
    reward[7] = math.inf
    with pytest.raises(NotFinite) as caught:
        learning.updated(
            local, dataclasses.replace(batch(), reward=reward), policy_gradient.loop(), 1e-3, 1, 6, np.random.default_rng(0)
        )
    assert caught.value.rows == (7,)


def test_what_is_not_finite_changes_no_weight(local):
    before = weights(local)
    sampling = np.where(np.arange(12)[:, None] == 5, np.nan, batch().sampling)
    for bad, rows in (
        (dataclasses.replace(batch(), sampling=sampling), (5,)),
        (dataclasses.replace(batch(), weight=np.where(np.arange(12) == 3, np.inf, 1)), (3,)),
    ):
        with pytest.raises(NotFinite) as caught:
            local.update(bad, policy_gradient.grpo(), 1e-3)
        assert caught.value.rows == rows and torch.equal(weights(local), before)
    local.model.lm_head.weight.data[0, 0] = math.nan
    with pytest.raises(NotFinite, match="log-probability"):
        local.update(batch(), policy_gradient.grpo(), 1e-3)


@pytest.mark.parametrize("info", catalog.recipes(), ids=lambda info: info.name)
def test_a_step_without_anything_to_learn_from_is_no_step(info):
    """All members unscorable: nothing is kept, and an empty batch is never trained on."""
    built = catalog.load(info).recipe()
    none = np.zeros(0)
    lost = Rollout(Task((), "4", "f", 1), none.astype(np.int32), none > 0, none, ("",), "failed", 0, 0, "r")
    offers = dict(
        progress=0.1,
        demos=[],
        entropy=[none],
        logprobs=[none],
        retell=None,
        decode=None,
        mask_token=0,
        buffer=[],
        temperature=1.0,
    )
    offers |= dict(library={}, notes={}, embed=lambda listed: np.eye(len(listed)), stage=1, earlier=[])
    offers |= dict(likelihood=lambda listed: np.zeros(len(listed)), temperature=1.0)
    for recipe in [stage.recipe for stage in built.stages] if isinstance(built, Stages) else [built]:
        made = call(recipe.select, [Sample(lost, Verdict("unscorable", None), 0)], **offers, rng=np.random.default_rng(0))
        assert made == []


# ------------------------------------------------------------------------------------------------------------ accumulation


EVERY = {
    "ppo": policy_gradient.ppo(),
    "loop": policy_gradient.loop(whole=True),
    "adaptive": entropy.adaptive(weight=1.0),
    "targeted": entropy.targeted(weight=1.0),
    "clip_cov": entropy.clip_cov(share=0.2),
    "remix": off_policy.remix(progress=0.1),
    "hpt": hybrid.hpt(9),
    "luffy": hybrid.luffy(),
    "srft": hybrid.srft(),
}


@pytest.mark.parametrize("name", EVERY)
def test_accumulated_over_passes_it_is_the_gradient_of_the_batch_at_once(name, local, tmp_path):
    """With values, references and worked solutions, in passes of a group or less each and in a single one."""
    local.save(str(tmp_path))
    local.refer(str(tmp_path))
    local.update(batch(seed=3), policy_gradient.grpo(), 0.01)
    sampled = dataclasses.replace(batch(), sampling=local.logprobs(batch()) * 0.99)
    ready = dataclasses.replace(local.prepare(sampled, EVERY[name]), forced=np.arange(12) % 4 == 3)
    found = []
    for tokens in (1, 10**6):
        local.micro_tokens = tokens
        found.append(torch.cat([g.flatten() for g in local.direction(ready, EVERY[name])]))
    assert found[0].norm() > 1e-3
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)
