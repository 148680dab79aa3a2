"""Mathematical answers: the same ones pass in any form, different ones never do, and no text costs more than a moment."""

import gzip
import json
import random
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpen.core import Task
from sharpen.verify import verdicts as verify
from sharpen.verify.maths import arithmetic, maths
from sharpen.verify.maths.expressions import Unreadable, parse
from sharpen.verify.maths.extraction import extract
from sharpen.verify.maths.notation import tidy

HERE = Path(__file__).parent
PAIRS = [json.loads(line) for line in (HERE / "maths_pairs.jsonl").read_text(encoding="utf-8").splitlines()]
GSM8K = HERE.parents[3] / "shared/data/gsm8k_test.jsonl.gz"
MILLION = 10**6


def task(answer, question="?", **data):
    return Task(({"role": "user", "content": question},), answer, "f", 1, verifier="math", data=data)


def judge(response, answer, question="?", **data):
    return verify.verify(task(answer, question, **data), response)


# Extraction


@pytest.mark.parametrize(
    ("response", "answer", "rule"),
    [
        ("<answer> 3 </answer>", "3", "tag"),
        ("<answer>2</answer> no: <answer>3</answer>", "3", "tag"),
        ("so <answer>3", "3", "tag"),
        (r"<answer>\boxed{3}</answer>", "3", "tag"),
        (r"\boxed{4} <answer>3</answer> \boxed{5}", "3", "tag"),
        (r"first \boxed{2}, then \boxed{\frac{1}{2}}.", r"\frac{1}{2}", "box"),
        (r"\boxed{\boxed{3}}", "3", "box"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}", "box"),
        (r"\boxed{a\}b}", r"a\}b", "box"),
        (r"\boxed {3} and \fbox{4}", "3, 4", "box"),
        (r"\boxed{3} The answer is 4, but see \boxed{9", "3", "box"),  # a truncated box is none
        ("The answer is 3.", "3", "marker"),
        ("The final answer is: **3**.", "3", "marker"),
        ("The answer is 4. No, the answer is 3.", "3", "marker"),
        ("Answer: 3\n", "3", "marker"),
        ("**Answer:** 3", "3", "marker"),
        ("A: 3", "3", "marker"),
        ("2 + 1 = <<2+1=3>>3\n#### 3", "3", "marker"),
        ("The answer is\n\n3", "3", "marker"),
        ("The answer is:\n\\[\nx = 3\n\\]", r"\[ x = 3 \]", "marker"),
        ("The answer is 3 because 4 is even", "3", "marker"),
        ("The answer is 3 or 4.", "3 or 4", "marker"),
        ("Answer: she pays $18 a day", "$18", "marker"),
        ("Answer: she pays not 18 but less", "she pays not 18 but less", "marker"),
        ("Answer: she pays 18 and he pays 20", "she pays 18 and he pays 20", "marker"),
        ("The answer is 3. The answer is", "3", "marker"),  # nothing follows the last one
        (r"\frac{3}{4}", r"\frac{3}{4}", "whole"),
        ("(1, 2)", "(1, 2)", "whole"),
        ("Therefore she has 3 apples left.", "3", "last expression"),
        ("Adding up, 1 + 2 = 3", "3", "last expression"),
        ("Adding up, we find $x = \\frac{1}{2}$.", r"\frac{1}{2}", "last expression"),
        ("Adding up, we find 2+1", "2+1", "last expression"),  # not 1
        ("I think that it is 3 or 4", "3 or 4", "last expression"),  # not 4
        ("In all that makes 1,234.50 dollars", "1,234.50 dollars", "last expression"),
        ("<think>Is it 4? The answer is 4</think>\nThe answer is 3", "3", "marker"),
        ("<think><answer>4</answer></think>The answer is 3", "3", "marker"),
        ("The answer is 4</think>", "", "none"),  # nothing is said after the thought
        ("<think>The answer is 4", "", "none"),  # a thought that does not end
        ("I do not know", "", "none"),
        ("", "", "none"),
    ],
)
def test_extract(response, answer, rule):
    assert extract(response) == (answer, rule)


HOSTILE = {
    "boxes": r"\boxed{" * (MILLION // 7),
    "round brackets": "(" * MILLION,
    "braces": "{" * MILLION,
    "closing": "}" * MILLION,
    "markers": "answer is " * (MILLION // 10),
    "bold markers": "Answer:*" * (MILLION // 8),
    "hashes": "#" * MILLION,
    "tags": "<answer>" * (MILLION // 8),
    "digits": "7" * MILLION,
    "groups": ",000" * (MILLION // 4),
    "dots": "." * MILLION,
    "dollars": "$" * MILLION,
    "backslashes": "\\" * MILLION,
    "texts": r"\text{" * (MILLION // 6),
    "bold": "**a" * (MILLION // 3),
    "hedges": "1 or " * (MILLION // 5),
    "exponents": "1e" * (MILLION // 2),
    "signs": "-1" * (MILLION // 2),
    "newlines": "\n" * MILLION,
    "spaces": " " * MILLION,
    "equations": "1=" * (MILLION // 2),
    "prose": "word " * (MILLION // 5),
    "fractions": r"\frac" * 200_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("wrap", ["{}", "The answer is {}", r"\boxed{{{}}}", "<answer>{}</answer>"])
def test_a_million_hostile_characters_are_never_right(name, wrap):
    """And cost no more than the deadline that the whole suite has; bench/maths.py has the seconds."""
    verdict = judge(wrap.format(HOSTILE[name]), "3")
    assert verdict.reward == 0.0, verdict
    assert judge(f"{HOSTILE[name]}\nThe answer is 3", "3").correct == (name != "tags")  # the honest twin: the last tag counts


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_of_readable_length_are_never_right(name):
    for gold in ("3", "(1,2)", r"\{1,2\}", "x^2+1", "1, 2", "x>3", "C"):
        for length in (1_900, 9_900):
            assert not judge(f"<answer>{HOSTILE[name][:length]}</answer>", gold, HOSTILE[name][:20_000]).correct


# Equality


@pytest.mark.parametrize("box", ["<answer>{}</answer>", r"so it is \boxed{{{}}}."])
def test_the_pairs(box):
    """Every pair that a person labelled is judged as labelled: there is no slack for a false "equal"."""
    pytest.importorskip("math_verify", reason="three pairs need the extra math")
    disputed = []
    for pair in PAIRS:
        verdict = judge(box.format(pair["answer"]), pair["gold"], pair.get("question", "?"))
        if verdict.correct != pair["same"]:
            disputed.append((pair, verdict))
    assert len(PAIRS) >= 300 and disputed == []


def test_sameness_is_symmetric_and_reflexive_among_the_pairs():
    """Where no question is involved and no rule looks at one side only: units, choices and what must be carried out do."""
    for pair in PAIRS:
        if pair["kind"] in ("tuple", "interval", "set", "matrix", "closed form", "expression", "fraction", "ratio"):
            there, back = maths.compare(pair["answer"], pair["gold"]), maths.compare(pair["gold"], pair["answer"])
            assert there.same == back.same or "not carried out" in there.kind + back.kind, pair
        for text in (pair["gold"], pair["answer"]):
            assert maths.same(text, text), text


@pytest.mark.parametrize(
    ("response", "answer", "rule"),
    [
        (r"\boxed{0.5}", "1/2", "box: fraction"),
        ("The answer is 1,000.", "1000", "marker: integer"),
        ("The answer is 2 + 3.", "5", "marker: integer, not carried out"),
        (r"\boxed{\sqrt{12}}", r"2\sqrt{3}", "box: closed form"),
        ("x + 1", "1 + x", "whole: expression"),
        ("(1, 2)", "(1,2)", "whole: tuple or interval"),
        ("(1, 2]", "(1,3]", "whole: tuple or interval"),
        ("B", "(B)", "whole: choice"),
    ],
)
def test_the_rule_says_how_the_answer_was_found_and_what_decided(response, answer, rule):
    assert judge(response, answer).rule == rule


@pytest.mark.parametrize(
    ("answer", "response", "places", "right"),
    [
        *((r"\pi", "3.14", 2, True), (r"\pi", "3.15", 2, False), (r"\pi", "3.1416", 2, True), (r"\pi", "22/7", 2, False)),
        *(("1/3", "0.33", 2, True), ("1/3", "0.34", 2, False), ("1/3", "0.3", 2, False), ("2.5", "3", 0, True)),
    ],
)
def test_decimal_places_that_the_task_asks_for(answer, response, places, right):
    assert judge(f"<answer>{response}</answer>", answer, places=places).correct == right


def test_what_the_task_itself_gets_wrong_is_unscorable():
    assert judge("3", "").outcome == judge("3", "  ").outcome == "unscorable"
    assert judge("3", None).outcome == "unscorable"
    assert judge("3", r"\frac{1}{0}").outcome == "unscorable"  # it has no value


def test_answers_that_are_too_large_are_limits():
    assert judge("<answer>9^{9^{9^9}}</answer>", "3").outcome == "limit"
    assert judge("<answer>99999!</answer>", "3").outcome == "limit"
    assert judge(f"<answer>{'1' * 10_002}</answer>", "3").outcome == "limit"
    assert judge(f"<answer>{'1' * 100_000}</answer>", "1" * 100_000).correct  # the honest twin: the task's own is as long
    assert judge(f"<answer>{'1' * 99_999}2</answer>", "1" * 100_000).outcome != "correct"


def test_a_worked_solution_as_the_tasks_answer_means_its_last_line():
    assert judge("The answer is 18", "9 * 2 = 18\n#### 18").correct
    assert judge("The answer is 18", r"Then \boxed{18} follows").correct


def test_an_exclamation_mark_is_a_factorial_only_where_that_is_right():
    assert judge("The answer is 18!", "18").correct and judge("The answer is 5!", "120", "How many orders?").correct
    assert not judge(r"\boxed{18!}", "18").correct and not judge("The answer is 18!", "19").correct


def test_the_questions_message_may_have_parts():
    prompt = ({"role": "user", "content": [{"type": "text", "text": "Simplify 6/8."}]},)
    asked = Task(prompt, "3/4", "f", 1, verifier="math")
    assert not verify.verify(asked, "<answer>6/8</answer>").correct and verify.verify(asked, "<answer>3/4</answer>").correct


# Expressions against an independent implementation: the same tree, built and worked out by the test itself


@st.composite
def rational(draw, depth=3):
    """(LaTeX, value) of an expression in whole numbers."""
    if depth == 0 or draw(st.booleans()):
        number = draw(st.integers(0, 99))
        return str(number), Fraction(number)
    (a, x), (b, y) = draw(rational(depth=depth - 1)), draw(rational(depth=depth - 1))
    kind = draw(st.sampled_from("+-*/^n"))
    if kind == "n":
        return f"(-{a})" if a.isdigit() else f"-({a})", -x
    if kind == "^":
        power = draw(st.integers(0 if x else 1, 4))
        return f"({a})^{{{power}}}", x**power
    if kind == "/" and y:
        return draw(st.sampled_from([rf"\frac{{{a}}}{{{b}}}", f"({a})/({b})"])), x / y
    if kind == "*" or kind == "/":
        return draw(st.sampled_from([rf"({a})\cdot({b})", f"({a})({b})", rf"({a}) \times ({b})"])), x * y
    return (f"({a})+({b})", x + y) if kind == "+" else (f"({a})-({b})", x - y)


@settings(max_examples=300)
@given(rational())
def test_rational_expressions_are_worked_out_exactly(expression):
    text, value = expression
    assert arithmetic.evaluate(parse(tidy(text)), {}) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2^2", -4),
        ("2^3^2", 512),
        ("1/2^2", Fraction(1, 4)),
        ("6/2(3)", 9),
        ("2 1/3", Fraction(7, 3)),
        (r"2\frac{4}{3}", Fraction(8, 3)),
        ("3!!", 720),
        ("0.1‾6", Fraction(1, 6)),
        ("1.5e-2", Fraction(3, 200)),
        ("|2-5|", 3),
        (r"\lceil 7/2 \rceil", 4),
        (r"\sqrt{\frac{4}{9}}", Fraction(2, 3)),
        (r"8^{2/3}", 4),
        (r"\log_{2}{1024}", 10),
        ("50%", Fraction(1, 2)),
    ],
)
def test_values_by_hand(text, value):
    assert arithmetic.evaluate(parse(tidy(text)), {}) == value


@pytest.mark.parametrize(
    "text", ["", "1 2", "(1", "1)", "(1}", "1+", "/2", r"\frac{1}", "2^", "one", "3 or", "1,,2", "٣", "３", "a'", r"\int x"]
)
def test_what_is_no_expression_is_unreadable(text):
    with pytest.raises(Unreadable):
        parse(tidy(text))


def test_random_text_never_raises_and_is_never_the_answer():
    """Pieces of notation in any order: 5,000 texts against answers of every type."""
    rng = random.Random(4)
    pieces = "1 2 3 x y + - * / ^ ( ) [ ] { } , ; = < ! % ° _ | π ∞ ∪ e i . $ & : ½ ² ∅ ℝ ' ٣".split()
    pieces += [
        r"\{",
        r"\}",
        r"\frac{",
        r"\sqrt{",
        r"\pm ",
        " or ",
        " and ",
        r"\le ",
        r"\sin ",
        r"\log_",
        r"\binom{",
        "\\\\",
        "cm",
        " dollars",
    ]
    pieces += [
        r"\begin{pmatrix}",
        r"\end{pmatrix}",
        r"\overline{",
        r"\text{",
        r"\$",
        "9999",
        "10^",
        "percent",
        r"\lfloor ",
        r"\cup ",
    ]
    golds = [
        "7",
        "7/11",
        r"\sqrt7",
        "(7,8)",
        r"\{7,8\}",
        "z^7",
        "7, 8",
        "z>7",
        r"(-\infty,7)\cup(8,9]",
        "z=7",
        "7:8",
        "7%",
        "77 kg",
        r"\pm 7",
    ]
    for _ in range(5_000):
        text = "".join(rng.choices(pieces, k=rng.randint(1, 12)))
        assert maths.compare(text, rng.choice(golds), "What is " + text).same is False, text


# GSM8K

PHRASES = (
    r"\boxed{%s}|The answer is %s.|#### %s|$%s|%s dollars|The answer is **%s**.|so we get %s|The answer is $%s$.|"
    r"**Answer:** %s|Answer: %s|A: %s|The final answer is: $\boxed{%s}$|<answer>%s</answer>|%s|So she has %s apples left.|"
    r"The answer is $%s.|The answer is %s dollars a day.|<think>It is 7</think> The answer is %s|The total is \$%s|"
    r"\[ \boxed{%s} \]|x = %s|"
    r"Thus the total is $%s$.|The answer is \(%s\).|\boxed{\$%s}|\boxed{%s\text{ dollars}}|#### $%s|"
    r"She makes \boxed{%s} dollars."
).split("|")


@pytest.mark.skipif(not GSM8K.exists(), reason=f"{GSM8K} is not there")
def test_gsm8k_answers_equal_themselves_in_every_phrasing_and_nothing_near():
    with gzip.open(GSM8K, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) == 1319
    golds = [row["answer"].rpartition("####")[2].strip() for row in rows]
    numbers = [int(gold.replace(",", "")) for gold in golds]
    for i, (row, gold, number) in enumerate(zip(rows, golds, numbers)):
        asked = task(gold, row["question"])
        assert maths.math(asked, row["answer"]).correct, row
        phrase, other = PHRASES[i % len(PHRASES)], PHRASES[(5 * i + 1) % len(PHRASES)]
        for form in (gold, str(number), f"{number:,}", f"{number}.00", f"{number:,}.00"):
            for said in (phrase % form, other % form):
                assert maths.math(asked, said).correct, (said, row)
        neighbours = [n for n in (numbers[i - 1], numbers[(i + 1) % len(rows)]) if n != number]
        near = [
            *neighbours,
            number + 1,
            number - 1,
            number * 10 or 10,
            -number or 7,
            f"{number} or {number + 1}",
            f"{number}.5",
        ]
        for form in near:
            assert not maths.math(asked, phrase % form).correct, (phrase % form, row)


def test_every_phrasing_of_one_number():
    """All phrasings and forms of a few numbers: what the test on GSM8K only samples for each problem."""
    for number in (0, 7, -3, 18, 1000, 70000, 1450000):
        for phrase in PHRASES:
            for form in (str(number), f"{number:,}", f"{number}.0", f"{number}.00"):
                assert judge(phrase % form, str(number)).correct, phrase % form
            for form in (
                number + 1,
                number * 10 + 5,
                f"{number} or {number + 1}",
                f"{number}%",
                f"1{number}" if number > 0 else 9,
            ):
                assert not judge(phrase % form, str(number)).correct, phrase % form


def test_a_verdict_is_a_pure_function_of_its_arguments():
    verdicts = [judge(r"\boxed{\sqrt{3+2\sqrt2}}", r"1+\sqrt2") for _ in range(3)]
    assert len(set(map(repr, verdicts))) == 1 and verdicts[0].correct
