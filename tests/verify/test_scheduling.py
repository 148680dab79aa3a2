"""Priority rules: against brute force, against the textbook, and against what is no rule."""

import itertools

import numpy as np
import pytest

from sharpen import tasks, verify
from sharpen.core import SPLITS, Arm, Rollout, Sample, Verdict
from sharpen.data import discovery
from sharpen.hashing import derive, split_of
from sharpen.verify import scheduling

ATTACKS = [
    "__import__('os').system('true')", "(lambda: 1)()", "d.__class__", "9**9**9", "d if t else p", "[p for p in d]",
    "max", "q + 1",
    "max(d)", "max(d, *p)", "d\nimport os", "", "d < p", "'d'", "1e999", "True", "(" * 150 + "d", "d" * 300, "max(key=p, d=1)",
]  # fmt: skip


def brute(jobs):
    def late(order):
        ends = np.cumsum([p for p, _ in order])
        return sum(max(int(end) - d, 0) for end, (_, d) in zip(ends, order))

    return min(map(late, itertools.permutations(jobs)))


def test_the_optimum_is_that_of_all_orders_and_no_rule_is_better():
    for jobs in scheduling.instances(3, 6, 6):
        assert scheduling.optimum(jobs) == brute(jobs)
    gaps = {
        text: scheduling.gap(text, scheduling.instances(5, 6, 30))
        for text in ("d", "max(d, t + p)", "p", "-d", "d - 2*p/3 + 0*t")
    }
    assert min(gaps.values()) >= 0 and gaps["max(d, t + p)"] < gaps["d"] < gaps["-d"]


def test_an_order_by_hand():
    """Due dates 4, 3, 9. By due date the job of 2 ends at 2, that of 3 at 5 (1 late), that of 4 at 9."""
    jobs = ((3, 4), (2, 3), (4, 9))
    assert scheduling.tardiness(scheduling.parsed("d"), jobs) == 1 == scheduling.optimum(jobs)
    assert scheduling.tardiness(scheduling.parsed("-p"), jobs) == 0 + 3 + 6
    assert scheduling.value(scheduling.parsed("min(p, d) / (t - t)"), {"p": 1.0, "d": 2.0, "t": 3.0}) == scheduling.LARGEST


@pytest.mark.parametrize("text", ATTACKS)
def test_what_is_no_rule_is_malformed_and_never_run(text):
    task = tasks.scheduling().draw(Arm("tardiness", 1), "train", 0, 0)
    assert verify.scheduled(task, text).outcome == "malformed"


def test_tasks_keep_their_instances_to_themselves():
    source = tasks.scheduling()
    for arm, split in itertools.product(source.arms, SPLITS):
        task = source.draw(arm, split, 3, 1)
        assert task == source.draw(arm, split, 3, 1) and split_of(task.prompt) == task.split == split
        hidden = scheduling.instances(derive(task.data["seed"], "hidden"), task.data["jobs"])
        assert not any(str(jobs) in task.prompt[0]["content"] for jobs in hidden)
    right, wrong = verify.scheduled(task, f"I take <answer>{scheduling.MDD}</answer>"), verify.scheduled(task, "d")
    assert right.correct and right.reward > 0 and not wrong.correct and wrong.reward == 0


def test_only_what_is_better_on_unseen_instances_gets_to_the_top():
    task = tasks.scheduling().draw(Arm("tardiness", 1), "train", 0, 0)
    none = np.zeros(0)

    def sample(text):
        return Sample(Rollout(task, none, none > 0, none, (text,), "end", 0, 0, text), Verdict("correct", 0.9), 0)

    library = {}
    given = [sample(text) for text in (scheduling.MDD, "-d", "nonsense here", "max(d, t + p)")]
    assert discovery.accepting(given, library=library) == given
    assert [rule["text"] for rule in library["rules"]] == [scheduling.MDD, "d", "-d"]
    assert discovery.told(library).splitlines()[1].startswith(scheduling.MDD) and "d (gap" in discovery.told({})
