"""Runs and policies with pairs, teachers and momentum: what is saved, what is refused, and steps in which nothing pairs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from test_reference import NOWHERE, batch

from sharpen.core import UserError
from sharpen.loop import loop
from sharpen.models import embedded, policy
from sharpen.objectives import policy_gradient
from sharpen.recipes import catalog
from sharpen.store.store import Store
from sharpen.terminal import terminal

SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_steps=2", "warmup_rows=4", "warmup_demos=2", "prompts=3", "samples=3"),
    *("round_steps=2", "validation=3", "test=3", "max_tokens=4", "guard=always"),
)


def local(**more) -> policy.LocalPolicy:
    return policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), more.pop("precision", "fp32"), **more)


def flat(made: policy.LocalPolicy) -> torch.Tensor:
    return torch.cat([t.detach().flatten().clone() for t in made.trained.values()])


@pytest.mark.parametrize("more", [{}, {"precision": "bf16"}, {"lora": 4}], ids=["fp32", "bf16", "lora"])
def test_extrapolation_goes_on_from_what_was_learned_and_survives_saving(more, tmp_path):
    made = local(**more)
    start = flat(made)
    made.extrapolate(0.5)  # only notes
    assert torch.equal(flat(made), start)
    made.update(batch(1), policy_gradient.rloo(), 1e-2)
    learned = flat(made)
    made.extrapolate(0.5)
    torch.testing.assert_close(flat(made), learned + 0.5 * (learned - start))
    assert (learned - start).abs().max() > 1e-3
    made.save(str(tmp_path / "kept"))
    other = local(**more)
    other.load(str(tmp_path / "kept"))
    for policy_ in (made, other):
        policy_.update(batch(2), policy_gradient.rloo(), 1e-2)
    again = flat(made)
    for policy_ in (made, other):
        policy_.extrapolate(0.5)
        torch.testing.assert_close(flat(policy_), again + 0.5 * (again - learned))  # not from the extrapolated weights
    assert torch.equal(flat(made), flat(other))
    if made.model.dtype == torch.bfloat16:
        assert all(torch.equal(p, made.trained[n].bfloat16()) for n, p in made.model.named_parameters())
    other.load(str(tmp_path / "kept"))  # a round rolled back: what was noted then, not since
    assert torch.equal(torch.cat([t.flatten() for t in other.learned]), learned)


def test_extrapolation_beside_a_mean_of_the_weights_is_refused():
    with pytest.raises(UserError, match="extrapolation and average"):
        catalog.build("apo", ["average=0.9"])


def run(name: str, tmp_path: Path, lines: list[dict], *settings: str, roles: tuple[str, ...] = ()) -> Store:
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    given = (*SETTINGS, *settings)
    loop.start(loop.Request(name, given, 0, "4steps", None, str(path), tmp_path / "run", roles=roles), terminal.Quiet())
    return Store.open(tmp_path / "run")


HARD = [{"prompt": f"Say {i}", "answer": f"no student says {i}", "solution": str(i)} for i in range(60)]


@pytest.mark.parametrize("name", ["dpo", "online_dpo", "dno", "superhf"])
def test_a_step_without_a_pair_is_a_step_without_an_update(name, tmp_path):
    """All answers wrong, and no worked solution that the verifier calls right: the run goes on to its end and has not moved."""
    with run(name, tmp_path, HARD) as store:
        steps = [s for s in store.steps() if s["phase"] == "loop"]
        assert len(steps) == 4 and not any("loss" in s for s in steps)
        assert store.rows("SELECT count(*) FROM batches WHERE step >= 2")[0][0] == 0
        kept = policy.load_model(store.checkpoint_path(store.last_commit().accepted))[0]
    if name != "dno":  # the others' reference is where the loop began
        before = policy.load_model(tmp_path / "run" / "start")[0]
        assert all(torch.equal(a, b) for a, b in zip(before.parameters(), kept.parameters(), strict=True))


def test_a_demonstration_needs_a_worked_solution(tmp_path):
    """SPIN on tasks of which only some have one: pairs of those alone, and both sides are in the record of the batch."""
    words = ["".join(w) for w in itertools.product("abcdefgh", repeat=2)]
    lines = [{"prompt": f"Say {w}", "answer": w, **({"solution": w} if w[0] in "ab" else {})} for w in words]
    with run("spin", tmp_path, lines) as store:
        trained = "SELECT task FROM rollouts WHERE id IN (SELECT rollout FROM batches WHERE step >= 2)"
        sides = store.rows(f"SELECT prompt FROM tasks WHERE id IN ({trained})")
        asked = {json.loads(prompt)[-1]["content"] for (prompt,) in sides}
        assert asked and {question[4] for question in asked} <= {"a", "b"}
        rewards = store.rows("SELECT reward, count(*) FROM batches WHERE step >= 2 GROUP BY reward")
        assert dict(rewards).keys() == {0.0, 1.0} and len({n for _, n in rewards}) == 1


@pytest.mark.parametrize("name", ["forward_kl", "on_policy", "taid", "weak_to_strong"])
def test_a_teacher_must_be_named(name, tmp_path):
    with pytest.raises(UserError, match="--role teacher="):
        run(name, tmp_path, HARD)
    assert not (tmp_path / "run").exists()


def test_a_teacher_must_be_a_model_that_speaks_the_students_tongue(tmp_path):
    with pytest.raises(UserError, match="holds no config.json"):
        run("forward_kl", tmp_path, HARD, roles=(f"teacher={tmp_path}",))
    stranger = local()
    stranger.save(str(tmp_path / "teacher"))
    (tmp_path / "second").mkdir()
    with pytest.raises(UserError, match="its tokenizer is not the student's"):
        run("forward_kl", tmp_path / "second", HARD, roles=(f"teacher={tmp_path / 'teacher'}",))


def test_how_far_the_teacher_is_stands_in_every_step_of_a_distillation_and_in_no_other(tmp_path):
    """It is what the doctor sets held-out accuracy against."""
    for place in ("first", "second"):
        (tmp_path / place).mkdir()
    run("grpo", tmp_path / "first", HARD)
    with Store.open(tmp_path / "first" / "run") as store:
        last = store.last_commit()
        assert last and last.accepted and not any("to_teacher" in s for s in store.steps())
    teacher = tmp_path / "first" / "run" / "checkpoints" / last.accepted
    run("forward_kl", tmp_path / "second", HARD, roles=(f"teacher={teacher}",))
    with Store.open(tmp_path / "second" / "run") as store:
        steps = [s for s in store.steps() if s["phase"] == "loop"]
    assert steps and all(s["to_teacher"] == s["loss"] for s in steps)
