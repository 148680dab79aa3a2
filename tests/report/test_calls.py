"""Calls of tools in a report: counted by hand, of the latest evaluation alone, and nothing where nobody counts."""

from dataclasses import replace

from test_report import META, question, sample

from sharpen.core import Arm, Verdict
from sharpen.report import calls
from sharpen.store import Position, Store


def judged(store, purpose, step, number, family, counted):
    samples = []
    for i, parts in enumerate(counted):
        made = sample(question(Arm(family, 1), "test", i), f"{purpose}.{number}.{family}.{i}", "correct", "1", i)
        samples.append(replace(made, verdict=Verdict("correct", 1.0, parts, "", "exact")))
    store.add_samples(purpose, step, number, samples)


def test_the_latest_evaluation_is_counted_by_family(tmp_path):
    with Store.create(tmp_path / "run", META) as store:
        judged(store, "before", 1, 0, "products", [{"calls": 2.0, "dummy": 1.0}, {"calls": 1.0, "dummy": 0.0}])
        judged(store, "test", 2, 1, "products", [{"calls": 9.0, "dummy": 8.0}])
        judged(store, "test", 3, 2, "products", [{"calls": 1.0, "dummy": 0.0}, {"calls": 1.0, "dummy": 0.0}])
        judged(store, "test", 3, 2, "larger", [{"calls": 0.0, "dummy": 0.0}, {"calls": 1.0, "dummy": 1.0}])
        judged(store, "test", 3, 2, "plain", [{}])
        store.commit(Position("done", 3, 2, finished=True))
        found = calls.read(store.rows)
    assert found["before"] == {"products": calls.Calls(2, 3.0, 1, 2)}
    assert found["test"] == {"larger": calls.Calls(2, 1.0, 1, 2), "products": calls.Calls(2, 2.0, 0, 2)}
    assert calls.summary(found)["after"]["larger"] == {"n": 2, "calls": 0.5, "dummy": 0.5}
    said = calls.sentence(found).replace("\u202f", " ")
    assert said == (
        "Calls of tools for each answer: larger 0.50, products 1.50 → 1.00. Answers with a dummy call: 50.0 % → 25.0 %."
    )


def test_calls_whose_need_nobody_knows_have_no_rate():
    found = {"test": {"a": calls.Calls(4, 2.0, 0, 0)}}
    assert calls.summary(found) == {"after": {"a": {"n": 4, "calls": 0.5, "dummy": None}}}
    assert calls.sentence(found) == "Calls of tools for each answer: a 0.50."
    assert calls.summary({}) is None and calls.sentence({}) == ""
