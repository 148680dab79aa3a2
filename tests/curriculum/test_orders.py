"""Orders, clients, gates and curricula of earlier runs: what each part says of cases that can be worked out by hand."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sharpen import curriculum
from sharpen.core import Arm, ArmStats, Evaluation, Task, TaskSource, UserError
from sharpen.curriculum import Attempts, agents, earlier, effects, federated, latent, orders, similarity, testbed
from sharpen.curriculum.testbed import Bandit, run
from sharpen.recipe import call
from sharpen.recipes.policy_gradient import grpo
from sharpen.store import Position, Store

EVERY = ("shuffled", "ascending", "descending", "blocked", "blocked_ascending", "interleaved", "interleaved_ascending")


@pytest.mark.parametrize("name", EVERY)
def test_every_order_holds_every_task_once_also_of_kinds_of_other_sizes(name):
    rng = np.random.default_rng(0)
    kinds = rng.integers(4, size=50)
    places = getattr(orders, name)(rng.random(50), kinds, rng.random(50))
    assert sorted(places) == list(range(50))


def test_orders_by_hand():
    """Two kinds, easy to hard 0, 1, 2; luck rises."""
    kinds, scores, luck = np.array([0, 0, 0, 1, 1, 1]), np.array([2.0, 0, 1, 0, 2, 1]), np.linspace(0, 0.9, 6)
    assert orders.ascending(scores, kinds, luck).tolist() == [1, 3, 2, 5, 0, 4]
    assert orders.descending(scores, kinds, luck).tolist() == [0, 4, 2, 5, 1, 3]
    assert orders.blocked_ascending(scores, kinds, luck).tolist() == [1, 2, 0, 3, 5, 4]
    assert orders.interleaved(scores, kinds, luck).tolist() == [0, 3, 1, 4, 2, 5]
    assert orders.interleaved_ascending(scores, kinds, luck).tolist() == [1, 3, 2, 5, 0, 4]


def test_one_walk_sees_every_part_of_the_pool_and_the_other_opens_it():
    world = Bandit((0, 0, 0, 0), tasks=30)
    walked = run(curriculum.in_turn, world, steps=60, prompts=8, samples=1)
    assert len({task.id for task in walked.tasks()}) > 112 and walked.shares()[:10, 0].min() == 1
    opened = run(partial(curriculum.paced, score=orders.by_level), world, steps=60, prompts=8, samples=1)
    seen = [{task.id for task in opened.tasks(0, n)} for n in (3, 60)]
    assert len(seen[0]) <= 12 and len(seen[1]) > 90  # a tenth of 120 up to a sixteenth of the run


def test_a_number_that_came_with_the_tasks_orders_them_and_one_without_is_refused():
    arm = Arm("a", 1)

    def draw(arm, split, index, seed):
        data = {"difficulty": 9 - index} if index < 5 else {}
        return Task(({"role": "user", "content": f"{index}"},), "1", "a", 1, data=data)

    five = Attempts(TaskSource("five", (arm,), draw, lambda arm, split: 5), 0, 5)
    assert orders.by_field(five).tolist() == [9, 8, 7, 6, 5]
    with pytest.raises(UserError, match="has no number 'difficulty'"):
        orders.by_field(Attempts(TaskSource("six", (arm,), draw, lambda arm, split: 6), 0, 6))


def test_words_that_are_rare_in_the_pool_are_hard():
    arm, asked = Arm("a", 1), ["the cat", "the dog", "the the", "zebra yak"]

    def draw(arm, split, index, seed):
        return Task(({"role": "user", "content": asked[index]},), "1", "a", 1)

    score = orders.by_words(Attempts(TaskSource("four", (arm,), draw, lambda arm, split: 4), 0, 4))
    assert score.argsort(kind="stable").tolist() == [2, 0, 1, 3] and score[0] == score[1]
    assert np.isclose(score[2], np.log(8 / 4))  # "the" is four of eight words


def test_scores_are_worked_out_once_and_again_for_tasks_that_have_grown():
    asked = []

    def counted(attempts):
        asked.append(len(attempts))
        return np.zeros(len(attempts))

    world = Bandit(tasks=5)
    attempts, kept = Attempts(world.source, 0, 5), {}
    walk = partial(curriculum.in_turn, score=counted)
    for _ in range(3):
        call(walk, {}, world.arms, 4, 1, np.random.default_rng(0), attempts=attempts, progress=0.0, kept=kept)
    attempts.extend(world.source, [replace(world.source.draw(world.arms[0], "train", 0, 0), family="new")])
    call(walk, {}, world.arms, 4, 1, np.random.default_rng(0), attempts=attempts, progress=0.0, kept=kept)
    assert asked == [20, 21]


def test_phases_take_equal_parts_and_bring_the_failed_of_the_first_along():
    world = Bandit((0, 1, 2, 3), spread=6.0, rate=0.0, tasks=20)
    trace = run(partial(curriculum.phased, score=orders.by_level, back=0.5), world, steps=20, prompts=8)
    assert {task.level for task in trace.tasks(0, 10)} == {0, 1} and {t.level for t in trace.tasks(10, 20)} == {0, 1, 2, 3}
    back = [world.offset(t, 0) + t.level for t in trace.tasks(10, 20) if t.level < 2]
    assert np.mean(back) > np.mean([world.offset(t, 0) + t.level for t in trace.tasks(0, 10)]) + 1


# ---------------------------------------------------------------------------------------------------------------- likeness


def test_the_designers_score_agrees_with_what_is_best_on_the_line():
    """All orders of four classes: the one that is made is among the better half by its own score, and without distances all are
    worth the same."""
    from itertools import permutations

    at = np.array([0.0, 1.0, 2.0, 10.0])
    distance = np.abs(at[:, None] - at) / 10
    every = [similarity.promise(order, distance) for order in permutations(range(4))]
    made = similarity.promise(similarity.designed(distance), distance)
    assert sum(score < made for score in every) > len(every) / 2
    flat = np.zeros((4, 4))
    assert len({round(similarity.promise(order, flat), 9) for order in permutations(range(4))}) == 1
    assert similarity.designed(np.zeros((1, 1))) == [0]


def test_the_centre_of_what_is_drawn_goes_on_with_success_and_never_back():
    won, lost = (
        run(curriculum.by_angle, Bandit((d,) * 3, rate=0, tasks=20), steps=30, prompts=6, samples=2).state.kept["centre"][0]
        for d in (-60, 60)
    )
    assert won > 0.4 > 0.1 > lost >= 0


def test_a_manifold_has_unit_variance_and_forgets_what_does_not_vary():
    rng = np.random.default_rng(0)
    rows = np.column_stack([5 * rng.normal(size=200), rng.normal(size=200), np.full(200, 3.0)])
    z = latent.manifold(rows, 4)
    assert np.allclose(z.mean(axis=0), 0, atol=1e-9) and np.allclose(z[:, :2].std(axis=0), 1) and not z[:, 2:].any()
    assert abs(np.corrcoef(z[:, 0], rows[:, 0])[0, 1]) > 0.99


# ----------------------------------------------------------------------------------------------------- clients and the gate


def test_clients_hold_every_task_once_and_alike_where_alpha_is_large():
    attempts = Attempts(Bandit(tasks=200).source, 3, 200)
    owner = federated.owners(attempts, 4, 1e6)
    counts = np.bincount(owner, minlength=4)
    assert counts.sum() == 800 and counts.min() > 140 and (owner == federated.owners(attempts, 4, 1e6)).all()
    assert len(np.unique(federated.owners(attempts, 4, 1e-3)[:200])) == 1


def test_the_gate_leaves_out_what_is_solved_by_luck():
    world = Bandit((-9, 0, 9), rate=0, tasks=40)
    shut, open_ = (
        run(partial(curriculum.gated, high=1.0, control=c), world, steps=20, prompts=8).shares()[10:, 0].mean()
        for c in (0.8, 1.0)
    )
    assert shut < 0.2 < open_


# ------------------------------------------------------------------------------------------------------------ earlier runs

ARMS = [Arm("a", 1), Arm("a", 2)]


def finished(path, rates, spent):
    """A run whose evaluations had these rates, of ten tasks, and that spent so many rollouts on each arm between them."""
    with Store.create(path, {}) as store:
        for n, rate in enumerate(rates):
            if n:
                store.add_step(n, "loop", n, {})
                store.add_arm_stats([ArmStats(n, a, k, round(k * r), 1.0, 0) for a, k, r in zip(ARMS, spent[n - 1], rate) if k])
            hits = {a: tuple(i < round(10 * r) for i in range(10)) for a, r in zip(ARMS, rate)}
            store.add_evaluation(n, "validation", Evaluation(hits))
            store.commit(Position("loop", n, n))
    return str(path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two students: one learns the first arm first, the other the second."""
    home = tmp_path_factory.mktemp("earlier")
    up = finished(home / "up", [(0.2, 0.0), (0.6, 0.1), (0.9, 0.2), (0.9, 0.6)], [(40, 0), (40, 0), (0, 40)])
    down = finished(home / "down", [(0.0, 0.2), (0.1, 0.6), (0.2, 0.7)], [(0, 40), (0, 40)])
    return up, down


def test_an_earlier_run_is_read_as_it_was(runs):
    found = earlier.read(runs[0])
    assert [dict(s) for s in found.spent] == [{ARMS[0]: 40}, {ARMS[0]: 40}, {ARMS[1]: 40}] and len(found.evaluations) == 4
    assert np.allclose(found.rates(ARMS)[0], [2.5 / 11, 0.5 / 11])


def test_a_run_that_is_none_or_learnt_nothing_is_refused(tmp_path):
    with pytest.raises(UserError):
        earlier.read(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="evaluated 1 times"):
        earlier.read(finished(tmp_path / "short", [(0.1, 0.1)], []))


def test_a_wrong_path_is_said_before_anything_is_done_and_a_run_that_goes_on_needs_it_no_more(tmp_path):
    made = replace(grpo.recipe(), curriculum=partial(curriculum.again, earlier=str(tmp_path / "gone")))
    with Store.create(tmp_path / "run", {}) as store:
        with pytest.raises(UserError):
            curriculum.state.begin(made, Bandit().source, 0, store)
        store.commit(Position("loop", 1, 0))
        assert curriculum.state.begin(made, Bandit().source, 0, store).wanted >= {"kept", "evaluations"}


def test_again_follows_the_student_most_like_it_and_needs_its_store_only_once(runs, tmp_path):
    weak = Evaluation({ARMS[0]: (False,) * 10, ARMS[1]: (True,) * 2 + (False,) * 8})
    kept = {}
    led = partial(curriculum.again, earlier=",".join(runs), neighbours=1, own=0.0, fit_every=2, least=0.01)

    def step(history):
        return call(led, history, ARMS, 8, 4, np.random.default_rng(0), evaluations=[weak], kept=kept)

    assert {what for what, _ in step({})} == {ARMS[1]}  # what the one of its kind learnt first
    led = partial(led, earlier=str(tmp_path / "gone"))
    assert {what for what, _ in step({})} == {ARMS[1]}
    learnt = {ARMS[1]: [ArmStats(t, ARMS[1], 8, 8, 0.0, 0) for t in range(3)]}
    assert int(kept["again_part"][0]) == 0 and step(learnt) and int(kept["again_part"][0]) == 1


def test_influence_is_found_where_rounds_tell_it(runs):
    """Practice on the first arm raised it, and the second hardly."""
    effect = effects.influence(earlier.read(runs[0]), ARMS)
    assert effect[0, 0] > effect[0, 1] > 0 and effect[1, 1] > 0


def test_a_second_order_estimate_is_nearer_to_what_another_order_comes_to():
    """Three arms that carry over: the tried order's trajectory, and the true end of its reverse."""
    influence = 0.6 * np.array([[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]])

    def play(order):
        state = [np.array([0.5, -1.0, -2.0])]
        for i in order:
            p = 1 / (1 + np.exp(-state[-1][i]))
            state.append(state[-1] + p * (1 - p) * influence[i])
        return np.array(state)

    tried, other = np.array([0, 0, 1, 1, 2, 2]), np.array([2, 2, 1, 1, 0, 0])
    first, second = (effects.ends(play(tried)[:-1], influence, other[None], s)[0] for s in (False, True))
    truth = play(other)[-1]
    assert np.abs(second - truth).max() < np.abs(first - truth).max() < 0.05
    assert np.allclose(effects.ends(play(tried)[:-1], influence, tried[None])[0], play(tried)[-1])
    best = effects.best_order(play(tried)[:-1], influence, 6, 32, np.random.default_rng(0))
    ends = [effects.value(play(tried)[:-1], influence, order[None])[0] for order in (best, tried, other)]
    assert ends[0] >= max(ends[1:]) and sorted(best.tolist()) == [0, 0, 1, 1, 2, 2]


def test_an_agent_learns_from_stores_what_it_learns_from_rounds(runs):
    seen = agents.transitions([earlier.read(path) for path in runs], ARMS)
    assert len(seen.reward) == 5 and seen.last.tolist() == [False, False, True, False, True]
    assert np.allclose(seen.shares[0], [1, 0]) and np.isclose(seen.reward[0], (6.5 + 1.5 - 2.5 - 0.5) / 22)
    trace = run(partial(curriculum.mixing_agent, earlier=""), Bandit(), steps=10, prompts=8)
    assert set(trace.state.kept) >= {"agent", "mixture"}


def test_the_allocator_holds_no_arm_beyond_its_room_and_learns_where_pay_is():
    kept = {}
    arms = [Arm("a", i) for i in range(4)]
    allot = partial(curriculum.allocated, room=0.5, floor=0.0)
    for step in range(30):
        history = {a: [ArmStats(step, a, 8, 4 * (a.level == 2), 8.0 * (a.level == 2), 0)] for a in arms} if step else {}
        chosen = call(allot, history, arms, 8, 4, np.random.default_rng(step), kept=kept)
    got = [sum(what == a for what, _ in chosen) for a in arms]
    assert got[2] == max(got) == 4 and sum(got) == 8


def test_the_testbed_offers_angles():
    assert testbed.angles([[{"content": "a"}], [{"content": "a b c"}]])[0] > testbed.angles([[{"content": "a b c"}]])[0]
