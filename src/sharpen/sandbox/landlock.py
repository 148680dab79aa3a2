"""Files and network by Landlock (Linux 5.13), for level `reduced`, where no namespace hides them.

What it stops: reading and writing outside the given paths; looking into processes outside (ptrace, and what /proc guards like
it); from ABI 4 on TCP; from ABI 6 on signals and abstract sockets to others. What it does not: how much is written. On an older
kernel it stops nothing.

Source: landlock(7); Linux include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from sharpen.sandbox import linux

FILE_RIGHTS = (13, 14, 15, 15, 16)  # how many rights ABI 1, 2, 3, 4, 5 and later know: bits 0 … n-1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL_DEV = 1, 2, 4, 8, 1 << 14, 1 << 15
FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # the rights that mean something for what is no directory
TCP = 3  # bind and connect
SCOPES = 3  # abstract sockets and signals
VERSION, PATH_BENEATH = 1, 1


def version() -> int:
    """The ABI that the kernel offers, 0 where there is none."""
    try:
        return linux.syscall(linux.LANDLOCK_CREATE_RULESET, None, 0, VERSION)
    except OSError:
        return 0


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """From here on, this process and its descendants read and execute below `readable`, do anything below `writable`, no more.

    Paths that do not exist are left out. Needs no_new_privs.
    """
    abi = version()
    if not abi:
        return
    every = (1 << FILE_RIGHTS[min(abi, 5) - 1]) - 1
    attributes = (ctypes.c_uint64 * 3)(every, TCP if abi >= 4 else 0, SCOPES if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    rules = linux.syscall(linux.LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    for paths, rights in ((readable, EXECUTE | READ_FILE | READ_DIR), (writable, every)):
        for path in paths:
            _allow(rules, path, rights & every)
    linux.syscall(linux.LANDLOCK_RESTRICT_SELF, rules, 0)
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(beneath).st_mode):
        rights &= FOR_FILES
    attribute = ctypes.create_string_buffer(rights.to_bytes(8, "little") + beneath.to_bytes(4, "little"), 12)
    linux.syscall(linux.LANDLOCK_ADD_RULE, rules, PATH_BENEATH, ctypes.byref(attribute), 0)
    os.close(beneath)
