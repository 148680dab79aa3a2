"""Insights and prompts: kept by what they cause, and written by whoever is asked; scripts stand for the writers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from sharpen.core import Rollout, Sample, Task, Turn, Verdict
from sharpen.data import experience, prompting, refining

NOTHING = np.zeros(0)


def task(text: str, family: str = "sums", answer: str = "4", **more) -> Task:
    return Task(({"role": "user", "content": text},), answer, family, 1, verifier="number", **more)


def sample(of: Task, right: bool = False, outcome: str = "wrong", stop: str = "end") -> Sample:
    verdict = Verdict("correct", 1.0) if right else Verdict(outcome, 0.0)
    return Sample(Rollout(of, NOTHING, NOTHING > 0, NOTHING, ("5",), stop, 0, 0, of.id), verdict, 0)


def turn(text: str) -> Turn:
    return Turn(text, NOTHING.astype(np.int32), NOTHING > 0, NOTHING, "end")


def played(grower: Any, say) -> tuple[list[Task], list[str]]:
    """(what the grower returns, all that it asked), every Ask answered by `say(text of the ask)`."""
    asked: list[str] = []
    try:
        wish = next(grower)
        while True:
            texts = ["\n".join(str(m["content"]) for m in ask.messages) for ask in wish]
            asked += texts
            wish = grower.send([turn(say(text)) for text in texts])
    except StopIteration as end:
        return end.value, asked


# Insights


def test_an_insight_is_for_its_family_and_for_questions_with_most_of_its_words():
    one = experience.insight(task("What is 2 + 2?"), "Add  them.") | {"condition": "train speed"}
    other = experience.insight(task("What is 2 + 2?", "products"), "Multiply.")
    library = {"insights": [one, other]}
    assert experience.retrieved(library, task("A TRAIN goes at great speed. How far?")) == [one]
    assert experience.retrieved(library, task("A train goes."))[0] is one and experience.retrieved(library, task("No.")) == []
    assert "Add them." in experience.told([one]) and experience.told([]) == ""


def test_what_an_insight_causes_is_counted():
    one = experience.insight(task("x"), "Add.") | {"condition": "apples"}
    library: dict[str, Any] = {"insights": [one]}
    given = [
        sample(task("How many apples?"), True),
        sample(task("apples again?")),
        sample(task("pears?")),
        sample(task("pears?"), True),
    ]
    assert experience.noting(given, library=library) == given
    counted = library["insights"][0]
    assert [len(counted[kind]) for kind in experience.COUNTS] == [1, 1, 1]


def test_a_condition_is_refined_only_where_that_beats_the_baseline():
    """6 positives, 2 negatives, 2 missed: 0.6. What keeps 5, drops both negatives and finds 1 has 0.8; what keeps 3, 0.5."""
    one = experience.insight(task("x"), "b") | {"positive": ["sun sky"] * 5 + ["moon"], "negative": ["rain"] * 2}
    one |= {"missed": ["sun", "rain"]}
    assert experience.performance("sun", one) == 0.8 and experience.refined(one, ["sun"])["condition"] == "sun"
    assert experience.refined(one, ["sun"])["positive"] == []  # a new condition begins a new count
    narrow = one | {"positive": ["sun"] * 3 + ["moon"] * 3, "missed": ["rain", "rain"]}
    assert experience.performance("sun", narrow) == 0.5 and experience.refined(narrow, ["sun"]) is narrow
    assert any(experience.performance(c, one) >= 0.8 for c in experience.variants(one))
    assert not experience.harmful(one) and experience.harmful(one | {"positive": [], "negative": ["a"] * 4})


def test_it_learns_what_helps_and_retires_what_harms():
    """The writer's rule for sums makes the student right, that for products does not: only the first is taken in."""
    harm = experience.insight(task("y"), "Guess.") | {"negative": ["a"] * 5}
    library: dict[str, Any] = {"insights": [harm]}
    failed = [sample(task("What is 2 + 2?")), sample(task("What is 1 * 4?", "products"))]

    def say(text: str) -> str:
        if "what rule avoids" in text:
            return "Carry the one." if "2 + 2" in text else "Hope for the best."
        return "<answer>4</answer>" if "Carry" in text else "<answer>5</answer>"

    made, asked = played(experience.learn(failed, [], np.random.default_rng(0), library=library), say)
    assert made == [] and [one["explanation"] for one in library["insights"]] == ["Carry the one."]
    assert library["insights"][0]["taxonomy"] == "sums" and len(asked) == 2 + 2 * 2 * 3
    assert not [text for text in asked if "Guess." in text]
    assert played(experience.learn([], [], np.random.default_rng(0), library={}), say) == ([], [])


# Prompts


def test_training_tasks_try_prompts_and_all_others_get_the_best():
    library = {
        "prompts": [prompting.prompt("a") | {"n": 40, "right": 10}, prompting.prompt("b", 0, 1) | {"n": 40, "right": 30}]
    }
    tried = {prompting.chosen(library, task(f"question {i}")) for i in range(40)}
    assert tried == {0, 1} and {prompting.chosen(library, task(f"q {i}", split="test")) for i in range(40)} == {1}
    lucky = {"prompts": [*library["prompts"], prompting.prompt("c", 1, 2) | {"n": 1, "right": 1}]}
    assert prompting.chosen(lucky, task("q", split="test")) == 1  # one lucky answer is no proof


def test_answers_are_noted_at_the_prompt_that_they_were_given_under():
    library: dict[str, Any] = {}
    given = [
        sample(task("a"), True),
        sample(task("b"), outcome="malformed"),
        sample(task("c"), outcome="malformed", stop="length"),
    ]
    assert prompting.scoring(given, library=library) == given
    (one,) = library["prompts"]
    assert (one["n"], one["right"], one["failures"]) == (3, 1, {"malformed": 1, "cut_off": 1})


def test_the_best_prompts_get_children_that_are_told_what_went_wrong():
    known = [
        prompting.prompt(name, -1, 0) | {"n": 20, "right": right} for name, right in (("low", 2), ("mid", 10), ("top", 18))
    ]
    known[2]["failures"] = {"cut_off": 2}
    library: dict[str, Any] = {"prompts": known}
    numbers = iter(range(100))
    made, asked = played(
        prompting.improve([], [], np.random.default_rng(0), expanded=2, children=3, library=library),
        lambda text: f"try {next(numbers)}",
    )
    assert made == [] and len(asked) == 6 and [one["parent"] for one in library["prompts"][3:]] == [2, 2, 2, 1, 1, 1]
    assert (
        prompting.RULES["cut_off"] in asked[0]
        and "top" in asked[0]
        and all(one["level"] == 1 for one in library["prompts"][3:])
    )
    # Nothing was tried yet: nothing is expanded. A writer who says the same again adds nothing.
    assert played(prompting.improve([], [], np.random.default_rng(0), library={}), str.upper)[1] == []
    again = dict(library, prompts=known)
    played(prompting.improve([], [], np.random.default_rng(0), library=again), lambda text: "top")
    assert again["prompts"] == known


def test_once_enough_prompts_are_scored_the_less_promising_half_of_the_children_is_not_tried():
    words = [("check every step", 0.9), ("check each step twice", 0.8), ("check the steps", 0.85), ("check it", 0.7)]
    words += [("sing a song", 0.1), ("sing it loud", 0.2), ("sing and dance", 0.1), ("dance", 0.15)]
    tried = [prompting.prompt(text) | {"n": 100, "right": round(100 * rate)} for text, rate in words]
    fresh = [prompting.prompt(text, 0, 1) for text in ("sing again", "check all steps", "dance a song", "check each answer")]
    assert [one["text"] for one in prompting.promising(fresh, tried)] == ["check all steps", "check each answer"]
    assert prompting.promising(fresh, tried[:7]) == fresh


# Refining


def test_each_signal_flags_its_own_defect_and_equal_tasks_none():
    failed = [sample(task(f"question {i}")) for i in range(12) for _ in range(9 if i == 0 else 2)]
    rows = np.full((12, 12), 1.0) + 0.1 * np.eye(12)
    rows[5] *= -1

    def run(embed, rate) -> list[Task]:
        grower = refining.middo(failed, [], np.random.default_rng(0), source=None, embed=embed)
        return played(grower, lambda text: rate(text) if "0 to 10" in text else "QUESTION: another?\nANSWER: 4")[0]

    made = run(lambda listed: rows, lambda text: "2" if "question 7" in text else "9 of 10")
    origin = {t.operator.partition(":")[0]: t.parents[0] for t in made}
    assert origin == {name: task(f"question {i}").id for name, i in (("complexity", 0), ("diversity", 5), ("quality", 7))}
    assert {t.family for t in made} == {"sums_complexity", "sums_diversity", "sums_quality"} and made[0].split == "train"
    failed = failed[9:]
    assert run(lambda listed: np.eye(len(listed)), lambda text: "nobody knows") == []


def test_only_what_writer_and_solver_agree_on_is_kept():
    failed = [sample(task(f"question {i}")) for i in range(8)] + [sample(dataclasses.replace(task("code"), verifier="code_io"))]
    numbers = iter(range(100))

    def say(text: str) -> str:
        if "Write another question" in text:
            n = next(numbers)
            return f"QUESTION: what is {n} + 0?\nANSWER: {n + n % 2}"  # every second label is wrong
        return f"<answer>{text.split()[2]}</answer>"

    made, asked = played(refining.mutual(failed, [], np.random.default_rng(0), each=20), say)
    assert len(made) == 4 and all(int(t.answer) % 2 == 0 for t in made) and len(asked) == 8 + 8 * 4
    assert all(t.parents and t.family == "sums_mutual" and t.solution is None for t in made)
    assert refining.written(failed[0].rollout.task, "QUESTION:  \nANSWER: 4", "a", "b") is None
