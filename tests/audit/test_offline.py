"""sharpen verify: responses are judged in order, the rule that found each final answer is told, and none is judged twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sharpen import sandbox
from sharpen import verify as verifiers
from sharpen.audit import offline
from sharpen.audit.cache import VerdictCache, cache_directory
from sharpen.cli import program
from sharpen.core import Task, UserError
from sharpen.tasks import files

KEYS = ["id", "outcome", "reward", "parts", "feedback", "rule", "isolation", "seconds"]
CODE = {"id": "b", "verifier": "code_io", "language": "python", "tests": [{"stdin": "2\n", "stdout": "4\n"}], "time_limit_s": 2}
TASKS = [
    {"id": "a", "verifier": "math", "answer": "1/2"},
    {"id": "c", "verifier": "exact", "answer": "Lima"},
    {"id": "d", "verifier": "multiple_choice", "answer": "B", "choices": ["Quito", "Lima", "La Paz"]},
    {"id": "e", "verifier": "json", "answer": {"a": [1, 2]}, "schema": {"type": "object"}},
    {"id": "f", "verifier": "rubric", "rubric": [{"kind": "contains", "value": "thanks"}, {"kind": "max_words", "value": 5}]},
    {"id": "g", "verifier": "reasoning_gym", "answer": "12", "metadata": {"source_dataset": "chain_sum"}},
    {"id": "h", "verifier": "reasoning_gym", "answer": "twelve"},
    {"id": 9, "verifier": "number", "answer": 7},
]
# (id, response, outcome, beginning of the rule)
RESPONSES = [
    ("a", "So x is \\boxed{0.5}.", "correct", "box"),
    ("a", "I get 0.25", "wrong", "last expression"),
    ("a", "First 3, then 4.\nThe answer is 1/2.", "correct", "marker"),
    ("a", "#### 2/4", "correct", "marker"),
    ("c", "The answer is **Lima**.", "correct", "marker"),
    ("c", "It was founded in 1535.\nLima", "correct", "last line"),
    ("c", "<answer>Lima</answer>", "correct", "tag"),
    ("c", "Quito, or Lima", "wrong", "whole"),
    ("d", "The answer is (B).", "correct", "marker"),
    ("d", "Lima", "correct", "whole"),
    ("d", "Quito", "wrong", "whole"),
    ("e", 'Here:\n```json\n{"a": [1, 2.0]}\n```', "correct", "fence"),
    ("e", '{"a": [2, 1]}', "wrong", "whole"),
    ("e", "{", "malformed", "whole"),
    ("f", "no thanks", "correct", "rubric"),
    ("f", "one two three four five six", "wrong", "rubric"),
    ("g", "5 + 7 = 12", "correct", "whole"),
    ("g", "12.5", "wrong", "whole"),
    ("h", "A: twelve", "correct", "marker"),
    (9, "it is 7.0", "correct", "last expression"),
    (9, "", "malformed", "none"),
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def lines(path: Path, records: list) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def sharpen(*argv: str | Path) -> Result:
    return CliRunner().invoke(program.app, [str(a) for a in argv])


def verify(*argv: str | Path) -> list[dict]:
    result = sharpen("verify", *argv, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_one_line_for_each_response_in_order(tmp_path):
    tasks = lines(tmp_path / "tasks.jsonl", TASKS)
    responses = lines(tmp_path / "responses.jsonl", [{"id": id, "response": text} for id, text, *_ in RESPONSES])
    rows = verify(tasks, responses, "--jobs", "2")
    assert [list(row) for row in rows] == [KEYS] * len(RESPONSES)
    found = [(row["id"], text, row["outcome"], row["rule"]) for row, (_, text, *_) in zip(rows, RESPONSES, strict=True)]
    for (id, text, outcome, rule), (wanted_id, _, wanted, wanted_rule) in zip(found, RESPONSES, strict=True):
        assert (id, outcome) == (wanted_id, wanted) and rule.startswith(wanted_rule), (text, outcome, rule)
    assert all((row["reward"] == 1) == (row["outcome"] == "correct") for row in rows)
    table = sharpen("verify", tasks, responses)
    assert table.exit_code == 0 and "multiple_choice\t3\t2" in table.stdout


@pytest.mark.skipif(sandbox.probe().level != "full", reason="needs the whole sandbox")
def test_code_is_taken_from_the_last_fence_and_run(tmp_path):
    tasks = lines(tmp_path / "tasks.jsonl", [CODE])
    programs = {
        "Sure:\n```python\nprint(5)\n```\nNo:\n```python\nprint(int(input()) * 2)\n```\nDone": "correct",
        "print(4)": "correct",
        "print(5)": "wrong",
        "raise SystemExit(3)": "crash",
        "while True: pass": "timeout",
        "print(": "malformed",
    }
    rows = verify(tasks, lines(tmp_path / "r.jsonl", [{"id": "b", "response": text} for text in programs]))
    assert [row["outcome"] for row in rows] == list(programs.values())
    assert {row["isolation"] for row in rows} == {"full"} and rows[0]["rule"].endswith("last fenced block")
    assert rows[4]["reward"] == 0 and rows[4]["seconds"] >= 2


def test_the_same_file_again_gives_the_same_lines_without_judging(tmp_path):
    tasks, path = lines(tmp_path / "tasks.jsonl", TASKS), tmp_path / "responses.jsonl"
    responses = lines(path, [{"id": id, "response": text} for id, text, *_ in RESPONSES * 2])  # and each of them twice
    first = sharpen("verify", tasks, responses, "--json").stdout
    assert sharpen("verify", tasks, responses, "--json").stdout == first
    found = offline.read_tasks(tasks)
    with VerdictCache(cache_directory()) as cache:  # one process that could never judge: no function is called
        again = list(offline.judge_file(found, path, -1, cache))
    assert [json.dumps(row) for row in again] == first.splitlines()


def test_a_verdict_is_kept_for_exactly_what_it_depends_on(tmp_path):
    responses = lines(tmp_path / "r.jsonl", [{"id": "a", "response": "8"}])

    def outcome(**task: object) -> str:
        (row,) = verify(lines(tmp_path / "t.jsonl", [{"id": "a", "verifier": "number", "answer": "7", **task}]), responses)
        return row["outcome"]

    assert [outcome(), outcome(answer="8"), outcome(), outcome(answer="8", verifier="exact")] == [
        "wrong",
        "correct",
        "wrong",
        "correct",
    ]
    kept = next((tmp_path / "cache").rglob("verdicts.db"))
    assert kept.exists()
    result = sharpen("verify", tmp_path / "t.jsonl", responses, "--json", "--no-cache")
    assert json.loads(result.stdout)["outcome"] == "correct"


def test_without_a_cache_directory_it_works_and_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    tasks = lines(tmp_path / "tasks.jsonl", TASKS)
    result = sharpen("verify", tasks, lines(tmp_path / "r.jsonl", [{"id": "c", "response": "Lima"}]), "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["outcome"] == "correct"
    assert "Verdicts are not kept" in result.stderr


def test_killed_it_goes_on_where_it_was(tmp_path):
    """What was judged before a SIGKILL is not judged again, and the lines are those of an undisturbed run."""
    tasks = lines(tmp_path / "t.jsonl", [{"id": "a", "verifier": "number", "answer": "7"}])
    responses = lines(tmp_path / "r.jsonl", [{"id": "a", "response": str(i)} for i in range(6_000)])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", "from sharpen.cli import main; main()", "verify", str(tasks), str(responses), "--json"]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    assert killed.stdout and all(killed.stdout.readline() for _ in range(500))
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=900)
    with VerdictCache(cache_directory()) as cache:
        kept = cache._db.execute("SELECT count(*) FROM verdicts").fetchone()[0]  # type: ignore[union-attr]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=900)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["outcome"] for row in rows] == ["correct" if i == 7 else "wrong" for i in range(6_000)]
    assert 400 <= kept < 6_000


@pytest.mark.parametrize(
    ("tasks", "responses", "said"),
    [
        ([], [], ["holds no tasks"]),
        (["{"], [], ["line 1: broken JSON"]),
        ([{"id": "a", "verifier": "maths", "answer": "1"}], [], ["line 1: there is no verifier 'maths'. Did you mean 'math'?"]),
        ([{"id": "", "verifier": "math", "answer": "1"}], [], ["line 1: 'id' is empty"]),
        ([{"verifier": "math", "answer": "1"}], [{"id": 2, "response": "1"}], ["no task with the id '2'"]),
        ([{"id": "a", "verifier": "math"}], [], ["line 1: the verifier math needs an 'answer'"]),
        ([{"id": "a", "verifier": "math", "answer": "1"}] * 2, [], ["line 2: the id 'a' is that of line 1 too"]),
        ([{"id": "a", "verifier": "code_io", "language": "python"}], [], ["line 1: 'tests'"]),
        ([{**CODE, "language": "pyton"}], [], ["line 1:", "Did you mean 'python'?"]),
        ([{**CODE, "time_limit": 3}], [], ["line 1: there is no field 'time_limit'. Did you mean 'time_limit_s'?"]),
        ([{"id": "a", "verifier": "rubric", "rubric": [{"kind": "has"}]}], [], ["line 1: item 1 of the rubric"]),
        ([{"id": "a", "verifier": "json"}], [], ["line 1:", "'schema'"]),
        ([{"id": "a", "verifier": "gym", "answer": "1", "family": "chain_smu"}], [], ["line 1:", "'chain_sum'"]),
        ([{"id": "a", "verifier": "gym", "answer": "1", "family": "codeio"}], [], ["line 1:", "not used"]),
        (
            TASKS,
            ["[]", {"id": "a"}, {"id": "x", "response": ""}, {"id": "a", "response": 3}],
            [f"line {n}:" for n in (1, 2, 3, 4)],
        ),
        (TASKS, [], ["r.jsonl holds no responses"]),
        (TASKS, [{"id": "x", "response": ""}] * 50, ["line 1:", "line 10:", "the first 10"]),
    ],
)
def test_mistakes_are_told_with_file_and_line_before_anything_is_judged(tmp_path, tasks, responses, said):
    result = sharpen("verify", lines(tmp_path / "t.jsonl", tasks), lines(tmp_path / "r.jsonl", responses), "--json")
    assert result.exit_code == 2 and result.stdout == "" and "Traceback" not in result.stderr, result.output
    assert all(words in result.stderr for words in said), result.stderr
    assert "line 11" not in result.stderr


def test_a_file_that_is_trained_on_is_judged_as_it_stands(tmp_path):
    """A line without an id goes by its number, and one without a verifier is judged as in a run."""
    tasks = [{"prompt": "2 + 3?", "answer": 5, "verifier": "number"}, {"prompt": "Peru?", "answer": ["Lima", "LIM"]}]
    made = lines(tmp_path / "tasks.jsonl", [*tasks, {"id": "own", "prompt": "Kenya?", "answer": "Nairobi"}])
    said = [(1, "It is 5."), ("2", "LIM"), (2, "lima"), ("own", "Nairobi")]
    rows = verify(made, lines(tmp_path / "responses.jsonl", [{"id": id, "response": text} for id, text in said]))
    assert [(row["id"], row["outcome"]) for row in rows] == [(1, "correct"), ("2", "correct"), (2, "wrong"), ("own", "correct")]
    for line, record in zip(offline.read_tasks(made).values(), tasks):
        trained, _ = files.task_of(record, "f", "the line")
        assert (line.task.answer, line.task.verifier, line.task.data) == (trained.answer, trained.verifier, trained.data)


def test_a_judge_that_nobody_named_is_a_mistake_not_a_verdict(tmp_path, monkeypatch):
    monkeypatch.delenv("SHARPEN_JUDGE_URL", raising=False)
    tasks = lines(tmp_path / "t.jsonl", [{"id": "a", "verifier": "judge", "answer": "1"}])
    result = sharpen("verify", tasks, lines(tmp_path / "r.jsonl", [{"id": "a", "response": "1"}]), "--json")
    assert result.exit_code == 2 and "SHARPEN_JUDGE_URL" in result.stderr and result.stdout == ""


def test_responses_are_streamed(tmp_path):
    """At most a window of them is in memory: the first verdicts are given before the last lines are read."""
    tasks = offline.read_tasks(lines(tmp_path / "t.jsonl", [{"id": "a", "verifier": "number", "answer": "7"}]))
    most = offline.WINDOW[0]
    path = lines(tmp_path / "r.jsonl", [{"id": "a", "response": "7"}] * (most + 1) + ["broken"])
    with VerdictCache(None) as cache:
        rows = offline.judge_file(tasks, path, 1, cache)
        assert next(rows)["outcome"] == "correct"
        with pytest.raises(UserError, match="broken JSON"):
            list(rows)


def test_a_final_answer_of_words_is_no_number():
    def found(answer: str, response: str) -> tuple[str, str]:
        return verifiers.final_answer(Task((), answer, "", 1, verifier="exact"), response)

    assert found("7", "There were 3, then 7 of them") == ("7", "last expression")
    assert found("Lima", "There were 3.\n\n**Lima.**") == ("Lima", "last line")
    assert found("_x_", "So:\n_x_") == ("_x_", "last line")
    assert found("12", "3 * 4 = 12") == ("12", "whole")
