"""The questions that ship to measure with: exact, checkable, and never to train on."""

import json
from collections import Counter
from pathlib import Path

import pytest

from sharpen import tasks
from sharpen.core import UserError
from sharpen.verify import verify

LINES = [json.loads(line) for line in (Path(tasks.__file__).parent / "retention.jsonl").read_text().splitlines()]
DRAWN = [task for own in tasks.held_out(tasks.retention(), "test", 200, 0).values() for task in own]
SAID = {  # how small models say it: right, then wrong
    "What is the opposite of hot? Answer with one word.": ("The opposite of hot is cold.", "The opposite of hot is hot."),
    "Which spelling is right: believe or beleive? Answer with one word.": (
        '"believe", not "beleive".',
        "It is beleive, not believe.",
    ),
    "Which one is a fruit: apple, chair or stone? Answer with one word.": ("An apple.", "A stone, no apple."),
    "Is 3 greater than 30? Answer yes or no.": ("No, 3 is not greater than 30.", "Yes, and no."),
    "How many sides does a square have? Answer with the number alone.": ("The answer is 4.", "A square has 5 sides."),
    'What is the plural of the English word "foot"? Answer with one word.': (
        'It is "feet."',
        'The plural of "foot" is "foots".',
    ),
}


def test_there_are_two_hundred_of_eight_kinds_and_no_two_alike():
    assert len(LINES) == len(DRAWN) == len({line["prompt"].casefold() for line in LINES}) == 200
    assert len(Counter(line["family"] for line in LINES)) == 8 and min(Counter(line["family"] for line in LINES).values()) >= 20


def test_every_answer_is_accepted_by_its_verifier_alone_and_in_a_sentence_and_nothing_is_not():
    gold = {line["prompt"]: line["answer"] for line in LINES}
    for task in DRAWN:
        question = task.prompt[-1]["content"]
        answer = gold[question]
        said = f"{answer}, certainly." if answer in ("yes", "no") else f"I think that it is {answer}."
        assert verify(task, answer).correct and verify(task, said).correct, question
        assert not verify(task, "I do not know.").correct and not verify(task, "").correct, question


@pytest.mark.parametrize("question", SAID)
def test_what_is_said_is_judged_as_a_person_would(question):
    (task,) = [task for task in DRAWN if task.prompt[-1]["content"] == question]
    right, wrong = SAID[question]
    assert verify(task, right).correct and not verify(task, wrong).correct


def test_the_numbers_that_can_be_counted_are_counted():
    for line in LINES:
        question = line["prompt"]
        if 'does the word "' in question and "letters" in question:
            assert int(line["answer"]) == len(question.split('"')[1])
        elif "are in the sentence" in question:
            assert int(line["answer"]) == len(question.split('"')[1].split())
        elif "letter of the word" in question:
            word = question.split('"')[1].upper()
            assert line["answer"] == word[0 if "first" in question else -1]


def test_nobody_can_train_on_them():
    source = tasks.parse_spec("retention")
    assert {source.size(arm, split) for arm in source.arms for split in ("train", "validation")} == {0}
    with pytest.raises(UserError):
        source.draw(source.arms[0], "train", 0, 0)
