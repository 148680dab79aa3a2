"""sharpen audit: sound tasks have no dispute, each kind of trouble is found by its check, and decisions hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_offline import CODE, TASKS, lines, sharpen

from sharpen import sandbox
from sharpen.audit import labels, offline
from sharpen.audit.variants import probes
from sharpen.core import UserError
from sharpen.tasks import decisions, jsonl

SOUND = [
    *TASKS,
    {"id": "i", "verifier": "math", "answer": "(1, 2]"},
    {"id": "j", "verifier": "math", "answer": "\\frac{3}{4}"},
    {"id": "k", "verifier": "number", "answer": "1200"},
    {"id": "l", "verifier": "numbers", "answer": "[3, 1, 2]"},
    {"id": "m", "verifier": "choice", "answer": "True"},
    {"id": "n", "verifier": "exact", "answer": "a\nb"},
    {"id": "o", "verifier": "json", "answer": [1, "x", None]},
    {"id": "p", "verifier": "number", "answer": "-0.5"},
    {"id": "q", "verifier": "multiple_choice", "answer": "La Paz", "choices": {"A": "Lima", "B": "La Paz"}},
]


def found(tmp_path: Path, *records: dict) -> list[tuple[str, str, str]]:
    """(id, check, found outcome) of the disputes."""
    return [(d.id, d.check, d.found) for d in labels.audit(lines(tmp_path / "tasks.jsonl", list(records)), 2).disputes]


def test_sound_tasks_have_no_dispute_and_are_asked_a_lot(tmp_path):
    done = labels.audit(lines(tmp_path / "tasks.jsonl", SOUND), 2)
    assert done.disputes == () and done.tasks == len(SOUND)
    asked = {check: n for check, (n, _) in done.checks.items()}
    assert asked["gold"] >= len(SOUND) - 1 and asked["equivalent"] >= 4 * len(SOUND) and asked["spoilt"] >= 5 * len(SOUND)
    assert asked["again"] == asked["gold"] + asked["equivalent"] + asked["spoilt"] and asked["second"] > 40


@pytest.mark.parametrize("answer", ["A", "x"])
def test_an_option_in_its_own_words_is_no_dispute(tmp_path, answer):
    """The option x is a letter too, but the letter of none."""
    task = {"id": "a", "verifier": "multiple_choice", "answer": answer, "choices": ["x", "y"]}
    assert found(tmp_path, task) == []
    (line,) = offline.read_tasks(lines(tmp_path / "tasks.jsonl", [task])).values()
    said = {text: labels.second_opinion(line.task, f"\\boxed{{{text}}}") for text in ("x", "A", "y", "(B)", "z")}
    assert said == {"x": True, "A": True, "y": False, "(B)": False, "z": None}


def test_several_spoilt_answers_for_every_type(tmp_path):
    tasks = offline.read_tasks(lines(tmp_path / "tasks.jsonl", SOUND))
    for id, line in tasks.items():
        listed = list(probes(id, line, []))
        assert len({p.response for p in listed}) == len(listed)
        spoilt = [p.response for p in listed if not p.right]
        assert len(spoilt) >= (5 if line.task.answer else 3), (id, spoilt)
        assert all(line.task.answer in p.response for p in listed if p.check == "gold" and line.task.verifier != "json")


def test_an_answer_that_its_verifier_cannot_read(tmp_path):
    disputes = found(tmp_path, {"id": "a", "verifier": "multiple_choice", "answer": "E", "choices": ["x", "y"]}, SOUND[1])
    assert ("a", "gold", "unscorable") in disputes and {id for id, *_ in disputes} == {"a"}


def test_a_verifier_that_accepts_what_is_known_to_be_wrong(tmp_path):
    assert found(tmp_path, {"id": "a", "verifier": "exact", "answer": "Lima", "wrong": ["It is in Peru.\nA: Lima"]}) == [
        ("a", "spoilt", "correct")
    ]


def test_a_verifier_that_refuses_a_right_response(tmp_path):
    assert found(tmp_path, {"id": "a", "verifier": "number", "answer": "7", "solution": "It is seven."}) == [
        ("a", "gold", "malformed")
    ]


@pytest.mark.skipif(sandbox.probe().level != "full", reason="needs the whole sandbox")
def test_programs_are_audited_with_their_solutions(tmp_path):
    code = CODE | {"time_limit_s": 60}  # none of these programs hangs, and no machine is too slow for them
    double = {**code, "solution": "print(2 * int(input()))", "wrong": ["print(5)"]}
    triple = {
        **code,
        "id": "c",
        "tests": [{"stdin": "2\n", "stdout": "6\n"}],
        "solution": "```python\nprint(3 * int(input()))\n```",
    }
    weak = {
        **code,
        "id": "d",
        "tests": [{"stdin": "2\n", "stdout": "2\n"}],
        "solution": "print(2)",
        "wrong": ["print(int(input()))"],
    }
    assert found(tmp_path, double, triple) == []
    assert found(tmp_path, weak, triple) == [("d", "spoilt", "correct")]  # its one test tells nothing apart
    # How many of twelve cases pass is chance: it is the same twice one time in six, and two programs come in four forms each,
    # so that nothing is seen once in two million times. They differ, for the same text is judged once.
    unsteady = "import os\nprint(4 if os.urandom(1)[0] % 2 else 5)  # {}"
    drawn = {**code, "tests": code["tests"] * 12, "partial": True}
    disputes = found(tmp_path, *({**drawn, "id": f"u{i}", "solution": unsteady.format(i)} for i in range(2)))
    assert "again" in {check for _, check, _ in disputes}


def test_two_implementations_that_disagree(tmp_path):
    """0.333 for 1/3: by the numbers' rule another number; a gold answer of that kind is what mathematics reads alone."""
    task = offline.read_tasks(lines(tmp_path / "t.jsonl", [{"id": "a", "verifier": "number", "answer": "7"}]))["a"].task
    assert labels.second_opinion(task, "<answer>7.0</answer>") is True
    assert labels.second_opinion(task, "<answer>8</answer>") is False
    assert labels.second_opinion(task, "<answer>many</answer>") is None
    choice = offline.read_tasks(lines(tmp_path / "t.jsonl", [TASKS[2]]))["d"].task
    assert [labels.second_opinion(choice, f"<answer>{a}</answer>") for a in ("(B)", "A", "Lima", "Paris")] == [
        True,
        False,
        True,
        None,
    ]


def test_decisions_are_kept_and_hold_for_what_was_seen(tmp_path):
    bad = [
        {"id": "a", "verifier": "exact", "answer": "Lima", "wrong": ["A: Lima"]},
        {"id": "b", "verifier": "number", "answer": "7", "solution": "many"},
        {"id": "c", "verifier": "number", "answer": "8", "solution": "a few"},
    ]
    path = lines(tmp_path / "tasks.jsonl", bad)
    assert sharpen("audit", path).exit_code == 3
    decided = sharpen("audit", path, "--json", "--decide", "a=right", "--decide", "b=wrong", "--decide", "c=drop")
    report = json.loads(decided.stdout)
    assert decided.exit_code == 3 and {d["id"] for d in report["disputes"]} == {"b"}
    assert report["decided"] == {"right": 1, "wrong": 1, "drop": 1} and report["tasks"] == 2
    assert [(r.id, r.decision) for r in decisions.read(path).values()] == [("a", "right"), ("b", "wrong"), ("c", "drop")]
    # Mended: the line is another one now, so that what was decided about the old one says nothing about it.
    bad[1]["solution"] = "#### 7"
    bad[2]["solution"] = "still a few"
    lines(path, bad)
    assert {d.id for d in labels.audit(path).disputes} == {"c"}
    # A new dispute over a task whose old ones were settled is shown.
    first = next(iter(decisions.read(path).values()))
    decisions.write(path, {first.task: decisions.Ruling("a", "right", first.task, ())})
    assert {d.id for d in labels.audit(path).disputes} == {"a", "c"}


def test_what_was_decided_against_is_not_trained_on(tmp_path):
    listed = [{"prompt": f"{i} + 1 =", "answer": str(i + 1), "verifier": "number"} for i in range(6)]
    listed += [{"prompt": "Capital of Peru?", "answer": "Lima"}]
    path = lines(tmp_path / "tasks.jsonl", listed)
    before = offline.read_tasks(path, audited=True)
    assert len(before) == 7 and {line.task.verifier for line in before.values()} == {"number", "exact"}
    three, lima = [id for id, line in before.items() if line.task.answer in ("3", "Lima")]
    assert labels.audit(path).disputes == ()
    labels.decide(path, [f"{three}=drop", f"{lima}=wrong"])

    def answers() -> set[str | None]:
        source = jsonl(path)
        (arm,) = source.arms
        return {
            source.draw(arm, s, i, 0).answer for s in ("train", "validation", "test") for i in range(source.size(arm, s) or 0)
        }

    assert answers() == {"1", "2", "4", "5", "6"}
    labels.decide(path, [f"{lima}=right"])
    assert answers() == {"1", "2", "4", "5", "6", "Lima"}


def test_mistakes_in_a_decision(tmp_path):
    path = lines(tmp_path / "tasks.jsonl", SOUND)
    for text, said in (("a", "ID=right"), ("a=rihgt", "Did you mean 'right'"), ("zz=drop", "no task with the id 'zz'")):
        with pytest.raises(UserError, match=said):
            labels.decide(path, [text])
    assert not decisions.beside(path).exists()
    decisions.beside(path).write_text("{}\n")
    assert sharpen("audit", path).exit_code == 2
