"""HumanEval's and MBPP's function tests as cases: every reference passes, and what is no solution fails."""

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sharpen import sandbox
from sharpen.core import UserError
from sharpen.tasks import convert
from sharpen.tasks.files import task_of
from sharpen.verify.code import code_io

LEVEL = sandbox.probe()
pytestmark = pytest.mark.skipif(LEVEL.level != "full", reason=f"the sandbox is only {LEVEL.level}: {'; '.join(LEVEL.reasons)}")
HUMANEVAL = Path(__file__).resolve().parents[3] / "shared/data/HumanEval.jsonl.gz"  # beside the checkout
CHECKED = {2, 4, 32, 33, 37, 52, 56, 61, 72}  # their asserts compare otherwise than by ==

MEAN = {
    "task_id": "own/1",
    "prompt": 'import math\n\n\ndef mean(xs):\n    """The mean of xs."""\n',
    "canonical_solution": "    return math.fsum(xs) / len(xs)\n",
    "entry_point": "mean",
    "test": "def check(candidate):\n"
    "    assert candidate([1, 2]) == 1.5\n"
    "    for n in range(1, 4):\n        assert candidate([n]) == n\n",
}


def task(record):
    return task_of(convert.convert(record), "own", "here")[0]


def test_each_call_of_the_asserts_is_a_case():
    line = convert.convert(MEAN)
    assert [case["args"] for case in line["tests"]] == [[[1, 2]], [[1]], [[2]], [[3]]]  # the loop is unrolled by running it
    assert [case["returns"] for case in line["tests"]] == [1.5, 1.0, 2.0, 3.0] and "checker" not in line
    assert line["function"] == {"name": "mean", "preamble": "import math"}
    verdict = code_io(task(MEAN), "def mean(xs): return math.fsum(xs) / len(xs)")  # the import of the prompt counts
    assert verdict.correct
    assert code_io(task(MEAN), "def mean(xs): return sum(xs) // len(xs)").outcome == "wrong"


def test_of_very_many_calls_the_first_are_taken():
    test = "def check(candidate):\n    for n in range(1000):\n        assert candidate([n]) == n\n"
    tests = convert.convert({**MEAN, "test": test})["tests"]
    assert [case["args"] for case in tests] == [[[n]] for n in range(convert.MOST_CASES)]


@pytest.mark.parametrize(
    "asserts, right, wrong",
    [
        ("assert abs(candidate([1, 2]) - 1.5) < 0.1", "def mean(xs): return 1.55", "def mean(xs): return 1.65"),
        ("assert candidate([1]) is not None", "def mean(xs): return 7", "def mean(xs): pass"),
        ("assert tuple(candidate([[1], 2])) == (1, 2)", "def mean(xs): return [1, 2]", "def mean(xs): return [2, 1]"),
        (
            "import random\n    n = random.randint(0, 9)\n    assert candidate([n]) >= n",
            "def mean(xs): return 99",
            "mean = min",
        ),
        ("xs = candidate([3])\n    assert xs == 3", "def mean(xs): return 3", "def mean(xs): return 4"),
    ],
)
def test_other_asserts_become_a_checker_that_runs_them(asserts, right, wrong):
    reference = {"1, 2": "return 1.5", "[1], 2": "return (1, 2)"}
    body = next((code for start, code in reference.items() if f"([{start}" in asserts), "return xs[0]")
    wrong = "def mean(xs): return -1" if wrong == "mean = min" else wrong
    record = {**MEAN, "canonical_solution": f"    {body}\n", "test": f"def check(candidate):\n    {asserts}\n"}
    line = convert.convert(record)
    assert "checker" in line
    assert code_io(task(record), right).correct
    assert code_io(task(record), wrong).outcome == "wrong"


def test_an_object_with_its_own_idea_of_equality_is_wrong_in_a_checker_too():
    record = {**MEAN, "test": "def check(candidate):\n    assert candidate([1, 2])\n"}
    assert code_io(task(record), "class E:\n    pass\ndef mean(xs): return E()").outcome == "wrong"
    assert code_io(task(record), "def mean(xs): return True").correct


def test_mbpp_records():
    record = {
        "text": "Write a function to find the shared elements of two lists.",
        "code": "def shared(a, b):\n    return tuple(sorted(set(a) & set(b)))",
        "test_list": ["assert shared((3, 4), (4, 5)) == (4,)", "assert set(shared((1, 2), (2, 1))) == set((1, 2))"],
        "test_setup_code": "",
    }
    line = convert.convert(record)
    assert "assert shared((3, 4), (4, 5)) == (4,)" in line["prompt"] and line["function"]["name"] == "shared"
    assert line["tests"][0] == {"args": [{"$tuple": [3, 4]}, {"$tuple": [4, 5]}], "kwargs": {}, "returns": {"$tuple": [4]}}
    made = task(record)
    assert code_io(made, made.solution).correct
    assert code_io(made, "def shared(a, b): return tuple(set(a) | set(b))").outcome == "wrong"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"canonical_solution": "    return 0\n"}, "fails its own tests"),
        ({"canonical_solution": "    return (\n"}, "fails its own tests|not Python"),
        ({"test": "def check(candidate):\n    pass\n"}, "never call"),
        ({"test": "def check(candidate):\n    assert candidate([1j]) == 1j\n"}, "no form in JSON|fails its own"),
        ({"entry_point": "median"}, "fails its own tests|does not define"),
        ({"test": None, "prompt": None}, ""),
    ],
)
def test_what_cannot_be_converted_says_why(change, message):
    record = {**MEAN, **change}
    if change.get("test", "") is None:
        record, message = {"question": "?"}, "neither a record of HumanEval"
    with pytest.raises(UserError, match=message):
        convert.convert(record)


def mutant(record):
    """The reference with every value changed a little, which is no solution."""
    name, reference = record["entry_point"], record["prompt"] + record["canonical_solution"]
    return (
        f"{reference}\n_right = {name}\ndef {name}(*args):\n    value = _right(*args)\n"
        "    if isinstance(value, bool): return not value\n    if isinstance(value, (int, float)): return value + 1\n"
        "    return value[1:] if value else 'x'"
    )


@pytest.mark.skipif(not HUMANEVAL.exists(), reason=f"there is no {HUMANEVAL}")
def test_humaneval(request):
    """Reference solutions pass, and mutants fail, at their first case where values are compared: of every eighth task, of those
    with a checker, and with --all-recipes of all 164."""
    found = list(convert.records(HUMANEVAL))
    assert len(found) == 164
    if not request.config.getoption("all_recipes"):
        found = [record for number, record in enumerate(found) if number % 8 == 0 or number in CHECKED]

    def judged(record):
        line = convert.convert(record)
        few = len(line["tests"]) if "checker" in line else 1  # a tolerance may let another value pass
        made, first = (task_of({**line, "tests": line["tests"][:n]}, "humaneval", record["task_id"])[0] for n in (None, few))
        number = int(record["task_id"].split("/")[1])
        return number, "checker" in line, code_io(made, made.solution), code_io(first, mutant(record))

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(judged, found))
    assert [number for number, _, right, _ in results if not right.correct] == []
    assert [number for number, _, _, wrong in results if wrong.reward != 0.0] == []
    assert {number for number, checked, _, _ in results if checked} == CHECKED


def test_tests_are_read_and_not_run_here(tmp_path):
    """The asserts of a data set are untrusted as well: they leave no trace outside the sandbox."""
    mark = tmp_path / "mark"
    record = {**MEAN, "test": f"open({str(mark)!r}, 'w')\n" + MEAN["test"]}
    with pytest.raises(UserError, match="fails its own tests"):
        convert.convert(record)
    assert not mark.exists() and ast.parse(record["test"])


def test_an_expected_exception_is_a_case_and_a_reference_lends_nothing():
    """MBPP's asserts in a try: who does not raise fails. What only the reference imports or defines, a candidate lacks."""
    record = {
        "text": "Return the square root of a number that is not negative.",
        "code": "import math\ndef helper(x): return math.sqrt(x)\ndef root(x):\n    return helper(x)",
        "test_list": [
            "assert root(4) == 2",
            "try:\n    root(-1)\n    assert False, 'no error'\nexcept ValueError:\n    pass",
        ],
    }
    task = convert.task(convert.convert(record))
    assert {"args": [-1], "kwargs": {}, "raises": "ValueError"} in task.data["tests"]
    assert task.data["function"] == {"name": "root", "preamble": ""}
    right = "import math\ndef root(x):\n    return math.sqrt(x)"
    assert code_io(task, right).correct
    for wrong in ("def root(x): return abs(x) ** 0.5", "def root(x): return helper(x)", "def root(x): return math.sqrt(x)"):
        assert not code_io(task, wrong).correct, wrong
