"""Answers that nothing marks: what the end of a prose says, and what it only mentions, denies or takes back.

Every wrong answer that was once paid stands beside its honest twin.
"""

from __future__ import annotations

import pytest

from sharpen.core import Task
from sharpen.verify import verify


def judge(verifier, answer, response, question="?", **data):
    return verify(Task(({"role": "user", "content": question},), answer, "f", 1, verifier=verifier, data=data), response)


@pytest.mark.parametrize(
    ("answer", "right", "wrong"),
    [
        ("12 km", "The distance is 12 kilometers.", "The distance is 12 miles."),
        ("5 MHz", "The frequency is 5 megahertz.", "The frequency is 5 GHz."),
        ("5 days", "It takes 5 days in total.", "It takes 5 hours."),
        ("5 days", "It takes 5 in total.", "It takes 5 hours a day."),
        ("50 dollars", "It costs $50.", "It costs 50 cents."),
        ("50 dollars", "It costs 50 dollars at the market.", "It costs 50 euros."),
        ("5 kg", "It weighs 5 kg of flour.", "It weighs 5 g."),
        ("3 yards", "That is 3 yards in all.", "There are 3 feet in it."),
        ("1, 2", "The solutions are x = 1 and x = 2.", "The solutions are x = 1 and x = 3."),
        ("2", "So x = 2.", "The solutions are $x = 1$ and $x = 2$."),
        ("2", "So x = 2.", "So x = 1 or x = 2."),
        ("4", "So y = 4.", "So x = 3 and y = 4."),
        ("(3, 4)", "So x = 3 and y = 4.", "So x = 4 and y = 3."),
        ("3", "What is left is 3.", "The expression simplifies to 2x + 3."),
        ("2x + 3", "The expression simplifies to 2x + 3.", "The expression simplifies to 2x - 3."),
        ("x^2", "The derivative is x^2.", "The derivative is 2x."),
        ("2", "There are 2.", "The derivative is x^2."),
        ("5", "So x = 5.", "So x > 5."),
        ("3", "The side is 3.", "The side is 2\\sqrt{3}."),
        ("2\\sqrt{3}", "The side is 2\\sqrt{3}.", "The side is 3\\sqrt{2}."),
        ("\\frac{1}{2}", "The probability is \\frac{1}{2}.", "The probability is \\frac{1}{3}."),
        ("4", "The area is 4.", "The area is 4π."),
        ("4\\pi", "The area is 4\\pi.", "The area is 4."),
        ("1 + \\sqrt{2}", "It is 1 + \\sqrt{2}.", "It is \\sqrt{2}."),
        ("4", "The value is 4.", "The value is log 4."),
        ("5", "I am 5.", "I am 6 am."),
        ("5 p.m.", "It ends at 5 pm.", "It ends at 5 am."),
        ("(-\\infty, 2]", "x \\leq 2", "x \\geq 2"),
        ("1/3", "0.\\overline{3}", "0.\\overline{4}"),
        ("2 hours 30 minutes", "It takes 2 hours and 30 minutes.", "It takes 2 hours and 20 minutes."),
        ("2 hours 30 minutes", "2 hr 30 min", "30 hours 2 minutes"),
        ("30 minutes", "It takes 30 min.", "It takes 2 hours and 30 minutes."),
        ("-5 degrees", "The temperature is -5°C.", "The temperature is 5°C."),
        ("10 Ω", "The resistance is 10 ohms.", "The resistance is 10 volts."),
        ("March 5, 2020", "He was born on 5 March 2020.", "He was born on March 6, 2020."),
        ("March 5, 2020", "The answer is March 5th, 2020.", "He was not born on March 5, 2020."),
        ("July 4", "The answer is the 4th of July.", "The answer is the 14th of July."),
        ("3:30 p.m.", "The answer is 15:30.", "The answer is 3:30 a.m."),
        ("9 a.m.", "It opens at 9:00 AM.", "It opens at 9:00 PM."),
        ("Monday", "It is a Monday.", "It is not Monday."),
        ("\\text{no solution}", "There are no solutions.", "There are solutions."),
    ],
)
def test_what_belongs_to_the_last_number(answer, right, wrong):
    assert judge("math", answer, right).correct and not judge("math", answer, wrong).correct


@pytest.mark.parametrize(
    ("answer", "question", "right"),
    [
        ("5 m", "How long is it in metres?", True),
        ("5 m/s", "How fast, in meters per second?", True),
        ("15 m²", "What is the area in square meters?", True),
        ("5 m", "Simplify 2m + 3m.", False),
    ],
)
def test_letters_are_a_unit_where_the_question_has_a_word_for_it(answer, question, right):
    number = answer.split()[0]
    assert judge("math", answer, f"The answer is {number}.", question).correct == right
    assert judge("math", answer, f"The answer is {answer}.", question).correct
    assert not judge("math", answer, f"The answer is {number} cm.", question).correct


@pytest.mark.parametrize("verifier", ["math", "number"])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("So it can be 8.", "It cannot be 8."),
        ("She needs no more, so she has 8.", "She does not need 8."),
        ("If she does not eat any, she has 8.", "It can never be 8."),
        ("The result equals 8.", "The result does not equal 8."),
        ("It is 8, not 7.", "It is 7, not 8."),
        ("It is 8 instead of 7.", "It is 7 instead of 8."),
        ("It is 8 rather than 7.", "It is 7 rather than 8."),
        ("The total is 8 (I first thought of 7).", "The total is 7 (I first thought it was 8)."),
        ("Only 8 are red.", "All but 8 are red."),
        ("So 8 is right.", "So 8 is too many."),
        ("8 is right.", "8 is wrong."),
        ("It is not 7 but this: 8.", "It is neither 7 nor 8."),
        ("He sits on floor 8.", "He sits on the 8th floor."),
        ("Step 2 gives 8.", "Step 8"),
        ("It is 8.", "5 times 8"),
        ("1. First we add.\n2. That is 8", "1. 7\n2. 8"),
        ("The first is 8.", "- 7\n- 8"),
        ("10 minus 2 is 8.", "2 minus 10 is minus 8."),
    ],
)
def test_numbers_that_are_only_mentioned(verifier, right, wrong):
    assert judge(verifier, "8", right).correct and not judge(verifier, "8", wrong).correct


@pytest.mark.parametrize("verifier", ["math", "number"])
@pytest.mark.parametrize(
    "response",
    [
        "The answer is 7. Wait, that is wrong. It should be 8.",
        "The answer is 7. Oh no, that is not right. It is 8.",
        "\\boxed{7} Wait, that's wrong: it is 8.",
        "The answer is 7. Wait, no, it is 8.",
        "The answer is 7? No, that is incorrect. The answer is 8.",
        "I get 7.\nHmm, that isn't right. I get 8.",
        "The answer is 7. Actually, I made a mistake. It is 8.",
        "The answer is 7. Scratch that. 8.",
        "3 + 4 = 8. Wait, that is wrong. 4 + 4 = 8. So the answer is 8.",
    ],
)
def test_what_is_taken_back_is_no_answer(verifier, response):
    assert judge(verifier, "8", response).correct and not judge(verifier, "7", response).correct


@pytest.mark.parametrize(
    "response",
    [
        "The answer is 8. Some say 9. That is wrong.",
        "\\boxed{8}. Wait, let me check: 3 + 5 = 8. Yes.",
        "The answer is 8. It should be noted that 9 is too many.",
        "The answer is 8.\n\nNo other number works.",
        "No one has more. She has 8.",
        "It is 8. Is that wrong? No, that is right.",
    ],
)
def test_what_is_only_checked_stays(response):
    assert judge("number", "8", response).correct


def test_what_is_taken_back_in_words_and_letters():
    colours = ["Red", "Green", "Blue"]
    for response in ("The answer is A. Wait, that is wrong. It is B.", "The answer is A.\n\nWait, that is wrong.\n\nB"):
        assert judge("multiple_choice", "B", response, choices=colours).correct
        assert not judge("multiple_choice", "A", response, choices=colours).correct
    assert judge("exact", "Lima", "The answer is Quito. Wait, that is wrong. The answer is Lima.").correct
    assert not judge("exact", "Quito", "The answer is Quito. Wait, that is wrong.").correct


@pytest.mark.parametrize("verifier", ["math", "number"])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("No one would say 7; the answer is 8.", "No one would say 8."),
        ("No one would say 7, so it is 8.", "Nobody would say that the answer is 8."),
        ("No one says a word, and she has 8.", "None of them thought that it was 8."),
        ("It is 8. No one would say 7.", "It is 7. No one would say 8."),
        ("It is not 7, it is 8.", "I don't think it is 8."),
        ("The number of wrong answers is 8.", "Wrong answers include 8."),
        ("The wrong answer is 7, but the right one is 8.", "The wrong answer is 8."),
        ("A common mistake is 7. It is 8.", "A common mistake is 8."),
        ("The typical error is 8.", "A typical error would be 8."),
        ("It is wrong to say 7, so 8.", "It is wrong to say 8."),
        ("She says 8.", "Some say 8."),
        ("There is no doubt: 8.", "I doubt that it is 8."),
        ("There is no remainder, so 8.", "It is incorrect that there are 8."),
        ("No more than 8 fit, so the answer is 8", "Surely nobody could seriously claim 8."),
        ("8 apples are not eaten.", "Other people might say 8."),
        ("The two numbers add up to 8.", "She has up to 8."),
        ("The answer is 8.5 - 0.5 = 8.", "No one would say 7.5 or 8."),
    ],
)
def test_a_number_that_its_own_sentence_disowns_is_no_answer(verifier, right, wrong):
    assert judge(verifier, "8", right).correct and not judge(verifier, "8", wrong).correct


@pytest.mark.parametrize("verifier", ["math", "number"])
@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("8", "The answer is eight."),
        ("8", "Eight."),
        ("8", "Answer: eight apples"),
        ("0", "zero"),
        ("-3", "The answer is negative three."),
        ("12", "The answer is a dozen."),
        ("17", "The answer is seventeen."),
        ("23", "The answer is twenty-three."),
        ("105", "The answer is one hundred and five."),
        ("110", "The answer is a hundred and ten dollars."),
        ("1234", "The answer is one thousand two hundred thirty-four."),
        ("2000000", "The answer is two million."),
        ("3405006", "The answer is three million, four hundred and five thousand and six."),
    ],
)
def test_a_number_in_words_is_read_where_it_is_the_whole_answer(verifier, answer, right):
    assert judge(verifier, answer, right).correct
    assert not judge(verifier, str(int(answer) + 1), right).correct
    assert not judge(verifier, answer, right.rstrip(".") + " or nine.").correct


@pytest.mark.parametrize("verifier", ["math", "number"])
@pytest.mark.parametrize(
    ("answer", "response"),
    [
        ("1", "The answer is one more thing."),
        ("1", "The answer is one of them."),
        ("1", "The answer is no one."),
        ("1", "The answer is one half."),
        ("1", "The answer is a third."),
        ("2", "The answer is two thirds."),
        ("2", "The answer is second."),
        ("8", "The answer is not eight."),
        ("8", "The answer is eight and a half."),
        ("8", "The answer is eight hundred."),
        ("8", "The answer is eight, nine."),
        ("8", "No one would say eight."),
    ],
)
def test_words_that_only_hold_a_number(verifier, answer, response):
    assert not judge(verifier, answer, response).correct
    assert judge(verifier, "7", "One of them is 7.").correct


@pytest.mark.parametrize("verifier", ["math", "number"])
def test_a_time_of_day_is_no_number_unless_a_time_was_asked_for(verifier):
    for said in ("10 p.m.", "The answer is 10 pm.", "It closes at 10 P.M."):
        assert not judge(verifier, "10", said, "How many apples are left?").correct
        assert not judge(verifier, "10", said, "How many times does she call when he is out?").correct
        for question in ("At what time does it close?", "When does it close?", "It opens at 9 a.m. Until when?"):
            assert judge(verifier, "10", said, question).correct
    assert judge(verifier, "10", "He gets up at 7 a.m. and works 10 hours.", "How long does he work?").correct
    assert judge("math", "10 p.m.", "It closes at 10 pm.", "?").correct


def test_cents_are_no_dollars_unless_they_are_asked_for():
    for verifier in ("math", "number"):
        assert not judge(verifier, "50", "It costs 50 cents.", "How many dollars does it cost?").correct
        assert judge(verifier, "50", "It costs 50 cents.", "How many cents does it cost?").correct


def test_a_box_in_a_tag_is_opened():
    assert (
        judge("number", "7", "<answer>\\boxed{7}</answer>").correct
        and judge("number", "7", "<answer>$\\boxed{7}$</answer>").correct
    )
    assert not judge("number", "7", "<answer>not \\boxed{7}</answer>").correct


@pytest.mark.parametrize(
    ("answer", "right", "wrong"),
    [
        ("yes", "Yes, 7 is prime.", "Yes and no."),
        ("yes", "**Yes.** It has two divisors.", "Yes, or rather no."),
        ("no", "No, 8 is not prime.", "No, yes is wrong."),
        ("true", "The statement is true.", "The statement is not true."),
        ("true", "True, since 7 is odd.", "It may be that the statement is true."),
        ("Lima", "The capital of Peru is Lima.", "The capital of Peru is not Lima."),
        ("Lima", "The capital of Peru is Lima.", "I doubt that the capital of Peru is Lima."),
        ("Lima", "It is Lima!", "It is Lima or Quito."),
    ],
)
def test_words_in_a_short_sentence(answer, right, wrong):
    assert judge("choice", answer, right).correct and not judge("choice", answer, wrong).correct


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("I think it is B, not A.", "I think it is A, not B."),
        ("A is wrong, C is wrong, so B.", "B is wrong, C is wrong, so A."),
        ("The capital is Quito.", "The capital is not Quito."),
        ("It's definitely B!", "It's definitely not B!"),
        ("The answer is Quito (B).", "The answer is Quito (A)."),
        ("The capital is Quito.", "The capital is Lima, Quito."),
        ("The capital is Quito.", "Lima is smaller, or the capital is Quito."),
    ],
)
def test_a_choice_in_a_sentence(right, wrong):
    cities = ["Lima", "Quito", "La Paz"]
    assert judge("multiple_choice", "B", right, choices=cities).correct
    assert not judge("multiple_choice", "B", wrong, choices=cities).correct
    assert judge("multiple_choice", "A, C", "Both A and C.", choices=cities).correct


@pytest.mark.parametrize("verifier", ["math", "number"])
@pytest.mark.parametrize(
    ("paid", "honest"),
    [
        ("No one would say 7.", "No, she has 7."),
        ("Wrong answers include 7.", "The right ones are 7."),
        ("7 is wrong.", "7 is what she has."),
        ("It would be a mistake to answer 7.", "She made 7."),
        ("8. I first said 7.", "First she had 3. Then she had 7."),
        ("Is it 7?", "How many are there? It is 7."),
        ("So there are 7 of them?", "So there are 7 of them."),
        ("I do not know. There are 7 unknowns.", "There are 7 unknowns."),
        ("We could not solve it, after 7 tries.", "He solved it after 7 tries."),
        ("page 7", "pages: 7"),
        ("See question 7.", "He asked 7."),
        ("That is 4 out of 7.", "That is 7 out."),
        ("That is 4 of 7.", "That is 7 of them."),
        ("I do not think the answer is 7.", "I do think the answer is 7."),
        ("The wrong answer is 7.", "The right answer is 7."),
        ("The answer is 7? No.", "What is the answer? The answer is 7."),
        ("A: 7\nB: 8\nC: 9", "Q: 3 + 4?\nA: 7"),
    ],
)
def test_a_number_that_is_asked_denied_or_given_up_is_no_answer(paid, honest, verifier):
    assert not judge(verifier, "7", paid).correct and judge(verifier, "7", honest).correct


@pytest.mark.parametrize(("unit", "other"), [("A", "mA"), ("amps", "mA"), ("KB", "MB"), ("Gy", "Sv"), ("lux", "lm")])
def test_a_unit_of_one_or_two_letters(unit, other):
    for one, two in ((unit, other), (other, unit)):
        assert judge("math", f"5 {one}", f"The answer is 5 {one}.").correct and judge("math", "5", f"It is 5 {one}.").correct
        assert not judge("math", f"5 {one}", f"The answer is 5 {two}.").correct
        assert not judge("math", rf"5\text{{ {one}}}", rf"\boxed{{5\,\mathrm{{{two}}}}}").correct


@pytest.mark.parametrize(
    ("answer", "same", "other"),
    [
        (r"\frac{1}{2}", r"1\over2", r"2\over1"),
        (r"\frac{1}{2}", r"{1 \over 2}", r"{1 \over 3}"),
        (r"x + \frac13", r"x+{1\over 3}", r"{x+1\over 3}"),
        (r"\binom{5}{2}", r"\binom52", r"\binom42"),
        ("10", r"{5\choose2}", r"{5\choose1}"),
        (r"\log_2 3", r"\log_2{3}", r"\log_3{2}"),
        ("42", r"\large 42", r"\large 24"),
        ("42", "42 ✓", "24 ✓"),
        ("12:30", "12{:}30", "12{:}31"),
    ],
)
def test_a_plain_answer_in_other_spellings(answer, same, other):
    assert judge("math", answer, rf"\boxed{{{same}}}").correct and not judge("math", answer, rf"\boxed{{{other}}}").correct
