"""Verifiers in processes: what one of them does wrong costs its own verdict, and nothing is lost, hangs or stays behind."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import odd_verifiers as odd
import pytest

from sharpen.core import Rollout, Task, UserError, Verdict
from sharpen.verify import judge, judging
from sharpen.verify import verdicts as verify
from sharpen.verify.judging import Judges

TASK = Task(({"role": "user", "content": "2 + 2 ="},), "4", "sum", 1)
LONG = 600.0  # a deadline that no test lives to see


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Every process that there may be is started as soon as there is a response for it."""
    monkeypatch.setattr(judging, "WORTH_S", 0.0)


def attempt(id: str, text: str, stop: str = "end") -> Rollout:
    none = np.zeros(0)
    return Rollout(TASK, none.astype(np.int32), none > 0, none.astype(np.float32), (text,), stop, 0, 0, id)


def gone(pid: int) -> bool:
    """Whether a process has ended, waiting up to a minute for it. One that nobody has reaped yet has ended."""
    for _ in range(6000):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)  # noqa: TID251 - between two looks
    return False


def until(happened) -> bool:
    """Waits up to a minute for it."""
    for _ in range(6000):
        if happened():
            return True
        time.sleep(0.01)  # noqa: TID251 - between two looks
    return False


def outcomes(verdicts: dict[str, Verdict]) -> dict[str, str]:
    return {key: verdict.outcome for key, verdict in verdicts.items()}


# What its task grants to programs is added to the deadline, and here it asks for none: no machine is too slow for it.
PATIENT = Task(TASK.prompt, TASK.answer, "sum", 1, verifier="code_io", data={"tests": (1,), "time_limit_s": LONG})
ENDLESS = ("hang", "spin", "offspring")


def test_one_that_misbehaves_costs_its_own_verdict_only(tmp_path):
    bad = ["hang", "spin", "exit", "sys.exit", "killed", "raise", "offspring"]
    good = ["4", "5", "print", "close", "\ud800 half a character", ""]
    mixed = [text for pair in zip(bad, [*good, "4"], strict=True) for text in pair]
    with Judges(functools.partial(odd.odd, notes=str(tmp_path)), workers=3, deadline_s=3.0) as judges:
        for text in mixed:
            judges.submit(text or "empty", TASK if text in ENDLESS else PATIENT, text or "empty")
        found = judges.collect()
    assert list(found) == [text or "empty" for text in dict.fromkeys(mixed)]
    assert {k for k, v in found.items() if v.outcome == "unscorable"} == set(bad)
    assert found["4"] == Verdict("correct", 1.0)
    assert all(found[text].outcome == "wrong" and found[text].feedback == text for text in ("5", "print", "close"))
    assert found["\ud800 half a character"].feedback == "\ud800 half a character"
    says = {"hang": "no verdict within 3 s", "exit": "exited with 3", "killed": "SIGKILL", "raise": "fell over"}
    assert all(words in found[text].feedback for text, words in says.items()), found
    for text in bad:
        tried = (tmp_path / text).read_text().split()
        assert len(tried) == 2 == len(set(tried)), f"{text} was tried by {tried}, and elsewhere is another process"
    assert (tmp_path / "4").read_text().count("\n") == 1
    assert gone(int((tmp_path / "child").read_text())), "what a killed verifier had started lives on"


@pytest.mark.parametrize("kind", ["hang", "exit", "killed", "raise"])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_goes_wrong_once_goes_right_elsewhere(tmp_path, kind, workers):
    task = Task(TASK.prompt, kind, "sum", 1)
    deadline = 3.0 if kind == "hang" else LONG
    with Judges(functools.partial(odd.odd, notes=str(tmp_path)), workers=workers, deadline_s=deadline) as judges:
        judges.submit("a", task, f"once {kind}")
        assert until((tmp_path / f"once {kind}").exists)
        judges.deadline_s = LONG  # from now on nobody hangs
        assert judges.collect() == {"a": Verdict("correct", 1.0)}


def test_processes_killed_at_any_event_change_no_verdict(tmp_path):
    texts = ["x" * i for i in range(100)]
    with Judges(functools.partial(odd.doomed, notes=str(tmp_path)), workers=3) as judges:
        for text in texts:
            judges.submit(text, TASK, text)
        found = judges.collect()
    assert sum(note.stat().st_size > 0 for note in tmp_path.iterdir()) >= 8, "processes that died"
    assert found == {text: odd.by_length(TASK, text) for text in texts} and list(found) == texts


def test_verdicts_do_not_depend_on_how_many_judge():
    found = []
    for workers in (1, 3):
        with Judges(odd.by_length, workers=workers) as judges:
            for i in range(400):
                judges.submit(str(i), TASK, "x" * i)
            found.append(judges.collect())
    assert found[0] == found[1] == {str(i): odd.by_length(TASK, "x" * i) for i in range(400)}


@pytest.mark.parametrize("worth, processes", [(LONG, 1), (0.0, 2)])
def test_another_process_is_started_for_work_that_is_worth_it(monkeypatch, worth, processes):
    monkeypatch.setattr(judging, "WORTH_S", worth)
    with Judges(odd.by_length, workers=2) as judges:
        for i in range(400):
            judges.submit(str(i), TASK, "x" * i)
        judges.collect()
        assert len(judges._threads) == processes


def test_rollouts_are_judged_as_in_line(tmp_path):
    rollouts = [attempt("a", "4"), attempt("b", "Traceback", "failed"), attempt("c", "5"), attempt("d", "raise")]
    here = judge(rollouts, [0, 0, 1, 1], odd.odd)
    with Judges(odd.odd) as judges:
        judges.submit("c", TASK, "5")  # while others are still generating
        there = judges.judge(rollouts, [0, 0, 1, 1])
    assert [s.verdict.outcome for s in there] == ["correct", "unscorable", "wrong", "unscorable"]
    assert [(s.verdict.outcome, s.verdict.reward, s.verdict.rule, s.group) for s in there] == [
        (s.verdict.outcome, s.verdict.reward, s.verdict.rule, s.group) for s in here
    ]
    assert there[1].verdict == here[1].verdict


def test_the_same_response_is_judged_once_while_its_verdict_is_not_taken(tmp_path):
    other = Task(({"role": "user", "content": "2 + 3 ="},), "5", "sum", 1)
    with Judges(functools.partial(odd.counted, notes=str(tmp_path)), workers=2, deadline_s=LONG) as judges:
        for key, task, text in [("a", TASK, "4"), ("b", TASK, "4"), ("c", other, "4"), ("d", TASK, "5"), ("e", TASK, "4")]:
            judges.submit(key, task, text)
        found = outcomes(judges.collect())
        assert found == {"a": "correct", "b": "correct", "c": "wrong", "d": "wrong", "e": "correct"}
        assert len(list(tmp_path.iterdir())) == 3
        judges.submit("f", TASK, "4")
        assert judges.take("f")[0].correct and len(list(tmp_path.iterdir())) == 4


def test_what_takes_microseconds_is_judged_here_and_a_users_own_function_never():
    with Judges(verify.verify) as judges:
        for name in verify.INSTANT:
            judges.submit(name, Task(TASK.prompt, "4", "sum", 1, verifier=name), "4")
        assert set(outcomes(judges.collect()).values()) == {"correct"} and not judges._threads
    with Judges(odd.where) as judges:
        judges.submit("a", TASK, "4")
        pid, torch, read = judges.collect()["a"].feedback.split()
    assert int(pid) != os.getpid() and torch == "False" and read == "''"


def test_a_verifier_of_a_users_file_is_found_there(tmp_path):
    from sharpen.recipes import catalog

    own = tmp_path / "own.py"
    own.write_text(
        "from dataclasses import replace\nfrom sharpen.core import Verdict\nfrom sharpen.recipes.policy_gradient import grpo\n"
        "def longest(task, response):\n    return Verdict('correct', 1.0) if len(response) > 3 else Verdict('wrong', 0.0)\n"
        "def recipe(**knobs):\n    return replace(grpo.recipe(**knobs), verify=longest)\n"
    )
    with Judges(catalog.build(str(own)).verify) as judges:
        for text in ("abc", "abcd"):
            judges.submit(text, TASK, text)
        assert outcomes(judges.collect()) == {"abc": "wrong", "abcd": "correct"}


def test_a_verifier_that_returns_no_verdict_is_told_so():
    with Judges(odd.nothing) as judges:
        judges.submit("a", TASK, "4")
        verdict = judges.collect()["a"]
    assert verdict.outcome == "unscorable" and "returned NoneType" in verdict.feedback


def test_mistakes_of_the_user_end_the_wait():
    with Judges(odd.odd) as judges:
        judges.submit("a", TASK, "mistake")
        with pytest.raises(UserError, match="no such thing"):
            judges.collect()
    with pytest.raises(UserError, match="top level"):
        Judges(lambda task, response: Verdict("correct", 1.0))
    with Judges(odd.dies_at_once, workers=2) as judges:
        for i in range(100):
            judges.submit(str(i), TASK, str(i))
        with pytest.raises(UserError, match=r"in a row.*exited with 9"):
            judges.collect()


def test_a_verifier_that_cannot_be_loaded_there_says_why(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("import os\nif os.environ.get('ELSEWHERE'): raise ImportError('not there')\n")
    with (tmp_path / "only_here.py").open("a") as file:
        file.write("def check(task, response): return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    monkeypatch.setenv("ELSEWHERE", "1")
    with Judges(only_here.check) as judges:
        judges.submit("a", TASK, "4")
        with pytest.raises(UserError, match="(?s)cannot be loaded.*not there"):
            judges.collect()


def test_closing_waits_for_nothing_and_leaves_nothing(tmp_path):
    with Judges(functools.partial(odd.odd, notes=str(tmp_path)), workers=2, deadline_s=LONG) as judges:
        judges.submit("a", TASK, "offspring")
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
            time.sleep(0.01)  # noqa: TID251 - between two looks
    assert gone(int((tmp_path / "offspring").read_text())) and gone(int((tmp_path / "child").read_text()))


def test_processes_die_with_a_run_that_is_killed(tmp_path):
    code = """
import functools, sys, time
import odd_verifiers as odd
from sharpen.core import Task
from sharpen.verify import Judges
judges = Judges(functools.partial(odd.odd, notes=sys.argv[1]), workers=2)
for text in ("spin", "4"):
    judges.submit(text, Task(({"role": "user", "content": "2 + 2 ="},), "4", "sum", 1), text)
print(judges.take("4")[0].outcome, flush=True)
time.sleep(1000)
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert run.stdout and run.stdout.readline() == "correct\n"
        while not (tmp_path / "spin").exists() or not (tmp_path / "spin").read_text():
            time.sleep(0.01)  # noqa: TID251 - between two looks
        pids = {int(pid) for text in ("spin", "4") for pid in (tmp_path / text).read_text().split()}
        assert len(pids) == 2
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=900)
    assert all(gone(pid) for pid in pids)
