"""Verdicts on programs: extraction, policies, every language, outcomes, and candidates that try to be judged right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sharpen import sandbox
from sharpen.core import Task, TaskSource, UserError
from sharpen.verify import code, verdicts
from sharpen.verify.code import comparing, execution, languages

LEVEL = sandbox.probe()
boxed = pytest.mark.skipif(LEVEL.level != "full", reason=f"the sandbox is only {LEVEL.level}: {'; '.join(LEVEL.reasons)}")

SUMS = [{"stdin": f"{a} {b}\n", "stdout": f"{a + b}\n"} for a, b in ((1, 2), (30, 4), (-5, 5))]
ADD = {
    "python": "a, b = map(int, input().split())\nprint(a + b)",
    "c": '#include <stdio.h>\nint main(void) { int a, b; scanf("%d %d", &a, &b); printf("%d\\n", a + b); return 0; }',
    "cpp": "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << std::endl; }",
    "javascript": 'const [a, b] = require("fs").readFileSync(0, "utf8").split(" ").map(Number);\nconsole.log(a + b);',
    "rust": "use std::io::read_to_string;\nfn main() { let s = read_to_string(std::io::stdin()).unwrap();\n"
    'println!("{}", s.split_whitespace().map(|x| x.parse::<i64>().unwrap()).sum::<i64>()); }',
    "java": "import java.util.*;\npublic class Main { public static void main(String[] x) {\n"
    "Scanner s = new Scanner(System.in); System.out.println(s.nextInt() + s.nextInt()); } }",
    "lua": 'local a, b = io.read("n", "n")\nprint(a + b)',
    "fortran": "program p\ninteger a, b\nread *, a, b\nprint *, a + b\nend program",
    "ocaml": 'let () = Scanf.scanf " %d %d" (fun a b -> Printf.printf "%d\\n" (a + b))',
    "r": 'x <- scan(file("stdin"), quiet = TRUE)\ncat(x[1] + x[2], "\\n", sep = "")',
    "verilog": 'module main;\ninteger a, b, n;\ninitial begin\nn = $fscanf(\'h8000_0000, "%d %d", a, b);\n'
    '$display("%0d", a + b);\n$finish;\nend\nendmodule',
    "bash": "read a b; echo $((a + b))",
    "perl": 'my ($a, $b) = split " ", <STDIN>; print $a + $b, "\\n";',
}
BROKEN = {  # compiled languages: text that is no program
    "c": "int main( { return 0; }",
    "cpp": "int main() { return undeclared; }",
    "rust": 'fn main() { let x: i32 = "a"; }',
    "java": "public class Main { void f() { return 1; } }",
    "fortran": "program p\nprint *, 'a\nend program",
    "ocaml": 'let () = print_int "a"',
    "verilog": "module main(; endmodule",
}


def task(**data):
    return Task(({"role": "user", "content": "?"},), None, "f", 1, verifier="code_io", data={"language": "python", **data})


def judge(response, **data):
    return verdicts.verify(task(**{"tests": SUMS, "time_limit_s": 30, **data}), response)


def function(response, tests, **data):
    return judge(response, function={"name": "f"}, tests=tests, **data)


def needs(name):
    if reason := languages.missing(name):
        pytest.skip(reason)


# Extraction.

PYTHON = languages.LANGUAGES["python"]


@pytest.mark.parametrize(
    "response, found",
    [
        ("print(1)", "print(1)"),
        ("Here:\n```\nprint(1)\n```\nDone.", "print(1)"),
        ("```python\nx\n```\nor better\n```py\ny\n```", "y"),
        ("```python\nx\n```\nprints\n```text\n7\n```", "x"),  # an example of the output is no code
        ("```text\n7\n```", "7"),  # but where there is nothing else, it is taken for what was meant
        ("~~~python3\nx\n~~~", "x"),
        ("````\n```\nx\n```\n````", "```\nx\n```"),  # closed only by as many marks
        ("```python\nx\ny", "x\ny"),  # cut off, or never closed
        ("  ```python\n  x\n    y\n ```", "x\n  y"),  # CommonMark takes the indentation of the fence off the lines
        ("`x` and ```y``` are inline\nz", "`x` and ```y``` are inline\nz"),
        ("```\n\n```", ""),
        ("```Python title=a.py\nx\n```", "x"),
    ],
)
def test_code_is_the_last_fenced_block_or_the_whole_text(response, found):
    got, rule = code.extract(response, PYTHON)
    assert got == found
    assert rule == ("last fenced block" if found != response else "whole text")


def test_extraction_of_hostile_text_takes_linear_time():
    """A pattern with two ways to match a line would take minutes here."""
    for text in ("```" + "a" * 200_000 + "`", "```" + " " * 200_000 + "`", "`" * 200_000, "```\n" * 50_000):
        code.extract(text, PYTHON)


# Comparison.


@pytest.mark.parametrize(
    "given, expected, policy, tolerance, same",
    [
        (b"1 2 \n\n", b"1 2\n", "lines", 0, True),
        (b"1  2\n", b"1 2\n", "lines", 0, False),
        (b" 1 2\n", b"1 2\n", "lines", 0, False),
        (b"1\r\n2\r\n", b"1\n2\n", "lines", 0, True),
        (b"1\n\n2\n", b"1\n2\n", "lines", 0, False),
        (b"1\n\n2\n", b"1 2", "tokens", 0, True),
        (b"12", b"1 2", "tokens", 0, False),
        (b"", b"", "lines", 0, True),
        (b"1\n", b"1", "exact", 0, False),
        (b"0.3333", b"0.33333333", "tokens", 1e-3, True),
        (b"0.3333", b"0.33333333", "tokens", 1e-6, False),
        (b"1000001", b"1000000", "tokens", 1e-5, True),  # relative above 1
        (b"1e400", b"1e400", "tokens", 1e-3, True),  # the same text
        (b"1e400", b"2e400", "tokens", 1e-3, False),  # both infinite as doubles
        (b"nan", b"1", "tokens", 1e-3, False),
        (b"inf", b"1", "tokens", 1.0, False),
        (b"0x1", b"1", "tokens", 1e-3, False),
        (b"1_0", b"10", "tokens", 1e-3, False),
        (b"\xff", "\ufffd".encode(), "lines", 0, False),  # what is no UTF-8 is not its replacement character
    ],
)
def test_text_policies(given, expected, policy, tolerance, same):
    assert comparing.same_text(given, expected, policy, tolerance) is same


@pytest.mark.parametrize(
    "given, expected, same",
    [
        ("1", 1, True),
        ("1.0", 1, True),
        ("true", 1, True),  # as in Python
        ("[1, 2]", [1, 2], True),
        ('{"$tuple": [1, 2]}', [1, 2], False),  # as in Python
        ('{"$tuple": [1, 2]}', {"$tuple": [1, 2]}, True),
        ('{"$set": [2, 1]}', {"$set": [1, 2]}, True),
        ('{"$set": [1, 1]}', {"$set": [1, 2]}, False),
        ('{"$dict": [["a", 1]]}', {"a": 1}, True),
        ('{"$dict": [["a", 1], ["a", 2]]}', {"a": 1, "b": 2}, False),
        ('{"$dict": [[1, 2]]}', {"$dict": [[1, 2]]}, True),
        ('{"$float": "nan"}', {"$float": "nan"}, True),
        ("NaN", {"$float": "nan"}, True),
        ('{"$int": "12"}', 12, True),
        ('{"$other": "Equal"}', {"$other": "Equal"}, False),  # nothing equals what has no form
        ('"1"', 1, False),
        ("null", 0, False),
        ('{"$tuple": 1}', {"$tuple": 1}, False),
    ],
)
def test_values(given, expected, same):
    assert comparing.same_value(comparing.read_value(given.encode()), expected) is same


def test_values_with_tolerance():
    assert comparing.same_value([0.3333333, "a"], [1 / 3, "a"], 1e-6)
    assert not comparing.same_value([0.3333333, "a"], [1 / 3, "a"], 1e-9)
    assert not comparing.same_value(3, 4, 0.5)  # whole numbers are exact


def test_deep_values_are_refused_not_followed():
    with pytest.raises(ValueError):
        comparing.read_value(b"[" * 100_000)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert not comparing.same_value(deep, deep[0])


def test_pack_is_undone_by_comparison():
    value = {"a": (1, 2.5), 3: {4, 5}, "b": [None, b"x", float("inf")]}
    assert comparing.same_value(comparing.pack(value), comparing.pack(dict(reversed(value.items()))))
    with pytest.raises(UserError, match="has no form"):
        comparing.pack(object())


# Languages.


@boxed
@pytest.mark.parametrize("name", languages.LANGUAGES)
def test_every_language_runs_and_is_judged(name):
    needs(name)
    policy = {"whitespace": "tokens"} if name == "fortran" else {}  # it prints a column wide enough for any integer
    right = judge(f"So:\n```{name}\n{ADD[name]}\n```\n", language=name, **policy)
    assert (right.outcome, right.reward, right.parts, right.isolation) == ("correct", 1.0, {"passed": 1.0}, "full")
    subtract = ADD[name].replace("a + b", "a - b").replace("x[1] + x[2]", "x[1] - x[2]").replace("$a + $b", "$a - $b")
    subtract = subtract.replace("nextInt() + s", "nextInt() - s").replace("sum::<i64>()", "sum::<i64>() - 1")
    assert subtract != ADD[name]
    wrong = judge(subtract, language=name, **policy)
    assert (wrong.outcome, wrong.reward) == ("wrong", 0.0) and wrong.feedback == "Case 1 of 3: wrong answer."


@boxed
@pytest.mark.parametrize("name", BROKEN)
def test_what_a_compiler_refuses_is_malformed(name):
    needs(name)
    verdict = judge(BROKEN[name], language=name)
    assert verdict.outcome == "malformed" and verdict.reward == 0.0 and "no program" in verdict.feedback


def test_aliases_and_unknown_languages():
    assert languages.language_of("C++").name == "cpp" and languages.language_of("js").name == "javascript"
    with pytest.raises(UserError, match="Did you mean 'python'"):
        languages.language_of("pyton")


def test_a_missing_language_names_the_command_that_installs_it():
    absent = languages.Language(
        "cobol", "main.cob", ("cobc-that-is-not-here|cobc3-neither", "main.cob"), install="apt-get install cobol"
    )
    with pytest.raises(UserError, match="cobc-that-is-not-here or cobc3-neither.*apt-get install cobol"):
        languages.find(absent, absent.run[0])


# Outcomes.


@boxed
@pytest.mark.parametrize(
    "program, outcome, feedback",
    [
        ("print(", "malformed", "SyntaxError"),
        ("", "malformed", "no code"),
        ("1/0", "crash", "ZeroDivisionError"),
        ("print(3)\nexit(3)", "crash", "Case 1"),
        ("import os\nprint(3, flush=True)\nos.kill(os.getpid(), 9)", "crash", "Case 1"),
        ("while True: pass", "timeout", "time limit"),
        ("x = [0] * 10**9", "limit", "memory"),
        ("while True: print('x' * 1000)", "limit", "output"),
        ("pass", "wrong", "Case 1 of 3: wrong answer."),
        ("x" * 200_000, "limit", "characters"),
        ("\0", "malformed", "null"),
    ],
)
def test_outcomes(program, outcome, feedback):
    verdict = judge(program, time_limit_s=1 if outcome == "timeout" else 20)
    assert (verdict.outcome, verdict.reward) == (outcome, 0.0)
    assert feedback in verdict.feedback


@boxed
def test_python_ends_as_python_ends():
    """What a shortened end of the interpreter could lose: buffered output, open files, exit handlers, threads, exit codes."""
    endings = [
        "import sys; sys.stdout.write(str(sum(map(int, input().split()))))",
        "f = open(1, 'w', closefd=False); f.write(str(sum(map(int, input().split()))))",
        "import atexit; atexit.register(lambda: print(sum(map(int, input().split()))))",
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print(sum(map(int, input().split()))))"
        ").start()",
        "print(sum(map(int, input().split()))); exit()",
        "import sys; print(sum(map(int, sys.stdin.read().split()))); sys.exit(0)",
        "import os; print(sum(map(int, input().split())), flush=True); os._exit(0)",
        "import sys\nif __name__ == '__main__':\n    for line in sys.stdin: print(sum(map(int, line.split())))",
        "import os\nif os.fork() == 0: print(sum(map(int, input().split())))\nelse: os.wait()",
    ]
    for program in endings:
        assert judge(program).correct, program
    for program in ("exit('no')", "raise SystemExit(1)", "exit(256 + 1)", "import atexit, os; atexit.register(os._exit, 1)"):
        assert judge(f"print(sum(map(int, input().split()))); {program}").outcome == "crash", program


@boxed
def test_cases_share_nothing():
    """A fresh interpreter for each: what a program leaves in its own memory is not there in the next case."""
    program = "import builtins\nprint(sum(map(int, input().split())) + getattr(builtins, 'seen', 0))\nbuiltins.seen = 1"
    assert judge(program).correct
    assert judge("print(sum(map(int, input().split()))); open('main.py', 'w').write('1/0')").correct


@boxed
def test_partial_credit_is_a_part_and_a_reward_only_where_asked():
    two_of_three = "a, b = map(int, input().split())\nprint(a + b + (a == 30))"
    assert judge(two_of_three).parts == {"passed": pytest.approx(2 / 3)} and judge(two_of_three).reward == 0.0
    paid = judge(two_of_three, partial=True)
    assert (paid.outcome, paid.reward, paid.feedback) == ("wrong", pytest.approx(2 / 3), "Case 2 of 3: wrong answer.")


@boxed
def test_feedback_never_holds_what_is_expected():
    tests = [{"stdin": "1\n", "stdout": "secret-output\n"}]
    for program in ("print(1)", "1/0", "raise SystemExit('x')", "print(open('/proc/self/cmdline').read())"):
        assert "secret" not in judge(program, tests=tests).feedback


@boxed
def test_a_crash_with_no_output_does_not_pass_a_case_that_expects_none():
    tests = [{"stdin": "0\n", "stdout": ""}, {"stdin": "1\n", "stdout": "1\n"}]
    good = "n = int(input())\nif n: print(n)"
    assert judge(good, tests=tests).correct
    verdict = judge("n = int(input())\nprint(n // n)", tests=tests)
    assert verdict.outcome == "crash" and verdict.parts["passed"] == 0.5


@boxed
def test_whitespace_and_tolerance_reach_the_comparison():
    tests = [{"stdin": "", "stdout": "1.50 2\n"}]
    assert judge("print(1.5); print(2)", tests=tests, tolerance=1e-6).correct
    assert not judge("print(1.5); print(2)", tests=tests, whitespace="tokens").correct
    assert not judge("print('1.50 2', end='')", tests=tests, whitespace="exact").correct


# Functions.

SQUARES = [{"args": [n], "returns": n * n} for n in (3, -2, 0)]


@boxed
@pytest.mark.parametrize(
    "name, program, outcome",
    [
        ("python", "def f(n): return n * n", "correct"),
        ("python", "f = lambda n: n ** 2", "correct"),
        ("python", "def f(n):\n    print('noise', n)\n    return n * n", "correct"),
        ("python", "def f(n): return str(n * n)", "wrong"),
        ("python", "def f(n): print(n * n)", "wrong"),
        ("python", "def g(n): return n * n", "crash"),
        ("python", "def f(n) return", "malformed"),
        ("python", "def f(n): return n / 0", "crash"),
        ("javascript", "const f = (n) => n * n;", "correct"),
        ("javascript", "function f(n) { console.log(n); return n * n; }", "correct"),
        ("javascript", "function f(n) { return n + n; }", "wrong"),
    ],
)
def test_functions(name, program, outcome):
    needs(name)
    assert function(program, SQUARES, language=name).outcome == outcome


@boxed
def test_arguments_and_values_of_every_kind_arrive():
    tests = [
        {
            "args": [{"$tuple": [1, 2]}, {"$set": [3]}, {"$dict": [[1, "a"]]}, {"$bytes": "6869"}, {"$float": "inf"}],
            "kwargs": {"last": None},
            "returns": {"$tuple": ["tuple", "set", "dict", "bytes", "float", "NoneType"]},
        },
        {"args": [[1]], "kwargs": {"last": "é\n"}, "returns": {"$tuple": ["list", "str"]}},
    ]
    assert function("def f(*args, last): return tuple(type(v).__name__ for v in (*args, last))", tests).correct


@boxed
def test_a_preamble_stands_before_the_candidates_code():
    data = {
        "function": {"name": "f", "preamble": "import math\ndef helper(n): return n + 1"},
        "tests": [{"args": [3], "returns": 24}],
    }
    assert judge("def f(n): return math.factorial(helper(n))", **data).correct
    assert judge("from __future__ import annotations\ndef f(n: Missing): return 24", **data).correct


FORGERIES = {
    "an object that equals everything": """
class E:
    def __eq__(self, other): return True
    __hash__ = None
def f(n): return E()""",
    "a number that equals everything": """
class E(int):
    def __eq__(self, other): return True
def f(n): return E(7)""",
    "leaves early": """
import os
os._exit(0)""",
    "leaves inside": """
def f(n): exit(0)""",
    "replaces json": """
import json
json.dumps = lambda *a, **k: '9'
def f(n): return 1""",
    "replaces builtins": """
import builtins
builtins.abs = builtins.isinstance = lambda *a: True
def f(n): return [n]""",
    "writes a record of its own, and leaves": """
import sys, os
nonce = sys._getframe(2).f_locals['request']['nonce']
os.write(1, f"\\n{nonce} 9\\n".encode())
os._exit(0)""",
    "writes a second record": """
import sys, os
nonce = sys._getframe(2).f_locals['request']['nonce']
os.write(1, f"\\n{nonce} 9\\n".encode())
def f(n): return n * n""",
    "writes for every case": """
import glob
for path in glob.glob('/proc/*/fd/1'):
    try: open(path, 'wb').write(b'0 exited 0 1 2 0\\n9\\n')
    except OSError: pass
def f(n): return 1""",
    "kills the driver": """
import os
def f(n): os.kill(os.getppid(), 9)""",
    "stops the driver": """
import os
def f(n): os.kill(os.getppid(), 19)""",
    "looks for what is expected": """
import gc
def f(n):
    for o in gc.get_objects():
        if isinstance(o, dict) and ('returns' in o or 'expected' in o):
            return o.get('returns', o.get('expected'))""",
    "walks the frames": """
import sys
def f(n):
    frame = sys._getframe()
    while frame:
        for value in frame.f_locals.values():
            if isinstance(value, dict) and 'returns' in value: return value['returns']
        frame = frame.f_back""",
    "prints PASS": """
print('PASS'); print('correct')
def f(n): print('{"passed": 1.0}')""",
    "fills every file": """
import os
for name in os.listdir('.'):
    try: open(name, 'w').write('print(9)')
    except OSError: pass
def f(n): return 1""",
}


@boxed
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forger_is_wrong_at_best_and_never_our_fault(name):
    verdict = function(FORGERIES[name], SQUARES, time_limit_s=1)
    assert verdict.outcome in ("wrong", "crash", "timeout", "limit", "malformed") and verdict.reward == 0.0
    assert function("def f(n): return n * n", SQUARES).correct  # and the next one is judged as ever


@boxed
def test_forging_records_of_stdin_cases_changes_only_ones_own_answers():
    forger = (
        "import os\nfor fd in ('/proc/%d/fd/1' % os.getppid(),):\n    try:\n        with open(fd, 'wb') as f: "
        "f.write(b''.join(b'%d exited 0 1 0 0\\n' % i for i in range(3)))\n    except OSError: pass\nprint(1)"
    )
    verdict = judge(forger)
    assert verdict.outcome in ("wrong", "crash") and verdict.reward == 0.0


def test_records_with_a_case_twice_or_a_broken_line_are_left_out():
    ran = execution.records(b"0 exited 0 1 1 0\nx1 exited 0 1 0 0\n1 exited 0 1 0 0\n2 exited 0 1 1 0\ny", 3, "full")
    assert set(ran) == {0, 2} and ran[0].stdout == b"x" and ran[2].stdout == b"y"
    for broken in (b"0 exited 0 1 9 0\nx", b"0 failed 0 1 0 0\n", b"9 exited 0 1 0 0\n", b"\n", b"0 exited 0 1 -1 0\n", b"a"):
        assert execution.records(broken, 3, "full") == {}


# Checkers.

ANY_DIVISOR = """
import json, sys
case = json.load(sys.stdin)
n, given = int(case["stdin"]), case["given"].split()
sys.exit(0 if len(given) == 1 and given[0].isdecimal() and 1 < int(given[0]) < n and n % int(given[0]) == 0 else 1)
"""
DIVISORS = [{"stdin": f"{n}\n"} for n in (15, 21, 4)]


@boxed
@pytest.mark.parametrize(
    "program, outcome",
    [
        ("n = int(input())\nprint(next(d for d in range(2, n) if n % d == 0))", "correct"),
        ("n = int(input())\nprint(next(d for d in range(n - 1, 1, -1) if n % d == 0))", "correct"),  # another right answer
        ("print(int(input()))", "wrong"),
        ("print('x' * 1000)", "wrong"),
        ("print('9' * 5000)", "wrong"),  # makes the checker itself fail: no way out
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')", "wrong"),
        ("1/0", "crash"),
    ],
)
def test_a_checker_decides_where_several_outputs_are_right(program, outcome):
    verdict = judge(program, tests=DIVISORS, checker={"language": "python", "code": ANY_DIVISOR})
    assert verdict.outcome == outcome and verdict.rule.endswith("checker")


@boxed
def test_a_checker_in_another_language_and_one_that_is_no_program():
    needs("c")
    accept_all = {"language": "c", "code": "int main(void) { return 0; }"}
    assert judge("print(1)", tests=DIVISORS, checker=accept_all).correct
    for broken in ({"language": "c", "code": "int main("}, {"language": "python", "code": "def"}):
        with pytest.raises(UserError, match="checker is no"):
            judge("print(1)", tests=DIVISORS, checker=broken)


@boxed
def test_a_checker_of_a_function_sees_its_value():
    accept = "import json, sys\ncase = json.load(sys.stdin)\nsys.exit(case['given'] not in ([1, 2], [2, 1]))"
    data = {"checker": {"language": "python", "code": accept}}
    assert function("def f(): return [2, 1]", [{"args": []}], **data).correct
    assert function("def f(): return [2, 2]", [{"args": []}], **data).outcome == "wrong"


# The task's own data, and the level of isolation.


@pytest.mark.parametrize(
    "data, message",
    [
        ({"language": "pyton"}, "Did you mean 'python'"),
        ({"tests": []}, "1 to 1000 cases"),
        ({"tests": [{"stdin": "1"}]}, "add 'stdout', or a checker"),
        ({"tests": [{"stdin": 1, "stdout": ""}]}, "must be text"),
        ({"tests": [{"stdin": "", "stdout": " \n"}]}, "expects no output"),
        ({"tests": [{"input": "", "stdout": "1"}]}, "has a field 'input'"),
        ({"time_limit": 3}, "Did you mean 'time_limit_s'"),
        ({"time_limit_s": 0}, "from 0.01"),
        ({"memory_mb": "much"}, "must be a number"),
        ({"whitespace": "none"}, "one of lines, tokens, exact"),
        ({"whitespace": "lines", "tolerance": 0.1}, "does nothing"),
        ({"function": {"name": "f"}, "tests": [{"args": [], "returns": 1}], "language": "c"}, "works for python"),
        ({"function": {"name": "a b"}}, "must look like"),
        ({"checker": {"language": "python"}}, "must look like"),
        ({"partial": "yes"}, "true or false"),
    ],
)
def test_data_that_is_no_problem_says_why(data, message):
    with pytest.raises(UserError, match=message):
        judge("print(1)", **data)


def test_a_line_of_a_file_is_checked_and_named(tmp_path):
    from sharpen.tasks import jsonl

    line = {
        "prompt": "Add.",
        "verifier": "code_io",
        "language": "python",
        "tests": SUMS,
        "solution": ADD["python"],
        "id": "add",
    }
    path = tmp_path / "tasks.jsonl"
    lines = [{**line, "prompt": f"Add, variant {i}."} for i in range(3)]
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    source = jsonl(path)
    drawn = source.draw(source.arms[0], "train", 0, 0)
    assert drawn.answer is None and drawn.data == {"language": "python", "tests": SUMS} and drawn.solution == ADD["python"]
    for change, message in (({"tests": []}, "line 2: 'tests' must be"), ({"test": []}, "Did you mean 'tests'")):
        path.write_text(json.dumps(lines[0]) + "\n" + json.dumps({**lines[1], **change}) + "\n")
        with pytest.raises(UserError, match=message):
            jsonl(path)


def source(*listed):
    """A file of tasks, as a source: task i is arm i."""
    arms = tuple(task.arm for task in listed)
    return TaskSource("own", arms, lambda arm, split, i, seed: listed[arms.index(arm)], lambda arm, split: 1)


def test_a_run_without_code_needs_no_sandbox():
    plain = Task(({"role": "user", "content": "?"},), "1", "f", 1)
    code.require(source(plain), "full")
    with pytest.raises(UserError, match="the strongest first"):
        code.require(source(plain), "fuller")


@boxed
def test_a_run_with_code_asks_for_its_level_before_anything_starts(monkeypatch):
    monkeypatch.setenv("SHARPEN_ISOLATION", "full")
    code.require(source(task(tests=SUMS)), "reduced")
    assert execution.least() == "reduced"  # and in every process started from here
    with pytest.raises(UserError, match="no language 'cobol'"):
        code.require(source(task(tests=SUMS, language="cobol")), "full")


@boxed
@pytest.mark.parametrize("name, slow", [("python", "import time; time.sleep(0.5)"), ("bash", "sleep 0.5")])
def test_all_cases_together_have_a_deadline_too(name, slow):
    """Else a program that is slow on every one of many cases outlives the process that judges it, and is our fault."""
    built = execution.build(name, slow)
    runs = execution.execute(built, [b""] * 40, execution.Budget(seconds=4.0, all_s=1.0))
    assert len(runs) == 40 and runs[-1].status in ("timeout", "skipped")
    runs = execution.execute(built, [b""] * 2, execution.Budget(seconds=900.0, all_s=900.0))
    assert [run.status for run in runs] == ["exited"] * 2


@pytest.mark.parametrize(
    ("program", "asked", "said"),
    [("while True: print('x' * 65536)", "300 100000 0", "output"), ("import time\ntime.sleep(600)", "0.1 100000 0", "timeout")],
)
def test_a_case_that_may_not_be_killed_is_not_waited_for(tmp_path, program, asked, said):
    """As at isolation `reduced`, where a filter of system calls forbids it. What goes on is ended with the sandbox."""
    (tmp_path / "main.py").write_text(program)
    driver = Path(execution.__file__).parent / "drivers" / "cases.py"
    forbidden = f"""if True:
        import posix, runpy, sys
        def killpg(group, number): raise PermissionError
        posix.killpg, sys.argv = killpg, ["cases", "main.py"]
        runpy.run_path({str(driver)!r}, run_name="__main__")"""
    argv = [sys.executable, "-c", forbidden]
    done = subprocess.run(argv, input=f"{asked}\n".encode(), capture_output=True, cwd=tmp_path, timeout=250)
    assert done.stdout.split(b" ")[:2] == [b"0", said.encode()], (done.stdout[:200], done.stderr)
