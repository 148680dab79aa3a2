"""What is practised again: from a fixed memory, marked, in the share that was asked for."""

import numpy as np
import pytest

from sharpen.core import Rollout, Sample, Task, UserError, Verdict
from sharpen.data import rehearsal


def sample(i, family="old"):
    tokens, sampled = np.arange(3, dtype=np.int32), np.array([False, True, True])
    task = Task(({"role": "user", "content": f"{family} {i}"},), "1", family, 1)
    rollout = Rollout(task, tokens, sampled, np.full(3, -1.0, np.float32), ("1",), "end", 0, i, f"{family}{i}")
    return Sample(rollout, Verdict("correct", 1.0), i)


OLD, NEW = [sample(i) for i in range(100)], [sample(i, "new") for i in range(6)]


def again(found):
    return [s for s in found if s.group < 0]


def test_a_third_of_the_batch_is_replayed_each_alone_and_without_what_another_version_thought():
    found = rehearsal.recalled(NEW, share=1 / 3, size=50, earlier=OLD, rng=np.random.default_rng(0))
    assert [s.group for s in found] == [0, 1, 2, 3, 4, 5, -1, -2, -3]
    assert all(not s.rollout.logprobs.any() for s in again(found)) and found[:6] == NEW


def test_nothing_is_replayed_where_there_is_nothing_or_no_share_of_it():
    rng = np.random.default_rng(0)
    assert rehearsal.recalled(NEW, earlier=[], rng=rng) == NEW == rehearsal.recalled(NEW, share=0.0, earlier=OLD, rng=rng)
    with pytest.raises(UserError, match="share=1"):
        rehearsal.recalled(NEW, share=1.0, earlier=OLD, rng=rng)
    with pytest.raises(UserError, match="one answer at least"):
        rehearsal.recalled(NEW, size=0, earlier=OLD, rng=rng)


def test_a_memory_is_a_fair_choice_and_the_same_whatever_the_order():
    held = rehearsal.memory(OLD, 30)
    assert held == rehearsal.memory(OLD[::-1], 30) and len({s.rollout.id for s in held}) == 30
    assert 0.2 < np.mean([int(s.rollout.id[3:]) < 50 for s in rehearsal.memory(OLD, 50)]) < 0.8


def test_pauses_double():
    """One memory of two, one recall a step: each is recalled every second step first; then pauses grow, and it waits longer."""
    notes, last, pauses = {}, {}, []
    for step in range(40):
        found = rehearsal.spaced(NEW[:1], size=2, earlier=OLD, notes=notes, rng=np.random.default_rng(step))
        for s in again(found):
            if s.rollout.id in last:
                pauses.append((s.rollout.id, step - last[s.rollout.id]))
            last[s.rollout.id] = step
    assert notes["step"] == 40 and len(notes["recalls"]) == 2
    waits = [wait for _, wait in notes["recalls"].values()]
    assert min(waits) > 2**5 and len(pauses) == 38  # a share of each batch is replayed, due or not


def test_prototypes_are_directions():
    found = rehearsal.prototypes(OLD[:4], lambda listed: np.tile([3.0, 4.0], (len(listed), 1)))
    assert found["old/1"] == pytest.approx([0.6, 0.8])
