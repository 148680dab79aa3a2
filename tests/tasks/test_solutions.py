"""Worked solutions: accepted by our verifier at every level, with every written step true."""

import operator
import re

import pytest

from sharpen import tasks
from sharpen.core import Arm
from sharpen.tasks.solutions import WRITERS, solve
from sharpen.verify import verdicts

STEP = re.compile(r"(-?\d+)([-+*/%])(-?\d+)=(-?\d+)")
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod}
ARMS = [Arm(family, level) for family in sorted(WRITERS) for level in range(1, tasks.families()[family] + 1)]


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_solutions_are_accepted_and_their_steps_are_true(arm):
    source = tasks.gym((str(arm),))
    for index in range(8 if arm.family == "simple_equations" else 40):
        task = source.draw(arm, "train", index, 3)
        assert task.solution is not None
        assert verdicts.verify(task, task.solution).correct, task.solution
        assert not verdicts.verify(task, task.solution.replace("<answer>", "<answer>1")).correct or "<" not in task.solution
        for left, sign, right, result in STEP.findall(task.solution):
            assert OPERATORS[sign](int(left), int(right)) == int(result), task.solution


@pytest.mark.parametrize(
    ("family", "answer", "metadata", "solution"),
    [
        ("spell_backward", "nus", {"word": "sun"}, "nus"),
        ("chain_sum", "13", {"expression": "7 - 3 + 9"}, "4 13<answer>13</answer>"),
        ("chain_sum", "-2", {"expression": "3 - 5"}, "-2<answer>-2</answer>"),
        ("products", "112", {"expression": "7 * 8 * 2"}, "56 112<answer>112</answer>"),
        ("products", "1692", {"expression": "47 * 36"}, "47*30=1410 47*6=282 1692<answer>1692</answer>"),
        ("products", "1880", {"expression": "47 * 40"}, "47*40=1880 1880<answer>1880</answer>"),
        ("gcd", "12", {"numbers": [12, 60]}, "60%12=0<answer>12</answer>"),
        ("gcd", "12", {"numbers": [60, 48]}, "60%48=12 48%12=0<answer>12</answer>"),
        ("gcd", "2", {"numbers": [8, 12, 6]}, "12%8=4 8%4=0 6%4=2 4%2=0<answer>2</answer>"),
        ("lcm", "24", {"numbers": [12, 8]}, "12%8=4 8%4=0 12/4=3 3*8=24<answer>24</answer>"),
        ("lcm", "12", {"numbers": [4, 12]}, "12%4=0<answer>12</answer>"),
        ("lcm", "63", {"numbers": [9, 7]}, "9%7=2 7%2=1 2%1=0 9*7=63<answer>63</answer>"),
        ("leg_counting", "114", {"animals": {"spider": 6, "ant": 11}}, "6*8=48 11*6=66 114<answer>114</answer>"),
        ("leg_counting", "8", {"animals": {"dog": 2}}, "2*4=8<answer>8</answer>"),
        ("prime_factorization", "2 × 2 × 3", {"number": 12, "factors": [2, 2, 3]}, "2:6 2:3<answer>2 × 2 × 3</answer>"),
        ("prime_factorization", "7", {"number": 7, "factors": [7]}, "7<answer>7</answer>"),
        ("simple_equations", "3", {"equation": "7*x + 3 = 24"}, "24-3=21 21/7=3<answer>3</answer>"),
        ("simple_equations", "3", {"equation": "7*x - 3 = 18"}, "18+3=21 21/7=3<answer>3</answer>"),
        ("simple_equations", "8", {"equation": "5 - x = -3"}, "5+3=8<answer>8</answer>"),
        ("simple_equations", "2", {"equation": "9 - 4*k = 1"}, "9-1=8 8/4=2<answer>2</answer>"),
        ("simple_equations", "4", {"equation": "-x - 3 = -7"}, "-7+3=-4 -4/-1=4<answer>4</answer>"),
        ("simple_equations", "5", {"equation": "z = 5"}, "5"),
        (
            "letter_counting",
            "3",
            {"span": ["Tree", "at", "sea"], "target_letter": "e"},
            "Tree 2 at 2 sea 3<answer>3</answer>",
        ),
        (
            "base_conversion",
            "101",
            {"decimal_value": 5, "source_base": 3, "target_base": 2, "source_repr": "12"},
            "1 5;2r1 1r0 0r1<answer>101</answer>",
        ),
        (
            "base_conversion",
            "26",
            {"decimal_value": 26, "source_base": 16, "target_base": 10, "source_repr": "1a"},
            "1 26<answer>26</answer>",
        ),
        (
            "base_conversion",
            "b",
            {"decimal_value": 11, "source_base": 10, "target_base": 12, "source_repr": "11"},
            "11;0rb<answer>b</answer>",
        ),
        ("count_bits", "2", {"number": 6}, "3,0 1,1 0,2<answer>2</answer>"),
        ("number_sorting", "['1.0', '2.0']", {}, "['1.0', '2.0']"),
        (
            "fraction_simplification",
            "2/3",
            {"numerator": 8, "denominator": 12},
            "12%8=4 8%4=0 8/4=2 12/4=3<answer>2/3</answer>",
        ),
        ("aiw", "3", {}, None),
    ],
)
def test_what_is_written(family, answer, metadata, solution):
    assert solve(family, answer, metadata) == solution
