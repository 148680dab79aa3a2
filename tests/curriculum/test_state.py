"""What a curriculum may ask for, refills, and input that is no good: each is said, and the run goes on or stops cleanly."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sharpen import curriculum
from sharpen.core import Arm, ArmStats, Evaluation, Rollout, Sample, Task, UserError, Verdict
from sharpen.curriculum import skills, state
from sharpen.curriculum.attempts import NEVER, Attempts
from sharpen.curriculum.testbed import Bandit
from sharpen.data import selection
from sharpen.loop import loop
from sharpen.loop.due import Due
from sharpen.models.scripted import ScriptedPolicy
from sharpen.recipes.curriculum import pcl, uniform
from sharpen.recipes.policy_gradient import dapo, grpo
from sharpen.store.store import Position, Store
from sharpen.tasks import jsonl, with_grown
from sharpen.terminal import terminal

SMALL = dict(warmup_steps=0, prompts=4, samples=2, round_steps=2, validation=2, test=2, budget="4steps", max_tokens=8)


class Listening(terminal.Quiet):
    def __init__(self):
        super().__init__()
        self.said = []

    def say(self, text):
        self.said.append(text)


def write(path, levels=(1, 2), tasks=6, **more):
    """Tasks `say N`, whose answer is N."""
    lines = [
        {"prompt": f"say {level}{i}", "answer": f"{level}{i}", "family": "say", "level": level, "split": split, **more}
        for level in levels
        for i, split in enumerate(("validation", "test", *["train"] * tasks))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def going(tmp_path, recipe, reply=None, source=None):
    """A run with a scripted student. Returns the rows of its rollouts and steps, and what was said."""
    turn = iter(range(10**9))
    policy = ScriptedPolicy(reply or (lambda messages: messages[-1]["content"].split()[-1] if next(turn) % 2 else "?"))
    progress = Listening()
    source = source or jsonl(write(tmp_path / "say.jsonl"))
    with Store.create(tmp_path / "run", {}) as store:
        loop.run(store, recipe, 0, policy, source, progress, 0.0, Due(120))
        rollouts = store.rows("SELECT step, grp, count(*) n, task FROM rollouts WHERE purpose = 'train' GROUP BY step, grp")
        steps = [s for s in store.steps() if s["phase"] == "loop"]
        numbers = store.rows("SELECT step, number, n, successes FROM task_stats")
    return [tuple(r) for r in rollouts], steps, progress.said, [tuple(r) for r in numbers]


# ---------------------------------------------------------------------------------------------------- budgets and refills


def lopsided(history, arms, prompts, samples, rng):
    """One arm gets all but three rollouts, another one, a third two, and one none."""
    return [(arms[0], prompts * samples - 3), (arms[1], 1), (arms[1], 2), (arms[0], 0)]


def test_rollouts_differ_from_task_to_task_through_the_whole_loop(tmp_path):
    rollouts, steps, _, _ = going(tmp_path, replace(grpo.recipe(), curriculum=lopsided, **SMALL))
    assert [n for step, _, n, _ in rollouts if step == 0] == [5, 1, 2] and {s["rollouts"] for s in steps} == {8}


def right_on(numbers):
    """Alternately right and wrong on these tasks, wrong on all others."""
    turn = iter(range(10**9))

    def reply(messages):
        number = messages[-1]["content"].split()[-1]
        return number if number in numbers and next(turn) % 2 else "?"

    return reply


def test_what_the_gate_rejects_is_asked_for_again_at_most_so_often(tmp_path):
    """Level 1 is mixed, level 2 always wrong: of 4 groups 2 pass, then 1 of 2, then 1 of 1 or 0."""
    recipe = replace(grpo.recipe(), select=selection.gate, refills=2, **SMALL)
    rollouts, steps, said, _ = going(tmp_path, recipe, right_on({f"1{i}" for i in range(9)}))
    groups = [sum(step == s for step, *_ in rollouts) for s in range(4)]
    assert set(groups) <= {6, 7} and {s["rows_trained"] for s in steps} <= {6.0, 8.0}
    short = [text for text in said if "after 2 refills" in text]
    assert len(short) <= 1 and all("left 3 of 7 groups" in text for text in short)
    assert len({(step, grp) for step, grp, _, _ in rollouts}) == len(rollouts)


def test_a_gate_that_rejects_everything_is_said_once_and_the_run_goes_on(tmp_path):
    recipe = replace(grpo.recipe(), select=selection.gate, refills=1, **SMALL)
    rollouts, steps, said, _ = going(tmp_path, recipe, lambda messages: "?")
    assert len(steps) == 4 and len(rollouts) == 4 * 8 and not any("rows_trained" in s for s in steps)
    told = [text for text in said if "learns nothing" in text]
    assert len(told) == 1 and "select=gate left 0 of 8 groups" in told[0]


def test_a_group_of_one_never_passes_and_never_hangs(tmp_path):
    recipe = replace(grpo.recipe(), select=selection.gate, refills=3, **{**SMALL, "samples": 1})
    _, steps, said, _ = going(tmp_path, recipe)
    assert {s["rollouts"] for s in steps} == {16} and any("learns nothing" in text for text in said)


def test_without_refills_nothing_is_asked_again(tmp_path):
    _, steps, said, _ = going(tmp_path, replace(grpo.recipe(), select=selection.gate, **SMALL), right_on({"12"}))
    assert {s["rollouts"] for s in steps} == {8} and not any("refill" in text for text in said)


def test_dapo_samples_on_where_it_is_told_to():
    made = dapo.recipe(refills=2)
    assert (
        made.refills == 2
        and made.select.func is selection.gate
        and made.select.keywords["then"].func is selection.soft_overlong
    )
    assert dapo.recipe().refills == 0 and dapo.recipe().select.func is selection.soft_overlong


def judged(group, *rewards):
    task = Task(({"role": "user", "content": f"{group}"},), "1", "a", 1)
    nothing = np.zeros(0)
    rollout = Rollout(task, nothing.astype(np.int32), nothing > 0, nothing.astype(np.float32), ("",), "end", 0, 0, "r")
    outcome = {1.0: "correct", None: "unscorable"}
    return [Sample(rollout, Verdict(outcome.get(r, "wrong"), r), group) for r in rewards]


def test_gate_by_hand():
    """Mixed, silent, alone, mixed but for one that could not be scored, and wrong with rewards that differ."""
    samples = [*judged(0, 1.0, 0.0), *judged(1, 0.0, 0.0), *judged(2, 1.0), *judged(3, 1.0, 1.0, None), *judged(4, 0.5, 0.0)]
    assert sorted({s.group for s in selection.gate(samples)}) == [0, 4]
    assert sorted({s.group for s in selection.gate(samples, low=0.2, high=0.8)}) == [0]
    assert all(s.verdict.reward is not None for s in selection.gate([*judged(5, 1.0, 0.0, None)]))
    with pytest.raises(UserError, match="low <= high"):
        selection.gate(samples, low=0.8, high=0.2)


# ------------------------------------------------------------------------------------------------------------ bad input


def test_an_arm_without_training_tasks_is_left_out_and_said(tmp_path):
    path = write(tmp_path / "say.jsonl")
    more = [{"prompt": f"only {s}", "answer": "x", "family": "say", "level": 3, "split": s} for s in ("validation", "test")]
    path.write_text(path.read_text() + "".join(json.dumps(line) + "\n" for line in more))
    rollouts, _, said, _ = going(tmp_path, replace(grpo.recipe(), **SMALL), source=jsonl(path))
    assert len(rollouts) == 16 and any("no training tasks in say/3: it is measured, not practised" in text for text in said)


def test_a_source_without_training_tasks_is_refused(tmp_path):
    path = tmp_path / "none.jsonl"
    lines = [{"prompt": f"only {s}", "answer": "x", "split": s} for s in ("validation", "test")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for recipe in (grpo.recipe(), uniform.recipe()):
        with pytest.raises(UserError, match="training task"):
            going(tmp_path / recipe.curriculum.__name__, replace(recipe, **SMALL), source=jsonl(path))


@pytest.mark.parametrize("made", [uniform, pcl])
def test_fewer_tasks_than_prompts_get_more_rollouts_each_and_it_is_said(tmp_path, made):
    path = write(tmp_path / "say.jsonl", levels=(1,), tasks=3)
    rollouts, steps, said, numbers = going(tmp_path, replace(made.recipe(), **SMALL), source=jsonl(path))
    assert sorted(n for step, _, n, _ in rollouts if step == 0) == [2, 3, 3] and {s["rollouts"] for s in steps} == {8}
    assert any("3 training tasks, fewer than the 4 prompts of a step" in text for text in said)
    assert len(numbers) == 12 and {number for _, number, _, _ in numbers} == {0, 1, 2}


def of_nothing(history, arms, prompts, samples, rng):
    return []


def with_nan(history, arms, prompts, samples, rng):
    return [(arm, samples) for arm in curriculum.draw(arms, [math.nan] + [1.0] * (len(arms) - 1), prompts, rng)]


def with_zeros(history, arms, prompts, samples, rng):
    return [(arm, samples) for arm in curriculum.draw(arms, [0.0] * len(arms), prompts, rng)]


def of_names(history, arms, prompts, samples, rng):
    return [(str(arms[0]), samples)]


def of_halves(history, arms, prompts, samples, rng):
    return [(arms[0], 0.5)]


@pytest.mark.parametrize(
    "teacher, message",
    [(with_nan, "say/1 has nan"), (with_zeros, "all weights"), (of_names, "'say/1'"), (of_halves, "with 0.5 rollouts")],
)
def test_a_curriculum_that_is_wrong_stops_the_run_with_a_message(tmp_path, teacher, message):
    """What was committed stands, so that a mended curriculum goes on."""
    with pytest.raises(UserError, match=message):
        going(tmp_path, replace(grpo.recipe(), curriculum=teacher, **SMALL))
    with Store.open(tmp_path / "run") as store:
        assert store.last_commit().phase == "loop"


def test_a_curriculum_that_runs_dry_is_said_and_the_run_goes_on(tmp_path):
    rollouts, steps, said, _ = going(tmp_path, replace(grpo.recipe(), curriculum=of_nothing, **SMALL))
    assert not rollouts and len(steps) == 4 and sum("chose nothing" in text for text in said) == 1


@pytest.mark.parametrize("weights", [[1, math.nan], [1, -1], [math.inf, 1]])
def test_weights_of_tasks_that_are_no_numbers_name_one(weights):
    with pytest.raises(UserError, match="finite and at least 0"):
        curriculum.weighted(np.array(weights, dtype=float), 1, np.random.default_rng(0))
    with pytest.raises(UserError, match="finite and at least 0"):
        curriculum.allot(np.array(weights, dtype=float), 4)


def test_asking_for_what_there_is_not_names_what_there_is(tmp_path):
    def greedy(history, arms, prompts, samples, rng, *, crystal_ball):
        return []

    with pytest.raises(UserError, match="crystal_ball.*attempts, embed, evaluations, kept, progress, totals"):
        going(tmp_path, replace(grpo.recipe(), curriculum=greedy, **SMALL))


# ------------------------------------------------------------------------------------------------- what can be asked for


def test_attempts_by_hand():
    """Two arms of three tasks; task 4 is tried in steps 0 and 2 with 1 of 4 and 4 of 4, task 1 once."""
    found = Attempts(Bandit((0, 1), tasks=3).source, 0, 10)
    found.add([(0, 4, 4, 1), (0, 1, 2, 0), (2, 4, 4, 4)])
    assert found.tries.tolist() == [0, 2, 0, 0, 8, 0] and found.right.tolist() == [0, 0, 0, 0, 5, 0]
    assert found.first[[1, 4]].tolist() == [0.0, 0.25] and found.latest[[1, 4]].tolist() == [0.0, 1.0]
    assert np.isnan(found.first[0]) and found.seen.tolist() == [NEVER, 0, NEVER, NEVER, 2, NEVER]
    assert found.faded[:, 4] == pytest.approx([0.9 * 4 + 4, 0.9 * 1 + 4])
    assert found.visits.tolist() == [0, 1, 0, 0, 2, 0]
    assert found.recent == [4] and found.taken == 3 and found.level.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.arm_of(np.array([0, 2, 3, 5])).tolist() == [0, 0, 1, 1] and found.nbytes == 32 * 6


def test_attempts_know_their_own_tasks_by_what_they_are():
    found = Attempts(Bandit((0, 1), tasks=3).source, 0, 10)
    mine, other = found.draw(4), Task(({"role": "user", "content": "?"},), "1", "a", 1)
    assert mine.arm == Arm("level", 1)
    samples = [replace(s, rollout=replace(s.rollout, task=t)) for t in (mine, other) for s in judged(0, 1.0, 0.0, None)]
    assert found.observe(7, samples) == [(7, 4, 2, 1)]


def test_what_is_said_of_a_task_is_worked_out_once():
    found, asked = Attempts(Bandit((0, 1), tasks=3).source, 0, 10), []

    def describe(task):
        asked.append(task.arm.level)
        return np.array([float(task.arm.level)])

    assert [found.of(number, describe).tolist() for number in (4, 1, 4)] == [[1.0], [0.0], [1.0]]
    assert asked == [1, 0]


def test_an_endless_arm_has_as_many_tasks_in_the_pool_as_it_is_given():
    source = replace(Bandit((0, 1)).source, size=lambda arm, split: None if arm.level else 5)
    assert Attempts(source, 0, 12).starts.tolist() == [0, 5, 17]


def evaluation(**right):
    """Of ten tasks each: level_1=7 is 7 of 10 right on level 1."""
    return Evaluation({Arm("a", int(k[-1])): (True,) * n + (False,) * (10 - n) for k, n in right.items()})


def test_skill_map_by_hand():
    """Newest counts 2/3, the one before 1/3: 0.8 * 2/3 + 0.5 * 1/3 = 0.7 of ten tasks; ten, not twenty."""
    a = Arm("a", 1)
    skill = skills.skill_map([evaluation(level_1=5), evaluation(level_1=8)], [a], keep=0.5, strength=4)[a]
    assert (skill.a, skill.b) == (pytest.approx(4 * 0.5 + 7), pytest.approx(4 * 0.5 + 3))
    assert (skill.first, skill.best, skill.n) == (0.5, 0.8, 10)
    assert skill.gain == pytest.approx(9 * 5 / (14 * 15)) and skill.mean == pytest.approx(9 / 14)
    assert skill.interval[0] < skill.mean < skill.interval[1]


def test_a_level_never_measured_starts_from_its_neighbours():
    known = evaluation(level_1=10, level_2=9, level_6=0)
    arms = [Arm("a", k) for k in (1, 2, 3, 5, 6)] + [Arm("b", 1)]
    skill = skills.skill_map([known], arms)
    assert skill[Arm("a", 3)].mean > 0.8 > 0.3 > skill[Arm("a", 5)].mean
    assert 0.5 < skill[Arm("b", 1)].mean < 0.75  # another family says little, and all that is known is 19 of 30
    assert skill[Arm("a", 3)].deviation > 2 * skill[Arm("a", 2)].deviation
    assert math.isnan(skill[Arm("a", 3)].first) and skills.skill_map([], arms)[arms[0]].mean == 0.5


def test_questions_to_the_skill_map():
    arms = [Arm("a", k) for k in range(1, 5)]
    seen = [Evaluation({a: (True,) * n + (False,) * (100 - n) for a, n in zip(arms, (99, 50, 1, 12), strict=True)})]
    skill = skills.skill_map(seen, arms)
    assert skills.mastered(skill) == [arms[0]] and skills.hopeless(skill) == [arms[2]]
    assert skills.weakest(skill, 2) == [arms[2], arms[3]] and skills.promising(skill, 1) == [arms[1]]


@pytest.mark.parametrize("n", [8, 40])
def test_the_interval_of_the_skill_map_covers_the_truth(n):
    """95 % on average over success rates, by exact summation over what can be measured; a flat prior."""
    arm, p = Arm("a", 1), np.linspace(0.05, 0.95, 37)
    covered = np.zeros(len(p))
    for k in range(n + 1):
        seen = [Evaluation({arm: (True,) * k + (False,) * (n - k)})]
        low, high = skills.skill_map(seen, [arm], strength=2.0)[arm].interval
        covered += np.where((low <= p) & (p <= high), math.comb(n, k) * p**k * (1 - p) ** (n - k), 0)
    assert 0.93 < covered.mean() < 0.98


def test_a_rejected_round_leaves_no_trace_in_the_skill_map_and_takes_back_what_was_learnt(tmp_path):
    """Every second round is rolled back: evaluations are those of the others, and `kept` is that of their weights."""
    seen = []

    def watching(history, arms, prompts, samples, rng, *, evaluations, kept):
        kept["steps"] = kept.get("steps", np.zeros(1)) + 1
        seen.append((len(evaluations), int(kept["steps"][0])))
        return curriculum.uniform(history, arms, prompts, samples, rng)

    verdicts = iter(["better", "worse", "better", "worse"])

    def every_other(before, after):
        return replace(loop.guard.always(before, after), answer=next(verdicts))

    going(tmp_path, replace(grpo.recipe(), curriculum=watching, guard=every_other, **{**SMALL, "budget": "8steps"}))
    assert seen == [(1, 1), (1, 2), (2, 3), (2, 4), (2, 3), (2, 4), (3, 5), (3, 6)]


def test_an_unclear_round_is_gone_on_from_until_one_is_worse_and_the_best_is_what_is_measured(tmp_path):
    """Evaluations are those of the weights in use, `kept` goes with the weights, and `before` is the last better round's."""
    seen, compared, answers = [], [], ["unclear", "better", "unclear", "unclear", "worse", "unclear"]

    def watching(history, arms, prompts, samples, rng, *, evaluations, kept):
        kept["steps"] = kept.get("steps", np.zeros(1)) + 1
        seen.append((len(evaluations), int(kept["steps"][0])))
        return curriculum.uniform(history, arms, prompts, samples, rng)

    def scripted(before, after):
        compared.append((before, after))
        return replace(loop.guard.always(before, after), answer=answers[len(compared) - 1])

    recipe = replace(grpo.recipe(), curriculum=watching, guard=scripted, **{**SMALL, "round_steps": 1, "budget": "6steps"})
    going(tmp_path, recipe, lambda messages: messages[-1]["content"].split()[-1] if len(compared) % 2 else "?")
    # Rounds 1 to 6 begin with: the start; that and round 1; those and 2; … 3; … 4; and after the worse one what was at round 2.
    assert seen == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (3, 3)]
    with Store.open(tmp_path / "run") as store:
        measured = [store.evaluation(i, "validation") for i in range(7)]
        assert compared == [(measured[best], measured[i + 1]) for i, best in enumerate((0, 0, 2, 2, 2, 2))]
        assert measured[1] != measured[2]  # or the line above would say nothing
        decided = store.rounds()
        assert [r["answer"] for r in decided] == ["better", *answers] and [r["accepted"] for r in decided].count(True) == 2
        last = store.last_commit()
        assert last.finished and last.checkpoint == last.accepted == "000003"  # of round 2: what is measured is exported


def test_totals_and_history_come_back_from_the_store(tmp_path):
    a = Arm("a", 1)
    recipe = replace(grpo.recipe(), curriculum=curriculum.dump)
    with Store.create(tmp_path / "run", {}) as store:
        store.add_arm_stats([ArmStats(t, a, 8, 2, 4.0, 0) for t in range(100)])
        store.commit(Position("loop", 100, 0))
        assert state.begin(recipe, Bandit().source, 0, store).totals == {a: 800}
        assert state.begin(grpo.recipe(), Bandit().source, 0, store).totals == {}


def test_recipes_that_ask_for_nothing_build_nothing(tmp_path):
    with Store.create(tmp_path / "run", {}) as store:
        assert state.begin(grpo.recipe(), Bandit().source, 0, store).attempts is None
        made = state.begin(replace(grpo.recipe(), curriculum=partial(curriculum.views, views=2)), Bandit().source, 0, store)
        assert len(made.attempts) == 400


def test_what_has_grown_is_numbered_behind_all_else_and_moves_no_number():
    source = Bandit((0, 1), tasks=3).source
    grown = [replace(source.draw(source.arms[0], "train", i, 0), family="b", level=i % 2, operator="x") for i in range(5)]
    found = Attempts(source, 0, 10)
    found.add([(0, 4, 8, 2)])
    before = [found.draw(number) for number in range(6)]
    found.extend(with_grown(source, grown[:3]), grown[:3])
    found.extend(with_grown(source, grown), grown[3:])
    # Levels 0, 1, 0 came first, then 1, 0: by arm 0, 2 | 1, and then 4 | 3.
    assert [found.draw(number) for number in range(11)] == [*before, *(grown[i] for i in (0, 2, 1, 4, 3))]
    assert [str(arm) for arm in found.arms[2:]] == ["b/0", "b/1", "b/0", "b/1"] and found.starts.tolist() == [
        0,
        3,
        6,
        8,
        9,
        10,
        11,
    ]
    assert found.level.tolist()[6:] == [0, 0, 1, 0, 1] and len(found) == 11
    found.add([(1, 9, 4, 4)])
    assert found.tries.tolist() == [0, 0, 0, 0, 8, 0, 0, 0, 0, 4, 0] and found.latest[4] == 0.25 and found.first[9] == 1
    assert found.observe(2, []) == [] and found.tries.dtype == np.uint32 and found.faded.shape == (2, 11)
