"""Verifiers: right answers pass, attacks do not, and what cannot be read never raises."""

import ast
import inspect
import json
import textwrap

import pytest

from sharpen import tasks
from sharpen.core import Arm, Task, UserError, Verdict
from sharpen.families.levels import SCORED, VERIFIER
from sharpen.verify import verdicts

LONG = "7" * 100_000


def task(answer, verifier, **data):
    return Task(({"role": "user", "content": "?"},), answer, "f", 1, verifier=verifier, data=data)


def outcome(response, answer, verifier, **data):
    return verdicts.verify(task(answer, verifier, **data), response).outcome


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("7", "7"),
        ("  7\n", "7"),
        ("working<answer> 7 </answer>", "7"),
        ("<answer>7</answer> and more", "7"),
        ("<answer>8</answer><answer>7</answer>", "7"),  # the last counts
        ("<answer>7</answer><answer>8</answer>", "8"),
        ("4 13<answer>13", "13"),  # the closing tag is missing at the very end
        ("<answer><answer>7</answer></answer>", "7"),
        ("<answer></answer>", ""),
        ("<answer>7</answer><answer>", ""),
        ("<think>Is it 8? <answer>8</answer></think><answer>7</answer>", "7"),  # thoughts do not count
        ("<think><answer>8</answer>", ""),  # nor do those that never end
        ("<answer>7</answer><think>Or <answer>8</answer>", "7"),
        ("<THINKING>8</THINKING>7", "7"),
        ("", ""),
        ("<answer>" * 5000 + "7", "7"),
    ],
)
@pytest.mark.parametrize("verifier", ["exact", "number", "numbers", "choice"])
def test_final_answer(response, answer, verifier):
    assert verdicts.final_answer(task("7", verifier), response)[0] == answer


@pytest.mark.parametrize(
    ("response", "answer", "data", "expected"),
    [
        ("sun", "sun", {}, "correct"),
        ("1 2 \n3 4\n", "1 2\n3 4", {}, "correct"),  # spaces at the ends of lines
        ("1 2 3 4", "1 2\n3 4", {}, "wrong"),
        ("12", "1 2", {}, "wrong"),
        ("Sun", "sun", {}, "wrong"),
        ("the sun", "sun", {}, "wrong"),  # a substring is no answer
        ("su", "sun", {}, "wrong"),
        ("<answer>moon</answer><answer>sun</answer>", "sun", {}, "correct"),
        ("<answer>sun</answer><answer>moon</answer>", "sun", {}, "wrong"),
        ("<answer>sun moon</answer>", "sun", {}, "wrong"),
        ("<answer></answer>", "sun", {}, "malformed"),
        ("", "sun", {}, "malformed"),
        ("", "", {}, "unscorable"),  # an empty answer to an empty answer is our fault, not a pass
        ("sun", None, {}, "unscorable"),
        (LONG, "7", {}, "limit"),
        (f"{LONG}<answer>7</answer>", "7", {}, "correct"),  # the working may be long
        ("[[0, 1]]", "[[0,1]]", {"spaces": False}, "correct"),
        ("[[0, 1]]", "[[0,1]]", {}, "wrong"),
        ("[[01]]", "[[0,1]]", {"spaces": False}, "wrong"),
        ("b", "a", {"accept": ["b", "c "]}, "correct"),
        ("c", "a", {"accept": ["b", "c "]}, "correct"),
        ("d", "a", {"accept": ["b", "c"]}, "wrong"),
    ],
)
def test_exact(response, answer, data, expected):
    assert outcome(response, answer, "exact", **data) == expected


def test_an_answer_as_long_as_the_gold_is_judged():
    gold = "ab" * 40_000
    assert outcome(gold, gold, "exact") == "correct"
    assert outcome(gold + "c" * 9_999, gold, "exact") == "wrong"
    assert outcome(gold + "c" * 10_001, gold, "exact") == "limit"


@pytest.mark.parametrize("response", ["True", "true", " TRUE "])
def test_choice_is_blind_to_case(response):
    assert outcome(response, "True", "choice") == "correct"


@pytest.mark.parametrize("response", ["False", "True or False", "Tru", "1", "Truе"])  # the last one ends with a Cyrillic letter
def test_choice_refuses(response):
    assert outcome(response, "True", "choice") == "wrong"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        *(("7", "7"), ("+7", "7"), ("007", "7"), ("7.0", "7"), ("7e0", "7"), ("70e-1", "7"), ("-3", "-3"), ("-0", "0")),
        *(("1,000", "1000"), ("1000", "1,000"), ("1,234,567.50", "1234567.5"), ("1e3", "1000"), (".5", "0.5")),
        *(("3/4", "3/4"), ("6/8", "3/4"), ("0.75", "3/4"), ("-3/4", "-3/4"), ("2", "4/2")),
        ("1e400", "1" + "0" * 400),
        ("9" * 999, "9" * 999),
    ],
)
def test_number_accepts_the_same_number(response, answer):
    assert outcome(response, answer, "number") == "correct"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        *(("990", "1000"), ("1010", "1000"), ("1005", "1000"), ("999.9999999999999999999", "1000"), ("100", "1000")),  # near
        *(("70", "7"), ("-7", "7"), ("0.3333333333333333", "1/3"), ("1e400", "1e401"), ("9" * 999, "7")),
    ],
)
def test_number_refuses_another_number(response, answer):
    assert outcome(response, answer, "number") == "wrong"


@pytest.mark.parametrize(
    "response",
    [
        *("nan", "NaN", "inf", "-Infinity", "1e9999", "1e999999999", "1e-999999999", "0x7", "1_0", ".", "-", "+-7", "e3"),
        *("٧", "７", "7²", "7\u200b", "7 ", "7 8", "7,8", "1,00", "10,00", "3+4", "14/2", "7/1", "7 or 8", "7 and 8"),
        *("__import__('os')", "int", "7\x00", "7\n8", "(7)", "[7]", "9" * 5000, "1" + ",000" * 2000, "True"),
    ],
)
def test_number_reads_nothing_else(response):
    assert outcome(f"<answer>{response}\u2063</answer>", "7", "number") == "malformed"  # an invisible sign behind it
    if response != "7 ":
        assert outcome(response, "7", "number") == "malformed"


@pytest.mark.parametrize("response", ["7.", "7 apples", "x = 7", "$7$", "−7"])
def test_number_reads_into_sentences_but_not_into_tags(response):
    """What a person writes around a number is read in prose; in the tag nothing but the number is."""
    assert outcome(f"<answer>{response}</answer>", "7", "number") == "malformed"
    assert outcome(response, "7", "number") == ("wrong" if response == "−7" else "correct")


def test_number_is_not_answered_by_repeating_a_division():
    assert outcome("14/2", "7", "number") == "malformed"
    assert outcome("14/2", "7/1", "number") == "correct"  # where a ratio is asked for, its value counts
    assert outcome("1/0", "1/2", "number") == outcome("0/0", "1/2", "number") == outcome("1/00", "1/2", "number") == "malformed"


@pytest.mark.parametrize("answer", ["seven", "", None, "nan", "1/0", "9" * 5000])
def test_a_task_whose_own_answer_is_no_number_is_unscorable(answer):
    assert outcome("7", answer, "number") == "unscorable"


@pytest.mark.parametrize(
    ("response", "answer", "data", "expected"),
    [
        ("['1.0', '2.0']", "['1.0', '2.0']", {}, "correct"),
        ('["1", "2"]', "['1.0', '2.0']", {}, "correct"),
        ("1, 2", "['1.0', '2.0']", {}, "correct"),
        ("1 2", "[1, 2]", {}, "correct"),
        ("2, 1", "[1, 2]", {}, "wrong"),
        ("1, 2, 3", "[1, 2]", {}, "wrong"),
        ("1", "[1, 2]", {}, "wrong"),
        ("1.9, 2", "[1, 2]", {}, "wrong"),  # reasoning-gym's own scorer accepts numbers that are off by 1
        ("3 × 2 × 2", "2 × 2 × 3", {"any_order": True}, "correct"),
        ("2×2×3", "2 × 2 × 3", {"any_order": True}, "correct"),
        ("2 * 2 * 3", "2 × 2 × 3", {"any_order": True}, "correct"),
        ("2 × 6", "2 × 2 × 3", {"any_order": True}, "wrong"),
        ("12", "2 × 2 × 3", {"any_order": True}, "wrong"),
        ("2 × 3", "2 × 2 × 3", {"any_order": True}, "wrong"),  # how often counts
        ("1 × 2 × 2 × 3", "2 × 2 × 3", {"any_order": True}, "wrong"),
        ("2 × 2 × 3 ×", "2 × 2 × 3", {"any_order": True}, "malformed"),
        ("2² × 3", "2 × 2 × 3", {"any_order": True}, "malformed"),
        ("[1, 2", "[1, 2]", {}, "malformed"),
        ("[[1, 2]]", "[1, 2]", {}, "malformed"),
        ("[]", "[1]", {}, "malformed"),
        ("", "[1]", {}, "malformed"),
        ("[1, nan]", "[1, 2]", {}, "malformed"),
        (LONG, "[1]", {}, "limit"),
        ("1 " * 4_999 + "x", "[1]", {}, "malformed"),
        (" " * 9_999 + "x", "[1]", {}, "malformed"),
    ],
)
def test_numbers(response, answer, data, expected):
    assert outcome(response, answer, "numbers", **data) == expected


def test_verdicts_say_which_rule_decided_and_never_the_answer():
    for verifier, answer, response in (("exact", "secret", "x"), ("number", "31337", "5"), ("numbers", "31337", "5")):
        wrong = verdicts.verify(task(answer, verifier), response)
        right = verdicts.verify(task(answer, verifier), answer)
        assert (wrong.outcome, wrong.reward, right.reward) == ("wrong", 0.0, 1.0)
        assert wrong.rule == right.rule != ""
        assert wrong.feedback and answer not in wrong.feedback


def test_an_unknown_verifier_is_the_users_mistake():
    with pytest.raises(UserError, match="Did you mean 'number'"):
        verdicts.verify(task("7", "nubmer"), "7")


def test_an_exception_in_a_users_verifier_is_unscorable_and_a_user_error_is_not():
    def broken(task: Task, response: str) -> Verdict:
        raise KeyError("oops")

    def confused(task: Task, response: str) -> Verdict:
        raise UserError("no")

    verdict = verdicts.boundary(broken)(task("7", "number"), "7")
    assert (verdict.outcome, verdict.reward) == ("unscorable", None) and "oops" in verdict.feedback
    assert verdicts.boundary(verdicts.verify)(task("7", "number"), "7").outcome == "correct"
    with pytest.raises(UserError):
        verdicts.boundary(confused)(task("7", "number"), "7")


# Families whose answers reasoning-gym's own scorer judges


def drawn(family, level=1, split="train", index=0):
    return tasks.gym((f"{family}/{level}",)).draw(Arm(family, level), split, index, 0)


HOSTILE = [
    *(
        "",
        " ",
        "[",
        "{",
        "]" * 100,
        "[" * 9_000,
        '{"a":' * 1_500,
        "null",
        "true",
        "NaN",
        "[NaN]",
        "0",
        "[]",
        "{}",
        '[""]',
        "[[]]",
    ),
    *(
        "[[[]]]",
        '["fill Z"]',
        '["fill"]',
        "[1]",
        '[["a", 1]]',
        "A",
        "A=1",
        "A=",
        "=",
        "A=" + "9" * 5_000,
        "A=٣",
        "→",
        "up",
        "no",
    ),
    *("\x00", "\ud800", "９", "9" * 9_000, "x" * 9_000, ", ".join("ABC" * 900), "is a", "__import__('os').abort()", "exit()"),
    *("1\n" * 3_000, "0 1\n" * 2_000, "up " * 3_000, "A → " * 2_000, LONG),
]


@pytest.mark.parametrize("family", sorted(SCORED))
def test_scored_families_accept_gold_and_survive_hostile_answers(family):
    for level in (1, tasks.families()[family]):
        problem = drawn(family, level)
        assert problem.verifier == "gym" and json.loads(json.dumps(problem.data)) == problem.data
        before = json.dumps(problem.data)
        gold = verdicts.verify(problem, f"<answer>{problem.answer}</answer>")
        assert gold.correct and "reasoning-gym" in gold.version
        for text in (*HOSTILE, problem.prompt[0]["content"], problem.answer[:-3]):
            verdict = verdicts.verify(problem, f"<answer>{text}</answer>")
            assert verdict.outcome in ("wrong", "malformed", "limit"), text[:50]
        assert json.dumps(problem.data) == before


def test_scored_families_accept_every_right_answer():
    problem = drawn("group_anagrams")
    groups = json.loads(problem.answer)
    assert verdicts.gym(problem, json.dumps([group[::-1] for group in groups[::-1]])).correct
    assert not verdicts.gym(problem, json.dumps(groups[1:])).correct

    problem = drawn("cryptarithm")
    assert verdicts.gym(problem, ", ".join(reversed(problem.answer.split(",")))).correct

    problem = drawn("palindrome_generation")
    half = len(problem.answer) // 2
    other = problem.answer[:half][::-1]
    assert verdicts.gym(problem, other + problem.answer[half : len(problem.answer) - half] + other[::-1]).correct
    assert not verdicts.gym(problem, "aba").correct

    problem = drawn("kakurasu")
    assert verdicts.gym(problem, problem.answer.replace(" ", "")).correct


def test_a_scorer_that_rejects_its_own_answer_makes_the_task_unscorable():
    problem = drawn("jugs")
    broken = Task(problem.prompt, problem.answer, "jugs", 1, verifier="gym", data={"metadata": {}})
    scorer_raises = Task(problem.prompt, "x", "cryptarithm", 1, verifier="gym", data={"metadata": {}})
    assert verdicts.boundary(verdicts.verify)(scorer_raises, "A=1").outcome == "unscorable"
    assert verdicts.boundary(verdicts.verify)(broken, problem.answer).outcome != "correct"


def test_no_other_familys_scorer_ever_runs():
    with pytest.raises(ValueError, match="must not run"):
        verdicts.gym(Task(({"role": "user", "content": "?"},), "[[0]]", "binary_matrix", 1, verifier="gym"), "[[0]]")
    assert {family for family, verifier in VERIFIER.items() if verifier == "gym"} == set(SCORED)


# What a scorer must not reach: evaluation, symbolic parsing, unpickling, processes, files, and the numeric types that
# take "1e999999999" at its word (Fraction expands it).
BANNED = {
    *("eval", "exec", "compile", "__import__", "import_module", "parse_expr", "sympify", "literal_eval", "sympy", "sp"),
    *("pickle", "marshal", "subprocess", "system", "popen", "open", "Fraction", "loadtxt", "globals", "setattr"),
}


def names_reached(function, owner, seen=None):
    """Every name and attribute in a function's source and in what it calls inside reasoning_gym."""
    seen = set() if seen is None else seen
    if function in seen:
        return set()
    seen.add(function)
    names = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Name):
            names.add(node.id)
            called = function.__globals__.get(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
            held = node.value.id if isinstance(node.value, ast.Name) else None
            called = getattr(owner if held == "self" else function.__globals__.get(held), node.attr, None)
        else:
            continue
        if inspect.isclass(called) and called.__module__.startswith("reasoning_gym"):
            for member in vars(called).values():
                if inspect.isfunction(member):
                    names |= names_reached(member, called, seen)
        if inspect.isfunction(called) and called.__module__.startswith("reasoning_gym"):
            names |= names_reached(called, owner, seen)
    return names


def scorer_names(family):
    from reasoning_gym.factory import DATASETS

    owner = DATASETS[family][0]
    return names_reached(owner.score_answer, owner)


@pytest.mark.parametrize("family", sorted(SCORED))
def test_scorers_that_run_reach_nothing_dangerous(family):
    assert not scorer_names(family) & BANNED


@pytest.mark.parametrize(
    ("family", "name"),
    [
        *(("binary_matrix", "eval"), ("spiral_matrix", "eval"), ("string_insertion", "eval"), ("n_queens", "eval")),
        *(("number_sorting", "eval"), ("countdown", "parse_expr"), ("puzzle24", "parse_expr"), ("coin_flip", "Fraction")),
        *(("polynomial_multiplication", "parse_expr"), ("simple_integration", "parse_expr"), ("pool_matrix", "loadtxt")),
    ],
)
def test_the_scan_finds_the_scorers_known_to_be_dangerous(family, name):
    assert name in scorer_names(family)
