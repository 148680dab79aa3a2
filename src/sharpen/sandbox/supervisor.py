"""The parent of one program at level `reduced` or `none`: speaks bubblewrap's status protocol, and leaves nothing behind.

It reports {"child-pid"} before the program's first instruction and {"exit-code"} after its last, and ends only when every
descendant of the program is dead. SIGTERM means: kill them all now.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import struct
from collections.abc import Mapping

from sharpen.sandbox import landlock, linux, seccomp
from sharpen.sandbox.linux import children_of

READABLE = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf"),
    *("/etc/ld.so.conf.d", "/etc/R", "/etc/python3", "/etc/java-11-openjdk", "/etc/java-17-openjdk", "/etc/java-21-openjdk"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems"),
)
SIGNALS = (signal.SIGCHLD, signal.SIGTERM)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SECCOMP_MODE_FILTER = 2
SECBITS_NO_ROOT = 0b1111  # NOROOT and NO_SETUID_FIXUP, both locked: no right comes with user 0 at the next exec


def main(config: Mapping) -> None:
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    failed, failing = os.pipe()
    child = os.fork()
    if child == 0:
        _become(config, failing)
    os.close(failing)
    os.close(config["block"])
    _say(config["status"], {"child-pid": child})
    code = _watch(child)
    _end_all()
    if code is not None and not os.read(failed, 1):
        _say(config["status"], {"exit-code": code if code >= 0 else 128 - code})


def _watch(child: int) -> int | None:
    """The program's exit code, minus the signal's number if one killed it; None if it is to be stopped."""
    while True:
        caught = signal.sigtimedwait(SIGNALS, 1.0)
        if caught is not None and caught.si_signo == signal.SIGTERM:
            return None
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                return os.waitstatus_to_exitcode(ended[1])


def _end_all() -> None:
    """Kill until nobody is left: orphans become our children, so none escapes."""
    while True:
        todo = children_of(os.getpid())
        while todo:
            pid = todo.pop()
            todo += children_of(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _say(descriptor: int, message: Mapping[str, int]) -> None:
    os.write(descriptor, json.dumps(message).encode() + b"\n")


def _become(config: Mapping, failing: int) -> None:
    """Turn into the program."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.setsid()
        os.close(config["status"])
        if not os.read(config["block"], 1):
            os._exit(1)  # whoever was to release us is dead
        os.close(config["block"])
        os.chdir(f"{config['box']}/work")
        if config["user"] is not None:
            os.setgroups([])
            os.setresgid(*[config["user"]] * 3)
            os.setresuid(*[config["user"]] * 3)
        if config["level"] == "reduced":
            _confine(config)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a program would inherit that
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        os.execvpe(config["argv"][0], config["argv"], config["env"])
    except OSError as error:
        os.write(2, f"{config['argv'][0]}: {error}\n".encode())
    os.write(failing, b"x")
    os._exit(1)


def _confine(config: Mapping) -> None:
    if os.getuid() == 0:  # in a rootless container there is nobody else to become: root without root's rights, then
        linux.prctl(linux.PR_SET_SECUREBITS, SECBITS_NO_ROOT)
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict((*READABLE, f"{config['box']}/../stdin", *config["binds"]), (*DEVICES, config["box"]))
    if seccomp.supported():
        code = seccomp.program(only_signal=os.getpid())
        buffer = ctypes.create_string_buffer(code, len(code))
        # struct sock_fprog: how many instructions, and where they are
        program = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer)))
        linux.prctl(linux.PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program))
