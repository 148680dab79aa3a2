"""A picture answers as the policy did when it was taken, whatever the policy learns since."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from test_snapshot import NOWHERE, batch

from sharpen.core import Ask, Sampling, Study, UserError
from sharpen.models import embedded, memory, picture, policy
from sharpen.models.engine import native
from sharpen.objectives import policy_gradient

ASKS = [Ask(({"role": "user", "content": text},)) for text in ("3 + 4 = ?", "say a")]


def student(**how) -> policy.LocalPolicy:
    return policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), how.pop("precision", "fp32"), device="cpu", **how)


def said(local: policy.LocalPolicy) -> list:
    turns = local.respond(ASKS, [1, 2], 8, Sampling())
    return [(t.tokens.tolist(), t.logprobs.tolist(), t.version) for t in turns]


def learn(local: policy.LocalPolicy, seed: int) -> None:
    local.update(batch(seed), policy_gradient.grpo(), 1e-2)


@pytest.mark.parametrize("how", [{}, {"precision": "bf16"}, {"lora": 4}])
@pytest.mark.parametrize("compiled", [True, False])
def test_it_answers_as_the_policy_did(how, compiled):
    with native.left_out(not compiled):
        local = student(**how)
        learn(local, 0)
        before = said(local)
        taken = picture.take(local)
        learn(local, 1)
        assert said(taken) == before and said(local) != before
        again = picture.take(local, taken)
        assert again is taken and said(again) == said(local)
    frozen = [p for p in local.model.parameters() if not p.requires_grad]
    own = {p.data_ptr() for p in taken.model.parameters() if not any(p is f for f in frozen)}
    assert bool(frozen) == bool(how.get("lora")) == taken.shares
    assert not own & {p.data_ptr() for p in local.model.parameters()}
    assert {id(f) for f in frozen} <= {id(p) for p in taken.model.parameters()}


def test_a_picture_that_shares_a_base_is_not_taught():
    taken = picture.take(student(lora=4))
    with pytest.raises(UserError, match="--ahead"):
        taken.respond([Ask(ASKS[0].messages, study=Study(("a text",)))], [1], 4, Sampling())


def test_what_has_no_room_is_refused(monkeypatch):
    local = student()
    assert picture.refused(local, 2) == "" and "not a model of this process" in picture.refused(object(), 2)
    monkeypatch.setattr(memory, "available", lambda: 1e6)
    assert "are free" in picture.refused(local, 2)
    assert picture.needed(local, 3) - picture.needed(local, 2) == sum(p.nbytes for p in local.model.parameters())


def test_memory_that_is_left(tmp_path):
    assert memory.available(tmp_path) == np.inf
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    assert memory.available(tmp_path) == 2**21
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("4096\n")
    assert memory.available(tmp_path) == 0
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("max\n")
    assert memory.available(tmp_path) == 2**21


def test_who_leaves_the_c_functions_out_does_so_in_his_own_thread():
    found = []
    with native.left_out():
        other = threading.Thread(target=lambda: found.append(native.library()))
        other.start()
        other.join(60)
        assert native.library() is None
    assert found == [native.library()]
