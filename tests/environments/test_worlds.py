"""Environments that ship: their worked solutions are right, doing nothing is not, and their figures are those of the papers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sharpen import environments, tasks
from sharpen.environments import analysis, charts, diagnosis, loading, masked, planning, schema, table
from sharpen.environments.episode import Episode
from sharpen.environments.retrieval import Index, installed

WORLDS = sorted(loading.WORLDS)


def walked(name, data, said):
    """The verdict's outcome after saying these, one after the other, and what was seen."""
    episode = Episode(loading.factory(name))
    seen = [episode.answer({"op": "reset", "task": data})]
    for text in said:
        if seen[0]["words"]:
            seen.append(episode.answer({"op": "step", "action": text}))
            continue
        calls, wrong = environments.calls.read(text, seen[0]["tools"])
        assert not wrong, (text, wrong)
        for call in calls:
            assert environments.calls.mistake(call, seen[0]["tools"]) == "", text
            action = json.dumps({"name": call.name, "arguments": dict(call.arguments)})
            seen.append(episode.answer({"op": "step", "action": action}))
    judged = episode.answer({"op": "judge", "action": said[-1] if said else ""})
    return judged["verdict"], seen


@pytest.mark.parametrize("name", WORLDS)
def test_a_worked_solution_is_right_and_nothing_is_not(name):
    """And a reset repeats itself, no question holds the answer, and no tool that is called with nothing wins."""
    source = tasks.seeds(name, "1-3")
    for arm in source.arms:
        for split in ("train", "test"):
            task = source.draw(arm, split, 3, 0)
            verdict, seen = walked(name, task.data, task.data["solution"])
            # A diagnosis, and the words of an analysis, may be unlucky; all others are certain.
            assert verdict["outcome"] == "correct" or name == "diagnosis", (arm, split, seen)
            again, _ = walked(name, task.data, [])
            assert again["outcome"] != "correct" and again["reward"] < 1
            assert walked(name, task.data, [])[1][0]["text"] == seen[0]["text"]


def test_no_two_splits_share_an_episode():
    source = tasks.seeds("numbers", "1")
    drawn = [
        {source.draw(source.arms[0], split, i, 0).data["seed"] for i in range(200)} for split in ("train", "validation", "test")
    ]
    assert not (drawn[0] & drawn[1] or drawn[0] & drawn[2] or drawn[1] & drawn[2])


def test_a_diagnosis_is_right_more_often_than_its_prior_and_no_policy_beats_the_best():
    right, bound, prior = [], [], []
    for seed in range(60):
        case = diagnosis.Case(seed, 1)
        verdict, _ = walked("diagnosis", {"seed": seed, "level": 1}, diagnosis.solution({"seed": seed, "level": 1}))
        right.append(verdict["parts"]["right"])
        bound.append(diagnosis.best(case, price=0.0))
        prior.append(case.prior.max())
    assert np.mean(prior) + 0.1 < np.mean(right) < np.mean(bound) + 0.15


def test_the_gatekeeper_tells_nothing_by_silence():
    """An answer to an unrecorded test is yes as often as over all causes, where that is typical of the cause and where not."""
    beyond = {True: [], False: []}
    for seed in range(600):
        case = diagnosis.Case(seed, 2)
        for j in range(case.m):
            if not case.recorded[j]:
                expected = float(case.prior @ case.likely[:, j])
                beyond[bool(case.likely[case.cause, j] > 0.5)].append(case.results[j] - expected)
    assert all(len(found) > 80 and abs(np.mean(found)) < 0.15 for found in beyond.values())


def test_figures_of_the_papers():
    assert [round(charts.random_move(b), 3) for b in (7, 3, 0)] == [1.0, 0.633, 0.449]
    assert table.composite(1.0, 0.75) == 0.875 and table.padded(0.0, 0.0, 10) == pytest.approx(1 / 3)
    assert masked.judged_searches([(False, False)] * 4, True) == pytest.approx(0.08)
    assert masked.judged_searches([(True, False), (True, True), (False, True)], False) == pytest.approx(-0.05 - 0.025 - 0.05)
    runs = [{"variables": frozenset(name)} for name in "abz"]
    assert analysis.hits(runs, {"variables": frozenset("abcd")}, "variables") == pytest.approx(2 / 3)
    assert analysis.coverage(runs, {"variables": frozenset("abcd")}, "variables") == 0.5


def test_nodes_that_are_shared_find_no_worse_a_chart_than_a_tree():
    better = []
    for seed in range(12):
        liked = charts.taste(seed)
        better.append(charts.search(liked, {}, 100, seed)[1] - charts.search(liked, {}, 100, seed, shared=False)[1])
    assert np.mean(better) > -0.02


def test_a_plan_is_held_against_the_rules():
    start, goal = (0, 1, 0), (0, 0, 2)  # 2 on 1; wanted: 3 on 2
    assert planning.check(start, goal, [(2, 0), (3, 2)]) == "valid"
    assert "cannot be put" in planning.check(start, goal, [(1, 0)])
    assert planning.check(start, goal, [(2, 0)]) == "the goal is not reached"


def test_a_heuristic_that_lies_wins_nothing():
    """The program may print what it likes: its last lines are read as plans, and each is checked here."""
    from sharpen.environments import heuristics

    source = tasks.heuristics()
    task = source.draw(source.arms[0], "train", 0, 0)
    problems = [planning.problem(int(seed), task.level) for seed in task.data["problems"]]
    assert heuristics.plans("[]\n[[1, 0]]\nvalid\n", 4) == [None, [], [[1, 0]], None]
    assert not any(heuristics.valid(plan, problem) for plan in ([], "valid", [[1]], None) for problem in problems)
    exact = [planning.gbfs(*problem, lambda state, goal: 0)[0] for problem in problems]
    assert all(heuristics.valid([list(step) for step in plan], problem) for plan, problem in zip(exact, problems, strict=True))
    asking = heuristics.heuristic(task, "no program")
    with pytest.raises(StopIteration) as end:
        next(asking)
    assert end.value.value.outcome == "malformed"


def test_bm25_by_hand():
    """Two texts of two words, one query word in one of them: idf log(1 + 1.5 / 1.5), tf part 2.5 / (1 + 1.5)."""
    scores = Index(["red kite", "blue lamp"]).scores("red")
    assert scores[0] == pytest.approx(np.log(2.0)) and scores[1] == 0
    assert Index(["red kite", "blue lamp", "red red lamp"]).search("red lamp", 2) == [2, 0] or not installed()


def test_cells_of_python_keep_their_state_and_earlier_prints_are_not_heard_again(tmp_path):
    """A print over several lines too, which blanking lines would break."""
    import subprocess
    import sys

    program = environments.cells(["x = 3\nprint(\n  x,\n)", "x += 1", "print('now')\nx * 2"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.stdout == "now\n8\n" and not done.stderr


def test_tools_beside_a_question():
    from sharpen.core import Run, Task, UserError

    data = {
        "files": {"a.txt": "one\ntwo\nthree"},
        "sql": "CREATE TABLE t(a); INSERT INTO t VALUES (1), (2);",
        "documents": ["a red kite", "a blue lamp"],
    }
    box = environments.Toolbox(["calculator", "python", "files", "database", "search"], Task((), None, "t", 1, data=data))

    def told(tool, **arguments):
        action = json.dumps({"name": tool, "arguments": arguments})
        event = box.event(action, 5.0)
        return event if isinstance(event, Run) else box.step(action).text

    assert told("calculate", expression="17*23") == "391" and "error" in told("calculate", expression="import os")
    assert told("read_file", name="a.txt", start=2, lines=1) == "two" and "no file" in told("read_file", name="/etc/passwd")
    assert told("replace_in_file", name="a.txt", old="two", new="2") == "written" and "2" in told("read_file", name="a.txt")
    assert told("sql", query="SELECT sum(a) AS s FROM t") == "s\n3"
    for attack in (
        "ATTACH '/tmp/x.db' AS x",
        "SELECT load_extension('x')",
        "PRAGMA database_list",
        "VACUUM INTO '/tmp/x.db'",
        "SELECT length(hex(zeroblob(400000000)))",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) INSERT INTO t SELECT zeroblob(9000) FROM r LIMIT 9000",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT count(*) FROM r",
    ):
        assert "error" in told("sql", query=attack)
    assert told("search", query="blue") == "a blue lamp" and told("search", query="green") == "nothing was found"
    assert "json.loads" in told("python", code="1 + 1").code
    with pytest.raises(UserError, match="Did you mean 'calculator'"):
        environments.Toolbox(["calculater"], Task((), None, "t", 1))
    names = [tool["function"]["name"] for tool in box.tools]
    assert len(set(names)) == len(names) and "run" not in names and "text" not in names


def test_a_tool_of_every_kind_has_a_schema():
    for name, made in environments.TOOLS.items():
        for tool in schema.tools_of(made):
            assert tool["function"]["description"] or tool["function"]["name"] in ("run", "ran", "text"), name


def test_memory_keeps_the_better_half_and_recalls_what_is_alike():
    memory = environments.Memory(most=8)
    for i in range(40):
        memory.add(f"kind {'red' if i % 2 else 'blue'}", f"{i}", i / 40)
        assert len(memory.entries) <= 8
    assert all(int(text) % 2 for text in memory.recall("kind red", 2)) and memory.recall("nothing alike", 2) == []
    assert memory.recall("kind red", 1) == ["39"]


def test_users_with_traits_have_the_same_facts():
    facts, others = {"day": "Monday"}, {"day": ("Monday", "Friday")}
    plain = environments.User(facts, others, environments.Traits(), 0)
    assert plain.ask("day") == "Monday" and plain.confirm("day", "Friday") == "no, Monday"
    confused = environments.User(facts, others, environments.Traits(confusion=1.0), 0)
    assert [confused.ask("day"), confused.ask("day")] == ["Friday", "Monday"]
    skeptic = environments.User(facts, others, environments.Traits(skepticism=1.0), 0)
    assert [skeptic.ask("day"), skeptic.ask("day")] == ["Why do you want to know?", "Monday"]
    hasty = environments.User(facts, others, environments.Traits(patience=1), 0)
    assert [hasty.ask("day"), hasty.ask("day"), hasty.left] == ["Monday", "I have had enough.", True]
