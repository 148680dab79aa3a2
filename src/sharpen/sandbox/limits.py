"""Resource limits and files of one program, set and read from outside it."""

from __future__ import annotations

import contextlib
import math
import os
import resource
import stat

from sharpen.sandbox.program import Limits, Program

MEGABYTE = 1 << 20
OPEN_FILES = 256


def set_limits(pid: int, limits: Limits, own_user: bool) -> None:
    """On a process that waits before its first instruction; its descendants inherit them.

    own_user  whether the kernel counts this program's processes apart from others: in a user namespace, or as a user of its own
    """
    cpu = limits.cpu_s if limits.cpu_s is not None else math.ceil(limits.wall_s) + 1
    values = {
        resource.RLIMIT_CPU: max(1, math.ceil(cpu)),
        resource.RLIMIT_FSIZE: int(limits.files_mb * MEGABYTE),
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_STACK: limits.stack_mb * MEGABYTE,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 64 * 1024,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 256,
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_RTPRIO: 0,
    }
    if own_user:
        values[resource.RLIMIT_NPROC] = limits.processes
    if limits.address_space:
        values[resource.RLIMIT_AS] = limits.memory_mb * MEGABYTE
    for kind, value in values.items():
        highest = resource.prlimit(pid, kind)[1]
        if highest != resource.RLIM_INFINITY:
            value = min(value, highest)
        resource.prlimit(pid, kind, (value, value))


def write_files(directory: str, program: Program, owner: int | None = None) -> None:
    for path, content in program.files.items():
        *parents, name = path.split("/")
        here = directory
        for parent in parents:
            here = f"{here}/{parent}"
            with contextlib.suppress(FileExistsError):
                os.mkdir(here, 0o755)
                _give(here, owner)
        mode = 0o755 if content.startswith((b"\x7fELF", b"#!")) else 0o644
        with open(os.open(f"{here}/{name}", os.O_CREAT | os.O_WRONLY | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        _give(f"{here}/{name}", owner)


def _give(path: str, owner: int | None) -> None:
    if owner is not None:
        os.chown(path, owner, owner)


def read_files(directory: str, program: Program) -> dict[str, bytes]:
    """Those of `keep` that are regular files. No link on the way is followed: where it leads is not the program's to say."""
    found = {}
    for path in program.keep:
        *parents, name = path.split("/")
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            here = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
            stack.callback(os.close, here)
            for parent in parents:
                here = os.open(parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                stack.callback(os.close, here)
            # Not blocking: the program may have put a FIFO there.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
            with open(descriptor, "rb") as file:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    found[path] = file.read(int(program.limits.files_mb * MEGABYTE))
    return found
