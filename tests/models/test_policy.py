"""The local policy: tokens stay what they were, gradients are those of the whole batch, a saved policy is the same policy."""

from __future__ import annotations

import copy
import dataclasses
import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sharpen.core import GREEDY, Ask, Batch, Rollout, Sample, Sampling, Task, TaskSource, UserError, Verdict
from sharpen.data import make_batch
from sharpen.models import embedded, policy, scripted
from sharpen.models.engine import generate
from sharpen.objectives import policy_gradient
from sharpen.objectives.tableau import coefficients

NOWHERE = TaskSource("none", (), lambda arm, split, index, seed: Task((), None, "f", 1))
QUESTION = ({"role": "user", "content": "12 + 30 ="},)


@pytest.fixture
def local() -> policy.LocalPolicy:
    model, tokenizer = embedded.build("micro", NOWHERE, 0)
    return policy.LocalPolicy(model, tokenizer, "fp32")


def random_batch(rows: int = 24, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 20, rows)
    mask = np.zeros((rows, 20), dtype=np.float32)
    for i, n in enumerate(lengths):
        mask[i, int(rng.integers(1, n)) : n] = 1
    return Batch(
        tokens=rng.integers(0, 250, (rows, 20)),
        mask=mask,
        sampling=(-rng.random((rows, 20)) * mask).astype(np.float32),
        reward=(rng.random(rows) < 0.5).astype(np.float32),
        group=np.arange(rows) // 4,
        weight=np.ones(rows, dtype=np.float32),
        lengths=lengths,
    )


def gradient(local: policy.LocalPolicy, batch: Batch, tableau) -> list[torch.Tensor]:
    """What `update` hands the optimizer, before clipping (a huge limit) and without taking the step."""
    found: list[torch.Tensor] = []
    local.optimizer.step = lambda: found.extend(p.grad.clone() for p in local.trained.values())  # type: ignore[method-assign]
    local.update(batch, tableau, 1e-3)
    return found


def test_gradient_is_that_of_the_loss_written_out(local, monkeypatch):
    """Against one padded pass through transformers' own forward and full logits."""
    monkeypatch.setattr(policy, "MAX_GRAD_NORM", 1e9)
    batch, tableau = random_batch(), policy_gradient.grpo()
    ours = gradient(local, batch, tableau)
    logits = local.model(torch.from_numpy(batch.tokens)).logits[:, :-1].log_softmax(-1)
    logp = torch.zeros(batch.tokens.shape)
    logp[:, 1:] = logits.gather(2, torch.from_numpy(batch.tokens[:, 1:, None])).squeeze(2)
    given = coefficients(tableau, batch, logp.detach())
    local.model.zero_grad()
    (-(given * logp).sum()).backward()
    for a, p in zip(ours, local.model.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad, rtol=1e-3, atol=1e-7)


def test_one_big_batch_is_the_same_batch_accumulated(local, monkeypatch):
    monkeypatch.setattr(policy, "MAX_GRAD_NORM", 1e9)
    whole = gradient(local, random_batch(), policy_gradient.dapo())
    local.micro_tokens = 40
    for a, b in zip(whole, gradient(local, random_batch(), policy_gradient.dapo()), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-7)


def test_silent_groups_cost_nothing_and_move_nothing(local):
    batch = dataclasses.replace(random_batch(), reward=np.ones(24, dtype=np.float32))
    before = [p.clone() for p in local.model.parameters()]
    stats = local.update(batch, policy_gradient.grpo(), 1e-2)
    assert stats["rows_trained"] == 0
    assert all(torch.equal(a, b) for a, b in zip(before, local.model.parameters(), strict=True))


def test_a_step_raises_the_likelihood_of_what_paid(local):
    batch, tableau = random_batch(), policy_gradient.rloo()
    before = local.logprobs(batch)
    for _ in range(5):
        local.update(batch, tableau, 1e-3)
    change = ((local.logprobs(batch) - before) * batch.mask).sum(1) * tableau.advantage(batch)
    assert change.sum() > 0 and (change > 0).mean() > 0.7


def test_numbers_that_are_not_finite_are_refused_and_nothing_changes(local):
    batch = random_batch()
    before = [p.clone() for p in local.model.parameters()]
    for broken in (
        dataclasses.replace(batch, reward=np.where(np.arange(24) == 5, np.nan, batch.reward)),
        dataclasses.replace(batch, sampling=np.where(batch.mask * (np.arange(24) == 5)[:, None] > 0, np.inf, batch.sampling)),
    ):
        with pytest.raises(ValueError, match=r"\b5\b"):
            local.update(broken, policy_gradient.grpo(), 1e-2)
    assert all(torch.equal(a, b) for a, b in zip(before, local.model.parameters(), strict=True))
    assert all(p.grad is None or not p.grad.any() for p in local.model.parameters())


def test_engine_and_trainer_agree_on_logprobs(local):
    asks = [Ask(({"role": "user", "content": f"{i} + {i * 7} ="},)) for i in range(12)]
    turns = local.respond(asks, list(range(12)), 16, Sampling(0.8))
    batch = make_batch([sample(t, i) for i, t in enumerate(turns)], drawn=Sampling(0.8))
    np.testing.assert_allclose(local.logprobs(batch), batch.sampling, atol=1e-5)
    assert local.update(batch, policy_gradient.sft(), 0.0)["mismatch"] < 1e-5


def test_bf16_mismatch_is_small_and_measured(local):
    half = policy.LocalPolicy(copy.deepcopy(local.model), local.tokenizer, "bf16")
    turns = half.respond([Ask(QUESTION)] * 16, list(range(16)), 16, Sampling())
    batch = make_batch([sample(t, i) for i, t in enumerate(turns)])
    assert 0 < half.update(batch, policy_gradient.sft(), 1e-3)["mismatch"] < 2e-2
    for name, parameter in half.model.named_parameters():
        assert parameter.dtype == torch.bfloat16 and torch.equal(parameter, half.trained[name].to(torch.bfloat16))


def test_bf16_accumulates_gradients_and_steps_in_fp32(local):
    """Against fp32 on the same batch in many passes: the gradient is off by bfloat16's rounding, not by its accumulation."""
    half = policy.LocalPolicy(copy.deepcopy(local.model), local.tokenizer, "bf16", micro_tokens=40)
    exact, rough = (
        gradient(local, random_batch(), policy_gradient.dapo()),
        gradient(half, random_batch(), policy_gradient.dapo()),
    )
    difference = sum(float((a - b).square().sum()) for a, b in zip(exact, rough, strict=True)) ** 0.5
    size = sum(float(a.square().sum()) for a in exact) ** 0.5
    assert all(g.dtype == torch.float32 for g in rough) and difference < 0.05 * size
    half = policy.LocalPolicy(copy.deepcopy(local.model), local.tokenizer, "bf16")
    moved = [t.clone() for t in half.trained.values()]
    half.update(random_batch(), policy_gradient.dapo(), 1e-7)  # far below the spacing of bfloat16 numbers
    assert any(not torch.equal(a, b) for a, b in zip(moved, half.trained.values(), strict=True))


def test_save_and_load_restore_weights_optimizer_and_the_next_step(local, tmp_path):
    for i in range(3):
        local.update(random_batch(seed=i), policy_gradient.grpo(), 1e-2)
    local.save(str(tmp_path))
    other = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 99), "fp32")
    other.load(str(tmp_path))
    assert other.version == local.version == 3
    for p in (local, other):
        p.update(random_batch(seed=9), policy_gradient.grpo(), 1e-2)
    for a, b in zip(local.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_is_gone_back_to_takes_the_memory_of_what_it_replaces(local, tmp_path):
    local.update(random_batch(), policy_gradient.grpo(), 1e-2)
    local.save(str(tmp_path))
    kept = [{k: t.clone() for k, t in local.optimizer.state[p].items()} for p in local.trained.values()]
    local.update(random_batch(seed=1), policy_gradient.grpo(), 1e-2)
    places = [{k: t.data_ptr() for k, t in local.optimizer.state[p].items()} for p in local.trained.values()]
    local.load(str(tmp_path))
    found = [local.optimizer.state[p] for p in local.trained.values()]
    assert [{k: t.data_ptr() for k, t in own.items()} for own in found] == places
    assert all(torch.equal(t, was[k]) for own, was in zip(found, kept, strict=True) for k, t in own.items())


def test_a_running_mean_is_what_is_kept_and_the_latest_weights_go_on(local, tmp_path):
    """By hand: after one update from w0 to w1 the mean is 0.9 w0 + 0.1 w1."""
    averaging = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32", average=0.9)
    first = averaging.model.lm_head.weight.detach().clone()
    averaging.update(random_batch(), policy_gradient.grpo(), 1e-2)
    latest = averaging.model.lm_head.weight.detach().clone()
    with averaging.averaged():
        torch.testing.assert_close(averaging.model.lm_head.weight, 0.9 * first + 0.1 * latest)
    assert torch.equal(averaging.model.lm_head.weight, latest) and not torch.equal(first, latest)
    averaging.save(str(tmp_path))
    kept = AutoModelForCausalLM.from_pretrained(tmp_path).lm_head.weight
    torch.testing.assert_close(kept, 0.9 * first + 0.1 * latest)
    other = policy.LocalPolicy(*embedded.build("micro", NOWHERE, 9), "fp32", average=0.9)
    other.load(str(tmp_path))
    for p in (averaging, other):
        p.update(random_batch(seed=1), policy_gradient.grpo(), 1e-2)
    for a, b in zip((*averaging.mean, *averaging.model.parameters()), (*other.mean, *other.model.parameters()), strict=True):
        assert torch.equal(a, b)


def test_adapters_learn_beside_frozen_weights_and_are_restored(tmp_path):
    """What is saved is the plain model with the adapters merged in: the same log-probabilities without peft."""

    def made() -> policy.LocalPolicy:
        return policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32", lora=4, average=0.9)

    local, start = made(), embedded.build("micro", NOWHERE, 0)[0]
    plain = policy.LocalPolicy(embedded.build("micro", NOWHERE, 0)[0], local.tokenizer, "fp32")
    np.testing.assert_allclose(local.logprobs(random_batch()), plain.logprobs(random_batch()), atol=1e-6)
    for i in range(3):
        local.update(random_batch(seed=i), policy_gradient.grpo(), 1e-2)
    assert sum(t.numel() for t in local.trained.values()) < 0.3 * sum(p.numel() for p in start.parameters())
    frozen = dict(start.named_parameters())
    for name, parameter in local.model.named_parameters():
        if name not in local.trained:
            assert torch.equal(parameter, frozen[name.replace(".base_layer", "")])
    local.save(str(tmp_path))
    merged = policy.LocalPolicy(AutoModelForCausalLM.from_pretrained(tmp_path), local.tokenizer, "fp32")
    with local.averaged():
        np.testing.assert_allclose(local.logprobs(random_batch()), merged.logprobs(random_batch()), atol=1e-5)
    assert np.abs(local.logprobs(random_batch()) - plain.logprobs(random_batch())).max() > 1e-3
    other = made()
    other.load(str(tmp_path))
    for p in (local, other):
        p.update(random_batch(seed=9), policy_gradient.grpo(), 1e-2)
    for a, b in zip((*local.mean, *local.trained.values()), (*other.mean, *other.trained.values()), strict=True):
        assert torch.equal(a, b)


def test_recomputing_changes_no_gradient(local):
    whole = gradient(local, random_batch(), policy_gradient.dapo())
    local.recompute = True
    for a, b in zip(whole, gradient(local, random_batch(), policy_gradient.dapo()), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_the_text_ends_before_its_stop_string_and_the_tokens_with_it(local):
    """A student with fresh weights writes nearly at random: any letter it writes soon will do as a stop string."""
    free = local.respond([Ask(QUESTION)] * 30, range(30), 20, Sampling())
    how = Sampling(stop=("e", "1", "st"))
    for whole, turn in zip(free, local.respond([Ask(QUESTION)] * 30, range(30), 20, how), strict=True):
        first = min((at for at in map(whole.text.find, how.stop) if at >= 0), default=None)
        assert turn.stop == ("stop" if first is not None else whole.stop)
        assert turn.text == whole.text[:first]
        n = len(turn.tokens)
        assert whole.tokens[:n].tolist() == turn.tokens.tolist()
        assert first is None or any(s in local.tokenizer.decode(turn.tokens[turn.sampled]) for s in how.stop)
    batch = make_batch([sample(t, i) for i, t in enumerate(free)])
    np.testing.assert_allclose(local.logprobs(batch), batch.sampling, atol=1e-5)


@pytest.mark.parametrize("how", [Sampling(top_k=5), Sampling(0.7, top_p=0.8), Sampling(min_p=0.3)])
def test_the_trainer_sees_the_distribution_that_was_drawn_from(local, how):
    turns = local.respond([Ask(QUESTION)] * 12, range(12), 16, how)
    batch = make_batch([sample(t, i) for i, t in enumerate(turns)], drawn=how)
    gap = np.abs(local.logprobs(batch) - batch.sampling)
    # At the edge of a cut the last bit may decide about a token, of a probability below 0.005 here.
    assert (gap < 2e-5).mean() > 0.99 and gap.max() < 0.01
    whole = make_batch([sample(t, i) for i, t in enumerate(turns)])
    assert (local.logprobs(whole) < batch.sampling - 0.01).any()  # what was cut off had weight


def test_a_saved_student_answers_the_same_in_transformers(local, tmp_path):
    local.save(str(tmp_path))
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    turn = local.respond([Ask(QUESTION)], [0], 12, GREEDY)[0]
    ids = tokenizer.apply_chat_template(list(QUESTION), add_generation_prompt=True, return_tensors="pt", return_dict=True)
    theirs = model.generate(**ids, do_sample=False, max_new_tokens=12)[0]
    assert turn.tokens.tolist() == theirs.tolist()
    assert (tmp_path / "optimizer.safetensors").is_file() and not list(tmp_path.glob("*.bin"))


def test_a_second_turn_keeps_the_tokens_of_the_first(local):
    """Re-tokenising a conversation may merge what was sampled apart; here nothing is tokenised twice."""
    first = local.respond([Ask(QUESTION)], [3], 8, Sampling())[0]
    second = local.respond([Ask(({"role": "user", "content": "Check."},), after=first)], [4], 8, Sampling())[0]
    n = len(first.tokens)
    assert second.tokens[:n].tolist() == first.tokens.tolist()
    assert second.sampled[:n].tolist() == first.sampled.tolist()
    np.testing.assert_array_equal(second.logprobs[:n], first.logprobs)
    prompt = local.tokenizer.decode(second.tokens[n : np.flatnonzero(second.sampled)[first.sampled.sum()]])
    assert prompt == ("" if first.stop == "end" else "<|end|>") + "<|user|>Check.<|assistant|>"


def test_a_forced_answer_is_trained_but_was_not_sampled(local):
    turn = local.respond([Ask(QUESTION, answer="42")], [0], 8, Sampling())[0]
    assert turn.text == "42" and turn.stop == "forced"
    assert local.tokenizer.decode(turn.tokens[turn.sampled]) == "42<|end|>"
    assert not turn.logprobs.any()


def sample(turn, group: int, reward: float = 1.0) -> Sample:
    task = Task(QUESTION, "42", "f", 1)
    rollout = Rollout(task, turn.tokens, turn.sampled, turn.logprobs, (turn.text,), turn.stop, 0, 0, f"r{group}")
    return Sample(rollout, Verdict("correct", reward), group)


def test_an_unscorable_sample_must_not_reach_a_batch(local):
    turn = local.respond([Ask(QUESTION, answer="42")], [0], 8, Sampling())[0]
    broken = dataclasses.replace(sample(turn, 0), verdict=Verdict("unscorable", None))
    with pytest.raises(ValueError, match="unscorable"):
        make_batch([sample(turn, 1), broken])


def test_models_that_cannot_be_used_are_refused_with_a_cure(local, tmp_path):
    with pytest.raises(UserError, match="config.json"):
        policy.load_model(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="architecture None"):
        policy.load_model(tmp_path)
    local.tokenizer.chat_template = None
    with pytest.raises(UserError, match="chat_template"):
        policy.LocalPolicy(local.model, local.tokenizer, "fp32")


def test_a_tokenizer_without_an_end_token_is_refused_and_one_without_a_pad_token_is_not(local):
    local.tokenizer.pad_token = None
    assert policy.LocalPolicy(local.model, local.tokenizer, "fp32").pad_id == local.end_ids[0]
    local.tokenizer.eos_token = None
    local.tokenizer.chat_template = "{{ messages[-1]['content'] }}"  # ends no turn either
    local.model.generation_config.eos_token_id = None
    with pytest.raises(UserError, match="end-of-turn"):
        policy.LocalPolicy(local.model, local.tokenizer, "fp32")


def test_saved_files_hold_no_pickle(local, tmp_path):
    local.update(random_batch(), policy_gradient.sft(), 1e-3)
    local.save(str(tmp_path))
    assert json.loads((tmp_path / "policy.json").read_text()) == {"version": 1}
    assert {p.suffix for p in tmp_path.iterdir()} <= {".json", ".safetensors", ".jinja"}


def test_scripted_policy_answers_and_counts():
    answering = scripted.ScriptedPolicy(lambda messages: messages[-1]["content"].upper())
    turn = answering.respond([Ask(({"role": "user", "content": "abc"},))], [0], 8, Sampling())[0]
    assert turn.text == "ABC" and turn.sampled.sum() == 3 and turn.stop == "end"
    assert generate.Request  # the scripted policy needs no engine


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"device": "nothing"}, "device=nothing cannot"),
        ({"device": "meta"}, "meta"),
        ({"precision": "fp8"}, "auto, bf16, fp32"),
    ],
)
def test_a_device_or_precision_that_is_not_there_is_refused(how, says):
    with pytest.raises(UserError, match=says):
        policy.LocalPolicy(*embedded.build("micro", NOWHERE, 99), **how)
