"""Final answers in prose, as chat models give them: read where they are clear, and never where they hedge.

Every kind has right answers in many forms beside wrong ones that look like them.
"""

from __future__ import annotations

import json

import pytest

from sharpen.core import Task, UserError
from sharpen.verify import answers_of, verify

COLOURS = ["Red", "Green", "Blue", "Yellow"]


def judge(verifier, answer, response, question="?", **data):
    return verify(Task(({"role": "user", "content": question},), answer, "f", 1, verifier=verifier, data=data), response)


# Multiple choice.


@pytest.mark.parametrize(
    "response",
    [
        "B. Green\n\nGrass contains chlorophyll.",
        "B is the correct answer.",
        "B is correct.",
        "Option B is correct.",
        "B - Green",
        "B – Green",
        "B: Green",
        "B) Green",
        "(B) Green",
        "[B]",
        "The correct option is B.",
        "The correct answer is option B.",
        "I choose B.",
        "I would pick B.",
        "It's B.",
        "The answer must be B.",
        "The best answer is B.",
        "Therefore, the answer is B.",
        "So B.",
        "B, because grass is green.",
        "The answer is B: Green",
        "The answer is B (Green).",
        "**B**",
        "**B. Green**",
        "**B) Green**",
        "The answer is **B**.",
        "The answer is **B. Green**.",
        "Answer: **B**",
        "Answer: B) Green",
        "Final answer: (B)",
        "\\boxed{B}",
        "\\boxed{\\text{B}}",
        "\\boxed{\\text{B. Green}}",
        "$\\boxed{\\textbf{(B)}}$",
        "The answer is B, not A.",
        "B, not A.",
        "It is B rather than C.",
        "答案：B",
        "答案是B",
        "答案选B。",
        "正确答案是 B。",
        "选B",
        "故选：B",
        "正确答案：B. Green",
        "Ответ: B",
        "Respuesta: B",
        "La respuesta correcta es B",
        "Die Antwort ist B.",
        "La réponse est B.",
        "정답: B",
        "答えはBです",
        "답: B",
        "We have \\boxed{x+1}.\n\n**Answer: B**",
        "So \\boxed{5} apples.\nThe answer is B.",
        "Choice B.",
        "Choice B is right.",
        "B would be the best choice.",
        "Green",
        "green.",
        "The answer is Green.",
        "The answer is (B) Green.",
        "The answer is B. Green",
        "Answer: B. Green is the color of grass.",
        "<think>A?</think>B",
        "<answer>B</answer>",
        "<answer>B. Green</answer>",
        "Let me think. Red is wrong.\n\nB",
        "A is wrong since red.\nC is wrong.\nSo the answer is B.",
        "The correct choice is (B).",
        "b",
        "(b)",
        "b) green",
        "Option (B)",
        "Ｂ",
        "The answer is: B",
        "ANSWER: B",
        "Answer:\nB",
        "Answer:\n\n**B) Green**",
        "My answer is B.",
        "Correct answer: B",
        "The right answer is B",
        "B is right because A is red.",
        "The answer is B because red is not a plant.",
        "Ans: B",
        "B is the answer.",
        "Among these, B is correct.",
        "- B",
        '"B"',
        "<b>B</b>",
        "The answer is {B}.",
        "It should be B.",
        "Choose B",
        "Answer - B",
        "The answer is definitely B.",
        "Green is correct.",
        "Green is the right answer.",
        "A: Red\nB: Green\nC: Blue\nD: Yellow\n\nSo B",
        "A: B",
        "Q: What has the colour of grass?\nA: Green",
    ],
)
def test_a_choice_in_prose(response):
    assert judge("multiple_choice", "B", response, choices=COLOURS).correct
    assert not judge("multiple_choice", "A", response, choices=COLOURS).correct


@pytest.mark.parametrize(
    "response",
    [
        "A or B",
        "A and B",
        "Not B",
        "B is wrong.",
        "B is incorrect.",
        "B is not correct.",
        "The answer is not B.",
        "The answer is A, not B.",
        "It's either A or B.",
        "B. Red",
        "(B) Red",
        "The answer is B. Red",
        "Answer: A\nAnswer: C",
        "I think A. Or B.",
        "B?A",
        "All of the above",
        "A, B",
        "BC",
        "The answer isn't B",
        "Neither A nor B",
        "B or maybe C",
        "<think>B</think>",
        "<think>The answer is B",
        "\\boxed{A}\n\nB is wrong",
        "\\boxed{B} or \\boxed{C}",
        "Be careful.",
        "But why?",
        "B2",
        "Answer: not B",
        "A. Green",
        "A: Red\nB: Green",
        "A\n\nExplanation: B is green.",
        "- A\n- B",
        "I do not think the answer is B.",
        "The incorrect answer is B.",
        "A student says the answer is B.",
        "The answer is B? No.",
        "Nothing but Green is correct.",
        "Neither Red nor Green is correct.",
        "It is doubtful that Green is correct.",
    ],
)
def test_no_choice_or_another_or_several(response):
    assert not judge("multiple_choice", "B", response, choices=COLOURS).correct


@pytest.mark.parametrize(
    "response",
    ["A, C", "A and C", "AC", "C, A", "(A), (C)", "ANSWER: A, and C", "A/C", "Answers: A & C"]
    + ["The correct answers are A and C.", "Options A and C are correct.", r"\boxed{A, C}", r"\boxed{A} and \boxed{C}"]
    + ["<answer>A,C</answer>"],
)
def test_several_right_choices(response):
    assert judge("multiple_choice", "A, C", response, choices=COLOURS).correct
    for other in ("A", "A, B", "A, B, C", "AB"):
        assert not judge("multiple_choice", other, response, choices=COLOURS).correct


@pytest.mark.parametrize("response", ["A", "A, B, C", "A, B", "A or C", "not A, C"])
def test_fewer_or_more_than_the_right_choices(response):
    assert not judge("multiple_choice", "A, C", response, choices=COLOURS).correct


def test_what_an_answer_of_json_means():
    assert answers_of("multiple_choice", 1, COLOURS) == ("B", [])
    assert answers_of("multiple_choice", ["A", "C"], COLOURS) == ("A, C", [])
    assert answers_of("choice", ["Lima", "LIM"]) == ("Lima", ["LIM"]) and answers_of("number", [7, 8.5]) == ("7", ["8.5"])
    assert answers_of("numbers", [1, 2]) == ("1, 2", []) and answers_of("number", 7) == ("7", [])
    assert answers_of("json", {"a": [1]}) == ('{"a": [1]}', []) and answers_of("exact", None) == (None, [])
    for choices in (["1", "2"], ["a"], {"X": "a", "Y": "b"}):  # a place or a choice? none such; no order
        with pytest.raises(UserError, match="no place in the list"):
            answers_of("multiple_choice", 1, choices)


# Words.


@pytest.mark.parametrize("verifier", ["choice", "exact"])
@pytest.mark.parametrize(
    ("answer", "response"),
    [
        ("U.S.", "The answer is U.S."),
        ("U.S.", "U.S."),
        ("U.S.", "**U.S.**"),
        ("St. Louis", "The answer is St. Louis."),
        ("St. Louis", "The answer is St. Louis. It is in Missouri."),
        ("Washington, D.C.", "The answer is Washington, D.C."),
        ("J. K. Rowling", "Answer: J. K. Rowling"),
        ("Dr. Seuss", "The answer is Dr. Seuss."),
        ("São Paulo", "Sa\u0303o Paulo"),
        ("São Paulo", "The answer is Sa\u0303o Paulo."),
        ("café", "cafe\u0301"),
        ("Lima", "**Lima**"),
        ("Lima", "Lima."),
        ("Lima", "`Lima`"),
        ("Lima", '"Lima"'),
        ("Lima", "The answer is Lima!"),
        ("Lima", 'The answer is "Lima".'),
        ("Lima", "It is in Peru.\nFinal answer: Lima"),
        ("Lima", "\\boxed{Lima}"),
        ("Lima", "\\boxed{\\text{Lima}}"),
        ("Lima", "<think>Quito</think>Lima"),
        ("Yes", "Yes."),
        ("No", "Answer: No"),
        ("a.m.", "a.m."),
        ("Inc.", "The answer is Inc."),
        ("Lima", "Lima 🎉"),
        ("New York", "The answer is New York, which is a city."),
        ("Lima", "Lima is the correct answer."),
        ("Mr. Smith", "Mr. Smith"),
        ("e.g.", "e.g."),
        ("Ответ", "Ответ"),
    ],
)
def test_words_in_any_spelling_of_the_same(answer, response, verifier):
    assert judge(verifier, answer, response).correct


@pytest.mark.parametrize("verifier", ["choice", "exact"])
@pytest.mark.parametrize(
    ("answer", "response"),
    [
        ("Lima", "The answer is Lima or Quito."),
        ("Lima", "Lima, Quito"),
        ("Lima", "Not Lima"),
        ("Lima", "The answer is not Lima."),
        ("Lima", "Lima?\nQuito"),
        ("U.S.", "U.K."),
        ("Lima", "<think>Lima</think>"),
        ("Lima", "<think>Lima"),
        ("Lima", "<think>The answer is Lima.</think>I do not know"),
        ("Yes", "Yes and no"),
        ("No", "No idea what to do"),
        ("Lima", "The answer is Lima. No, the answer is Quito."),
        ("Lima", "I think the answer is probably not Lima"),
        ("Lima", "Lim"),
        ("Lima", "The answer is the country whose capital is Lima."),
        ("Lima", "The answer is Lima? No."),
        ("Lima", "Nobody says that the answer is Lima."),
        ("Lima", "I doubt whether Lima is the answer."),
    ],
)
def test_other_words_hedges_and_thoughts(answer, response, verifier):
    assert not judge(verifier, answer, response).correct


def test_further_right_answers_count_for_every_rule():
    assert judge("choice", "Lima", "LIM", accept=["LIM"]).correct and not judge("choice", "Lima", "LIM").correct
    assert judge("choice", "O'Neill", "O’Neill").correct
    for verifier in ("number", "math", "exact"):
        assert judge(verifier, "7", r"\boxed{8}", accept=["8"]).correct
        assert not judge(verifier, "7", r"\boxed{9}", accept=["8"]).correct
    assert judge("numbers", "1, 2", "2, 1", accept=["2, 1"]).correct and not judge("numbers", "1, 2", "2, 1").correct


# Numbers.


@pytest.mark.parametrize(
    "response",
    [
        "The answer is 42.",
        "The answer is 42 apples.",
        "The answer is $42.",
        "The answer is \\$42.",
        "\\boxed{42}",
        "\\boxed{42\\text{ apples}}",
        "\\boxed{\\$42}",
        "So she has 42 apples.",
        "#### 42",
        "Answer: 42",
        "**42**",
        "The total is **42**.",
        "x = 42",
        "40 + 2 = 42",
        "The answer is 42.00.",
        "The answer is **42**.",
        "42.",
        "42 dollars",
        "It costs $42 in total.",
        "Answer: $42$",
        "The answer is 42!",
        "Ответ: 42",
        "The final answer is 42. ✅",
        "<think>41</think>\n42",
        "\\[ \\boxed{42} \\]",
        "Therefore, the answer is \\(42\\).",
        "Answer: 42 km/h",
        "\\boxed{42^\\circ}",
        "The answer is:\n\n42",
    ],
)
def test_a_number_in_prose(response):
    assert judge("number", "42", response).correct and not judge("number", "41", response).correct
    assert judge("math", "42", response).correct and not judge("math", "41", response).correct


@pytest.mark.parametrize(
    "response",
    [
        "41 or 42",
        "The answer is 41 or 42.",
        "<think>42</think>",
        "<think>42",
        "Between 40 and 42",
        "The answer is 42%.",
        "42 million",
        "The answer is 42 dozen.",
        "not 42",
        "The answer is not 42.",
        "42/1",
        "\\boxed{41} or \\boxed{42}",
        "Maybe 42? Or 43",
        "The answer is half of 42",
        "42 squared",
        "\\boxed{42\\%}",
        "<answer>42 apples</answer>",
        "<answer>The answer is 42</answer>",
        "40+2",
        "\\boxed{40+2}",
        "42 and 43",
    ],
)
def test_no_number_or_several(response):
    assert not judge("number", "42", response).correct


def test_numbers_as_they_are_written():
    assert judge("number", "50", "The percentage is 50%.", "What is the percentage of red balls?").correct
    assert judge("number", "1000", "The answer is 1,000.").correct and judge("number", "-3", "The answer is −3.").correct
    assert judge("number", "3/4", "The answer is 3/4.").correct and not judge("number", "0.75", "The answer is 3/4.").correct


@pytest.mark.parametrize(
    "response",
    [
        "The numbers are 1, 2, 3.",
        "The numbers are 1, 2, and 3.",
        "The numbers are 1, 2 and 3.",
        "The answer is 1, 2, 3.",
        "The answer is [1, 2, 3].",
        "\\boxed{1, 2, 3}",
        "\\boxed{[1,2,3]}",
        "Sorted: 1, 2, 3",
        "So the sorted list is [1, 2, 3].",
        "The list is **1, 2, 3**.",
        "1 2 3",
        "[1, 2, 3]",
        "Answer: 1, 2, 3",
        "First I sort.\n[1, 2, 3]",
        "First I sort.\n1, 2, 3",
        "<answer>1, 2, 3</answer>",
        "The answer is $1, 2, 3$.",
        "x = [1, 2, 3]",
        "They are 1; 2; 3.",
        "['1', '2', '3']",
        "The result is ['1', '2', '3']",
    ],
)
def test_a_list_of_numbers_in_prose(response):
    assert judge("numbers", "1, 2, 3", response).correct and not judge("numbers", "[1, 2, 4]", response).correct


@pytest.mark.parametrize(
    "response",
    [
        "The numbers are 1, 2, 3 or 4.",
        "The numbers are 3, 2, 1.",
        "From 5 numbers: 1, 2, 3 and 9",
        "1, 2, 3, 4",
        "The numbers 1, 2, 3 give 1, 2",
        "not 1, 2, 3",
        "The numbers are 1, 2.",
        "<think>1, 2, 3",
    ],
)
def test_another_list_or_more_than_one(response):
    assert not judge("numbers", "1, 2, 3", response).correct


# JSON.

CALL = {"name": "book", "arguments": {"nights": 3}}
g = json.dumps(CALL)


@pytest.mark.parametrize(
    "response",
    [
        "```json\n%s\n```\n\nRun it:\n\n```python\nbook(nights=3)\n```",
        "```tool_call\n%s\n```",
        "<tool_call>\n%s\n</tool_call>",
        "Here is the call: %s",
        "%s\nThis books it.",
        "```json-schema\n%s\n```",
        "```JSON\n%s\n```",
        "``` json\n%s\n```",
        "```\n%s\n```",
        "~~~json\n%s\n~~~",
        "```json\n%s\n```\nOutput:\n```\nok\n```",
        '<think>{"a":1}</think>%s',
        "<answer>%s</answer>",
        "<answer>```json\n%s\n```</answer>",
        "1. Call:\n   ```json\n   %s\n   ```",
        "<function_call>%s</function_call>",
        "Sure! %s Let me know.",
        "```json\n%s",
        json.dumps(CALL, indent=2),
        "```jsonc\n%s\n```",
        "```javascript\n%s\n```",
        "<tool_call>%s",
    ],
)
def test_json_wherever_a_model_puts_it(response):
    assert judge("json", g, response.replace("%s", g)).correct
    assert not judge("json", g.replace("3", "4"), response.replace("%s", g)).correct


@pytest.mark.parametrize(
    "response",
    [
        "%s or " + g.replace("3", "4"),
        "<think>%s</think>",
        "<think>%s",
        "{%s",
        "<tool_call>%s</tool_call><tool_call>%s</tool_call>",
        "not %s %s",
        g[:-1],
        "[%s]",
        "```python\nbook(nights=3)\n```",
    ],
)
def test_json_twice_in_thoughts_cut_or_wrapped(response):
    assert not judge("json", g, response.replace("%s", g)).correct


def test_calls_at_the_same_time_have_no_order():
    calls = [{"n": "w", "c": "Oslo"}, {"n": "w", "c": "Bergen"}]
    there, back = json.dumps(calls), json.dumps(calls[::-1])
    assert judge("json", there, back).correct
    assert judge("json", there, "".join(f"<tool_call>{json.dumps(c)}</tool_call>\n" for c in calls[::-1])).correct
    for other in (json.dumps(calls[:1] * 2), json.dumps(calls[:1]), json.dumps([*calls, calls[0]])):
        assert not judge("json", there, other).correct
    assert not judge("json", "[1, 2]", "[2, 1]").correct  # what is no call keeps its order, and so does what lies deeper
    assert not judge("json", json.dumps({"a": calls}), json.dumps({"a": calls[::-1]})).correct


@pytest.mark.parametrize(
    "response", ["<think>thanks</think>no", "<think>thanks", "thanks</think>no", "<Thinking>thanks</Thinking>no"]
)
def test_no_verifier_looks_into_thoughts(response):
    assert not judge("rubric", None, response, rubric=[{"kind": "contains", "value": "thanks"}]).correct
    assert judge("rubric", None, f"{response}<think></think>thanks", rubric=[{"kind": "contains", "value": "thanks"}]).correct
    for verifier in ("exact", "choice", "math"):
        assert (
            not judge(verifier, "thanks", response).correct and judge(verifier, "thanks", f"{response}</think>thanks").correct
        )


# Mathematics: who lists all that was named gives no answer.


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("The smallest number is 66, 50, 40.", "wrong"),
        ("So 66, 50, and 40.", "wrong"),
        ("The smallest of them is 50, 40", "wrong"),
        ("Of 66, 50 and 40 the smallest is 40.", "correct"),
        ("66 > 50, 50 > 40: it is 40.", "correct"),
        ("First 66, then 50. The smallest is 40.", "correct"),
    ],
)
def test_the_last_of_a_list_is_not_what_was_answered(response, outcome):
    assert judge("math", "40", response).outcome == outcome


OPEN = "A shop opens at 9 a.m. and closes at 7 p.m. How many hours is it open?"


@pytest.mark.parametrize(
    ("verifier", "answer", "response", "question", "right"),
    [
        ("number", "10", "10 p.m.", OPEN, False),
        ("math", "10", "The answer is 10 p.m.", OPEN, False),
        ("math", "10", "The answer is 10 hours.", OPEN, True),
        ("number", "10", "10 p.m.", "It is 3 p.m. now. Which hour is it 7 hours later?", True),
        ("math", "12", "12 a.m.", "Class starts at 8 a.m. She sleeps 8 hours. Find the time she goes to bed.", True),
        ("number", "8", "Answer: **eight** apples", "How many apples?", True),
        ("math", "8", "**Answer: eight** apples", "How many apples?", True),
        ("math", "8", "Answer: *8* apples", "How many apples?", True),
        ("math", "8", "Answer: **seven** apples", "How many apples?", False),
        ("math", "8", "Answer: 2**3", "?", True),
        ("math", "tea", "eat", "?", False),
        ("math", "xyz", "zyx", "?", True),  # a product
        ("math", "abc", "bca", "?", True),
        ("math", "abc", "a*b*c", "?", True),
        ("math", "ab", "ba", "?", True),
    ],
)
def test_times_that_nobody_asked_for_bold_words_and_words_that_are_no_product(verifier, answer, response, question, right):
    assert judge(verifier, answer, response, question).correct is right


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("A is tempting, but B is correct.", "correct"),
        ("B is tempting, but A is correct.", "wrong"),
        ("A is correct, but B is also correct.", "malformed"),
        ("B is fine, but is A correct?", "malformed"),
    ],
)
def test_a_choice_behind_but(response, outcome):
    assert judge("multiple_choice", "B", response, choices=COLOURS).outcome == outcome
