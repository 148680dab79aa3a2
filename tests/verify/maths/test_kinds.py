"""Kinds of mathematical answers that were once misjudged, each with many of its kind: the right ones, and their wrong twins."""

from __future__ import annotations

import pytest

from sharpen.core import Task
from sharpen.verify import verify


def judge(answer, response, question="?", verifier="math", **data):
    return verify(Task(({"role": "user", "content": question},), answer, "f", 1, verifier=verifier, data=data), response)


def box(text):
    return rf"\boxed{{{text}}}"


@pytest.mark.parametrize("verifier", ["math", "number"])
@pytest.mark.parametrize(
    ("answer", "response", "right"),
    [
        ("7", "#### Solution\nAdd 3 and 4.\n#### 7", True),
        ("2", "#### 2\n3+4\n#### Result\nSo 7", False),
        ("7", "##### Step 3\nThe total is 7.", True),
        ("3", "##### Step 3\nThe total is 7.", False),
        ("3", "#### 3. Final\n", False),
        ("3", "#### Step 3", False),
        ("7", "#### Step 1: x\n#### Final Answer: 7", True),
        ("1", "#### 1) Read\nblah\n#### 2) Do\nIt is 5 apples", False),
        ("2", "#### 1) Read\nblah\n#### 2) Do\nIt is 5 apples", False),
        ("5", "#### 1) Read\nblah\n#### 2) Do\nIt is 5 apples", True),
        ("12", "#### 12 apples", True),
        ("12", "6+6=12\n#### $12", True),
        ("7", "#### The answer\n\n**7**", True),
    ],
)
def test_a_heading_of_markdown_is_no_answer(answer, response, right, verifier):
    assert judge(answer, response, verifier=verifier).correct == right


@pytest.mark.parametrize(
    ("one", "other"),
    (
        ("3\\text{ p.m.}", "3\\text{ a.m.}"),
        ("3 pm", "3 am"),
        ("10\\% \\text{ gain}", "10\\% \\text{ loss}"),
        ("5\\text{ m up}", "5\\text{ m down}"),
        ("5 \\text{ north}", "5 \\text{ south}"),
        ("20\\text{ feet left}", "20\\text{ feet right}"),
        ("5\\text{ years ago}", "5\\text{ years from now}"),
        ("\\$5\\text{ profit}", "\\$5\\text{ loss}"),
        ("90^\\circ\\text{ clockwise}", "90^\\circ\\text{ counterclockwise}"),
        ("15\\text{ miles northeast}", "15\\text{ miles northwest}"),
        ("3:00\\text{ p.m.}", "3:00\\text{ a.m.}"),
        ("5\\text{ boys}", "5\\text{ girls}"),
        ("10\\text{ BC}", "10\\text{ AD}"),
        ("4\\text{ heads}", "4\\text{ tails}"),
        ("5°\\text{C below}", "5°\\text{C above}"),
        ("30\\text{ minutes early}", "30\\text{ minutes late}"),
        ("10\\% \\text{ more}", "10\\% \\text{ less}"),
        ("20\\%\\text{ higher}", "20\\%\\text{ lower}"),
    ),
)
def test_words_that_reverse_an_answer(one, other):
    assert judge(one, box(one)).correct and judge(other, box(other)).correct
    assert not judge(one, box(other)).correct and not judge(other, box(one)).correct


@pytest.mark.parametrize(
    ("answer", "carried_out"),
    [
        ("2020-01-02", "2017"),
        ("1914-1918", "-4"),
        ("555-1234", "-679"),
        ("1/2/2020", "1/4040"),
        ("3-2", "1"),
        ("10 - 12", "-2"),
    ],
)
def test_dates_and_spans_are_no_differences(answer, carried_out):
    assert judge(answer, f"The answer is {answer}.").correct and judge(answer, box(answer.replace("-", "–"))).correct
    assert not judge(answer, f"The answer is {carried_out}.").correct and not judge(answer, box(carried_out)).correct


@pytest.mark.parametrize(
    ("answer", "response", "question", "right"),
    [
        (r"3\text{ p.m.}", box(r"3\text{ pm}"), "?", True),
        ("3 PM", "The answer is 3 p.m.", "?", True),
        ("3:00 p.m.", "3:00 PM", "?", True),
        (r"20\% \text{ increase}", "The answer is a 20% increase.", "?", True),
        (r"20\% \text{ increase}", "The answer is an increase of 20%.", "?", True),
        (r"20\% \text{ increase}", "The answer is a decrease of 20%.", "?", False),
        (r"20\% \text{ increase}", box(r"20\%"), "What is the percent increase?", True),  # the question says which
        (r"20\% \text{ increase}", box(r"20\%"), "What is the change?", False),
        (r"20\%", "The answer is a decrease of 20%.", "By what percent did the price increase?", False),
        ("20", "The price increased by 20%.", "By what percent did the price increase?", True),
        ("20", "The price decreased by 20%.", "By what percent did the price increase?", False),
        (r"5\text{ km east}", box(r"5\text{ km}"), "?", False),
        (r"5\text{ km}", box(r"5\text{ km east}"), "?", True),
    ],
)
def test_which_of_two_opposites_must_be_said_or_asked(answer, response, question, right):
    assert judge(answer, response, question).correct == right


@pytest.mark.parametrize(
    ("one", "other"),
    (
        ("5 kHz", "5 Hz"),
        ("5 mL", "5 L"),
        ("5 kg", "5 g"),
        ("5 mW", "5 MW"),
        ("5 ms", "5 s"),
        ("5 kWh", "5 kW"),
        ("5 nm", "5 mm"),
        ("5 µg", "5 mg"),
        ("5 acres", "5 square miles"),
        ("5 tons", "5 pounds"),
        ("5 °C", "5 °F"),
        ("5 K", "5 °C"),
        ("5 psi", "5 Pa"),
        ("5 cups", "5 pints"),
        ("5 inches", "5 feet"),
        ("5 GB", "5 MB"),
        ("5 Mb", "5 MB"),
        ("5 V", "5 A"),
        ("5 m/s", "5 m/s^2"),
        ("5 miles", "5 nautical miles"),
        ("5 cm^2", "5 cm^3"),
        ("5 centuries", "5 decades"),
        ("5 knots", "5 mph"),
        ("5 lumens", "5 watts"),
        ("5 moles", "5 grams"),
        ("5 light-years", "5 parsecs"),
        ("5 rpm", "5 Hz"),
        ("5 gallons", "5 liters"),
        ("5 calories", "5 joules"),
        ("5 degrees", "5 radians"),
        ("5 dollars", "5 pesos"),
        ("5 kPa", "5 MPa"),
        ("5 pF", "5 nF"),
        ("5 mol/L", "5 mmol/L"),
        ("5 N", "5 kN"),
        ("5 J", "5 kJ"),
        ("5 weeks", "5 days"),
        ("5 ohms", "5 kilohms"),
        ("5 eV", "5 keV"),
        ("5 l", "5 ml"),
    ),
)
def test_units_that_differ(one, other):
    for mine, theirs in ((one, other), (other, one)):
        number, _, unit = theirs.partition(" ")
        assert (
            not judge(mine, f"The answer is {theirs}.").correct and not judge(mine, box(rf"{number}\text{{ {unit}}}")).correct
        )
        assert judge(theirs, box(rf"{number}\text{{ {unit}}}")).correct and judge("5", box(theirs)).correct


@pytest.mark.parametrize(
    ("answer", "given"),
    (
        ("5 MHz", "5 megahertz"),
        ("5 km", "5 kilometers"),
        ("5 µm", "5 micrometers"),
        ("5 mcg", "5 micrograms"),
        ("5 μg", "5 mcg"),
        ("5 m/s", "5 meters per second"),
        ("5 m/s", "5\\ \\frac{\\text{m}}{\\text{s}}"),
        ("9.8 m/s^2", "9.8\\,\\mathrm{m/s^2}"),
        ("9.8", "9.8\\,\\text{m}\\,\\text{s}^{-2}"),
        ("25", "25°F"),
        ("25 °C", "25 degrees Celsius"),
        ("5 L", "5 liters"),
        ("5 h", "5 hours"),
        ("5 ha", "5 hectares"),
        ("5 acres", "5 acres"),
        ("12", "12 boxes"),
        ("12 boxes", "12 box"),
        ("60", "60\\frac{km}{h}"),
        ("5 N", "5 newtons"),
        ("5 ft", "5 feet"),
        ("3 people", "3 persons"),
        ("25", "25\\,^\\circ\\mathrm{C}"),
        ("25", "25℃"),
        ("5 lb", "5 pounds"),
        ("5 kWh", "5 kilowatt-hours"),
        ("5 kW", "5 kilowatts"),
    ),
)
def test_units_in_another_spelling(answer, given):
    assert judge(answer, box(given)).correct


@pytest.mark.parametrize(
    ("one", "other"),
    (
        ("\\text{CAB}", "\\text{ABC}"),
        ("\\text{DCBA}", "\\text{ABCD}"),
        ("\\mathrm{BAC}", "\\mathrm{ABC}"),
        ("BCA", "ABC"),
        ("\\text{NO}", "\\text{ON}"),
        ("\\text{HTH}", "\\text{HHT}"),
        ("\\triangle ABC", "\\triangle ABD"),
        ("\\angle ABC", "\\angle BAC"),
        ("\\overline{AB}", "\\overline{AC}"),
        ("\\overrightarrow{AB}", "\\overrightarrow{BA}"),
        ("AB \\parallel CD", "AC \\parallel BD"),
        ("\\text{B, C, A}", "\\text{A, B, C}"),
        ("\\text{tea}", "\\text{eat}"),
        ("\\text{abc}", "\\text{bca}"),
        ("\\textbf{BCA}", "\\textbf{ABC}"),
        ("∠ABC", "∠ACB"),
        ("\\vec{AB}", "\\vec{BA}"),
        ("\\text{BCA}", "ABC"),
        ("\\widehat{AB}", "\\widehat{AC}"),
        ("\\triangle ABC \\sim \\triangle DEF", "\\triangle ABC \\sim \\triangle EDF"),
    ),
)
def test_names_and_orders_are_no_products(one, other):
    assert judge(one, box(one)).correct and not judge(one, box(other)).correct


def test_the_same_name_in_another_spelling():
    assert judge(r"\text{BCA}", box("BCA")).correct and judge(r"\text{BCA}", "The answer is BCA.").correct
    assert judge(r"\angle ABC", "∠ABC").correct and judge(r"\angle ABC", box(r"\angle CBA")).correct
    assert judge("xy", box("yx")).correct  # small letters are variables


@pytest.mark.parametrize(
    "question",
    (
        "What is the percentage of red balls?",
        "Determine the percentage of students who passed.",
        "What % of students passed?",
        "Find the percent of girls.",
        "Calculate the percentage increase.",
        "By what percent did it grow?",
        "Express 1/2 as a percent.",
        "What percent of 40 is 20?",
        "What is the percent decrease in price?",
        "How many percent is that?",
        "Give your answer in percent.",
        "Round to the nearest percent. What is the percent?",
        "In percent, how large is the share?",
        "What was the overall percentage change?",
        "Compute the percentage of 40 that 20 is.",
        "What fraction, in percent, is red?",
        "Write the result as a percentage.",
    ),
)
def test_questions_that_ask_for_a_percentage(question):
    assert judge("50", box(r"50\%"), question).correct and judge(r"50\%", box("50"), question).correct
    assert not judge("50", box(r"5\%"), question).correct


@pytest.mark.parametrize(
    "question",
    (
        "It rains in 20 percent of the 250 days. How many days does it rain?",
        "What is 20 percent of 250?",
        "What is 20% of 250?",
        "A 25% discount on 200 is how much?",
        "What number is 50 percent of 100?",
        "If 20 percent of x is 10, what is x?",
        "Find 20% of 250.",
        "Calculate 20 percent of 250.",
        "What is twenty percent of 250?",
        "A shirt costs 100 and is sold at fifty percent off. What is its price?",
        "Sam drank 20% of the water. How many litres are left?",
        "What amount must be added so that the solution is 50% acid?",
        "In 20% of cases it fails. How many cases are that?",
        "The percentage of girls is 40. How many girls are there?",
        "How many students passed if the percentage is 50?",
    ),
)
def test_questions_that_only_mention_one(question):
    assert not judge("50", box(r"50\%"), question).correct


@pytest.mark.parametrize(
    "answer", ("\\textbf{(B)}\\ 42", "(B) 42", "\\textbf{(B) }42", "\\text{(B)}\\ 42", "\\mathrm{(B)\\ }42", "\\textbf{(B)}~42")
)
@pytest.mark.parametrize(
    ("given", "right"),
    (
        ("B", 1),
        ("(B)", 1),
        ("42", 1),
        ("(B) 42", 1),
        ("\\textbf{(B)}\\ 42", 1),
        ("C", 0),
        ("(C) 42", 0),
        ("(B) 43", 0),
        ("43", 0),
        ("\\text{B}", 1),
        ("\\textbf{(B)}", 1),
        ("B. 42", 1),
    ),
)
def test_a_contests_letter_and_value(answer, given, right):
    assert judge(answer, box(given)).correct == bool(right)


def test_a_contests_label_before_a_value():
    assert judge("42", box(r"\textbf{(B)}\ 42")).correct and not judge("42", box(r"\textbf{(B)}\ 43")).correct
    assert judge(r"\textbf{(C)}\ \frac{1}{2}", "The answer is (C).").correct and judge(r"(C) \frac{1}{2}", box("0.5")).correct


@pytest.mark.parametrize(
    ("answer", "response", "right"),
    (
        ("42", "\\boxed{{42}}", 1),
        ("42", "\\boxed{\\mathit{42}}", 1),
        ("42", "\\boxed{{\\bf 42}}", 1),
        ("42", "\\boxed{{\\rm 42}}", 1),
        ("42", "\\boxed{\\boldsymbol{42}}", 1),
        ("42", "\\boxed{\\mathsf{42}}", 1),
        ("42", "\\boxed{\\textcolor{red}{42}}", 1),
        ("42", "\\boxed{\\color{blue}{42}}", 1),
        ("42", "\\boxed{\\color{blue}42}", 1),
        ("42", "\\boxed{\\underline{42}}", 1),
        ("\\frac12", "\\boxed{\\bm{\\frac{1}{2}}}", 1),
        ("x+1", "\\boxed{{x+1}}", 1),
        ("42", "\\boxed{42\\;}", 1),
        ("42", "\\boxed{42\\ }", 1),
        ("42", "\\boxed{\\,42}", 1),
        ("42", "\\boxed{42\\quad}", 1),
        ("42", "\\boxed{42~}", 1),
        ("42", "\\boxed{42\\!}", 1),
        ("42", "\\boxed{42\\\\}", 1),
        ("42", "\\boxed{\\quad 42 \\qquad}", 1),
        ("42", "\\boxed{42.}", 1),
        ("42", "\\boxed{ 42 \\text{.}}", 1),
        ("\\sqrt{2}", "\\boxed{\\sqrt{2} \\approx 1.414}", 1),
        ("\\sqrt{2}", "\\boxed{\\sqrt{2} \\approx 1.5}", 0),
        ("\\frac{7}{8}", "\\boxed{\\frac{7}{8} = 0.875}", 1),
        ("1.41", "\\boxed{\\sqrt{2} \\approx 1.41}", 1),
        ("\\sqrt{3}", "\\boxed{\\sqrt{2} \\approx 1.414}", 0),
        ("2\\pi", "The answer is $2\\pi \\approx 6.28$.", 1),
        ("\\frac{1}{3}", "\\boxed{\\frac13≈0.333}", 1),
        ("0.333", "\\boxed{\\frac13≈0.333}", 1),
        ("73", "Final Answer: 73 🎉", 1),
        ("73", "The answer is **73**! 🎉🎉", 1),
        ("73", "✅ 73", 1),
        ("73", "**Answer:** 73 ✔️", 1),
        ("73", "\\boxed{73} 🎉", 1),
        ("73", "So the total is 73. 😀", 1),
        ("42", "Antwort: 42", 1),
        ("42", "La réponse est 42.", 1),
        ("42", "Respuesta: 42", 1),
        ("42", "答案：42", 1),
        ("42", "答案是42。", 1),
        ("42", "答え: 42", 1),
        ("42", "정답: 42", 1),
        ("42", "Ответ: 43", 0),
        ("42", "**Ответ:** 42.", 1),
        ("42", "La respuesta es 42.", 1),
        ("42", "Risposta: 42", 1),
        ("42", "Die Antwort lautet 42.", 1),
        ("42", "Resposta: 42", 1),
        ("42", "所以答案为 42", 1),
        ("[1,3)", "\\boxed{1 \\le x < 3}", 1),
        ("[1,3)", "\\boxed{x < 3 \\text{ and } x \\ge 1}", 1),
        ("[1,3)", "\\boxed{x \\ge 1 \\text{ or } x < 3}", 0),
        ("[1, 3)", "\\boxed{[1,3[}", 1),
        ("(1, 3]", "\\boxed{]1;3]}", 1),
        ("(1,3)", "\\boxed{[1,3[}", 0),
        ("[1,3)", "\\boxed{\\{x \\mid 1 \\le x < 3\\}}", 1),
        ("[1,3)", "\\boxed{\\{x : x\\ge 1, x<3\\}}", 1),
        ("[1,3)", "\\boxed{x \\geq 1, x < 3}", 1),
        ("[1,3)", "\\boxed{x \\in [1,3)}", 1),
        ("x>3", "\\boxed{\\{x \\in \\mathbb{R} \\mid x > 3\\}}", 1),
        ("x>3", "\\boxed{]3,+\\infty[}", 1),
        ("(-\\infty,2)\\cup(2,\\infty)", "\\boxed{\\mathbb{R} \\setminus \\{2\\}}", 1),
        ("(-\\infty,2)\\cup(2,\\infty)", "\\boxed{\\mathbb{R} - \\{2\\}}", 1),
        ("(-\\infty,2)\\cup(2,\\infty)", "\\boxed{\\{x | x \\neq 2\\}}", 1),
        ("(-\\infty,2)\\cup(2,\\infty)", "\\boxed{x \\neq 3}", 0),
        ("(-\\infty,2)\\cup(2,\\infty)", "\\boxed{x\\in\\mathbb{R}\\setminus\\{2\\}}", 1),
        ("(-\\infty,2)\\cup(2,\\infty)", "\\boxed{\\text{all real numbers except } 2}", 1),
        ("(-\\infty,-1)\\cup(-1,2)\\cup(2,\\infty)", "\\boxed{x \\neq 2, -1}", 0),
        ("(-\\infty,-1)\\cup(-1,2)\\cup(2,\\infty)", "\\boxed{x \\neq 2, x \\ne -1}", 1),
        ("(-\\infty,-1)\\cup(-1,2)\\cup(2,\\infty)", "\\boxed{\\mathbb{R}\\setminus\\{2,-1\\}}", 1),
        ("\\mathbb{R}\\setminus\\{2\\}", "\\boxed{x\\ne 2}", 1),
        ("x \\ne 2", "\\boxed{x = 2}", 0),
        ("x\\neq 2", "\\boxed{2}", 0),
        ("(-\\infty,2)\\cup(2,\\infty)", "\\boxed{(-\\infty,2)\\cup(2,\\infty)}", 1),
        ("(-\\infty,2)\\cup(2,\\infty)", "\\boxed{]-\\infty,2[\\cup]2,+\\infty[}", 1),
        ("\\mathbb{R}", "\\boxed{(-\\infty,\\infty)}", 1),
        ("1, 4, 7, \\ldots, 3n-2", "\\boxed{1,4,7,\\cdots,3n-2}", 1),
        ("1, 4, 7, \\ldots, 3n-2", "\\boxed{1, 4, 7, ..., 3n-2}", 1),
        ("1, 4, 7, \\ldots, 3n-2", "\\boxed{1, 4, 7, …, 3n-1}", 0),
        ("1, 4, 7, \\dots", "\\boxed{1, 4, 7, \\ldots}", 1),
        ("1, 2, \\ldots, n", "\\boxed{1, 3, \\ldots, n}", 0),
        ("35, 4", "$x = \\boxed{35}$, $y = \\boxed{4}$", 1),
        ("35, 4", "x=\\boxed{4} and y=\\boxed{35}", 0),
        ("35, 4", "\\boxed{35} and \\boxed{4}", 1),
        ("35, 4", "\\boxed{35} and \\boxed{5}", 0),
        ("4", "\\boxed{35} or \\boxed{4}", 0),
        ("4", "First \\boxed{35}. Then\n\\boxed{4}", 1),
        ("(35, 4)", "x=\\boxed{35}, y=\\boxed{4}", 1),
        ("(4, 35)", "x=\\boxed{35}, y=\\boxed{4}", 0),
        ("(1,2)", "\\boxed{(x, y) = (1, 2)}", 1),
        ("(1,2)", "\\boxed{(x, y) = (2, 1)}", 0),
        ("(1,2)", "\\boxed{(y, x) = (2, 1)}", 1),
        ("(1,2)", "\\boxed{(y, x) = (1, 2)}", 0),
        ("(1,2,3)", "\\boxed{(a,b,c)=(1,2,3)}", 1),
        ("(1,2,3)", "\\boxed{a=1, b=2, c=3}", 1),
        ("(1,2)", "\\boxed{x=2, y=1}", 0),
        ("(1,2)", "\\boxed{y=2, x=1}", 1),
        ("(1,2)", "\\boxed{x = 1 \\text{ and } y = 2}", 1),
        ("(1,2),(3,4)", "\\boxed{(x,y) = (3,4), (1,2)}", 1),
        ("(1,2), (3,4)", "\\boxed{(x,y)=(1,2) \\text{ or } (x,y)=(3,4)}", 1),
        ("(1,2)", "\\boxed{(x,y)=(1,2),(3,4)}", 0),
        ("(x,y)=(1,2)", "\\boxed{(1,2)}", 1),
        ("(1,2)", "\\boxed{\\left(x,y\\right)=\\left(1,2\\right)}", 1),
    ),
)
def test_forms_of_the_same_and_their_twins(answer, response, right):
    assert judge(answer, response).correct == bool(right)
