"""The engine of outer loops on a toy whose optimum is known: it beats as many random trials, and goes on as if never killed."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from sharpen.core import UserError
from sharpen.hashing import derive
from sharpen.outer import acquisition, asked, engine, proposers, space, strategies, tuning
from sharpen.outer.history import Candidate, Failed, Failure, History, Score, read

SPACE = space.read("lr,temperature,guard=a|b|c")
BEST = np.array([0.7, 0.3])


def true(values, space_=SPACE):
    """At most 0.6, at lr and temperature of BEST with guard b."""
    place = space.point(space_, values)
    return 0.6 - float(((place[:2] - BEST) ** 2).sum()) - 0.1 * (values["guard"] != "b")


def proposing(by, seed):
    proposer = proposers.chosen(by)

    def propose(history):
        known = proposers.tried(SPACE, history)
        return space.values(SPACE, proposer(SPACE, known, seed, len(history.candidates))), by, ()

    return propose


def measuring(seed, noise=0.01):
    def measure(candidate, rung):
        rng = np.random.default_rng(derive(seed, candidate.number, "noise", int(100 * rung)))
        return Score(candidate.number, rung, true(candidate.values) * rung**0.3 + noise * rng.normal(), noise)

    return measure


def reached(by, seed, trials=15):
    history = History()
    engine.search(history, proposing(by, seed), measuring(seed), trials)
    return true(engine.best(history).values)


@pytest.mark.parametrize("by", ["ei", "es"])
def test_it_beats_the_best_of_as_many_random_trials(by):
    gains = [reached(by, seed) - reached("random", seed) for seed in range(6)]
    assert np.mean(gains) > 0.01 and sum(g > 0 for g in gains) >= 4


@pytest.mark.parametrize("by", ["gp", "tpe"])
def test_optuna_is_asked_for_the_same_place_by_the_same_history(by):
    """Whether it beats random trials is in LOG.md: its Gaussian process takes seconds for a few dozen trials."""
    pytest.importorskip("optuna")
    rng = np.random.default_rng(0)
    points = rng.random((8, len(SPACE)))
    known = proposers.Tried(points, np.array([true(space.values(SPACE, p)) for p in points]))
    one, two = (proposers.chosen(by)(SPACE, known, 3, 8) for _ in range(2))
    assert one.tolist() == two.tolist() and ((one >= 0) & (one <= 1)).all()


@pytest.mark.parametrize("by", ["random", "ei", "kg"])
def test_no_settings_are_tried_twice_while_others_are_left(by):
    """Twelve places, twelve trials: with the same seeds the same settings are the same run, and tell nothing new."""
    few = space.read("guard=a|b|c,curriculum=d|e|f|g")
    base = {"guard": "a", "curriculum": "d"}
    subject = tuning.Subject(
        few, base, lambda c, rung: Score(c.number, rung, 0.5 + 0.1 * (c.values["guard"] == "b")), None, None
    )
    history = History()
    engine.search(history, tuning.proposing(tuning.Plan("grpo", "", by=by), subject), subject.measure, 12)
    assert len({tuple(sorted(c.values.items())) for c in history.candidates}) >= 11
    engine.search(history, tuning.proposing(tuning.Plan("grpo", "", by=by), subject), subject.measure, 14)  # and then goes on
    assert len(history.candidates) == 14


def test_killed_anywhere_it_goes_on_as_if_it_never_was(tmp_path):
    whole = History(tmp_path / "whole.jsonl")
    engine.search(whole, proposing("es", 1), measuring(1), 9, engine.rungs(2))
    lines = (tmp_path / "whole.jsonl").read_bytes()
    for cut in range(0, len(lines), len(lines) // 7):
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(lines[:cut])
        engine.search(read(path), proposing("es", 1), measuring(1), 9, engine.rungs(2))
        assert path.read_bytes() == lines


def test_halving_gives_the_best_third_of_each_rung_the_next_one():
    history = History()
    engine.search(history, proposing("random", 3), measuring(3, 0.0), 9, engine.rungs(3))
    by_rung = {rung: history.scores(rung) for rung in engine.rungs(3)}
    assert [len(s) for s in by_rung.values()][0] == 9 and 1 <= len(by_rung[1.0]) <= 3
    spent = sum(s.rung - max((o.rung for o in history.of(Score)[:i] if o.number == s.number), default=0)
                for i, s in enumerate(history.of(Score)))  # fmt: skip
    assert spent < 0.45 * 9  # of the budget of nine whole trials
    firsts = history.scores(engine.rungs(3)[0])
    assert engine.best(history).number in sorted(firsts, key=lambda n: -firsts[n].value)[:3]


def test_identical_candidates_look_better_where_they_were_chosen_by_luck_alone():
    """60 equal prompts of 100 tasks at 40 %: +11 points where they are chosen, nothing on another split."""
    rng = np.random.default_rng(0)
    chosen = rng.binomial(100, 0.4, (400, 60)) / 100
    other = rng.binomial(100, 0.4, (400, 60)) / 100
    winner = chosen.argmax(1)
    error = math.sqrt(0.4 * 0.6 / 100)
    assert abs(chosen.max(1).mean() - 0.4 - engine.luck(60, error)) < 0.01 and 0.10 < engine.luck(60, error) < 0.12
    assert abs(other[np.arange(400), winner].mean() - 0.4) < 0.01
    assert engine.luck(1, error) == 0


def test_every_candidate_failing_is_said_with_the_reasons():
    def measure(candidate, rung):
        raise Failed("the doctor stopped it: reward_zero")

    history = History()
    with pytest.raises(UserError, match="All 4 candidates failed.*reward_zero"):
        engine.search(history, proposing("ei", 0), measure, 4)
    assert len(history.failed) == 4


def test_a_score_that_is_no_number_is_a_failure_and_costs_only_itself():
    history = History()
    engine.search(history, proposing("es", 0), lambda c, r: Score(c.number, r, math.nan if c.number == 1 else 0.5), 4)
    assert list(history.failed) == [1] and len(history.scores()) == 3
    assert proposers.tried(SPACE, history).scores.tolist() == [0.5] * 4  # the failed one stands as low as the worst


def test_a_torn_line_is_forgotten_and_a_damaged_file_refused(tmp_path):
    path = tmp_path / "h.jsonl"
    History(path).add(Candidate(0, {"lr": "1"}, "x"))
    path.write_bytes(path.read_bytes() + b'{"kind": "failure", "num')
    assert len(read(path).entries) == 1 and path.read_bytes().endswith(b"\n")
    path.write_text('{"kind": "nonsense"}\n')
    with pytest.raises(UserError, match="cannot be read"):
        read(path)
    assert Failure(1, "x") not in History().entries


def test_expected_improvement_is_its_integral():
    z = np.random.default_rng(0).normal(size=100_000)
    for mean, deviation in [(0.3, 0.2), (0.6, 0.05), (0.4, 1.0)]:
        drawn = np.maximum(mean + deviation * z - 0.5, 0).mean()
        found = acquisition.expected_improvement(np.array([mean]), np.array([deviation]), 0.5)[0]
        assert abs(found - drawn) < 6e-3
    assert acquisition.expected_improvement(np.array([0.4, 0.7]), np.zeros(2), 0.5).tolist() == [0, pytest.approx(0.2)]


def test_knowledge_gradient_of_independent_beliefs_is_known():
    """Without noise KG(x) = s h(-|mu_x - best other| / s), h(z) = z cdf(z) + pdf(z); away from the best it is EI."""
    mean, s = np.array([0.1, 0.5, 0.3]), np.array([0.4, 0.2, 0.3])
    found = acquisition.knowledge_gradient(mean, np.diag(s**2), 0.0)
    gap = np.array([0.4, 0.2, 0.2])
    z = -gap / s
    h = z * acquisition._cdf(z) + acquisition._pdf(z)
    assert np.allclose(found, s * h, atol=1e-12) and (found >= 0).all()
    ei = acquisition.expected_improvement(mean, s, 0.5)
    assert np.allclose(found[[0, 2]], ei[[0, 2]])
    z = np.random.default_rng(1).normal(size=100_000)
    joint = np.array([[0.2, 0.1, 0], [0.1, 0.3, 0.05], [0, 0.05, 0.1]])
    slopes = joint / np.sqrt(np.diag(joint) + 0.1)
    drawn = [(mean[:, None] + slopes[:, i, None] * z).max(0).mean() - 0.5 for i in range(3)]
    assert np.allclose(acquisition.knowledge_gradient(mean, joint, 0.1), drawn, atol=5e-3)


def test_the_process_goes_through_what_it_was_told():
    points = np.random.default_rng(0).random((12, 2))
    scores = np.sin(3 * points[:, 0]) + points[:, 1]
    mean, covariance = acquisition.fit(points, scores).at(points)
    assert np.abs(mean - scores).max() < 0.05 and np.diag(covariance).max() < 0.05


def test_pairs_are_antithetic_and_only_their_order_counts():
    first, second = (strategies.following(np.zeros(0), 3, 5, n) for n in (0, 1))
    assert np.allclose(first + second, 1) and not np.allclose(first, second)
    scores = np.array([0.2, 0.1, 0.3, 0.9])
    assert np.allclose(strategies.mean(scores, 3, 5), strategies.mean(np.exp(9 * scores), 3, 5))
    assert np.allclose(strategies.mean(np.full(4, 0.2), 3, 5), 0.5)
    drawn = [strategies.lifetime(10, 250, 0, pair) for pair in range(200)]
    assert min(drawn) >= 10 and max(drawn) <= 250 and 40 < np.median(drawn) < 63  # log-uniform: 50


def test_ranges_and_choices_are_read():
    lr, kind, count = space.read("lr, guard=a|b, n=2..9")
    assert lr.value(0.0) == "3e-05" and lr.value(1.0) == "0.003" and kind.value(0.99) == "b" and count.value(1.0) == "9"
    assert all(abs(k.place(k.value(0.37)) - 0.37) < 0.3 for k in (lr, kind, count)) and abs(lr.place("3e-4") - 0.5) < 1e-9
    for wrong, said in (("x=3..1", "LOW < HIGH is needed, and 3 is above 1. Did you mean 1..3?"), ("x=2..2", "one value"),
                        ("system", "system=eccentric chooses among 60"), ("x=eccentric", "as LOW..HIGH")):  # fmt: skip
        with pytest.raises(UserError, match=re.escape(said)):
            space.read(wrong)
    (said,) = space.read("system=eccentric")
    assert len(set(said.options)) == 60 and said.value(0.0) == ""
    for wrong in ("", "nonsense", "lr,lr", "x=3..1", "x=a", "x=0..1log", "x=nan..1", "x=a|a"):
        with pytest.raises(UserError):
            space.read(wrong)


class Oracle:
    """A role that knows the optimum, with noise: it proposes near it, and predicts scores with an error."""

    def __init__(self, noise=0.15):
        self.noise, self.asked, self.rng = noise, 0, np.random.default_rng(0)

    def __call__(self, prompts, temperature, seed):
        self.asked += len(prompts)
        return [self.one(prompt) for prompt in prompts]

    def one(self, prompt):
        if "What will" in prompt:
            (setting,) = [o for o in asked.objects(prompt.rpartition("What will")[2])]
            return f"about {true(setting) + 0.05 * self.rng.normal():.3f}"
        place = np.clip([*(BEST + self.noise * self.rng.normal(size=2)), self.rng.random()], 0, 1)
        return f"I would try {space.values(SPACE, place)} next".replace("'", '"')


def test_a_role_that_knows_something_beats_chance():
    def with_role(seed):
        history, oracle = History(), Oracle()
        engine.search(history, lambda h: (asked.propose(SPACE, h, oracle, seed), "role", ()), measuring(seed), 8)
        return true(engine.best(history).values)

    assert np.mean([with_role(s) - reached("random", s, 8) for s in range(6)]) > 0.02


def test_what_a_role_says_is_data():
    said = (
        'See {"lr": "9e9", "temperature": 0.7, "guard": "b"} and {"lr": "__import__", "temperature": 1, "guard": "b"} {"x": 1}'
    )
    assert asked.read(SPACE, said) == {"lr": "0.003", "temperature": "0.7", "guard": "b"}  # moved into its range
    assert asked.read(SPACE, "no settings at all {") is None and asked.read(SPACE, '{"lr": "nan"}' * 2) is None
    assert asked.improvement(["0.5"] * 10, 0.4) == 0 and asked.improvement(["0.5", "0.7 or so"], 0.4) > 0.15
    assert asked.aimed(np.array([0.2, 0.5])) == pytest.approx(0.53) and asked.aimed(np.array([0.1, 0.99])) < 1
