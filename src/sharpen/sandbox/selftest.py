"""Which isolation this machine really offers: hostile programs are run, and honest twins of them.

A level is reached if every hostile program it must contain is contained and every honest one works. `full` must contain all of
HOSTILE, `reduced` what needs no namespaces (SURFACE says which); `none` keeps deadlines and output caps.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sharpen.sandbox import seccomp
from sharpen.sandbox.connection import BrokerFailed, Connection
from sharpen.sandbox.program import LEVELS, Limits, Program, Result

INSTALL = "apt-get install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora, RHEL); docs/sandbox.md has others"
ALLOW = (
    "allow user namespaces: sysctl user.max_user_namespaces=10000, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0; "
    "in a container, start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined; see docs/sandbox.md"
)
MARK = f"sharpen-selftest-{secrets.token_hex(8)}"  # of this process: another one may be testing itself at the same time

# Each line prints a name if the attack of that name works. `told` holds what only the host should have.
HOSTILE = """
import json, os, socket, sys
told = json.load(sys.stdin)
def attempt(name, attack):
    try:
        attack()
    except (OSError, AttributeError, ValueError):
        return
    print(name)
def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(1); s.connect(address)
def read(path):
    open(path, "rb").read(1)
def write(directory):
    open(directory + "/sharpen-selftest", "w").close()
def call(*arguments):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).syscall(*map(ctypes.c_long, arguments)) < 0: raise OSError
def capable():
    status = open("/proc/self/status").read()
    if int(status.split("CapEff:")[1].split()[0], 16) == 0: raise OSError
attempt("connects to the host", lambda: connect(socket.AF_INET, ("127.0.0.1", told["port"])))
attempt("connects to a host's abstract socket", lambda: connect(socket.AF_UNIX, chr(0) + told["abstract"]))
attempt("opens a raw netlink socket", lambda: socket.socket(16, socket.SOCK_RAW, 0).close())
attempt("reads a host file", lambda: read(told["secret"]))
attempt("reads the host's environment", lambda: read("/proc/%d/environ" % told["pid"]))
for directory in ("/", "/usr", "/etc", "/dev", told["directory"]):
    attempt("writes outside", lambda: write(directory))
attempt("signals a host process", lambda: os.kill(told["pid"], 0))
attempt("is privileged", capable)
attempt("makes a user namespace", lambda: call(told["unshare"], 0x10000000))
attempt("reaches io_uring", lambda: call(425, 1, 0))
"""
HONEST = """
import os, socket, subprocess, sys, tempfile, threading
assert sys.stdin.read() == "given" and open("given.txt").read() == "given"
a, b = socket.socketpair(); a.send(b"x"); assert b.recv(1) == b"x"
open("kept.txt", "w").write("kept")
with tempfile.TemporaryFile() as f: f.write(b"x")
assert subprocess.run([sys.executable, "-I", "-S", "-c", "print(6 * 7)"], capture_output=True).stdout == b"42\\n"
threads = [threading.Thread(target=print, args=("thread",)) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
block = bytearray(64 << 20)
os.kill(os.getpid(), 0)
"""
HANG = "import time\nwhile True: time.sleep(1)"
FLOOD = "while True: print('x' * 9999)"
HOG = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        block = bytearray(100 << 20)
        for i in range(0, len(block), 4096): block[i] = 1
        time.sleep(30)
time.sleep(30)
"""
BOMB = """
import os
n = 1
try:
    while n < 400:
        if os.fork() == 0: os.read(0, 1); __import__("time").sleep(9)
        n += 1
except OSError: pass
__import__("time").sleep(0.3)
print(n)
"""
SURVIVE = f"""
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in range(3): os.close(n)
        os.execvp("python3", ["python3", "-I", "-S", "-c", "import time; time.sleep(60) # {MARK}"])
    os._exit(0)
time.sleep(0.2)
"""
# What of HOSTILE a level must contain; None: all of it.
SURFACE: dict[str, set[str] | None] = {
    "full": None,
    "reduced": {"connects to the host", "opens a raw netlink socket", "is privileged", "makes a user namespace"},
    "none": set(),
}


@dataclass(frozen=True)
class Probe:
    """level: the strongest of LEVELS that this machine reaches. reasons: why it is not stronger, each with its cure."""

    level: str
    reasons: tuple[str, ...] = ()


@functools.cache
def probe() -> Probe:
    """Run the self-test, once in a process; it takes about half a second."""
    from sharpen.sandbox.client import configuration

    reasons: list[str] = []
    for level in LEVELS[:2]:
        if level == "full" and (missing := _missing()):
            reasons.append(missing)
            continue
        if not (failures := selftest(level, configuration(()))):
            return Probe(level, tuple(reasons))
        reasons += failures
    return Probe("none", tuple(reasons))


def _missing() -> str:
    """What `full` lacks before anything is tried."""
    if shutil.which("bwrap") is None:
        return f"bubblewrap is not installed: {INSTALL}"
    if not seccomp.supported():
        return f"the system call filter has no table for this kind of machine ({os.uname().machine})"
    return ""


def selftest(level: str, config: dict) -> list[str]:
    """What is wrong with a level here; empty if nothing is."""
    with tempfile.TemporaryDirectory() as directory, socket.create_server(("127.0.0.1", 0)) as server:
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(f"\0sharpen-selftest-{os.getpid()}")
        abstract.listen()
        os.chmod(directory, 0o777)
        secret = Path(directory, "secret")
        secret.write_text("secret")
        told = {
            "port": server.getsockname()[1],
            "abstract": f"sharpen-selftest-{os.getpid()}",
            "secret": str(secret),
            "directory": directory,
            "pid": os.getpid(),
            "unshare": seccomp.DENIED["unshare"][seccomp.MACHINES.get(os.uname().machine, (0, 0))[0]],
        }
        connection = Connection(level, 4, config)
        try:
            results = connection.run_many([_python(source, json.dumps(told), limits) for source, limits, _ in TRIALS])
        except BrokerFailed as error:
            return [f"level {level}: {error}: {ALLOW}"]
        finally:
            connection.close()
            abstract.close()
    if all(result.status == "failed" for result in results):
        return [f"level {level} cannot start programs: {results[0].detail}: {ALLOW}"]
    return [f"level {level}: {wrong}" for result, (_, _, judge) in zip(results, TRIALS) for wrong in judge(result, level)]


def _python(source: str, told: str, limits: Limits) -> Program:
    stdin = "given" if source is HONEST else told
    files = {"main.py": source.encode(), "given.txt": b"given"}
    return Program(("python3", "-I", "-S", "-B", "main.py"), files, stdin.encode(), limits, keep=("kept.txt",))


def _contained(result: Result, level: str) -> list[str]:
    if result.status != "exited" or result.code:
        return [f"the hostile program could not run: {_words(result)}"]
    surface = SURFACE[level]
    return [f"a program {name}" for name in result.stdout.decode().splitlines() if surface is None or name in surface]


def _honest(result: Result, level: str) -> list[str]:
    fine = result.status == "exited" and result.code == 0 and result.files == {"kept.txt": b"kept"}
    return [] if fine else [f"an honest program fails: {_words(result)}"]


def _ends(*statuses: str) -> Callable[[Result, str], list[str]]:
    def judge(result: Result, level: str) -> list[str]:
        fine = result.status in statuses
        return [] if fine else [f"a program that should end as {' or '.join(statuses)} ended as {_words(result)}"]

    return judge


def _bounded(result: Result, level: str) -> list[str]:
    started = result.stdout.decode().strip()
    if level == "none" or result.status == "memory" or (started.isdigit() and int(started) <= Limits().processes):
        return []
    return [f"a program started {started or 'too many'} processes"]


def _gone(result: Result, level: str) -> list[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if MARK.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                return ["a process survived its program"]
        except OSError:
            continue
    return []


def _words(result: Result) -> str:
    said = (result.detail or result.stderr.decode(errors="replace")).strip().splitlines()
    return f"{result.status} {'' if result.code is None else result.code} {said[-1] if said else ''}".strip()


BRIEF = Limits(wall_s=0.3)
PATIENT = Limits(wall_s=20.0)  # a busy machine is no less isolated
TRIALS: tuple[tuple[str, Limits, Callable[[Result, str], list[str]]], ...] = (
    (HOSTILE, PATIENT, _contained),
    (HONEST, PATIENT, _honest),
    (HANG, BRIEF, _ends("timeout")),
    (FLOOD, Limits(wall_s=20.0, output_bytes=10_000), _ends("output")),
    (HOG, Limits(wall_s=20.0, memory_mb=256), _ends("memory")),
    (BOMB, PATIENT, _bounded),
    (SURVIVE, PATIENT, _gone),
)
