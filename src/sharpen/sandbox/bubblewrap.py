"""Level `full`: where the broker lives, and how it starts bubblewrap.

The broker is the first process of its own user, mount and process namespaces. So when it dies, however it dies, the kernel
kills everything it ever started, and all it sees of the machine's files is what programs may see. In there, once:

    /root    what becomes `/` of every program, read-only: /usr and its links, a minimal /etc and /dev, the extra binds
    /slots   a mount point for each program that runs at the same time

and for every program a fresh tmpfs on its slot (bounded in bytes and in files), then bubblewrap in new user, process, network,
IPC, host name and cgroup namespaces, started with an empty environment.

bubblewrap's command line is visible to the program, and --clearenv does not clean its environment: hence --args, and none.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence

from sharpen.sandbox import landlock, linux, seccomp
from sharpen.sandbox.program import Program

STAGE = "/tmp"  # the broker's root is built here, in its own mount namespace; every machine has the directory
UNPRIVILEGED = 64123  # who runs bubblewrap when root started us: an id that no Debian package takes, so no file is its own
INSIDE = 65534  # who a program is in its own eyes
TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "R", "java*", "python3*", "perl", "ocaml*")
DEVICES = ("null", "zero", "full", "random", "urandom")
PIPE = 65536  # bytes that a pipe takes before its reader reads
MOST_FILES = 4096  # in a program's tmpfs: inodes are kernel memory
BOX = "/box"  # the writable directory; /box/work is where a program starts, /tmp and /dev/shm lead to /box/tmp
RULES = 999  # descriptor by which a program's Landlock rules reach its launcher
LAUNCHER = landlock.launcher(RULES)
LAUNCH = "/launch"  # where that is
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/box/work", "TMPDIR": "/box/tmp", "LANG": "C.UTF-8"}


def enter(bwrap: str, binds: Sequence[str], slots: int) -> None:
    """Put this process into namespaces of its own; its next child is the first of the process namespace. OSError if refused.

    Root first lays out the files, because an ordinary user may not be able to read the binds, and then stops being root.
    """
    uid, gid = os.getuid(), os.getgid()
    if linux.may_become(UNPRIVILEGED):
        linux.unshare(linux.CLONE_NEWNS)
        _build(bwrap, binds, slots)
        os.setgroups([])
        os.setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
        os.setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
        linux.prctl(linux.PR_SET_DUMPABLE, 1)  # or /proc/self stays root's, and the maps below cannot be written
        uid = gid = UNPRIVILEGED
        linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWPID)
        _map(uid, gid)
    else:
        linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWPID)
        _map(uid, gid)
        _build(bwrap, binds, slots)


def first_process() -> None:
    """What the first process of the namespace does before it starts programs."""
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    os.umask(0o022)


def _map(uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{INSIDE} {uid} 1"), ("gid_map", f"{INSIDE} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _build(bwrap: str, binds: Sequence[str], slots: int) -> None:
    """Lay out the broker's root on STAGE and make it the root."""
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    # Opened before STAGE covers what may lie below it; the descriptor names the directory whatever path leads to it.
    opened = [(path, os.open(path, os.O_PATH)) for path in (*_system(), *binds)]
    program = os.open(bwrap, os.O_RDONLY)
    linux.mount("tmpfs", STAGE, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=4m,mode=755")
    root = STAGE + "/root"
    for path in ("/etc", "/dev", "/proc", BOX):
        os.makedirs(root + path)
    for path, descriptor in opened:
        _bind(descriptor, root + path)
    _links(root)
    _configuration(root)
    with open(root + "/etc/passwd", "w") as file:
        file.write(f"candidate:x:{INSIDE}:{INSIDE}::{BOX}/work:/bin/sh\n")
    with open(root + "/etc/group", "w") as file:
        file.write(f"candidate:x:{INSIDE}:\n")
    if LAUNCHER:
        with open(os.open(root + LAUNCH, os.O_CREAT | os.O_WRONLY, 0o755), "wb") as file:
            file.write(LAUNCHER)
    linux.mount(root, root, None, linux.MS_BIND | linux.MS_REC)
    linux.make_read_only(root)
    for name in (*TOP, "usr", "etc", "dev"):
        if os.path.lexists(f"{root}/{name}"):
            os.symlink(f"root/{name}", f"{STAGE}/{name}")
    with open(program, "rb") as source, open(f"{STAGE}/bwrap", "wb") as target:
        shutil.copyfileobj(source, target)
    os.chmod(f"{STAGE}/bwrap", 0o755)
    for slot in range(slots):
        os.makedirs(f"{STAGE}/slots/{slot}")
    os.makedirs(STAGE + "/tmp")  # where bubblewrap builds its roots
    os.makedirs(STAGE + "/proc")
    os.makedirs(STAGE + "/old")
    linux.mount("/proc", STAGE + "/proc", None, linux.MS_BIND | linux.MS_REC)
    linux.pivot_root(STAGE, STAGE + "/old")
    os.chdir("/")
    linux.unmount("/old")
    os.rmdir("/old")
    for _, descriptor in opened:
        os.close(descriptor)


def _system() -> Iterable[str]:
    """What of the machine every program sees."""
    yield "/usr"
    yield from (f"/{name}" for name in TOP if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}"))
    yield from (f"/dev/{name}" for name in DEVICES if os.path.exists(f"/dev/{name}"))


def _links(root: str) -> None:
    for name in TOP:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
    os.symlink(BOX[1:] + "/tmp", root + "/tmp")
    for name, target in (("shm", ".." + BOX + "/tmp"), ("fd", "/proc/self/fd")):
        os.symlink(target, f"{root}/dev/{name}")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{root}/dev/{name}")


def _configuration(root: str) -> None:
    """Copies, not binds: bubblewrap pays for every mount with every program."""
    for path in (path for pattern in ETC for path in glob.glob(f"/etc/{pattern}")):
        with contextlib.suppress(OSError, shutil.Error):  # what this user may not read, a program need not either
            if os.path.isdir(path):
                shutil.copytree(path, root + path, symlinks=True)
            else:
                shutil.copyfile(path, root + path)


def _bind(descriptor: int, target: str) -> None:
    source = f"/proc/self/fd/{descriptor}"
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    linux.mount(source, target, None, linux.MS_BIND | linux.MS_REC)


def open_box(slot: int, files_mb: float, extra_bytes: int) -> str:
    """A fresh tmpfs for one program. Returns the directory that becomes BOX, with `work` and `tmp` in it."""
    size = int(files_mb * 2**20) + extra_bytes + 2**16
    options = f"size={size},nr_inodes={MOST_FILES},mode=755"
    linux.mount("tmpfs", f"/slots/{slot}", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
    for name in ("box", "box/work", "box/tmp"):
        os.mkdir(f"/slots/{slot}/{name}")
    return f"/slots/{slot}/box"


def close_box(slot: int) -> None:
    linux.unmount(f"/slots/{slot}")


def options(box: str, program: Program, path: str, descriptors: Mapping[str, int]) -> bytes:
    """What --args reads: NUL-separated. `path` is PATH inside."""
    words = ["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
    # Devices stay usable and nothing becomes writable: /root is read-only where it is taken from.
    words += ["--dev-bind", "/root", "/", "--proc", "/proc", "--bind", box, BOX, "--chdir", BOX + "/work"]
    for option, name in (("--json-status-fd", "status"), ("--block-fd", "block"), ("--seccomp", "filter")):
        words += [option, str(descriptors[name])]
    for name, value in {**ENVIRONMENT, "PATH": path, **program.env}.items():
        words += ["--setenv", name, value]
    packed = b"".join(os.fsencode(word) + b"\0" for word in words)
    if len(packed) > PIPE:
        raise OSError(errno.E2BIG, "the environment is too long")
    return packed


def launched(box: str, program: Program, path: str) -> tuple[list[str], int | None]:
    """The command as it is started, and the descriptor of its Landlock rules, which is to become RULES; as it is and None where
    there is no Landlock. What cannot be found is bubblewrap's to complain of.
    """
    argv = list(program.argv)
    name = argv[0]
    places = [name] if "/" in name else [f"{folder}/{name}" for folder in {**program.env}.get("PATH", path).split(":")]
    found = next((place for place in places if "/" in name or os.access(f"/root{place}", os.X_OK)), None)
    if LAUNCHER is None or found is None:
        return argv, None
    rules = landlock.ruleset(("/root", f"{box}/../stdin"), (box, *(f"/root/dev/{device}" for device in DEVICES)))
    return ([LAUNCH, found, *argv[1:]], rules) if rules is not None else (argv, None)


FILTER = seccomp.program() if seccomp.supported() else b""  # without it the level is not `full`; see probe.py
