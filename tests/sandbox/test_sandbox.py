"""What the sandbox promises: exact results, limits, levels, nothing left behind, no result lost when something is killed."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import kills
from sharpen.core import UserError
from sharpen.sandbox import Limits, Program, Sandbox, landlock, probe, wire
from sharpen.sandbox.client import configuration
from sharpen.sandbox.connection import Connection
from sharpen.sandbox.linux import children_of
from sharpen.sandbox.selftest import ALLOW, INSTALL, MARK, selftest

FULL = pytest.mark.skipif(probe().level != "full", reason="; ".join(probe().reasons))
SOURCE = str(Path(__file__).parents[2] / "src")
PLENTY = Limits(60.0)  # seconds, for what must come to its end on a busy machine too
LEVELS = [pytest.param("full", marks=FULL), "reduced", "none"]


def python(code: str, stdin: bytes = b"", limits: Limits = PLENTY, **options) -> Program:
    return Program(("python3", "-I", "-S", "-B", "main.py"), {"main.py": code.encode()}, stdin, limits, **options)


@pytest.fixture(params=LEVELS, scope="module")
def box(request):
    connection = Connection(request.param, 3, configuration(()))
    yield connection
    connection.close()


def one(box: Connection, program: Program):
    return box.run_many([program])[0]


def family(pid: int) -> list[int]:
    return [pid, *(below for child in children_of(pid) for below in family(child))]


def is_sleep(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    return False


def until(condition) -> bool:
    """Waits for it, two minutes at most."""
    for _ in range(6_000):
        if condition():
            return True
        time.sleep(0.02)  # noqa: TID251 - between two looks
    return False


# results


def test_what_a_program_says_comes_back_byte_for_byte(box):
    code = "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d[::-1]); sys.stderr.buffer.write(d); sys.exit(7)"
    given = bytes(range(256)) * 1000
    result = one(box, python(code, given))
    assert (result.status, result.code, result.stdout, result.stderr) == ("exited", 7, given[::-1], given)
    assert result.isolation == box.level and result.seconds > 0


def test_results_come_in_order_whatever_ends_first(box):
    programs = [python(f"import time; time.sleep({(9 - n) % 3 * 0.1}); print({n})") for n in range(9)]
    assert [int(result.stdout) for result in box.run_many(programs)] == list(range(9))


def test_files_go_in_and_come_out_and_links_do_not(box):
    code = """
import os
assert open("data/deep/in.bin", "rb").read() == bytes(range(256))
os.makedirs("a/b"); open("a/b/out", "wb").write(b"made")
os.symlink("/etc/passwd", "link"); os.symlink("a", "linked"); os.mkfifo("fifo"); os.mkdir("directory")
"""
    keep = ("a/b/out", "link", "linked/b/out", "fifo", "directory", "missing", "main.py")
    result = one(
        box, Program(("python3", "main.py"), {"main.py": code.encode(), "data/deep/in.bin": bytes(range(256))}, keep=keep)
    )
    assert result.stderr == b""
    assert dict(result.files) == {"a/b/out": b"made", "main.py": code.encode()}


def test_the_environment_is_fixed_and_empty_otherwise(box):
    code = "import os; print(sorted(os.environ), os.environ['MINE'])"
    result = one(box, python(code, env={"MINE": "x=\n y"}))
    names = [
        name for name in eval(result.stdout.decode().splitlines()[0].partition("]")[0] + "]") if name not in ("PWD", "LC_CTYPE")
    ]
    assert names == ["HOME", "LANG", "MINE", "PATH", "TMPDIR"]
    assert result.stdout.endswith(b"x=\n y\n")


def test_a_signal_is_no_exit_code(box):
    assert [
        (r.status, r.code)
        for r in box.run_many([python("import os; os.abort()"), python("import os; os.kill(os.getpid(), 9)")])
    ] == [
        ("signalled", signal.SIGABRT),
        ("signalled", signal.SIGKILL),
    ]


def test_a_command_that_is_missing_is_our_failure_and_one_that_fails_alike_is_not(box):
    missing = one(box, Program(("no-such-command",)))
    assert missing.status == "failed" and "no-such-command" in missing.detail
    assert (
        one(box, python("import sys; print('bwrap: execvp x: No such file', file=sys.stderr); sys.exit(1)")).status == "exited"
    )


@FULL
@pytest.mark.skipif(landlock.version() == 0 or os.uname().machine != "x86_64", reason="no Landlock, or no launcher, here")
def test_landlock_stands_behind_the_mounts():
    """/proc is mounted writable, and a process may rename itself there: but for Landlock nothing stops that."""
    full = Connection("full", 1, configuration(()))
    try:
        renamed = one(full, python("open('/proc/self/comm', 'w').write('x')"))
        code = "open('/dev/null', 'w').write('x'); open('/tmp/x', 'w').write('x'); print(open('/tmp/x').read())"
        written = one(full, python(code))
        told = one(full, python("import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"))
    finally:
        full.close()
    assert renamed.code == 1 and b"Permission denied" in renamed.stderr
    assert (written.code, written.stdout, told.stdout) == (0, b"x\n", b"[0, 1, 2]\n")


@pytest.mark.skipif(landlock.launcher(9) is None, reason="there is no launcher for this machine")
def test_without_its_rules_the_launcher_starts_nothing(tmp_path):
    path = tmp_path / "launch"
    path.write_bytes(landlock.launcher(9) or b"")
    path.chmod(0o755)
    done = subprocess.run([str(path), "/bin/echo", "started"], capture_output=True, timeout=900)
    assert (done.returncode, done.stdout) == (126, b"")


def test_what_cannot_be_a_program_is_refused():
    for wrong in (
        {"argv": ()},
        {"argv": ("a\0",)},
        {"argv": ("a",), "files": {"../x": b""}},
        {"argv": ("a",), "keep": ("/etc/passwd",)},
    ):
        with pytest.raises(ValueError):
            Program(**wrong)
    for wrong in ({"wall_s": float("inf")}, {"wall_s": float("nan")}, {"memory_mb": 0}, {"processes": -1}, {"cpu_s": 0}):
        with pytest.raises(ValueError, match="no limit"):
            Limits(**wrong)
    with pytest.raises(ValueError, match="cannot be shown"):
        Sandbox(least="none", binds=["/tmp/mine"])


# limits


def test_a_hung_program_costs_its_deadline_and_delays_nobody(box):
    hung = one(box, python("import time; time.sleep(999)", limits=Limits(wall_s=1.0)))
    assert hung.status == "timeout" and hung.seconds >= 1.0
    other, results = Connection(box.level, 3, configuration(())), []
    sleep = Program(("sleep", "999"), limits=Limits(999.0))
    worker = threading.Thread(target=lambda: results.extend(other.run_many([sleep])))
    try:
        worker.start()
        assert until(lambda: other._process and any(is_sleep(pid) for pid in family(other._process.pid)))
        assert [r.status for r in other.run_many([python("print(1)"), python("print(2)")])] == ["exited", "exited"]
        assert results == [], "it has ended"
    finally:
        other.close()
    worker.join()


def test_output_is_capped_while_it_streams(box):
    flood = python("import sys\nwhile True: sys.stdout.write('x' * 4096)", limits=Limits(60.0, output_bytes=10_000))
    exact = python("import sys; sys.stdout.write('x' * 10_000)", limits=Limits(60.0, output_bytes=10_000))
    first, second = box.run_many([flood, exact])
    assert (first.status, first.stdout) == ("output", b"x" * 10_000)
    assert (second.status, second.stdout) == ("exited", b"x" * 10_000)


def test_memory_of_all_processes_together_is_limited(box):
    code = """
import os, time
def hold(megabytes):
    block = bytearray(megabytes << 20)
    for i in range(0, len(block), 4096): block[i] = 1
    time.sleep(%s)
for _ in range(4):
    if os.fork() == 0: hold(%d); os._exit(0)
for _ in range(4): os.wait()
"""
    hog, modest = (python(code % numbers, limits=Limits(60.0, memory_mb=256)) for numbers in ((50, 100), (0.2, 20)))
    first, second = box.run_many([hog, modest])
    assert first.status == "memory" and (second.status, second.code) == ("exited", 0), (first, second)


def test_a_program_without_an_address_space_limit_is_still_held(box):
    reserve = python(
        "import mmap; mmap.mmap(-1, 8 << 30); print('fine')", limits=Limits(60.0, memory_mb=64, address_space=False)
    )
    touch = "b = bytearray(400 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1\nimport time; time.sleep(50)"
    first, second = box.run_many([reserve, python(touch, limits=Limits(60.0, memory_mb=64, address_space=False))])
    assert first.stdout == b"fine\n" and second.status == "memory"


@FULL
def test_the_writable_disk_has_a_size():
    code = """
n = 0
try:
    for i in range(100): open(str(i), "wb").write(bytes(1 << 20)); n += 1
except OSError: pass
print(n)
"""
    with Sandbox(jobs=1) as sandbox:
        assert 7 <= int(sandbox.run(python(code, limits=Limits(60.0, files_mb=8))).stdout) <= 8


@FULL
def test_a_runtime_outside_usr_is_readable_where_it_is_named_and_nothing_beside_it(tmp_path):
    home = Path("/var/tmp") / f"sharpen-test-{os.getpid()}"
    runtime = home / "private" / "runtime"
    runtime.mkdir(parents=True)
    try:
        (runtime / "hello").write_text("#!/bin/sh\necho hello\n")
        (runtime / "hello").chmod(0o755)
        (home / "private" / "secret").write_text("secret")
        runtime.chmod(0o755)
        (home / "private").chmod(0o700)  # as /root is: the user who runs bubblewrap could not pass
        with Sandbox(jobs=1, binds=[str(runtime)]) as sandbox:
            assert sandbox.run(Program((f"{runtime}/hello",))).stdout == b"hello\n"
            assert sandbox.run(Program(("cat", str(home / "private" / "secret")))).code == 1
            assert sandbox.run(Program(("touch", f"{runtime}/x"))).code == 1
    finally:
        shutil.rmtree(home)


# levels


def test_this_machine_is_full_or_says_what_it_lacks():
    # Otherwise a hole in a layer would lower the level, and the tests that look for holes would be skipped.
    assert probe().level == "full" or any(cure in reason for reason in probe().reasons for cure in (INSTALL, ALLOW))


@FULL
def test_the_self_test_notices_a_level_that_does_not_hold(monkeypatch):
    assert selftest("full", configuration(())) == []
    from sharpen.sandbox.selftest import SURFACE

    monkeypatch.setitem(SURFACE, "none", None)  # what `full` must contain, asked of a level that contains nothing
    found = " ".join(selftest("none", configuration(())))
    assert (
        "connects to the host" in found
        and "reads a host file" in found
        and "writes outside" in found
        and "signals a host" in found
    )


@pytest.mark.skipif(shutil.which("bwrap") is None, reason=f"needs bubblewrap: {INSTALL}")
def test_a_container_that_refuses_user_namespaces_is_reduced_and_says_so():
    script = str(Path(__file__).with_name("without_namespaces.py"))
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=900, env=environment)
    assert done.stdout.startswith("reduced\nlevel full"), done.stdout + done.stderr
    assert "unshare" in done.stdout and "max_user_namespaces" in done.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@FULL
def test_an_ordinary_user_gets_the_same(tmp_path_factory):
    copy = Path("/var/tmp") / f"sharpen-copy-{os.getpid()}"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; sys.path.append(sys.argv[1]); from sharpen.sandbox import probe; print(probe())"
    try:
        command = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", "/usr/bin/python3", "-c", code, str(copy)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd="/")
    finally:
        shutil.rmtree(copy)
    assert done.stdout == "Probe(level='full', reasons=())\n", done.stdout + done.stderr


def test_below_the_asked_level_it_refuses_and_says_what_to_install():
    code = "from sharpen.sandbox import Sandbox; Sandbox(least='full')"
    environment = {"PATH": "/nonexistent", "PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900, env=environment)
    assert "UserError" in done.stderr and "apt-get install bubblewrap" in done.stderr
    with pytest.raises(ValueError, match="no isolation level"):
        Sandbox(least="fully")
    assert issubclass(UserError, Exception)


# nothing left, nothing lost


def test_programs_of_every_kind_leave_nothing(box):
    quick = [Program(("true",)) for _ in range(60 if box.level == "full" else 10)]
    box.run_many(quick[:6])
    pid = box._process.pid
    before = (family(pid), [len(os.listdir(f"/proc/{p}/fd")) for p in family(pid)], len(os.listdir("/proc/self/fd")))
    odd = [
        python("while True: pass", limits=Limits(wall_s=0.1)),
        python("print('x' * 10**7)"),
        Program(("no-such-command",)),
        python("import os\nif os.fork() == 0:\n    os.setsid(); os.closerange(0, 9); __import__('time').sleep(999)"),
        python("import os; os.mkdir('d'); os.chmod('d', 0); os.chmod('.', 0)"),
    ]
    box.run_many(quick + odd * 2)
    assert until(lambda: family(pid) == before[0]), "processes"
    assert ([len(os.listdir(f"/proc/{p}/fd")) for p in family(pid)], len(os.listdir("/proc/self/fd"))) == before[1:]


def test_closing_leaves_nothing(box):
    before = set(threading.enumerate())
    other = Connection(box.level, 2, configuration(()))
    other.run_many([Program(("true",))])
    everybody = family(other._process.pid)
    other.close()
    assert until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in everybody))
    owners = {name.split("-")[2] for name in os.listdir("/tmp") if name.startswith("sharpen-sandbox-")}
    assert not owners & {str(pid) for pid in everybody}  # others that go on beside this one have theirs
    assert set(threading.enumerate()) == before


def test_killing_at_any_event_loses_nothing_and_scores_nothing_wrong(box):
    chance, killed = random.Random(4), 0
    count = 60 if box.level == "full" else 20
    programs = [python(f"import time; time.sleep({n % 5 * 0.02}); print({n})") for n in range(count)]
    hunted = Connection(box.level, 3, configuration(()))  # its threads are started, and so watched, below

    def kill() -> None:
        nonlocal killed
        with contextlib.suppress(ProcessLookupError, AttributeError, IndexError):
            everybody = family(hunted._process.pid)
            os.kill(chance.choice(everybody), signal.SIGKILL)  # broker, its keepers, a supervisor or a program
            killed += 1

    total = kills.events(lambda: Connection(box.level, 3, configuration(())).run_many(programs))
    results: list = []
    try:
        with kills.meanwhile(kill, chance, total // 9, total // 3):
            results += hunted.run_many(programs)
        assert hunted.run_many([python("print('well')")])[0].stdout == b"well\n"
    finally:
        hunted.close()
    assert len(results) == len(programs) and killed >= 3
    for n, result in enumerate(results):
        if result.status == "exited":
            assert (result.code, result.stdout) == (0, b"%d\n" % n)
        else:
            assert result.status == "failed" or (result.status, result.code) == ("signalled", signal.SIGKILL), result
    assert sum(result.status == "exited" for result in results) > len(programs) / 2


def test_a_broker_that_was_killed_is_replaced(box):
    box.run_many([Program(("true",))])
    for pid in family(box._process.pid):
        os.kill(pid, signal.SIGKILL)
    assert one(box, python("print(1)")).stdout == b"1\n"


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_outlives_a_client_that_is_killed(level):
    code = f"""
import sys; sys.path.append({SOURCE!r})
from sharpen.sandbox import Limits, Program
from sharpen.sandbox.client import configuration
from sharpen.sandbox.connection import Connection
c = Connection({level!r}, 2, configuration(()))
c.run_many([Program(("true",))]); print(c._process.pid, flush=True)
code = b"import os, time\\nif os.fork() == 0: os.setsid()\\ntime.sleep(999) # {MARK}"
c.run_many([Program(("python3", "main.py"), {{"main.py": code}}, limits=Limits(wall_s=999))] * 2)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as client:
        broker = int(client.stdout.readline())
        assert until(lambda: len(family(broker)) >= 7)
        everybody = family(broker)
        client.kill()
    assert until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in everybody))


@FULL
def test_a_forked_child_has_a_broker_of_its_own():
    code = f"""
import os, sys; sys.path.append({SOURCE!r})
from sharpen.sandbox import Program, shared
say = lambda: shared().run(Program(("echo", "here"))).stdout
assert say() == b"here\\n"
mine = shared()._connection._process.pid
if (child := os.fork()) == 0:
    assert say() == b"here\\n" and shared()._connection._process.pid != mine
    shared().close(); os._exit(0)
assert os.waitpid(child, 0)[1] == 0 and say() == b"here\\n" and shared()._connection._process.pid == mine
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr


# fuzz


def test_random_bytes_as_messages_are_refused_and_random_programs_are_survived(box):
    chance = random.Random(1)
    for _ in range(300):
        buffer = bytearray(chance.randbytes(chance.randrange(200)))
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, IndexError):
            wire.decode(buffer)
    programs = [
        Program(
            tuple(chance.choice([("python3", "f"), ("sh", "f"), ("./f",), ("cat", "f"), ("perl", "f")])),
            {"f": chance.choice([b"", b"#!/bin/sh\n", b"\x7fELF", b"#!"]) + chance.randbytes(chance.randrange(300))},
            chance.randbytes(chance.randrange(300)),
            Limits(wall_s=0.5),
            keep=("f",),
        )
        for _ in range(100 if box.level == "full" else 20)
    ]
    pid = box._process.pid if box._process else None
    results = box.run_many(programs)
    assert all(result.status in ("exited", "signalled", "timeout", "failed") for result in results)
    # ./f of random bytes cannot be executed at all, which is no program's doing; everything else must have run
    assert all(result.status != "failed" for program, result in zip(programs, results) if program.argv[0] != "./f")
    assert pid is None or box._process.pid == pid


def test_a_broker_fed_with_nonsense_ends_and_takes_everything_along():
    ours, theirs = socket.socketpair()
    connection = Connection("none", 1, configuration(()))
    connection.run_many([Program(("true",))])
    everybody = family(connection._process.pid)
    connection._channel.sendall(b"\xff" * 64)
    assert until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in everybody))
    assert connection.run_many([Program(("echo", "again"))])[0].stdout == b"again\n"
    connection.close()
    ours.close()
    theirs.close()
