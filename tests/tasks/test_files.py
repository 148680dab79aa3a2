"""Files as people have them: every format gives the same tasks, known shapes are named, and what cannot be used is told."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import math
import pickle
import re
import shutil
import sys
import zlib
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

import prefork
from sharpen import sandbox, tasks, verify
from sharpen.audit import labels, offline
from sharpen.cli.program import app
from sharpen.core import SPLITS, Arm, UserError
from sharpen.hashing import digest, question_key
from sharpen.loop import Request, build_recipe
from sharpen.recipe import opening
from sharpen.tasks import code_shapes, files, shapes
from sharpen.tasks.loading import parse_map
from sharpen.tasks.reading import answered, final

HERE = Path(__file__).parent / "shapes"
SHAPES = json.loads((HERE / "shapes.json").read_text(encoding="utf-8"))
SANDBOX = sandbox.probe()

OWN = [
    {
        "prompt": f"What is {i} + {i}, né?",
        "answer": str(2 * i),
        "family": "sums",
        "level": 1 + i % 2,
        "verifier": "number",
        "solution": f'It is "<answer>{2 * i}</answer>";\nnothing else.',
    }
    for i in range(40)
]


def lines(rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows, mark=",", mended="") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=mark)
    writer.writeheader()
    writer.writerows(rows)
    return (mended + text.getvalue()).encode()


def parquet(rows) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
    return sink.getvalue()


def written(tmp_path: Path, name: str, content: bytes) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def drawn(source) -> dict[str, str]:
    """{id: split} of every task."""
    found = {}
    for arm in source.arms:
        for split in SPLITS:
            found |= {source.draw(arm, split, i, 3).id: split for i in range(source.size(arm, split))}
    return found


FORMATS = {
    "sums.json": json.dumps(OWN, indent=2).encode(),
    "one-after-the-other.json": "\n".join(json.dumps(row, indent=1) for row in OWN).encode(),
    "within.json": json.dumps({"version": 1, "data": OWN}).encode(),
    "columns.json": json.dumps({name: {str(i): row[name] for i, row in enumerate(OWN)} for name in OWN[0]}).encode(),
    "lists.json": json.dumps({name: [row[name] for row in OWN] for name in OWN[0]}).encode(),
    "comma.csv": table(OWN),
    "mark-and-semicolons.csv": table(OWN, ";", "\ufeff"),
    "tabs.tsv": table(OWN, "\t"),
    "sums.parquet": parquet(OWN),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_every_format_gives_the_same_tasks_in_the_same_splits(tmp_path, packed):
    wanted = tasks.jsonl(written(tmp_path, "own.jsonl", lines(OWN)))
    assert len(drawn(wanted)) == 40
    for name, content in (FORMATS | {"own.ndjson": lines(OWN)}).items():
        path = written(tmp_path, f"{name}.gz" if packed else name, gzip.compress(content) if packed else content)
        source = tasks.parse_spec(str(path))
        assert drawn(source) == drawn(wanted), name
        assert source.draw(Arm("sums", 1), "train", 0, 1) == wanted.draw(Arm("sums", 1), "train", 0, 1), name


def test_a_saved_data_set_keeps_its_splits_and_gets_the_one_that_it_lacks():
    """As `datasets` saved it: 30 training and 10 test rows, no validation."""
    found = tasks.read_file(HERE / "saved")
    split = drawn(found.source)
    assert found.kind == "directory" and found.rows == 40 and sum(s == "test" for s in split.values()) == 10
    assert 0 < sum(s == "validation" for s in split.values()) < 10
    assert found.source.arms == (Arm("sums", 1), Arm("sums", 2))


def test_a_directory_of_files_that_are_named_after_splits(tmp_path):
    for name, rows in (
        ("train-00000-of-00002", OWN[:15]),
        ("train-00001-of-00002", OWN[15:30]),
        ("test-00000-of-00001", OWN[30:]),
    ):
        written(tmp_path, f"sums/data/{name}.parquet", parquet(rows))
    written(tmp_path, "sums/README.md", b"words")
    written(tmp_path, "sums/dataset_infos.json", b"{}")
    source = tasks.parse_spec(str(tmp_path / "sums"))
    split = drawn(source)
    assert len(split) == 40 and sum(s == "test" for s in split.values()) == 10


# Shapes


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "BFCL"])
def test_known_shapes_are_named_and_their_worked_solutions_are_right(tmp_path, name):
    rows = SHAPES[name]
    if name in ("HumanEval", "MBPP", "APPS", "LiveCodeBench") and SANDBOX.level != "full":
        pytest.skip(f"the sandbox is only {SANDBOX.level}")
    found = tasks.read_file(written(tmp_path, "file.jsonl", lines(rows)))
    assert found.shape == name and len(drawn(found.source)) == len(rows) - sum(n for n, _ in found.left_out.values()) >= 3
    for arm in found.source.arms:
        for split in SPLITS:
            task = found.source.draw(arm, split, 0, 0)
            assert task.answer is None or verify.verify(task, f"<answer>{task.answer}</answer>").correct
            assert task.solution is None or verify.verify(task, task.solution).correct, task.solution
            assert not verify.verify(task, "I do not know.").correct


CLOCK = {
    "name": "clock",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "zones": {"type": "array"}}},
}


def asked_for(city: str, arguments: object, **more) -> dict:
    """A conversation of OpenAI's that ends in a call."""
    call = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": arguments}}
    said = [
        {"role": "user", "content": f"What time is it in {city}?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    return {"messages": said, "tools": [{"type": "function", "function": CLOCK}]} | more


def test_a_conversation_that_ends_in_a_call_is_a_task_of_that_call(tmp_path):
    rows = [asked_for(city, json.dumps({"city": city, "zones": [1, 2]})) for city in ("Lima", "Oslo", "Rome")]
    rows[0] = asked_for("Lima", {"city": "Lima", "zones": [1, 2]})  # read already
    rows += [asked_for("Bonn", "{}", tools=None), asked_for("Kiel", "[1]"), asked_for("Ulm", "{")]
    found = tasks.read_file(written(tmp_path, "calls.jsonl", lines(rows)))
    assert found.shape == "OpenAI messages" and len(drawn(found.source)) == 3
    told = " ".join(found.left_out)
    assert "no column `tools`" in told and "arguments that are no object" in told and "is broken JSON" in told
    for split in SPLITS:
        task = found.source.draw(found.source.arms[0], split, 0, 0)
        city = task.prompt[-1]["content"].removeprefix("What time is it in ").removesuffix("?")
        right = {"name": "clock", "arguments": {"city": city, "zones": [1, 2]}}
        assert task.verifier == "tool_call" and [m["role"] for m in task.prompt] == ["user"]
        assert verify.verify(task, f"<tool_call>{json.dumps(right)}</tool_call>").correct
        right["arguments"]["zones"] = 1
        assert not verify.verify(task, f"<tool_call>{json.dumps(right)}</tool_call>").correct


def converted(name: str, row: int = 0) -> dict:
    columns = list(SHAPES[name][row])
    shape = shapes.recognised(columns, SHAPES[name])
    assert shape is not None
    return shape.convert(SHAPES[name][row])


def test_what_each_shape_becomes():
    """Worked out by hand of shapes.json."""
    assert converted("GSM8K", 2) == {
        "prompt": "Tom has 900 pens and buys 300 more. How many pens has he?",
        "answer": "1,200",
        "verifier": "math",
        "solution": "He has 900 + 300 = 1200 pens.\n#### 1,200",  # the notes to a calculator are gone
    }
    assert {k: converted("MATH", 1)[k] for k in ("answer", "family", "level")} == {
        "answer": "\\frac{3}{4}",
        "family": "Prealgebra",
        "level": 3,
    }
    assert converted("MMLU", 2)["answer"] == "C" and converted("MMLU", 2)["prompt"].endswith("B. Quito\nC. La Paz\nD. Nairobi")
    assert converted("ARC", 0)["answer"] == "A"  # whose label is "1"
    assert converted("verl")["family"] == "sums" and converted("verl")["answer"] == "2"
    assert [m["role"] for m in converted("ShareGPT")["prompt"]] == ["user", "assistant", "user"]
    assert converted("Alpaca")["prompt"] == "Name the opposite.\n\nhot"
    assert converted("LiveCodeBench", 0)["tests"] == [{"stdin": "3\n", "stdout": "9\n"}, {"stdin": "5\n", "stdout": "25\n"}]
    assert converted("LiveCodeBench", 2)["tests"] == [{"args": [[3, 1, 2]], "returns": 1}]
    assert converted("LiveCodeBench", 2)["function"] == {"name": "least"}
    assert converted("APPS", 2)["tests"][0] == {"args": [2], "returns": 4}
    assert converted("columns with telling names") == {"prompt": "7 times 3?", "answer": "21", "verifier": "math", "level": 2}


def test_calls_of_tools_keep_what_may_be_left_out_and_name_types_as_json_schema_does():
    line = converted("BFCL")
    assert line["verifier"] == "tool_call"
    assert line["answer"] == [{"name": "weather.get", "arguments": {"city": ["Lima"], "days": [1, ""]}}]
    (tool,) = line["tools"]
    assert tool["parameters"]["type"] == "object" and tool["parameters"]["properties"]["sizes"]["type"] == "array"
    assert tool["parameters"]["properties"]["sizes"]["items"] == {"type": "number"}
    assert line["prompt"][-1] == {"role": "user", "content": "What is the weather in Lima?"}


def test_the_answers_to_calls_of_tools_may_stand_in_a_file_of_their_own(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "ground_truth"} for row in SHAPES["BFCL"]]
    truths = [{"id": row["id"], "ground_truth": row["ground_truth"]} for row in reversed(SHAPES["BFCL"])]
    path = written(tmp_path, "BFCL_v3_simple.json", lines(rows))
    assert {type(line) for _, line in tasks.lines_of(path)} == {UserError}
    written(tmp_path, "possible_answer/BFCL_v3_simple.json", lines(truths))
    made = [line for _, line in tasks.lines_of(path)]
    assert [line["answer"] for line in made] == [converted("BFCL", i)["answer"] for i in range(3)]
    assert [line["answer"] for _, line in tasks.lines_of(path.parent)] == [line["answer"] for line in made]  # the folder


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        (72, {"answer": "72", "verifier": "math"}),
        (72.0, {"answer": "72", "verifier": "math"}),
        ("1,200", {"answer": "1,200", "verifier": "math"}),
        (["Lima", "lima, Peru"], {"answer": ["Lima", "lima, Peru"], "verifier": "choice"}),
        ("Lima", {"answer": "Lima", "verifier": "choice"}),
        *((day, {"answer": day, "verifier": "choice"}) for day in ("2020-01-02", "1914–1918", "555-1234", "1.2.2020")),
        ("3/4", {"answer": "3/4", "verifier": "math"}),
        ("\\frac{1}{2}", {"answer": "\\frac{1}{2}", "verifier": "math"}),
        ({"n": 3}, {"answer": '{"n": 3}', "verifier": "json"}),
        ("So it is \\boxed{7}.", {"answer": "7", "verifier": "math", "solution": "So it is \\boxed{7}."}),
        ("One. " * 30, {"answer": ("One. " * 30).strip(), "verifier": "exact"}),
    ],
)
def test_answers_of_all_kinds(cell, line):
    assert answered(cell) == line


@pytest.mark.parametrize(
    ("question", "answer", "verifier"),
    [
        ("Which?\nA) Lima\nB) Quito\nC) La Paz", "B", "multiple_choice"),
        ("Which two? (A) Lima (B) Quito (C) Rome", "A, B", "multiple_choice"),
        ("Which vitamin is in lemons? Think of A. and C.", "C", "choice"),  # no B: these are no choices
        ("Which?\nA) Lima\nB) Quito", "D", "choice"),
    ],
)
def test_letters_are_choices_where_the_question_lists_them(question, answer, verifier):
    shape = shapes.recognised(["question", "answer"], [])
    assert shape and shape.convert({"question": question, "answer": answer})["verifier"] == verifier


def test_a_heading_is_no_final_answer():
    assert final("It is 7.\n#### 7") == "7" and final("The answer is 12.") == "12" and final("Seven.") is None


def test_our_own_lines_take_numbers_lists_and_letters(tmp_path):
    rows = [
        {"prompt": "6 * 7?", "answer": 42, "verifier": "number", "split": "train"},
        {"prompt": "Capital?", "answer": ["Lima", "LIM"], "verifier": "choice", "split": "train"},
        {
            "prompt": "Which two?",
            "answer": ["A", "C"],
            "choices": ["x", "y", "z"],
            "verifier": "multiple_choice",
            "split": "train",
        },
        {"prompt": "As JSON?", "answer": {"n": [1]}, "verifier": "json", "split": "train"},
    ]
    source = tasks.jsonl(written(tmp_path, "own.jsonl", lines(rows)))
    found = {t.verifier: t for t in (source.draw(Arm("own", 1), "train", i, 0) for i in range(4))}
    for verifier, response in (("number", "42.0"), ("choice", "lim"), ("multiple_choice", "A and C"), ("json", '{"n": [1]}')):
        assert verify.verify(found[verifier], f"<answer>{response}</answer>").correct, verifier
    assert not verify.verify(found["multiple_choice"], "<answer>A</answer>").correct


# --map


NESTED = [
    {
        "q": {"text": f"Capital {i}?", "deep": [[i]]},
        "a": [f"town {i}", f"Town {i}!"],
        "blob": b"\0",
        "num": float(i) if i % 4 else math.nan,
    }
    for i in range(16)
]


def test_map_reaches_into_objects_and_leaves_out_what_is_no_number(tmp_path):
    path = written(tmp_path, "nested.parquet", parquet(NESTED))
    found = tasks.read_file(path, "prompt=q.text,answer=num,verifier=number")
    assert found.left_out == {"no answer": (4, "row 1: no answer")} and found.verifiers == {"number": 12}
    listed = tasks.read_file(path, "prompt=q.text, answer=a").source
    task = listed.draw(Arm("nested", 1), "train", 0, 0)
    assert len(drawn(listed)) == 16 and verify.verify(task, f"<answer>{task.data['accept'][0]}</answer>").correct


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ("prompt=q.text,answer=nun", "has no column 'nun'. Did you mean 'num'? Its columns: q, a, blob, num."),
        ("promt=q.text,answer=a", "there is no field 'promt'. Did you mean 'prompt'?"),
        ("prompt=q.text", "does not say the other. Map both."),
        ("prompt=q.text,answer=blob", "none of its 16 rows can be used: 16 × row 1: bytes where text is wanted"),
        ("prompt=q,answer=a", "none of its 16 rows can be used: 16 × row 1: the prompt is an object with text, deep"),
        ("prompt=q.text,answer=a,verifier=numbr", "Did you mean 'number'?"),
        ("prompt", "written FIELD=COLUMN"),
        ("prompt=q,prompt=a", "names prompt twice"),
    ],
)
def test_mistakes_in_map(tmp_path, mapping, says):
    with pytest.raises(UserError, match=re.escape(says)):
        tasks.read_file(written(tmp_path, "nested.parquet", parquet(NESTED)), mapping)


def test_a_split_by_another_name_is_never_trained_on_unnoticed(tmp_path):
    rows = [{"q": f"{i} + 1?", "a": i, "part": "Test" if i % 3 == 0 else "TRAIN"} for i in range(30)]
    found = tasks.read_file(written(tmp_path, "a.csv", table(rows)), "prompt=q,answer=a,split=part").source
    assert found.size(Arm("a", 1), "test") == 10
    rows = [{**row, "part": "holdout" if row["part"] == "Test" else "train"} for row in rows]
    odd = tasks.read_file(written(tmp_path, "b.csv", table(rows)), "prompt=q,answer=a,split=part")
    ((reason, (count, first)),) = odd.left_out.items()
    assert count == 10 and "'holdout' is none of train" in first and len(drawn(odd.source)) == 20


def test_map_is_a_setting_of_the_run_so_that_it_is_there_when_the_run_is_resumed(tmp_path):
    path = written(tmp_path, "odd.csv", table([{"frage": f"{i} + 1?", "lösung, kurz": i + 1} for i in range(20)], ";"))
    assert parse_map("prompt=frage,answer=lösung, kurz") == {"prompt": "frage", "answer": "lösung, kurz"}
    request = Request("grpo", ("tasks.map=prompt=frage,answer=lösung, kurz",), tasks=str(path))
    source = opening(build_recipe(request)).tasks()
    assert source.arms == (Arm("odd", 1),) and len(drawn(source)) == 20
    with pytest.raises(UserError, match="chain_sum names no file"):
        tasks.parse_spec("chain_sum", "prompt=frage")


# What cannot be used


def test_questions_that_occur_again_are_left_out_and_the_held_out_one_stays(tmp_path):
    rows = [{"question": f"What is {i}?", "answer": str(i)} for i in range(30)]
    again = [
        {"question": "what  IS 3?", "answer": "3"},
        {"question": "What is 4?", "answer": "5"},
        {"question": "", "answer": "1"},
    ]
    found = tasks.read_file(written(tmp_path, "qa.csv", table(rows + again)))
    told = {reason: count for reason, (count, _) in found.left_out.items()}
    assert told == {"the same question again": 1, "the same question again, with another answer": 1, "no prompt": 1}
    assert len(drawn(found.source)) == 30 and any("3 of 33 rows left out" in note for note in found.source.notes)
    written(tmp_path, "both/train.jsonl", lines([{**r, "verifier": "number", "prompt": r["question"]} for r in rows]))
    written(
        tmp_path,
        "both/test.jsonl",
        lines([{"prompt": r["question"], "answer": r["answer"], "verifier": "number"} for r in rows[:10]]),
    )
    source = tasks.parse_spec(str(tmp_path / "both"))
    assert source.size(Arm("both", 1), "test") == 10 and sum(source.size(Arm("both", 1), s) for s in SPLITS) == 30


def test_fifty_columns_and_no_obvious_prompt(tmp_path):
    rows = [{f"c{i}": math.nan if i % 3 else [[1, 2], [3]] for i in range(49)} | {"blob": b"\0\xff"} for _ in range(5)]
    with pytest.raises(UserError, match=r"nothing says which column is the prompt.*--map prompt=c0,answer=.*c0, c1, c2"):
        tasks.read_file(written(tmp_path, "odd.parquet", parquet(rows)))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", json.dumps(OWN).encode()[:-30], "row 40: broken JSON: .* cut off"),
        ("a.json", b"", "holds no tasks"),
        ("a.json", b"[" * 100_000, "nested too deeply|broken JSON"),
        ("a.csv", "question,answer\ncafé?,1\n".encode("latin-1"), "not UTF-8, at .question,answer caf"),
        ("a.csv", b"question,answer\na,b,c\n", "line 2: 3 cells, and the first line names 2 columns"),
        ("a.csv", b'question,answer\na,b\n"c,d\ne,f\n', "line 3: a quote is opened and never closed"),
        ("a.jsonl", b'{"prompt": "a", "answer": "1", "answer": "2"}', "line 1: broken JSON: the name 'answer' stands twice"),
        ("a.json", b'[{"prompt": "a", "answer": {"b": 1, "b": 1}}]', "row 1: broken JSON: the name 'b' stands twice"),
        (
            "a.jsonl",
            b'{"prompt": "a", "answer": "1"\n{"prompt": "b", "answer": "2"}',
            "line 1: broken JSON: Expecting ',' .* where it ends",
        ),
        (
            "a.jsonl",
            b'{"prompt": "a" "answer": "1"}',
            "line 1: broken JSON: Expecting ',' delimiter before '\"answer\": \"1\"}'",
        ),
        ("a.csv", b"the question,the result\n1 + 1?,2\n", r"--map prompt='the question',answer=…"),
        ("a.jsonl", b'{"prompt": "a", "answer": 1e999}', "line 1: broken JSON: 1e999 is no JSON; write it as text"),
        ("a.jsonl", b'{"prompt": "a", "answer": ' + b"9" * 5000 + b"}", "a number of thousands of digits; write it as text"),
        ("a.csv", b"question,question\na,b\n", "two columns are called 'question'"),
        ("a.csv", b"prompt,answer,familly\na,b,c\n", "Did you mean 'family'"),
        ("a.parquet", b"PAR1 is no table PAR1", "cannot be read"),
        ("a.jsonl.gz", lines(OWN), "compression is broken"),
        ("a.jsonl.gz", gzip.compress(lines(OWN))[:-40], "compression is broken"),
        ("a.pkl", pickle.dumps(OWN), "may hold code that runs as it is read"),
        ("a.xlsx", b"PK", "save it as CSV"),
        ("a.zip", b"PK", "unpack it"),
        ("set/set.py", b"raise SystemExit", "no code of a data set is run"),
        ("set/one/a.csv", table(OWN), "holds several data sets: one"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, says):
    path = written(tmp_path, name, content)
    with pytest.raises(UserError, match=says):
        tasks.parse_spec(str(path if path.parent == tmp_path else tmp_path / "set"))


def test_without_pyarrow_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    path = written(tmp_path, "a.parquet", parquet(OWN))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=re.escape('pip install "sharpen[data]"')):
        tasks.read_file(path)


class Attack:
    def __reduce__(self):
        return (Path.touch, (Path("attacked"),))


def test_hidden_tests_in_a_pickle_are_read_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def packed(value) -> str:
        return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()

    cases = [{"input": "1\n", "output": "1\n" * 300, "testtype": "stdin"}]
    assert code_shapes.unpacked(packed(json.dumps(cases))) == cases
    for attack in (Attack(), [json.dumps(cases), Attack()], [json.dumps(cases)], {"a": "b"}):
        with pytest.raises(UserError, match="more than one text"):
            code_shapes.unpacked(packed(attack))
    with pytest.raises(UserError, match="cannot be read"):
        code_shapes.unpacked("e30")
    assert not Path("attacked").exists()


# Many rows


def test_lines_of_a_large_file_stay_on_disk_and_are_the_same_tasks(tmp_path):
    path = written(tmp_path, "own.jsonl", b"\n" + lines(OWN))
    small, large = tasks.read_file(path).source, tasks.read_file(path, large=0).source
    assert drawn(small) == drawn(large) and len(drawn(large)) == 40
    assert all(small.draw(Arm("sums", 2), "train", i, 5) == large.draw(Arm("sums", 2), "train", i, 5) for i in range(40))
    again = tasks.read_file(path, large=0).source
    path.write_bytes(lines(OWN[::-1])[1:])
    with pytest.raises(UserError, match="was changed while it was in use"):
        again.draw(Arm("sums", 2), "train", 0, 0)
    assert small.draw(Arm("sums", 2), "train", 0, 9).answer


READS = """import sys, tracemalloc; from pathlib import Path; from sharpen import tasks; from sharpen.core import SPLITS, Arm
few, every = map(Path, sys.argv[1:])
tasks.read_file(few)  # imports
tracemalloc.start()
source = tasks.read_file(every).source
peak = tracemalloc.get_traced_memory()[1]
print(sum(source.size(Arm(every.stem, 1), split) for split in SPLITS), peak)"""


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_memory_does_not_grow_with_what_rows_hold(kind, tmp_path):
    """4,000 rows of 3 kB each: 12 MB of text, and a few MB of memory; in a process of its own."""
    rows = [{"question": f"What is {i}?", "answer": "Let us think. " * 200 + f"\n#### {i}"} for i in range(4000)]
    few, all_ = (written(tmp_path, f"{len(r)}.{kind}", (lines if kind == "jsonl" else parquet)(r)) for r in (rows[:9], rows))
    script = written(tmp_path, "reads.py", READS.encode())
    count, peak = map(int, prefork.run(script, str(few), str(all_)).split())
    assert count == 4000 and peak < 6 * 2**20


# Commands


def test_tasks_says_what_was_understood(tmp_path):
    rows = [
        *SHAPES["open-instruct"],
        *({"messages": [{"role": "user", "content": f"{i}?"}], "ground_truth": "1", "dataset": "MATH"} for i in range(20)),
    ]
    path = written(tmp_path, "mix.jsonl", lines(rows))
    result = CliRunner().invoke(app, ["tasks", str(path)])
    assert result.exit_code == 0
    said = result.stdout
    assert "mix.jsonl: open-instruct, read as jsonl" in said and "answer    ground_truth" in said
    assert "rows      24, of which 23 are tasks" in said and "left out  1 × rows of ifeval" in said
    assert re.search(r"split     train \d+, validation \d+, test \d+", said) and said.count("── ") == 10
    assert CliRunner().invoke(app, ["tasks", str(path), "-n", "1"]).stdout.count("── ") == 2


def test_files_of_other_shapes_are_verified_and_audited_and_decisions_hold(tmp_path):
    path = written(
        tmp_path, "gsm.jsonl", lines(SHAPES["GSM8K"] + [{"question": f"{i}?", "answer": f"#### {i}"} for i in range(9)])
    )
    found = offline.read_tasks(path)
    assert list(found) == [str(i) for i in range(1, 13)] and found["3"].task.answer == "1,200"
    assert offline.read_tasks(written(tmp_path, "h.jsonl", lines(SHAPES["ARC"])))["a1"].task.answer == "B"
    odd = written(tmp_path, "odd.csv", table([{"frage": f"{i} + 1?", "gold": i + 1, "id": f"n{i}"} for i in range(9)], ";"))
    assert offline.read_tasks(odd, map="prompt=frage,answer=gold")["n3"].task.answer == "4"
    assert labels.audit(path, 1).disputes == ()
    labels.decide(path, ["5=drop"])
    assert len(drawn(tasks.read_file(path).source)) == 11 and labels.audit(path, 1).tasks == 11


def test_text_of_a_file_cannot_steer_the_terminal(tmp_path):
    path = written(tmp_path, "a.csv", table([{"question": f"\x1b[2J{i}", "answer": i, "level": 1} for i in range(9)]))
    own = written(tmp_path, "b.jsonl", lines([{"prompt": f"{i}?", "answer": i, "family": "f\x1b[2J"} for i in range(9)]))
    for file in (path, own):
        assert "\x1b" not in CliRunner().invoke(app, ["tasks", str(file)]).stdout


def test_a_copy_of_a_data_set_is_the_same(tmp_path):
    """Nothing depends on the place or the time of a file, but its name is the family of tasks that have none."""
    shutil.copytree(HERE / "saved", tmp_path / "elsewhere")
    assert drawn(tasks.parse_spec(str(tmp_path / "elsewhere"))) == drawn(tasks.parse_spec(str(HERE / "saved")))


def test_a_question_has_the_key_that_it_always_had():
    """Splits and resumed runs depend on it: the JSON of the messages, each run of spaces as one, blind to case."""
    text = 'Wie viel\tist  2\u00a0+ 3, né?\n \u2028 ☃ "x" İ'
    for prompt in (
        [{"role": "user", "content": text}],
        [{"content": text, "role": "user"}],
        [{"role": "user", "content": text, "name": "x"}],
        [{"role": "system", "content": "s"}, {"role": "user", "content": text}],
        [{"role": "user", "content": [{"type": "text", "text": text}]}],
    ):
        written = re.sub(r"\s+", " ", json.dumps(prompt, ensure_ascii=False)).strip().lower()
        assert question_key(prompt) == digest(written)


LINES = (
    {"prompt": "2 + 3", "answer": "5"},
    {
        "prompt": "2 + 3",
        "answer": "5",
        "verifier": "math",
        "family": "sums",
        "level": 2,
        "split": "test",
        "solution": "It is 5.",
    },
    {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 3"}],
        "answer": "x + 1",
        "id": "a",
    },
    {"prompt": "Factor 12.", "answer": "2 2 3", "verifier": "numbers"},
    {"prompt": "2 + 3", "answer": 5},
    {"prompt": "2 + 3", "answer": ["5", "five"]},
    {"prompt": "2 + 3", "answer": "5", "accept": ["five"]},
    {"prompt": "A or B?", "answer": "A", "verifier": "multiple_choice", "choices": ["x", "y"]},
    {"prompt": [{"role": "user", "content": [{"type": "text", "text": "2 + 3"}]}], "answer": "5"},
    {"prompt": " ", "answer": "5"},
    {"prompt": [{"role": "user"}], "answer": "5"},
    {"prompt": "2 + 3", "answer": " "},
    {"prompt": "2 + 3", "answer": "5", "level": True},
    {"prompt": "2 + 3", "answer": "5", "level": -1},
    {"prompt": "2 + 3", "answer": "5", "split": None},
    {"prompt": "2 + 3", "answer": "5", "split": "dev"},
    {"prompt": "2 + 3", "answer": "5", "family": " "},
    {"prompt": "2 + 3", "answer": "5", "solution": 5},
    {"prompt": "2 + 3", "answer": "5", "verifier": ["math"]},
    {"prompt": "2 + 3", "answer": "5", "verifier": "maths"},
    {"prompt": "2 + 3", "answer": "5", "verifer": "math"},
    {"prompt": "2 + 3"},
    "2 + 3 = 5",
)


def test_a_line_that_is_read_at_sight_is_the_task_that_is_made_of_it():
    def read(record):
        try:
            task, has_split = files.made(record, "file", "line 1", lambda prompt: "train")
        except UserError as e:
            return str(e)
        said = task.split if has_split else None
        return None if task.data else (task.prompt, task.answer, task.family, task.level, said, task.verifier)

    def seen(record):
        try:
            return files.at_sight(record, "file", "line 1")
        except UserError as e:
            return str(e)

    assert [seen(line) for line in LINES[:4]] == [read(line) for line in LINES[:4]]
    assert not [line for line in LINES[4:] if seen(line) not in (None, read(line))]


def test_a_column_of_objects_says_how_one_of_their_fields_is_named(tmp_path):
    path = written(tmp_path, "a.jsonl", lines([{"question": {"text": f"{i}?"}, "answer": i} for i in range(9)]))
    with pytest.raises(UserError, match="an object with text; --map names one of these as COLUMN.text"):
        tasks.parse_spec(str(path))
    assert tasks.read_file(path, "prompt=question.text,answer=answer").rows == 9
