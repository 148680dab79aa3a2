"""Files and network by Landlock (Linux 5.13): at level `reduced` instead of namespaces, at `full` a second time behind them.

What it stops: reading and writing outside the given paths; looking into processes outside (ptrace, and what /proc guards like
it); from ABI 4 on TCP; from ABI 6 on signals and abstract sockets to others. What it does not: how much is written. On an older
kernel it stops nothing.

Source: landlock(7); Linux include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
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
    rules = ruleset(readable, writable)
    if rules is not None:
        linux.syscall(linux.LANDLOCK_RESTRICT_SELF, rules, 0)
        os.close(rules)


def ruleset(readable: Iterable[str], writable: Iterable[str]) -> int | None:
    """A descriptor of what `restrict` allows, for whoever restricts itself by it; None where the kernel has no Landlock."""
    abi = version()
    if not abi:
        return None
    every = (1 << FILE_RIGHTS[min(abi, 5) - 1]) - 1
    attributes = (ctypes.c_uint64 * 3)(every, TCP if abi >= 4 else 0, SCOPES if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    rules = linux.syscall(linux.LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    for paths, rights in ((readable, EXECUTE | READ_FILE | READ_DIR), (writable, every)):
        for path in paths:
            _allow(rules, path, rights & every)
    return rules


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


def launcher(descriptor: int) -> bytes | None:
    """A program of 200 bytes that restricts itself by the rules behind a descriptor, closes it, and becomes the command that
    its arguments are (a path, no search); it exits with 126 or 127 where it cannot. None for machines other than x86-64.

    bubblewrap mounts, which Landlock forbids, and so has to be done before; and it starts one command. An interpreter in
    between would cost more than the programs that are judged.
    """
    if os.uname().machine != "x86_64":
        return None
    code = b"".join(
        (
            b"\xb8" + struct.pack("<I", linux.LANDLOCK_RESTRICT_SELF),  # mov eax, number
            b"\xbf" + struct.pack("<I", descriptor),  # mov edi, descriptor
            b"\x31\xf6\x0f\x05",  # xor esi, esi; syscall
            b"\xbb" + struct.pack("<I", 126),  # mov ebx, 126
            b"\x48\x85\xc0\x75\x2b",  # test rax, rax; jnz to the end
            b"\xb8" + struct.pack("<I", 3),  # mov eax, close
            b"\xbf" + struct.pack("<I", descriptor),  # mov edi, descriptor
            b"\x0f\x05",  # syscall
            b"\x48\x8b\x7c\x24\x10",  # mov rdi, [rsp + 16]: the first argument
            b"\x48\x8d\x74\x24\x10",  # lea rsi, [rsp + 16]: all of them
            b"\x48\x8b\x04\x24\x48\x8d\x54\xc4\x10",  # mov rax, [rsp]; lea rdx, [rsp + 8 * rax + 16]: the environment
            b"\xb8" + struct.pack("<I", 59) + b"\x0f\x05",  # mov eax, execve; syscall
            b"\xbb" + struct.pack("<I", 127),  # mov ebx, 127
            b"\x89\xdf\xb8" + struct.pack("<I", 60) + b"\x0f\x05",  # the end: mov edi, ebx; mov eax, exit; syscall
        )
    )
    base, size = 0x400000, 120 + len(code)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)  # 64 bits, little-endian
    header = identity + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096)
    return header + segment + code
