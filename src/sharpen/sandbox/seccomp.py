"""The system calls that a candidate may not make, as a BPF program assembled here.

A deny list, because the sandbox runs any language: an allow list that suits CPython, V8, the JVM and R at once would be as long
as the kernel's table. It removes what namespaces do not confine (io_uring, keyrings, bpf, perf, userfaultfd, tracing), what
holds memory that no limit sees (memfd, System V and POSIX IPC, asynchronous I/O), every way to a new namespace or mount, and
every socket family but AF_UNIX. Calls newer than the table below do not exist for a candidate (ENOSYS).

What it does not stop: bugs in the calls that remain. It is one layer; namespaces and limits are the others.

Sources: seccomp(2); Linux include/uapi/linux/{seccomp,filter,audit}.h; Docker's default profile for what is worth denying.
"""

from __future__ import annotations

import errno
import os
import struct

ALLOW = 0x7FFF0000  # SECCOMP_RET_ALLOW
KILL = 0x80000000  # SECCOMP_RET_KILL_PROCESS
NEWEST = 462  # the last system call that was looked at (mseal, Linux 6.10); from 424 on, numbers are the same on all machines

NUMBER, ARCH, ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; an argument has 8 bytes, its low half first
LOAD, EQUAL, GREATER, MASKED, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06  # BPF: ld abs word; jeq, jgt, jset with a constant; ret

AF_UNIX = 1
TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX type into a terminal that somebody else reads
NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the table below, AUDIT_ARCH

Numbers = dict[str, tuple[int | None, int | None]]  # x86_64, aarch64; None: there is no such call

DENIED: Numbers = {
    # mounts, roots, files by handle
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    # namespaces
    "unshare": (272, 97),
    "setns": (308, 268),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # the kernel
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "seccomp": (317, 277),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "lsm_get_self_attr": (459, 459),
    "lsm_set_self_attr": (460, 460),
    "lsm_list_modules": (461, 461),
    "reboot": (169, 142),
    "syslog": (103, 116),
    "lookup_dcookie": (212, 18),
    "vhangup": (153, 58),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "uselib": (134, None),
    "_sysctl": (156, None),
    "nfsservctl": (180, 42),
    # the clock and the placement of memory
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # memory that counts as nobody's
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmdt": (67, 197),
    "msgget": (68, 186),
    "msgctl": (71, 187),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "semget": (64, 190),
    "semctl": (66, 191),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "vmsplice": (278, 75),
}
# As on a kernel without them: programs have another way then, and take it.
MISSING: Numbers = {
    "clone3": (435, 435),  # its flags lie in memory, where a filter cannot read them; the C library goes on with clone
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "io_destroy": (207, 1),
    "io_submit": (209, 2),
    "io_cancel": (210, 3),
    "io_getevents": (208, 4),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
}
# Succeed and do nothing: they would flush every disk of the machine.
IGNORED: Numbers = {"sync": (162, 81), "syncfs": (306, 267)}
ARGUMENTS: dict[str, tuple[int, int]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "clone": (56, 220),
    "ioctl": (16, 29),
    "kill": (62, 129),
}


def supported(machine: str | None = None) -> bool:
    """Whether the table knows the system call numbers of this kind of machine."""
    return (machine or os.uname().machine) in MACHINES


def program(machine: str | None = None, only_signal: int | None = None) -> bytes:
    """The filter as an array of struct sock_filter.

    only_signal  where given, kill(2) reaches this process id alone: for candidates that share a process namespace with others
    Raises KeyError on a machine that `supported` does not know.
    """
    column, arch = MACHINES[machine or os.uname().machine]
    code = [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 1, 0, arch),
        (RETURN, 0, 0, KILL),  # another architecture's numbers mean other calls (32-bit calls on x86_64)
        (LOAD, 0, 0, NUMBER),
        (GREATER, 0, 1, NEWEST),  # also catches the x32 numbers, which start at 2**30
        (RETURN, 0, 0, _fail(errno.ENOSYS)),
    ]
    for table, answer in ((DENIED, errno.EPERM), (MISSING, errno.ENOSYS), (IGNORED, 0)):
        code += _among([row[column] for row in table.values()], _fail(answer))
    numbers = {name: row[column] for name, row in ARGUMENTS.items()}
    for name in ("socket", "socketpair"):
        code += _when(numbers[name], 0, [(EQUAL, 1, 0, AF_UNIX), (RETURN, 0, 0, _fail(errno.EAFNOSUPPORT))])
    code += _when(numbers["clone"], 0, [(MASKED, 0, 1, NEW_NAMESPACES), (RETURN, 0, 0, _fail(errno.EPERM))])
    for request in TERMINAL_INJECTION:
        code += _when(numbers["ioctl"], 1, [(EQUAL, 0, 1, request), (RETURN, 0, 0, _fail(errno.EPERM))])
    if only_signal is not None:
        code += _when(numbers["kill"], 0, [(EQUAL, 1, 0, only_signal), (RETURN, 0, 0, _fail(errno.EPERM))])
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _among(numbers: list[int | None], answer: int) -> list[tuple[int, int, int, int]]:
    """One answer for many calls, in one instruction for each: the kernel goes through all of them for every program."""
    known = [number for number in numbers if number is not None]
    jumps = [(EQUAL, len(known) - 1 - i, 0, number) for i, number in enumerate(known)]  # at most 255 far, by the machine
    return [*jumps[:-1], (EQUAL, 0, 1, known[-1]), (RETURN, 0, 0, answer)]


def _when(number: int, argument: int, body: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """For this call, load the low half of an argument and run the body; the call's number is loaded again after it."""
    load = [(LOAD, 0, 0, ARGUMENT + 8 * argument), *body, (LOAD, 0, 0, NUMBER)]
    return [(EQUAL, 0, len(load), number), *load]


def _fail(number: int) -> int:
    return 0x00050000 | number  # SECCOMP_RET_ERRNO
