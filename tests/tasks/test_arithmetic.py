"""Generated arithmetic: the answers are right, no wording of a held-out question is trained on, and a file of it reads back."""

from __future__ import annotations

import re
from math import prod

import pytest

from sharpen import tasks, verify
from sharpen.core import SPLITS, Arm, UserError
from sharpen.hashing import split_of

# What the numbers of a question come to; a story's are worked out below.
MEANS = {
    "add": sum,
    "subtract": lambda n: max(n) - min(n),
    "multiply": prod,
    "largest": max,
    "smallest": min,
    "count_on": lambda n: n[0] + 1,
    "total": sum,
}


def numbers(task):
    return [int(n) for n in re.findall(r"\d+", task.prompt[0]["content"])]


def test_answers_are_those_of_the_numbers_and_splits_those_of_the_hash():
    source = tasks.parse_spec("arithmetic")
    assert len(source.arms) >= 12
    for arm in source.arms:
        for split in SPLITS:
            for index in range(20):
                task = source.draw(arm, split, index, 7)
                assert split_of(task.prompt) == split == task.split
                assert arm.family not in MEANS or int(task.answer) == MEANS[arm.family](numbers(task)), task
                assert verify.verify(task, f"That makes {task.answer}.").correct
                assert not verify.verify(task, f"That makes {int(task.answer) + 1}.").correct


@pytest.mark.parametrize(("says", "mean"), [
    (r"gives \w+ (\d+) more", lambda a, b: a + b),
    (r"in all\?$|together", lambda a, b: a + b),
    (r"gives (\d+) of them|loses", lambda a, b: a - b),
    (r"boxes with|every day", lambda a, b: a * b),
])  # fmt: skip
def test_stories_come_out_as_they_say(says, mean):
    drawn = [tasks.arithmetic("story").draw(Arm("story", level), "train", i, 0) for level in (1, 2, 3) for i in range(12)]
    told = [task for task in drawn if re.search(says, task.prompt[0]["content"]) and (task.level == 3) == ("boxes" in says)]
    assert told and all(int(task.answer) == mean(*numbers(task)) for task in told)


def test_what_is_read_stands_beside_its_word():
    source = tasks.arithmetic("read,place")
    for task in (source.draw(arm, "train", i, 0) for arm in source.arms for i in range(12)):
        asked = task.prompt[0]["content"]
        if task.family == "place":
            place = ("first", "second", "third", "last").index(re.search("the (.*) number", asked)[1])
            assert int(task.answer) == numbers(task)[place]
        elif task.level == 3:
            who = re.search(r"does (\w+) have\?$", asked)[1]
            assert f"{who} has {task.answer} " in asked
        else:
            thing = re.search(r"(\w+) (?:does \w+ have|cost)\?$", asked)[1]
            assert f"{task.answer} {thing}" in asked or f"the {thing} cost {task.answer} " in asked.lower()


def test_the_same_numbers_are_asked_in_one_wording():
    source = tasks.arithmetic("multiply")
    asked: dict[tuple, set[str]] = {}
    for index in range(1500):
        task = source.draw(Arm("multiply", 2), "train", index, 1)
        asked.setdefault(tuple(numbers(task)), set()).add(task.prompt[0]["content"])
    assert len(asked) > 150 and all(len(wordings) == 1 for wordings in asked.values())


def test_as_a_file(tmp_path):
    file = tmp_path / "arithmetic.jsonl"
    file.write_text("\n".join(tasks.lines(tasks.arithmetic("add,largest"), 20)))
    source = tasks.parse_spec(str(file))
    assert source.arms == tasks.arithmetic("add,largest").arms
    assert [source.size(Arm("largest", 2), split) for split in SPLITS] == [16, 2, 2]


def test_an_unknown_family_is_named():
    with pytest.raises(UserError, match="Did you mean 'multiply'"):
        tasks.arithmetic("multiplay")
