"""The filter, run by an interpreter of its own for the few instructions it is made of; test_attacks.py asks the kernel."""

import struct

import pytest

from sharpen.sandbox import seccomp


def answer(code: bytes, number: int, arguments=(0, 0), arch=0xC000003E) -> int:
    """What a BPF program says of a system call: an interpreter for the instructions it is made of."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *arguments, 0, 0, 0, 0)
    steps = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    at = accumulator = 0
    while True:
        kind, true, false, constant = steps[at]
        at += 1
        if kind == seccomp.RETURN:
            return constant
        if kind == seccomp.LOAD:
            accumulator = struct.unpack_from("=I", data, constant)[0]
        else:
            holds = {
                seccomp.EQUAL: accumulator == constant,
                seccomp.GREATER: accumulator > constant,
                seccomp.MASKED: accumulator & constant,
            }
            at += true if holds[kind] else false


@pytest.mark.parametrize("machine", list(seccomp.MACHINES))
def test_the_filter_denies_its_table_and_nothing_else(machine):
    column, arch = seccomp.MACHINES[machine]
    code = seccomp.program(machine)
    tables = ((seccomp.DENIED, 1), (seccomp.MISSING, 38), (seccomp.IGNORED, 0))
    denied = {row[column]: 0x00050000 | errno for table, errno in tables for row in table.values() if row[column] is not None}
    special = {row[column] for row in seccomp.ARGUMENTS.values()}
    for number in range(seccomp.NEWEST + 1):
        if number not in special:
            assert answer(code, number, arch=arch) == denied.get(number, seccomp.ALLOW), number
    for number in (463, 1 << 30, (1 << 30) + 41, 0xFFFFFFFF):
        assert answer(code, number, arch=arch) == 0x00050026  # ENOSYS
    assert answer(code, 0, arch=0x40000003) == seccomp.KILL  # i386


def test_the_filter_looks_at_arguments():
    code = seccomp.program("x86_64", only_signal=77)
    refused = {
        "socket": (2, 1 << 32 | 2, 16),
        "socketpair": (2,),
        "clone": (0x10000000, 0x40000011, 0x20000),
        "kill": (1, 78, 0, 0xFFFFFFFF),
    }
    allowed = {"socket": (1,), "socketpair": (1,), "clone": (17, 0x3D0F00, 0x4111), "kill": (77,)}
    for name, values in refused.items():
        assert all(answer(code, seccomp.ARGUMENTS[name][0], (value, 0)) & 0xFFFF0000 == 0x00050000 for value in values), name
    for name, values in allowed.items():
        assert all(answer(code, seccomp.ARGUMENTS[name][0], (value, 0)) == seccomp.ALLOW for value in values), name
    assert answer(code, 16, (0, 0x5412)) == 0x00050001 and answer(code, 16, (0, 0x5413)) == seccomp.ALLOW
