"""Growth in a run: screened, stored, drawn by the curriculum, resumed bit for bit; a grower that errs costs the run nothing."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from test_resume import SETTINGS, Impatient, assert_same, in_turn, run_cases

from sharpen.core import HISTORY, Arm, ArmStats, Evaluation, UserError
from sharpen.curriculum import state, testbed, trainable
from sharpen.data import screen
from sharpen.loop import growing, loop
from sharpen.recipe import asked_for, call
from sharpen.recipes import catalog
from sharpen.store import Store
from sharpen.store import growth as stored
from sharpen.store.store import FAULTS
from sharpen.tasks import with_grown
from sharpen.terminal import terminal

OWN = str(Path(__file__).with_name("growers.py"))
SMALL = [*SETTINGS, "guard=always"]


class Listening(terminal.Quiet):
    def __init__(self):
        super().__init__()
        self.said: list[str] = []

    def say(self, text):
        self.said.append(text)


def run(directory: Path, *settings: str, budget="4steps", recipe=OWN) -> list[str]:
    request = loop.Request(recipe, (*SMALL, *settings), 3, budget, None, "chain_sum/1-2,spell_backward/1", directory)
    heard = Listening()
    loop.start(request, heard)
    return [line for line in heard.said if "grown" in line]


def rows(directory: Path, sql: str) -> list[tuple]:
    with sqlite3.connect(directory / "run.db") as db:
        return db.execute(sql).fetchall()


def refusals(directory: Path, round: int = 1) -> dict[str, int]:
    return dict(rows(directory, f"SELECT reason, n FROM refusals WHERE round = {round}"))


def test_grown_tasks_are_rows_arms_and_lineage(tmp_path):
    said = run(tmp_path / "run", "grower=honest", "curriculum=uniform", budget="8steps")
    assert len(said) == 3 and "6 tasks grown (chain_sum_between/15 6)" in said[0]  # nothing after the last round
    with Store.open(tmp_path / "run") as store:
        grown = stored.grown(store)
        assert [n for n, _ in grown] == [1] * 6 + [2] * 6 + [3] * 6
        assert {(t.split, t.operator) for _, t in grown} == {("train", "between chain_sum/1 and chain_sum/2")}
        assert Arm("chain_sum_between", 15) in store.history()
        measured = [arm for r in range(4) for arm in store.evaluation(r, "validation").correct]
        assert {arm.family for arm in measured} == {"chain_sum", "spell_backward"}
        practised = {s.rollout.task.id for s in store.read_rollouts("train") if s.rollout.task.operator}
    assert practised and practised <= {t.id for _, t in grown}
    # The query of loop/growing.py: a failure, the task that was made of it, and the batch that the task was learnt from in.
    sql = growing.__doc__.partition("by SQL:")[2]
    found = rows(tmp_path / "run", sql)
    assert found and {task for _, task, _ in found} <= practised
    failed_at = dict(rows(tmp_path / "run", "SELECT id, step FROM rollouts"))
    assert all(failed_at[failure] < step for failure, _, step in found)


def test_every_task_is_tried_before_it_is_added(tmp_path):
    said = run(tmp_path / "run", "grower=honest", "tries=2")
    tried = rows(tmp_path / "run", "SELECT task, count(*) FROM rollouts WHERE purpose = 'grow' GROUP BY task")
    assert len(tried) == 6 and {n for _, n in tried} == {2}
    judged = "rollouts r JOIN verdicts v ON v.rollout = r.id WHERE r.purpose = 'grow'"
    solved = f"SELECT r.task, sum(v.reward = 1) FROM {judged} GROUP BY 1"
    mixed = {task for task, k in rows(tmp_path / "run", solved) if k == 1}
    assert {task for (task,) in rows(tmp_path / "run", "SELECT task FROM grown")} == mixed
    found = refusals(tmp_path / "run")
    assert sum(found.values()) + len(mixed) == 6 and found.keys() <= {screen.SOLVED, screen.HOPELESS}
    assert "refused: " in said[0]


@pytest.mark.parametrize(
    ("grower", "added", "why"),
    [
        ("cheat", 1, {screen.HELD_OUT: 10, screen.OTHER_SPLIT: 10}),
        ("wrong", 1, {screen.GAVE_UP: 1, screen.UNJUDGED: 1, screen.REFUSED: 1}),
        ("copies", 1, {screen.DUPLICATE: 4}),
        ("many", 1, {screen.DUPLICATE: 1023, screen.BEYOND: 10**6 - 1024}),
        ("raises", 0, {screen.RAISED: 1}),
        ("asks", 0, {screen.NO_TASK: 1}),
        ("returns_words", 0, {screen.NO_LIST: 1}),
        ("returns_none", 0, {}),
    ],
)
def test_a_grower_that_errs_is_said_and_costs_nothing(tmp_path, grower, added, why):
    said = run(tmp_path / "run", f"grower={grower}")
    assert refusals(tmp_path / "run") == why and f"{added} tasks grown" in said[0]
    assert len(rows(tmp_path / "run", "SELECT * FROM grown")) == added
    assert rows(tmp_path / "run", "SELECT finished FROM commits ORDER BY n DESC LIMIT 1") == [(1,)]
    (example,) = rows(tmp_path / "run", "SELECT group_concat(example) FROM refusals")[0]
    if grower == "raises":
        assert "no task comes to mind" in said[0] and "in raises" in example
    if grower == "wrong":
        assert "There is no verifier 'oracle'" in example
    if grower == "returns_none":
        assert "returned none" in said[0]


def test_a_held_out_question_of_the_run_never_gets_into_a_batch(tmp_path):
    run(tmp_path / "run", "grower=cheat", budget="6steps")
    held = rows(tmp_path / "run", "SELECT DISTINCT t.prompt FROM tasks t WHERE t.split <> 'train'")
    trained = "SELECT DISTINCT t.prompt FROM batches b JOIN rollouts r ON r.id = b.rollout JOIN tasks t ON t.id = r.task"
    assert held and not set(held) & set(rows(tmp_path / "run", trained))


def test_what_cannot_work_is_refused_before_the_first_step(tmp_path):
    for grower, message in (("no_generator", "no `yield`"), ("wants_more", "asks for judge.*evaluations, history")):
        with pytest.raises(UserError, match=message):
            run(tmp_path / grower, f"grower={grower}")
        assert not (tmp_path / grower).exists()
    for settings, message in ((["grow_limit=3"], "no task is grown"), (["grow=procedural", "grow_tries=1"], "both succeed")):
        with pytest.raises(UserError, match=message):
            catalog.build("grpo", settings)


def test_a_run_that_grows_nothing_is_as_it_was(tmp_path):
    """The slot's default, and a grower that returns nothing, leave no trace in rows and weights but what was said."""
    run(tmp_path / "whole", recipe="grpo")
    run(tmp_path / "other", "grower=returns_none")
    assert_same(tmp_path / "whole", tmp_path / "other")


# "always" keeps rounds and "ratchet" goes back; `attempts` numbers single tasks, `kept` arms.
@pytest.mark.parametrize(
    "more", [["guard=always", "curriculum=epochs", "tries=2"], ["guard=ratchet", "curriculum=alp_gmm", "tries=0"]]
)
def test_killed_at_every_commit_point_it_grows_the_same(tmp_path, more):
    # A round that is gone back from has no checkpoint to write, and so not the first three points.
    points = FAULTS if "guard=always" in more else FAULTS[3:]
    cases = [in_turn([f"{fault}:{2 + i % 3}" for i, fault in enumerate(points)]), "events:1"]
    settings = [*SETTINGS, "recipe=" + OWN, *more]
    said = run_cases(tmp_path, settings, cases)
    assert said.count("killed") == len(points) + 1 and "killed 0" not in said, said
    grown = rows(tmp_path / "whole", "SELECT count(*), count(DISTINCT round) FROM grown")
    tried = rows(tmp_path / "whole", "SELECT count(*) FROM rollouts WHERE purpose = 'grow'")
    assert grown[0] == (12, 2) or tried[0][0] == 24
    for case in cases:
        assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))


def test_a_repaired_label_is_drawn_as_it_was_mended_and_a_dropped_one_no_more(tmp_path):
    said = run(tmp_path / "run", "grower=mends", "curriculum=epochs", "pool=4", budget="8steps")
    assert "labels: dropped 1, label mended 1" in said[0] and "fails most: chain_sum/1" in said[0]
    found = rows(tmp_path / "run", "SELECT task, mended, kind FROM repairs WHERE round = 1 ORDER BY kind DESC")
    assert [kind for *_, kind in found] == ["label mended", "dropped"]
    assert refusals(tmp_path / "run") == {"label in dispute": 1, screen.NOT_OURS: 1, screen.NO_TASK: 1}
    last = rows(tmp_path / "run", "SELECT max(step) FROM rollouts WHERE purpose = 'train' AND round = 1")[0][0]
    for task, mended, _ in found:
        later = rows(tmp_path / "run", f"SELECT count(*) FROM rollouts WHERE task = '{task}' AND step > {last}")[0][0]
        assert later == 0
        if mended:
            sql = f"SELECT count(*), min(t.answer) FROM rollouts r JOIN tasks t ON t.id = r.task WHERE r.task = '{mended}'"
            n, answer = rows(tmp_path / "run", sql)[0]
            assert n > 0 and answer == "999"
    named = rows(tmp_path / "run", "SELECT name, kind, failed <= n FROM weaknesses WHERE round = 1")
    assert named == [("chain_sum/1", "skill", 1)]
    disputed = rows(tmp_path / "run", "SELECT t.answer FROM disputes d JOIN tasks t ON t.id = d.task")
    trained = "SELECT count(*) FROM rollouts r JOIN disputes d ON d.task = r.task"
    assert disputed == [("6",)] and rows(tmp_path / "run", trained) == [(0,)]


def test_killed_after_a_repair_it_goes_on_with_the_mended_labels(tmp_path):
    settings = [*SETTINGS, "recipe=" + OWN, "guard=always", "curriculum=epochs", "grower=mends"]
    kills = [f"{FAULTS[3]}:3", "events:2"]
    assert run_cases(tmp_path, settings, kills).count("killed") == len(kills)
    for case in kills:
        assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))


def test_stopped_within_a_round_it_knows_what_failed_before(tmp_path):
    def request(name: str) -> loop.Request:
        return loop.Request(OWN, tuple(SMALL), 5, "4steps", None, "chain_sum/1-2", tmp_path / name)

    loop.start(request("whole"), terminal.Quiet())
    with pytest.raises(KeyboardInterrupt):
        loop.start(request("stopped"), Impatient("loop"))
    loop.resume(tmp_path / "stopped", terminal.Quiet())
    both = [
        rows(tmp_path / name, "SELECT g.*, t.parents FROM grown g JOIN tasks t ON t.id = g.task")
        for name in ("whole", "stopped")
    ]
    assert both[0] == both[1] != []


def curricula() -> list[str]:
    return sorted(catalog.choices("curriculum"))


@pytest.mark.parametrize("name", curricula())
def test_every_curriculum_sees_arms_that_come_later(tmp_path, name):
    """Steps before and after growth, on a history as the loop would give; none loses its place, some draw the new arm."""
    recipe = catalog.build(OWN, [f"curriculum={name}"])
    source = testbed.Bandit((-1, 1, 3), tasks=8).source
    grown = [
        dataclasses.replace(source.draw(source.arms[0], "train", i, 0), family="zz", operator="x", parents=("p",))
        for i in range(6)
    ]
    chosen = practised(recipe, source, grown, tmp_path)
    early, late = (set().union(*part) for part in (chosen[:10], chosen[10:]))
    assert early <= set(source.arms)
    assert late and late <= {*source.arms, Arm("zz", source.arms[0].level)}
    if name in ("uniform", "epochs", "views", "sec", "dump", "thompson", "pools", "ladder", "alp_gmm", "pcl"):
        assert Arm("zz", source.arms[0].level) in late


def offered(knows, recipe, progress) -> dict:
    """What a curriculum asks for by name."""
    everything = {"progress": progress, **{n: getattr(knows, n) for n in ("totals", "evaluations", "attempts", "kept")}}
    everything["embed"] = lambda listed: np.eye(len(listed))  # every question in a direction of its own
    everything |= {"angles": lambda listed: np.ones(len(listed)), "tried": []}
    return {name: everything[name] for name in asked_for(recipe.curriculum)}


def practised(recipe, source, grown, directory) -> list[set[Arm]]:
    """The arms that a curriculum chooses in each of ten steps before three tasks have grown, ten more, and twenty after six."""
    with Store.create(directory / "run", {}) as store:
        lessons = state.begin(recipe, source, 0, store)
    luck, history, chosen, whole = np.random.default_rng(0), {}, [], source
    lessons.evaluations.append(Evaluation({arm: (True, False, True, False) for arm in source.arms}))
    for step in range(40):
        if step in (10, 20):
            whole = with_grown(source, grown[: 3 if step == 10 else 6])
            lessons.grow(whole, grown[:3] if step == 10 else grown[3:])
        rng = np.random.default_rng(step)
        seen = {arm: stats[-HISTORY:] for arm, stats in history.items()}
        choices = call(recipe.curriculum, seen, trainable(whole), 20, 4, rng, **offered(lessons, recipe, step / 40))
        results = {}
        for what, n in choices:
            arm, right = (what.arm if hasattr(what, "arm") else what), int(luck.binomial(n, 0.4))
            results.setdefault(arm, []).append((n, right))
            if lessons.attempts and not isinstance(what, Arm):
                lessons.attempts.add([(step, lessons.attempts.numbers[what.id], n, right)])
        for arm, found in results.items():
            n, right = sum(n for n, _ in found), sum(k for _, k in found)
            history.setdefault(arm, []).append(ArmStats(step, arm, n, right, 0.8 * n, n))
            lessons.totals[arm] = lessons.totals.get(arm, 0) + n
        chosen.append(set(results))
    return chosen
