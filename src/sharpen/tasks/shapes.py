"""Known shapes of other people's files: by which columns each is recognised, and how its rows become lines of ours.

A shape is a name, the columns that it is recognised by, what each field is made of, in words, and a function from a row to a
line as files.py reads it. The first that fits counts: special ones stand before general ones.
Sources of the layouts: the data sets' own pages and loaders (openai/gsm8k, hendrycks/MATH, openai/human-eval, google/mbpp,
codeparrot/apps, LiveCodeBench, volcengine/verl, huggingface/trl, allenai/open-instruct, ShishirPatil/gorilla, cais/mmlu,
TIGER-Lab/MMLU-Pro, allenai/arc, tatsu-lab/alpaca, lm-sys/FastChat for ShareGPT, OpenAI's fine-tuning guide).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sharpen.core import UserError, suggest
from sharpen.tasks import code_shapes
from sharpen.tasks.files import FIELDS, MORE
from sharpen.tasks.formats import SPLIT_WORDS
from sharpen.tasks.reading import (
    CALCULATOR,
    OWN_FIELDS,
    Line,
    Record,
    Shape,
    answered,
    calls_at_end,
    chosen,
    family_of,
    final,
    lettered,
    level_of,
    listed_choices,
    loaded,
    plain,
    text_of,
    turns,
    turns_of,
    worked,
)
from sharpen.verify import VERIFIERS
from sharpen.verify.code import FIELDS as IN_CODE

# Mathematics


def gsm8k(row: Record) -> Line:
    solution = text_of(row["answer"], "answer")
    _, mark, answer = solution.rpartition("####")
    if not mark or not answer.strip():
        raise UserError("no #### before an answer")
    worked = CALCULATOR.sub("", solution).strip()
    return {"prompt": text_of(row["question"], "question"), "answer": answer.strip(), "verifier": "math", "solution": worked}


def competition(row: Record) -> Line:
    """MATH, and whatever has a problem and a solution that ends in a box."""
    solution = text_of(row["solution"], "solution") if row.get("solution") else None
    answer = text_of(row["answer"], "answer").strip() if row.get("answer") else final(solution or "")
    if not answer:
        raise UserError("no \\boxed answer in the solution")
    line: Line = {"prompt": text_of(row["problem"], "problem"), "answer": answer, "verifier": "math"}
    topic = row.get("type", row.get("subject"))
    line |= {"family": family_of(topic, "")} if isinstance(topic, str) else {}
    line |= {"level": level_of(row["level"])} if row.get("level") is not None else {}
    return line | ({"solution": solution} if solution else {})


def boxed(sample: Sequence[Record]) -> bool:
    return any("\\boxed" in str(row.get("solution")) or row.get("answer") for row in sample)


def hashed(sample: Sequence[Record]) -> bool:
    return sum("####" in str(row.get("answer")) for row in sample) * 2 > len(sample)


# Choices


def mmlu(row: Record) -> Line:
    letters = "ABCDEFGHIJ"
    choices = row.get("choices", row.get("options"))
    choices = [row[letter] for letter in letters if row.get(letter) is not None] if choices is None else choices
    choices = loaded_list(choices)
    answer = next((row[name] for name in ("answerKey", "answer", "answer_index") if row.get(name) is not None), None)
    if isinstance(choices, Mapping) and answer in (labels := choices.get("label") or []):
        answer, choices = labels.index(answer), choices["text"]  # ARC's labels are letters, or 1 to 4
    question, choices = listed_choices(text_of(row["question"], "question"), choices)
    line: Line = {"prompt": question, "choices": choices, "answer": chosen(answer, choices), "verifier": "multiple_choice"}
    topic = row.get("subject") or row.get("category")
    if isinstance(row.get("cot_content"), str) and row["cot_content"].strip():
        line["solution"] = row["cot_content"].removeprefix("A:").strip()
    return line | ({"family": family_of(topic, "")} if isinstance(topic, str) else {})


def loaded_list(choices: Any) -> Any:
    """Choices that a .csv holds as a list in JSON."""
    return loaded(choices, "list of choices") if isinstance(choices, str) else choices


# Conversations


def conversation(row: Record) -> Line:
    """The last answer is the worked solution; what is right is the answer that it marks, or else the whole of it. Where it is
    calls of tools, those are right."""
    said = loaded(row["messages"] if "messages" in row else row["conversations"], "conversation")
    calls = calls_at_end(said)
    prompt, answer = turns_of(said[:-1] if calls else said)
    if isinstance(row.get("system"), str) and row["system"].strip() and prompt[0]["role"] != "system":
        prompt = [{"role": "system", "content": row["system"]}, *prompt]
    if not calls:
        return {"prompt": prompt, **worked(answer)}
    if not row.get("tools"):
        raise UserError("a call of a tool, and no column `tools` that says which there are")
    return {"prompt": prompt, "tools": loaded(row["tools"], "tools"), "answer": calls, "verifier": "tool_call"}


def alpaca(row: Record) -> Line:
    more = row.get("input")
    prompt = text_of(row["instruction"], "instruction")
    prompt += f"\n\n{more}" if isinstance(more, str) and more.strip() else ""
    return {"prompt": prompt, **worked(text_of(row["output"], "output"))}


def completion(row: Record) -> Line:
    """TRL: a prompt with its completion, or with an answer that was chosen over another; both as text or as messages."""
    said = row["completion"] if row.get("completion") is not None else row["chosen"]
    if isinstance(said, list):
        before = row.get("prompt") or []
        before = [{"role": "user", "content": before}] if isinstance(before, str) else before
        prompt, answer = turns([*before, *said])
        return {"prompt": prompt, **worked(answer)}
    return {"prompt": asked(row.get("prompt")), **worked(text_of(said, "completion"))}


def asked(value: Any) -> Any:
    """A prompt: text, or messages of which the last is to be answered."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        value = loaded(value, "prompt")
    return turns(value)[0] if isinstance(value, list) else text_of(value, "prompt")


# Trainers' own


def verl(row: Record) -> Line:
    """What is right is reward_model.ground_truth; data_source says of which kind it is."""
    reward, extra = loaded(row["reward_model"], "reward_model"), row.get("extra_info")
    truth = reward.get("ground_truth") if isinstance(reward, Mapping) else None
    truth = truth.get("target", truth) if isinstance(truth, Mapping) else truth
    line: Line = {"prompt": asked(row["prompt"]), "family": family_of(str(row.get("data_source") or "").rpartition("/")[2], "")}
    if (tests := code_shapes.inputs_and_outputs(truth)) is not None:
        return line | tests
    line = lettered(line | answered(truth, verifier="math" if row.get("ability") == "math" else ""))
    extra = extra if isinstance(extra, Mapping) else {}
    shown = next((extra[k] for k in ("answer", "solution") if isinstance(extra.get(k), str) and len(extra[k]) > SHORT), None)
    return line | ({"solution": CALCULATOR.sub("", shown)} if shown else {})


SHORT = 40  # characters: a longer `extra_info.answer` is a worked solution
UNREADABLE = re.compile(r"if(?:eval|bench)|code|quality|reasoning_gym", re.IGNORECASE)


def open_instruct(row: Record) -> Line:
    names = row["dataset"] if isinstance(row["dataset"], list) else [row["dataset"]]
    truth = row["ground_truth"]
    if name := next((name for name in names if UNREADABLE.match(str(name))), None):
        raise UserError(f"rows of {name} are checked by a program of open-instruct's own")
    maths = str(names[0]).lower() in ("gsm8k", "math")
    prompt, answer = turns(row["messages"])
    line = {"prompt": prompt, "family": family_of(str(names[0]), ""), **answered(truth, "math" if maths else "")}
    return line | ({"solution": answer} if answer and "solution" not in line else {})


# Tools

TYPES = {"dict": "object", "float": "number", "tuple": "array", "list": "array", "int": "integer", "bool": "boolean"}
TYPES |= {"str": "string"} | {name: name for name in ("object", "number", "array", "integer", "boolean", "string")}


def bfcl(row: Record) -> Line:
    """The tools are shown as the model's chat template shows tools. Of each expected call every argument has a list of values
    that will do; "" in it means that the argument may be left out."""
    question, tools = loaded(row["question"], "question"), loaded(row["function"], "function")
    nested = isinstance(question, list) and question and isinstance(question[0], list)
    if nested and len(question) > 1:
        raise UserError("several turns, in which tools answer")
    messages = question[0] if nested else question
    prompt = turns(messages)[0] if isinstance(messages, list) else [{"role": "user", "content": text_of(question, "question")}]
    tools = [as_schema(tool) for tool in (tools if isinstance(tools, list) else [tools])]
    calls = loaded(row["ground_truth"], "ground truth") if row.get("ground_truth") is not None else None
    if calls is None and "irrelevance" not in str(row.get("id")):
        raise UserError("no ground truth: it stands in possible_answer/, in a file of the same name")
    expected = [
        {"name": name, "arguments": arguments}
        for call in calls or []
        for name, arguments in (call.items() if isinstance(call, Mapping) else [])
    ]
    if len(expected) != len(calls or []):
        raise UserError("a ground truth of another form")
    return {"prompt": prompt, "tools": tools, "answer": expected, "verifier": "tool_call"}


def with_truths(shape: Shape, truths: Mapping[str, Any]) -> Shape:
    """The same shape, of rows whose ground truths stand elsewhere, by id."""

    def convert(row: Record) -> Line:
        return shape.convert({**row, "ground_truth": truths.get(str(row.get("id")))})

    return replace(shape, convert=convert)


def as_schema(value: Any) -> Any:
    """A function of BFCL's with the names of types that JSON Schema has; a type that it has not is left out."""
    if isinstance(value, list):
        return [as_schema(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    kind = value.get("type")
    rest = {key: as_schema(item) for key, item in value.items() if key != "type" or not isinstance(kind, str)}
    named = TYPES.get(kind.lower()) if isinstance(kind, str) else None
    return ({"type": named} if named else {}) | rest


# Columns whose names say enough

PROMPTS = ("prompt", "question", "problem", "instruction", "query", "input")
ANSWERS = (
    *("answer", "final_answer", "expected_answer", "correct_answer", "reference_answer", "ground_truth", "gold", "target"),
    *("label", "solution", "output", "response", "completion"),
)


def guessed(columns: Sequence[str]) -> Shape | None:
    """Columns that are called as a prompt and an answer usually are; None where one of the two is not among them."""
    lower = {column.lower().strip().replace(" ", "_"): column for column in reversed(columns)}
    prompt = next((lower[name] for name in PROMPTS if name in lower), None)
    answer = next((lower[name] for name in ANSWERS if name in lower and lower[name] != prompt), None)
    if prompt is None or answer is None:
        return None
    fields = {"prompt": prompt, "answer": answer}
    fields |= {name: lower[name] for name in ("solution", *BESIDE) if name in lower and lower[name] != answer}
    return mapped("columns with telling names", fields)


BESIDE = ("level", "split", "verifier")  # read where there is a column of that name


def with_map(fields: Mapping[str, str], columns: Sequence[str], path: Path, base: Shape | None) -> Shape:
    """The shape that `--map` asks for; its `verifier` may be a verifier instead of a column. UserError for a missing column."""
    constant = {}
    for name, column in fields.items():
        if name == "verifier" and column not in columns and column in VERIFIERS:
            constant[name] = column
        elif column not in columns and column.partition(".")[0] not in columns:
            known = [*columns, *VERIFIERS] if name == "verifier" else columns
            listed = ", ".join(columns[:30]) + (", …" if len(columns) > 30 else "")
            raise UserError(
                f"--map {name}={column}: {path} has no column {column!r}.{suggest(column, known)} Its columns: {listed}."
            )
    named = {name: column for name, column in fields.items() if name not in constant}
    if "prompt" in fields and ("answer" in fields or "tests" in fields):
        base = None
        named = {name: name for name in BESIDE if name in columns and name not in fields} | named
    elif base is None:
        raise UserError(f"--map says what the prompt is, or the answer, and {path} does not say the other. Map both.")
    name = "columns of --map" if base is None else f"{base.name}, changed by --map"
    return mapped(name, named, base, constant, tuple(fields))


def own(columns: Sequence[str], where: str) -> Shape:
    """Our own fields, in a table. A cell of text may hold JSON where a field is no text. UserError for a misspelt column."""
    for column in columns:
        if column not in ALL and len(column) < 40 and (slip := difflib.get_close_matches(column, FIELDS, n=1, cutoff=0.8)):
            raise UserError(f"{where}: there is no field {column!r}. Did you mean {slip[0]!r}?")

    def convert(row: Record) -> Line:
        line = {key: plain(value) for key, value in row.items() if value is not None and key in ALL}
        for key, value in line.items():
            if isinstance(value, str) and key not in TEXTS and value.lstrip()[:1] in ("[", "{"):
                line[key] = loaded(value, key)
        line |= {"level": level_of(line["level"])} if "level" in line else {}
        if isinstance(line.get("answer"), float | int) and not isinstance(line["answer"], bool):
            line["answer"] = text_of(line["answer"], "answer")
        return line

    return Shape(OWN_FIELDS, convert, (), {}, reads=ALL)


ALL = (*FIELDS, *MORE, *IN_CODE, "id")
TEXTS = ("answer", "family", "verifier", "split", "solution", "id", "language")


def split_said(value: Any, meant: bool) -> Line:
    """The split that a cell names, in any case: Test, dev, val. UserError for another word where the column is `meant` to name
    splits: a test set by another name must not be trained on."""
    word = str(value).strip().lower()
    if word not in SPLIT_WORDS and meant:
        raise UserError(f"the split {str(value)[:40]!r} is none of {', '.join(SPLIT_WORDS)}")
    return {"split": SPLIT_WORDS[word]} if word in SPLIT_WORDS else {}


def mapped(
    name: str,
    fields: Mapping[str, str],
    base: Shape | None = None,
    constant: Mapping[str, str] | None = None,
    meant: Collection[str] = (),
) -> Shape:
    """The shape in which each field comes from the column that is named, the rest from another shape. A name with dots reaches
    into an object: `answer=reward_model.ground_truth`. `meant` are the fields that the user named columns for."""

    columns, constants = tuple(fields.items()), dict(constant or {})
    others = tuple(key for key in (*fields, *constants) if key not in READ)

    def convert(row: Record) -> Line:
        line = dict(base.convert(row)) if base else {}
        given = {key: cell for key, column in columns if (cell := inner(row, column)) is not None} | constants
        said = given.pop("verifier", None)
        verifier = said if said in VERIFIERS else "multiple_choice" if "choices" in given else line.get("verifier", "")
        if "prompt" in fields:
            line["prompt"] = asked(given.get("prompt"))
        if "choices" in given:
            line["prompt"], line["choices"] = listed_choices(text_of(line["prompt"], "prompt"), loaded_list(given["choices"]))
            line["answer"] = chosen(plain(given.get("answer", line.get("answer"))), line["choices"])
        elif "answer" in fields and verifier != "code_io":
            line |= answered(given.get("answer"), verifier)
            line = line if verifier else lettered(line)
        line |= {"verifier": verifier} if verifier else {}
        line |= {"level": level_of(given["level"])} if "level" in given else {}
        line |= {"family": family_of(str(given["family"]), "")} if "family" in given else {}
        line |= split_said(given["split"], "split" in meant) if "split" in given else {}
        line |= {key: plain(given[key]) for key in others if key in given}
        return {key: value for key, value in line.items() if value != ""}

    says = dict(base.says if base else {}) | {key: f"column {column}" for key, column in fields.items()} | constants
    return Shape(name, convert, (), says, reads=() if base else tuple(column.partition(".")[0] for column in fields.values()))


READ = ("prompt", "answer", "level", "family", "split", "choices")


def inner(row: Any, column: str) -> Any:
    """The cell of a column, or of one within an object; None where it is missing."""
    if (type(row) is dict or isinstance(row, Mapping)) and column in row:
        return row[column]
    first, dot, rest = column.partition(".")
    if not dot or not isinstance(row, Mapping):
        return None
    cell = row.get(first)
    return inner(json.loads(cell) if isinstance(cell, str) and cell.startswith("{") else cell, rest)


LAST = "the last answer, or what it marks as final"
SHAPES = (
    Shape("verl", verl, ("prompt", "reward_model"), {"answer": "reward_model.ground_truth", "family": "data_source"}),
    *code_shapes.SHAPES,
    Shape("BFCL", bfcl, ("question", "function"), {"prompt": "function, question", "answer": "ground_truth"}),
    Shape(
        "open-instruct", open_instruct, ("messages", "ground_truth", "dataset"), {"answer": "ground_truth", "family": "dataset"}
    ),
    Shape("ARC", mmlu, ("question", "choices", "answerKey"), {"answer": "answerKey", "prompt": "question, choices"}),
    Shape("MMLU-Pro", mmlu, ("question", "options", "answer"), {"prompt": "question, options", "family": "category"}),
    Shape("MMLU", mmlu, ("question", "choices", "answer"), {"prompt": "question, choices", "family": "subject"}),
    Shape("MMLU", mmlu, ("question", "A", "B", "C", "D", "answer"), {"prompt": "question, A to D"}),
    Shape(
        "MATH",
        competition,
        ("problem", "solution", "level"),
        {"answer": "the last \\boxed of solution, unless there is one"},
        boxed,
    ),
    Shape("problems and solutions", competition, ("problem", "solution"), {"answer": "answer, or the last \\boxed"}, boxed),
    Shape("GSM8K", gsm8k, ("question", "answer"), {"answer": "behind #### in answer", "solution": "answer"}, hashed),
    Shape("ShareGPT", conversation, ("conversations",), {"prompt": "the messages before", "answer": LAST}),
    Shape("OpenAI messages", conversation, ("messages",), {"prompt": "the messages before", "answer": LAST}),
    Shape("Alpaca", alpaca, ("instruction", "output"), {"prompt": "instruction, input", "answer": "output"}),
    Shape("TRL prompt and completion", completion, ("prompt", "completion"), {"answer": LAST}),
    Shape("TRL preferences", completion, ("chosen", "rejected"), {"answer": f"chosen: {LAST}"}),
)


def recognised(columns: Sequence[str], sample: Sequence[Record]) -> Shape | None:
    """The first known shape that these rows have, or columns whose names say enough; None for neither."""
    for shape in SHAPES:
        if set(shape.columns) <= set(columns) and shape.fits(sample):
            return shape
    return guessed(columns)
