"""What a grower proposes is trained on only where the screen has nothing against it; each attack has its honest twin."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from sharpen import rollouts, tasks, verify
from sharpen.core import (
    PLAIN,
    SPLITS,
    Arm,
    Ask,
    Evaluation,
    GrowthGenerator,
    Rollout,
    Sample,
    Task,
    TaskSource,
    UserError,
    Verdict,
)
from sharpen.data import growth, screen
from sharpen.families import between, levels
from sharpen.hashing import split_of
from sharpen.models import ScriptedPolicy
from sharpen.recipe import call
from sharpen.recipes import catalog

SOURCE = tasks.parse_spec("chain_sum/1-4,spell_backward/1-3,gcd/1-2")
MEASURED = [
    task for split in ("validation", "test") for listed in tasks.held_out(SOURCE, split, 30, 0).values() for task in listed
]
STORY = "Ann sold {0} clips to her friends in April, and then she sold half as many clips in May. How many clips in all?"
TALE = "A baker fills {0} trays with nine rolls each morning before the first of his customers comes. How many rolls is that?"


def question(text: str, answer: str = "4", **more) -> Task:
    given = dict(family="new", level=1, verifier="number", parents=("p",), operator="said") | more
    return Task(({"role": "user", "content": text},), answer, **given)


def of_file(*lines: tuple[str, str]) -> TaskSource:
    """A finite source of (split, question)."""
    listed = {s: [question(text, family="file", split=s) for split, text in lines if split == s] for s in SPLITS}
    return TaskSource(
        "file",
        (Arm("file", 1),),
        lambda arm, split, index, seed: listed[split][index % len(listed[split])],
        lambda arm, split: len(listed[split]),
    )


FILE = of_file(("train", TALE.format(7)), ("validation", STORY.format(48)), ("test", "What is the least prime above ninety?"))


def against(source=FILE, measured=()) -> screen.Known:
    found = screen.known(source, measured, 0)
    found.ids.add("p")
    return found


def refused(task: Task, source=FILE, measured=()) -> str:
    return screen.fault(task, against(source, measured))


# Held-out questions


def test_a_validation_task_is_caught_whatever_it_is_called():
    copied = STORY.format(48)
    assert refused(question(copied)) == screen.HELD_OUT
    assert refused(question(f"  {copied.upper()}\n")) == screen.HELD_OUT
    told = dataclasses.replace(question(copied), prompt=({"role": "system", "content": "Be brief."}, *question(copied).prompt))
    assert refused(told) == screen.HELD_OUT
    assert refused(question(copied, split="validation")) == screen.OTHER_SPLIT
    assert refused(question("What is the greatest prime below ninety?")) == ""


def test_a_held_out_question_within_another_or_with_other_numbers_is_caught():
    assert refused(question(f"First this: {STORY.format(48)} Then double it.")) == screen.CONTAINS
    assert refused(question(STORY.format(56))) == screen.CONTAINS
    assert refused(question(STORY.format("- 5,600").replace("friends", "friends"))) == screen.CONTAINS
    # The same of a training question is a new question of its form.
    assert refused(question(TALE.format(8))) == ""
    assert refused(question(TALE.format(7))) == screen.DUPLICATE


def test_the_form_of_training_questions_tells_nothing():
    """Where a validation question has a training question's words with other numbers, those words give nothing away."""
    source = of_file(("train", TALE.format(7)), ("validation", TALE.format(9)), ("test", "What else is there to ask?"))
    assert refused(question(TALE.format(8)), source) == "" and refused(question(TALE.format(9)), source) == screen.HELD_OUT


def test_procedural_questions_that_any_run_could_hold_out_are_caught():
    """Of other seeds too, and though none of them is among those that this run measures."""
    known = against(SOURCE, MEASURED)
    for arm in SOURCE.arms:
        for split in SPLITS:
            for index in range(40):
                drawn = SOURCE.draw(arm, split, index, 99)
                found = screen.fault(
                    dataclasses.replace(drawn, split="train", family="new", parents=("p",), operator="x"), known
                )
                assert (found == screen.HELD_OUT) == (split != "train"), drawn


def test_hardly_any_procedural_question_is_taken_for_a_copy_of_another():
    """Below one in a thousand, of 2,160 of the default families, against all that a run measures by default."""
    source = tasks.gym()
    measured = [
        t for s, n in (("validation", 40), ("test", 100)) for found in tasks.held_out(source, s, n, 0).values() for t in found
    ]
    known = screen.known(source, measured, 0)
    drawn = [source.draw(arm, "train", i, 5) for arm in source.arms for i in range(100)]
    false = [screen.text(task) for task in drawn if screen.contains(screen.text(task), known)]
    assert len(drawn) >= 2000 and len(false) <= len(drawn) / 1000, false[:5]
    planted = [f"Answer two questions. {screen.text(task)}\nAnd how much is twice that?" for task in measured]
    long = [text for text, task in zip(planted, measured, strict=True) if len(screen.items(screen.text(task))) >= screen.WINDOW]
    assert len(long) > 2000 and all(screen.contains(text, known) for text in long)


# What is no task, and whose


@pytest.mark.parametrize(
    "proposal",
    [
        "What is 2 + 2?",
        None,
        dataclasses.replace(question("a b c"), data={"f": print}),
        dataclasses.replace(question("a b c"), prompt=()),
        dataclasses.replace(question("a b c"), prompt="a b c"),
        dataclasses.replace(question("a b c"), level="1"),
        dataclasses.replace(question("a b c"), answer=4),
        dataclasses.replace(question("a b c"), family="a/b"),
    ],
)
def test_what_is_no_task_is_refused(proposal):
    refusals = screen.Refusals()
    assert screen.sift([proposal, question("How many is four?")], against(), refusals, 10) == [question("How many is four?")]
    assert refusals.n == {screen.NO_TASK: 1}


def test_a_task_comes_back_as_the_store_would_give_it():
    odd = dataclasses.replace(question("How many is four?"), data={"accept": ("4", "four")}, parents=["p"])
    (task,) = screen.sift([odd], against(), screen.Refusals(), 10)
    assert task.data == {"accept": ["4", "four"]} and task.parents == ("p",) and task.id == odd.id


def test_lineage_and_family_are_asked_for():
    assert refused(question("How many is four?", parents=())) == screen.NO_ORIGIN
    assert refused(question("How many is four?", parents=("p", "made up"))) == screen.NO_ORIGIN
    assert refused(question("How many is four?", operator="")) == screen.NO_ORIGIN
    assert refused(question("How many is four?", family="file", level=7)) == screen.TAKEN
    assert refused(question("x" * (screen.LONGEST + 1))) == screen.LONG


def test_duplicates_and_a_million_proposals():
    known, refusals = against(), screen.Refusals()
    same = [question("How many is four?"), question("how many  is FOUR ?", level=2), question("How many is five?")]
    assert screen.sift(same, known, refusals, 10) == [same[0], same[2]] and refusals.n == {screen.DUPLICATE: 1}
    known.met.add(screen.signature("How many is five?"))
    assert screen.fault(same[2], known) == screen.DUPLICATE
    refusals = screen.Refusals()
    assert screen.sift([same[0]] * 10**6, known, refusals, 100) == [same[0]]
    assert refusals.n == {screen.DUPLICATE: 99, screen.BEYOND: 10**6 - 100}


def test_difficulty_lies_strictly_between():
    assert [screen.hopeful(k, 4) for k in range(5)] == [screen.HOPELESS, "", "", "", screen.SOLVED]
    assert screen.hopeful(0, 0) == screen.UNJUDGED


# Made by program


@pytest.mark.parametrize("family", sorted(levels.LEVELS))
def test_settings_between_levels_lie_between(family):
    for low, (a, b) in enumerate(zip(levels.LEVELS[family], levels.LEVELS[family][1:], strict=False), 1):
        made = between(family, low, low + 1)
        if made is None:
            continue
        assert made != a and made != b
        for name, value in made.items():
            if isinstance(value, int):
                assert min(a[name], b.get(name, a[name])) <= value <= max(a[name], b.get(name, a[name])), (name, made)


def test_tasks_between_levels_are_accepted_with_their_own_answers_and_no_others():
    for family in sorted(levels.LEVELS):
        arms = [(n, n + 1) for n in range(1, len(levels.LEVELS[family])) if tasks.halfway(family, n, n + 1)]
        for low, high in arms[:2]:
            a, b = (tasks.interpolated(family, low, high, seed, ("p",)) for seed in (1, 2))
            assert a == tasks.interpolated(family, low, high, 1, ("p",)) and a.arm == tasks.halfway(family, low, high)
            assert split_of(a.prompt) == "train" and a.operator == f"between {family}/{low} and {family}/{high}"
            assert all(verify.verify(a, said).correct for said in screen.responses(a)) and not verify.verify(a, "").correct
            assert a.answer == b.answer or not verify.verify(a, b.answer).correct
    assert tasks.halfway("palindrome_generation", 1, 2) is None  # a scorer of the family's own judges it
    with pytest.raises(UserError, match="nothing between"):
        tasks.interpolated("gsm_symbolic", 1, 1, 0)


def test_two_questions_in_one():
    draw = tasks.gym("chain_sum,gcd,number_sorting,spell_backward,word_sequence_reversal,number_filtering").draw
    total, divisor, sorting, spell, words, kept = (
        draw(Arm(family, 1), "train", 0, 0)
        for family in ("chain_sum", "gcd", "number_sorting", "spell_backward", "word_sequence_reversal", "number_filtering")
    )
    both = tasks.composed(total, divisor, ("p", "q"))
    assert both.arm == Arm("chain_sum+gcd", 2) and both.verifier == "numbers" and both.parents == ("p", "q")
    assert both.answer == f"{total.answer}, {divisor.answer}" and total.prompt[0]["content"] in both.prompt[0]["content"]
    assert verify.verify(both, both.answer).correct and verify.verify(both, both.solution).correct
    assert (
        not verify.verify(both, f"{divisor.answer}, {total.answer}").correct and not verify.verify(both, total.answer).correct
    )
    listed = tasks.composed(total, sorting)
    assert verify.verify(listed, listed.answer).correct and len(listed.answer.split(", ")) == 3
    texts = tasks.composed(spell, words)
    assert texts.verifier == "exact" and verify.verify(texts, f"{spell.answer}; {words.answer}").correct
    assert tasks.composed(total, spell) is None and tasks.composed(spell, kept) is None


def test_a_source_with_grown_tasks():
    grown = [tasks.interpolated("chain_sum", 1, 2, seed, ("p",)) for seed in range(3)]
    whole = tasks.with_grown(SOURCE, grown)
    arm = Arm("chain_sum_between", 15)
    assert whole.arms == tuple(sorted((*SOURCE.arms, arm))) and [whole.size(arm, split) for split in SPLITS] == [3, 0, 0]
    assert [whole.draw(arm, "train", i, 0) for i in range(4)] == [*grown, grown[0]]
    assert whole.draw(SOURCE.arms[0], "test", 3, 7) == SOURCE.draw(SOURCE.arms[0], "test", 3, 7)
    with pytest.raises(UserError, match="for training"):
        whole.draw(arm, "validation", 0, 0)
    assert tasks.with_grown(SOURCE, []) is SOURCE


# The procedural grower


def failure(arm: Arm, index: int = 0) -> Sample:
    task, none = SOURCE.draw(arm, "train", index, 0), np.zeros(0)
    return Sample(Rollout(task, none, none > 0, none, ("",), "end", 0, 0, ""), Verdict("wrong", 0.0), 0)


def evaluation(**rates: list[int]) -> Evaluation:
    """Solved of ten tasks, by family and level."""
    return Evaluation(
        {Arm(f, i): (True,) * k + (False,) * (10 - k) for f, solved in rates.items() for i, k in enumerate(solved, 1)}
    )


def returned(generator) -> list[Task]:
    with pytest.raises(StopIteration) as end:
        next(generator)
    return end.value.value


def grown(failed, seen, **knobs) -> list[Task]:
    rng = np.random.default_rng(0)
    return returned(growth.procedural(failed, SOURCE.arms, rng, evaluations=[seen], source=SOURCE, **knobs))


def test_it_grows_between_the_last_mastered_and_the_first_hopeless():
    failed = [failure(Arm("chain_sum", 3)), failure(Arm("chain_sum", 4), 1), failure(Arm("gcd", 1))]
    seen = evaluation(chain_sum=[10, 8, 1, 0], spell_backward=[9, 5, 0], gcd=[5, 4])
    made = grown(failed, seen, each=4, both=0)
    # Mastered up to 2, hopeless from 3 on; nothing of spell_backward failed; no level of gcd is mastered.
    assert {(t.family, t.level) for t in made} == {("chain_sum_between", 25)} and len(made) == 4
    assert {p for t in made for p in t.parents} <= {s.rollout.task.id for s in failed[:2]}
    assert made == grown(failed, seen, each=4, both=0)
    assert grown([], seen, each=4) == [] and grown(failed, evaluation(chain_sum=[10, 10, 10, 10]), each=4, both=0) == []


def test_it_grows_questions_that_need_two_families():
    failed = [failure(Arm("chain_sum", 3)), failure(Arm("gcd", 1))]
    made = grown(failed, evaluation(chain_sum=[10, 8, 1, 0], gcd=[6, 0]), each=3, both=2, between=False)
    # 1.0 * 0.6 and 0.8 * 0.6 lie between 0.1 and 0.8, 0.1 * 0.6 does not.
    assert {t.arm for t in made} == {Arm("chain_sum+gcd", 2), Arm("chain_sum+gcd", 3)} and len(made) == 6
    assert all(set(t.parents) == {s.rollout.task.id for s in failed} and split_of(t.prompt) == "train" for t in made)


# Every grower that can stand in the slot


class Anybody(dict):
    """Whatever role is asked, it says 5."""

    def __missing__(self, name):
        return ScriptedPolicy(lambda messages: "5")

    def __contains__(self, name):
        return True


def answered(grower):
    """What it returns, where whoever it asks says 5."""
    done = []
    how = dict(seed=0, max_tokens=64, sampling=PLAIN, roles=Anybody())
    rollouts.perform(ScriptedPolicy(lambda m: "5"), [grower], ["grow"], lambda i, this, made: done.append(made), **how)
    return done[0]


def spread(listed):
    """Every conversation in a direction of its own."""
    return np.eye(max(len(listed), 1))[: len(listed)]


@pytest.mark.parametrize("name", sorted(catalog.choices("grow")))
def test_a_grower_keeps_to_the_contract(name):
    """It returns a list of tasks, a function of its arguments; the screen takes most; it bears to be told of nothing."""
    function = catalog.choices("grow")[name]
    seen = evaluation(chain_sum=[10, 8, 4, 0], spell_backward=[9, 5, 0], gcd=[6, 3])
    failed = [failure(arm, i) for arm in SOURCE.arms for i in range(12)]

    def run(failed, evaluations):
        offers = dict(evaluations=evaluations, source=SOURCE, history={}, totals={}, progress=0.5, library={}, embed=spread)
        offers |= dict(seen=failed, ask=lambda task: Ask(task.prompt))
        return answered(call(function, failed, SOURCE.arms, np.random.default_rng(1), **offers))

    made = run(failed, [seen])
    assert isinstance(made, list) and made == run(failed, [seen]) and run([], []) == []
    made = [item for item in made if isinstance(item, Task)]
    known, refusals = against(SOURCE, MEASURED), screen.Refusals()
    known.ids.update(s.rollout.task.id for s in failed)
    taken = screen.sift(made, known, refusals, 1000)
    assert len(taken) >= 0.8 * len(made) and not refusals.n.keys() - {screen.DUPLICATE, screen.CONTAINS}, refusals
    assert all(verify.verify(task, said).correct for task in taken for said in screen.responses(task))


def test_the_example_in_contributing_grows_what_the_screen_takes():
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    lines = text[text.index("      def simpler(") :].partition("\n\n")[0].splitlines()
    space = {"GrowthGenerator": GrowthGenerator, "Arm": Arm, "replace": dataclasses.replace}
    exec("\n".join(line[6:] for line in lines), space)
    failed = [failure(arm) for arm in SOURCE.arms]
    made = returned(space["simpler"](failed, SOURCE.arms, np.random.default_rng(0), source=SOURCE))
    known = against(SOURCE, MEASURED)
    known.ids.update(s.rollout.task.id for s in failed)
    assert len(lines) <= 25 and len(screen.sift(made, known, screen.Refusals(), 100)) >= 0.8 * len(failed) == 0.8 * len(made)


def test_nothing_and_the_procedural_grower_can_be_set_by_name():
    assert {"nothing", "procedural"} <= set(catalog.choices("grow"))
    assert catalog.build("grpo", ["grow=procedural", "grow.each=3"]).grow.keywords == {"each": 3}
    assert catalog.build("scaffolded", ["grow=nothing"]).grow is catalog.build("grpo").grow
