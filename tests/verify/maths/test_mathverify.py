"""Math-Verify in its own process: guarded against its known wrong verdicts, killed when it overruns, no trouble to a run."""

import os
import signal
import sys
import threading

import pytest

from sharpen.core import Task
from sharpen.verify import verdicts
from sharpen.verify.maths import mathverify

pytest.importorskip("math_verify", reason="the extra math is not installed")


def judge(response, answer):
    return verdicts.verify(
        Task(({"role": "user", "content": "?"},), answer, "f", 1, verifier="math"), f"<answer>{response}</answer>"
    )


def test_it_decides_what_no_type_reads():
    verdict = judge(r"\frac{1}{2}", r"\int_0^1 x\,dx")
    assert verdict.correct and verdict.rule == "tag: Math-Verify" and verdict.version.endswith("math-verify 0.9.0")
    assert judge(r"\frac{1}{3}", r"\int_0^1 x\,dx").outcome == "wrong"
    assert judge("half", r"\int_0^1 x\,dx").outcome == "wrong"


@pytest.mark.parametrize(("gold", "answer"), [("1/2^{99}", "1/2^{98}"), ("1/2004!", "1/2006!")])
def test_it_is_not_heard_where_it_cannot_tell_neighbours_apart(gold, answer):
    """Asked directly, since `math` decides these itself. Alone it calls them the same."""
    import math_verify

    assert math_verify.verify(math_verify.parse(f"${gold}$"), math_verify.parse(f"${answer}$"))
    assert mathverify.ask(gold, answer)[0] == "different"


def test_neighbours_differ_from_the_answer():
    assert mathverify.neighbours(r"\int_0^{12} x") == [r"\int_1^{12} x", r"\int_0^{13} x", r"\int_0^{12} x + 1"]
    assert mathverify.neighbours("x") == ["x + 1"]


def test_an_answer_that_overruns_costs_its_limit_and_only_itself():
    assert mathverify.ask(r"\int_0^1 x\,dx", "9^{9^{9^{9}}}")[0] == "limit"
    assert mathverify.CHILD.process is not None  # the task's own answer was asked about, in a new process
    assert mathverify.ask(r"\int_0^1 x\,dx", r"\frac{1}{2}")[0] == "same"


def test_a_child_that_is_killed_is_replaced():
    assert mathverify.ask(r"\int_0^1 x\,dx", "0.5")[0] == "same"
    process = mathverify.CHILD.process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=900)
    assert mathverify.ask(r"\int_0^1 x\,dx", "0.5")[0] in ("same", "limit")  # "limit": it died with this question in hand
    assert mathverify.ask(r"\int_0^1 x\,dx", "0.5")[0] == "same"
    assert mathverify.CHILD.process.pid != process.pid


def test_it_works_in_threads():
    """Where Math-Verify itself raises, because it uses alarms."""
    answers = {}

    def ask(i):
        answers[i] = mathverify.ask(r"\int_0^1 x\,dx", f"{i}/10")[0]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=900)
    assert answers == {i: "same" if i == 5 else "different" for i in range(12)}  # each its own answer


def test_a_fork_does_not_share_its_parents_child():
    assert mathverify.ask(r"\int_0^1 x\,dx", "0.5")[0] == "same"
    parents = mathverify.CHILD.process.pid
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = b"failed"
        try:
            said = f"{mathverify.ask('x^{x^x}', 'x^{x^x}')[0]} {mathverify.CHILD.process.pid != parents}".encode()
            mathverify.CHILD.stop()
        finally:
            os.write(write, said)
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(read, 100) == b"same True"
    os.close(read), os.close(write)
    assert mathverify.ask(r"\int_0^1 x\,dx", "0.5")[0] == "same" and mathverify.CHILD.process.pid == parents


def test_a_gold_answer_that_nobody_reads_is_unscorable():
    assert judge("3", r"\undefined{{{").outcome == "unscorable"
    assert judge("3", r"\int " * 400).outcome == "unscorable"


def test_stopping_leaves_no_process():
    assert mathverify.ask(r"\int_0^1 x\,dx", "0.5")[0] == "same"
    process = mathverify.CHILD.process
    mathverify.CHILD.stop()
    assert process.poll() is not None and mathverify.CHILD.process is None
    assert not os.path.exists(f"/proc/{process.pid}") or sys.platform != "linux"
