"""In the sandbox: runs a Python program once for each case, each time in a fresh child of one interpreter.

    python3 cases.pyc main.py [more files that must be Python]

Starting an interpreter costs ten times what forking one does. The first file is run; all are parsed first, and where one is no
Python the answer is one record "refused". Everything here lies within the candidate's reach, and may: it knows no expected
output, so by meddling a candidate can only change its own answers.

stdin    a line "seconds bytes size size …": the time limit of a case, how much it may print, the sizes of the cases' inputs;
         then these inputs
stdout   for each case a line "case status code milliseconds size size", then what it printed to stdout and to stderr
         (its last 2,000 bytes).
status: exited, signalled, timeout, output. After a timeout the remaining cases are not run.
"""

import atexit
import posix  # what `os` is made of; importing that costs 1.4 ms of a verdict
import select
import sys
import time
from _sitebuiltins import Quitter

KEPT = 2000


def requests():
    head, data = bytearray(), posix.read(0, 1 << 20)
    while data:
        head += data
        data = posix.read(0, 1 << 20)
    line, _, rest = bytes(head).partition(b"\n")
    seconds, most, *sizes = line.split()
    inputs = []
    for size in map(int, sizes):
        inputs.append(rest[:size])
        rest = rest[size:]
    return float(seconds), int(most), inputs


def record(case, status, code, began, out, err):
    line = b"%d %s %d %d %d %d\n" % (case, status, code, (time.monotonic() - began) * 1000, len(out), len(err))
    data = line + out + err
    while data:
        data = data[posix.write(1, data) :]


def parsed(paths):
    found = []
    for path in paths:
        with open(path, "rb") as file:
            found.append(compile(file.read(), path, "exec", dont_inherit=True))
    return found


def start(data, place, paths):
    """(child, its stdout, its stderr); in the child itself, which runs in a directory of its own, 0 instead."""
    (out, out_end), (err, err_end) = posix.pipe(), posix.pipe()
    given = posix.open("stdin", posix.O_RDWR | posix.O_CREAT | posix.O_TRUNC, 0o600)
    posix.unlink("stdin")
    while data:
        data = data[posix.write(given, data) :]
    posix.lseek(given, 0, 0)
    child = posix.fork()
    if child == 0:
        posix.setsid()
        for number, descriptor in enumerate((given, out_end, err_end)):
            posix.dup2(descriptor, number)
        posix.closerange(3, 16)
        posix.mkdir(place)
        for path in paths:
            posix.link(path, f"{place}/{path}")
        posix.chdir(place)
        return 0, 0, 0
    for descriptor in (given, out_end, err_end):
        posix.close(descriptor)
    return child, out, err


def watch(child, out, err, seconds, most):
    """Reads until the child has ended, or is killed at its deadline or its cap: (status, code, stdout, stderr).

    At isolation `reduced` no program may kill another: there a child that is to be killed loses its pipes, and what it is
    doing still is ended with this driver.
    """
    deadline, status, code, ended = time.monotonic() + seconds, None, 0, None
    printed = {out: bytearray(), err: bytearray()}
    waiting = set(printed)
    while True:
        idle = not waiting or ended is not None
        timeout = 0.0 if idle else min(max(deadline - time.monotonic(), 0.0), 0.05)
        for descriptor in select.select(list(waiting), [], [], timeout)[0]:
            data = posix.read(descriptor, 1 << 16)
            printed[descriptor] += data
            if not data:
                waiting.discard(descriptor)
        if len(printed[out]) > most or len(printed[err]) > most:
            status = b"output"
            break
        if ended is not None:  # whatever a grandchild may still print is not waited for
            break
        pid, how = posix.waitpid(child, posix.WNOHANG)
        if pid:
            ended = how
        elif time.monotonic() >= deadline:
            status = b"timeout"
            break
        elif not waiting:
            time.sleep(0.0005)
    try:
        posix.killpg(child, 9)
        wait = 0
    except OSError:
        wait = posix.WNOHANG
    posix.close(out)
    posix.close(err)
    if ended is None:
        ended = posix.waitpid(child, wait)[1]
    if status is None:
        code = posix.waitstatus_to_exitcode(ended)
        status, code = (b"signalled", -code) if code < 0 else (b"exited", code)
    return status, code, bytes(printed[out][:most]), bytes(printed[err][-KEPT:])


def main(paths):
    """Runs all cases and returns None; in a child, returns the program that it is to run."""
    began = time.monotonic()
    seconds, most, inputs = requests()
    try:
        program = parsed(paths)[0]
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as e:
        record(0, b"refused", 1, began, b"", f"{type(e).__name__}: {e}"[:KEPT].encode("utf-8", "replace"))
        return None
    for case, data in enumerate(inputs):
        began = time.monotonic()
        child, out, err = start(data, f"case{case}", paths)
        if child == 0:
            return program
        status, code, printed, complained = watch(child, out, err, seconds, most)
        record(case, status, code, began, printed, complained)
        if status == b"timeout":
            break
    return None


def flush(*streams):
    for stream in streams:
        try:  # noqa: SIM105
            stream.flush()
        except (AttributeError, ValueError):  # none, or closed by the program
            pass


def finish(failed):
    """Ends a child as an interpreter ends, except that nothing is torn down: that takes ten times as long as the rest."""
    code = 0
    if isinstance(failed, SystemExit) and isinstance(failed.code, int):
        code = failed.code
    elif isinstance(failed, SystemExit):
        if failed.code is not None:
            print(failed.code, file=sys.stderr)
            code = 1
    elif failed is not None:
        sys.excepthook(type(failed), failed, failed.__traceback__)
        code = 1
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    flush(sys.stdout, sys.stderr)  # before anything of the program is gone that these may need
    sys.modules["__main__"].__dict__.clear()  # files that the program has left open are closed, and so written
    flush(sys.__stdout__, sys.__stderr__)  # the first ones too, if the program put others in their place
    posix._exit(code & 255)


program = main(sys.argv[1:])
if program is None:
    posix._exit(0)
# `-S` leaves these two out, and programs end by them.
for name in ("exit", "quit"):
    setattr(sys.modules["builtins"], name, Quitter(name, "Ctrl-D"))
sys.argv = [program.co_filename]
# Twice, as the interpreter has it: a program may put a wrapper of its buffer in its place, and must not thereby close it.
sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
setattr(sys, "__stdin__", sys.stdin)  # noqa: B010
sys.modules["__main__"] = module = type(sys)("__main__")
module.__file__ = program.co_filename
failed = None
try:
    exec(program, module.__dict__)
except BaseException as e:  # as the interpreter does with whatever a program raises
    failed = e
try:
    finish(failed)
finally:
    posix._exit(1)
