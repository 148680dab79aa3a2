"""Duplicates: exact, near and contained; and that nothing held out comes back through the screen, however it is told."""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

from sharpen.core import Arm, Task, TaskSource
from sharpen.data import near, screen

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k_test.jsonl.gz"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["".join(random.Random(i).choices(LETTERS, k=5)) for i in range(2000)]


def tale(rng: random.Random) -> str:
    return f"{' '.join(rng.choices(WORDS, k=25))} {rng.randint(10, 999)}"


# Exact


def test_a_signature_is_blind_to_case_spacing_and_width_and_to_nothing_else():
    asked = "What is 12 + 3?"
    same = [
        "what  is 12+3 ?",
        "WHAT IS\u00a012 + 3?",
        "W h a t i s 12 + 3 ?",
        "\uff37hat is \uff11\uff12 + 3?",
        "Wh\u200bat is 12 + 3?",
    ]
    other = ["What is 1 2 + 3?", "What is 12 - 3?", "What is 13 + 2?", "What was 12 + 3?"]
    assert {near.signature(text) for text in same} == {near.signature(asked)}
    assert near.signature(asked) not in {near.signature(text) for text in other}
    assert near.duplicates(["a", "b", "a", "a", "c"]).tolist() == [0, 1, 0, 0, 4]


# Near


def test_every_pair_of_a_small_set_is_as_brute_force_has_it():
    """MinHash only narrows down: what is returned is the Jaccard index itself, worked out here with sets of windows."""
    rng = random.Random(0)
    texts = [tale(rng) for _ in range(30)]
    for text in texts[:10]:
        words = text.split()
        words[rng.randrange(25)] = "umbra"
        texts.append(" ".join(words))
    windows = [{text[i : i + near.WIDTH] for i in range(len(text) - near.WIDTH + 1)} for text in texts]
    wanted = {
        (i, j): len(windows[i] & windows[j]) / len(windows[i] | windows[j]) for i, j in itertools.combinations(range(40), 2)
    }
    wanted = {pair: overlap for pair, overlap in wanted.items() if overlap >= 0.7}
    found = {(i, j): overlap for i, j, overlap in near.near(texts, least=0.7, shared=40)}
    assert len(wanted) == 10 and found.keys() == wanted.keys()
    assert all(found[pair] == pytest.approx(wanted[pair]) for pair in wanted)


def test_other_numbers_are_other_questions_and_templates_are_no_likeness():
    text = "Ann sold {} clips to her friends in April and {} in May. How many clips did she sell in all?"
    told = [text.format(48, 24), text.format(48, 25), "Now then: " + text.format(48, 24)]
    assert [(i, j) for i, j, _ in near.near(told)] == [(0, 2)]
    rng = random.Random(1)
    spelt = [f"Spell this word backward (example: sun -> nus): {''.join(rng.choices(LETTERS, k=9))}" for _ in range(200)]
    assert near.near(spelt) == []


def test_a_planted_thousand_is_found():
    """One word of 25 another, among 3,000 texts: Jaccard index 0.85, so 1 in 10,000 would be missed."""
    rng = random.Random(2)
    texts = [tale(rng) for _ in range(2000)]
    for i in range(1000):
        words = texts[i].split()
        words[rng.randrange(25)] = "umbra"
        texts.append(" ".join(words))
    found = {(i, j) for i, j, _ in near.near(texts)}
    assert len(found & {(i, 2000 + i) for i in range(1000)}) >= 995 and len(found) <= 1005
    assert near.near([]) == near.near(["one"]) == []


def test_groups_are_what_pairs_connect():
    assert near.groups(6, [(4, 2), (0, 4), (1, 5)]).tolist() == [0, 1, 0, 3, 0, 1]


def test_containment_is_of_one_in_the_other():
    rng = random.Random(3)
    whole, other = tale(rng), tale(rng)
    half = " ".join(whole.split()[:13])
    against = near.shingles([whole, other, half])
    assert near.contained(half, [other, whole], against) == 1.0 and near.contained(half, [other], against) < 0.1
    assert 0.4 < near.contained(whole, [half], against) < 0.6


# The screen


def asked(text: str, split: str = "train", **more) -> Task:
    given = dict(family="new", level=1, split=split, verifier="number", parents=("p",), operator="said") | more
    return Task(({"role": "user", "content": text},), "4", **given)


def source(**splits: list[str]) -> TaskSource:
    return TaskSource(
        "file",
        (Arm("file", 1),),
        lambda arm, split, index, seed: asked(splits[split][index % len(splits[split])], split, family="file"),
        lambda arm, split: len(splits[split]),
    )


# Each of these stories is in the data set twice, with another question: no pool with one of them is disjoint from the other.
TWICE = ("Farmer Brown has ", "Gretchen has ", "Timothy's locker ", "Zack's locker ", "Jana has ", "Two thirds of Jana's ")
FORMS = (
    "Consider this and solve it step by step.\n{}\nGive the number only.",
    "Suppose the following. {} Explain your answer.",
    "Q: {} A:",
    "My teacher asked me: {} What should I say?",
)


def with_digits_changed(text: str, rng: random.Random) -> str:
    return re.sub(r"\d+", lambda m: str(int(m.group()) + rng.randint(1, 50)), text)


def spaced(text: str, rng: random.Random) -> str:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    ways = [text.replace(" ", way) for way in ("  \n", "\u00a0", "\u3000", " \u200b")]
    return rng.choice([*ways, " ".join(text.replace(" ", "")), wide])


@pytest.mark.skipif(not GSM8K.exists(), reason=f"{GSM8K} is not here")
def test_of_two_thousand_planted_held_out_questions_none_passes_and_of_others_hardly_any_is_refused():
    with gzip.open(GSM8K, "rt") as file:
        questions = [json.loads(line)["question"] for line in file]
    questions = [text for text in questions if not text.startswith(TWICE)]
    rng = random.Random(1)
    rng.shuffle(questions)
    held, training, others = questions[:500], questions[500:700], questions[700:]
    known = screen.known(source(train=training, validation=held[:250], test=held[250:]), [], 0)
    known.ids.add("p")
    planted = [
        made
        for text in held
        for made in (
            text,
            with_digits_changed(text, rng),
            rng.choice(FORMS).format(with_digits_changed(text, rng)),
            spaced(text, rng),
        )
    ]
    assert len(planted) == 2000 and [text for text in planted if not screen.fault(asked(text), known)] == []
    assert [text for text in others if screen.fault(asked(text), known)] == []


def test_what_is_known_of_a_large_file_is_bounded_and_said():
    sizes = {Arm("a", 1): 10, Arm("a", 2): 1000, Arm("b", 1): 600}
    assert screen.fair(sizes, 600) == {Arm("a", 1): 10, Arm("b", 1): 295, Arm("a", 2): 295}
    assert screen.fair(sizes, 5000) == sizes and screen.fair({}, 5) == {}
    rng = random.Random(0)
    drawn = []
    large = source(train=["one"], validation=[tale(rng)], test=["three"])
    large = dataclasses.replace(
        large,
        draw=lambda arm, split, i, seed: drawn.append(split) or asked(tale(rng), split, family="file"),
        size=lambda arm, split: 10**7,
    )
    known = screen.known(large, [], 0, most=50)
    assert len(drawn) == 150 and known.beyond == 2 * 10**7 - 100


def test_a_round_takes_no_question_told_a_little_differently_to_the_same_answer():
    rng = random.Random(4)
    first = tale(rng)
    again, other = first.replace(first.split()[12], "umbra", 1), tale(rng)
    known, refusals = screen.known(source(train=["a"], validation=["b"], test=["c"]), [], 0), screen.Refusals()
    known.ids.add("p")
    part = dataclasses.replace(asked(f"So {again}"), answer="5")  # asks for something else of the same story
    given = [asked(first), asked(again), asked(other), part]
    assert screen.sift(given, known, refusals, 10) == [given[0], given[2], part] and refusals.n == {screen.NEAR: 1}
    known.recent.append(asked(first))
    assert screen.sift([asked(again)], known, screen.Refusals(), 10) == []


def test_runs_are_of_one_text_each():
    runs, owner = screen.runs_of(["abcdefghijklm", "short", "xabcdefghijkl"])
    # 13 letters make two runs; the first of the first is the last of the third.
    assert len(runs) == 5 and sorted(owner.tolist()) == [0, 0, 1, 2, 2] and len(np.unique(runs)) == 4
