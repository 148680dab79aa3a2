"""What the traits of simulated users cost: by hand, of the latest evaluation, and nothing where no user has any."""

from dataclasses import replace

import pytest
from test_report import META, question, sample

from sharpen.core import Arm, Verdict
from sharpen.report import users
from sharpen.store import Position, Store


def met(store, purpose, number, traits, outcomes):
    samples = []
    for i, outcome in enumerate(outcomes):
        name = f"{purpose}.{number}.{traits}.{i}"
        made = sample(question(Arm("airline", 1), "test", len(name) * 100 + i), name, "correct", "1", i)
        task = replace(made.rollout.task, data={"traits": traits} if traits is not None else {})
        reward = {"correct": 1.0, "wrong": 0.0}.get(outcome)
        samples.append(replace(made, rollout=replace(made.rollout, task=task), verdict=Verdict(outcome, reward)))
    store.add_samples(purpose, number, number, samples)


def test_the_drop_is_against_a_user_without_traits(tmp_path):
    """3 of 4 without a trait, 1 of 4 with a confused user: 50 points. What is unscorable, older or has no user is left out."""
    with Store.create(tmp_path / "run", META) as store:
        met(store, "test", 1, {}, ["wrong"] * 4)
        met(store, "test", 2, {}, ["correct"] * 3 + ["wrong", "unscorable"])
        met(store, "test", 2, {"confusion": 0.2}, ["correct"] + ["wrong"] * 3)
        met(store, "test", 2, None, ["correct"])
        store.commit(Position("done", 2, 2, finished=True))
        found = users.read(store.rows)
    assert {name: (e.value, e.n) for name, e in found["test"].items()} == {"no trait": (0.75, 4), "confusion 0.2": (0.25, 4)}
    (lost,) = users.drops(found["test"]).values()
    # Wilson: 3 of 4 is 0.3006 to 0.9544, 1 of 4 is 0.0456 to 0.6994. Low: 0.5 + sqrt(0.2044^2 + 0.2044^2) = 0.789
    assert (lost.value, lost.low, lost.high) == pytest.approx((-0.5, -0.789, 0.1355), abs=1e-3)
    assert users.summary(found)["after"]["confusion 0.2"]["drop"] == -0.5
    said = "With a user of no trait 75.0 % are right; with others: confusion 0.2 -50.0 points (-78.9 to +13.5)."
    assert users.sentence(found).replace("\u202f", " ") == said


def test_without_users_nothing_is_said():
    assert users.summary({}) is None and users.sentence({}) == ""
    assert users.sentence({"test": {"confusion 0.2": users.share(1, 4)}}) == ""
