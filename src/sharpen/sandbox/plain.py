"""Levels `reduced` and `none`: what is left where user namespaces or bubblewrap are missing.

reduced  a supervisor process for each program (supervisor.py) with Landlock, the seccomp filter, limits, no new privileges, an
         empty environment and, where root started us, a user of its own; a plain temporary directory, so that files are bounded
         one by one and not together; names of other processes are visible
none     the same supervisor without Landlock, filter or another user: it keeps to deadlines and limits, and hides nothing
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from sharpen.sandbox import linux
from sharpen.sandbox.program import Program

USERS = range(
    64200, 64999
)  # programs of every slot run as a user of their own where root started us; no Debian package takes these
PREFIX = "sharpen-sandbox-"
REMOVE_S = 30.0
RUN = (
    "import sys, json; sys.path.append(sys.argv[1]); "
    "from sharpen.sandbox import supervisor; supervisor.main(json.loads(sys.argv[2]))"
)


def make_home() -> str:
    """The directory of all slots. The keeper, whose process id is in its name, removes it."""
    home = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    os.chmod(home, 0o711)
    return home


def remove_stale_homes() -> None:
    """Those of keepers that were killed before they could."""
    for home in glob.glob(f"{tempfile.gettempdir()}/{PREFIX}*"):
        keeper = home.rpartition(PREFIX)[2].partition("-")[0]
        if os.stat(home).st_uid == os.getuid() and not os.path.exists(f"/proc/{keeper}"):
            remove(home)


def user(level: str, slot: int) -> int | None:
    """Who runs a program of this slot, where it is not who runs us. Two brokers on a machine hardly ever take the same ones."""
    chosen = USERS[(os.getpid() * 31 + slot) % len(USERS)]
    return chosen if level == "reduced" and linux.may_become(chosen) else None


def open_box(home: str, level: str, slot: int) -> str:
    box = f"{home}/{slot}/box"
    os.makedirs(f"{home}/{slot}", mode=0o711)
    owner = user(level, slot)
    for path in (box, f"{box}/work", f"{box}/tmp"):
        os.mkdir(path, 0o755)
        if owner is not None:
            os.chown(path, owner, owner)
    return box


def remove(path: str) -> None:
    """A tree that a program may have filled. No link is followed."""
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):  # directories that it locked, or thousands of them in each other
        for command in (["chmod", "-R", "u+rwX", path], ["rm", "-rf", path]):
            subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=REMOVE_S, check=False)


def command(config: Mapping[str, Any], slot: int, box: str, program: Program, descriptors: Mapping[str, int]) -> list[str]:
    """The supervisor's command line, with `config` of the broker."""
    told = {
        "level": config["level"],
        "user": user(config["level"], slot),
        "box": box,
        "argv": program.argv,
        "env": {"PATH": config["path"], "HOME": f"{box}/work", "TMPDIR": f"{box}/tmp", "LANG": "C.UTF-8", **program.env},
        "status": descriptors["status"],
        "block": descriptors["block"],
        "binds": config["binds"],
    }
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [sys.executable, "-I", "-S", "-c", RUN, source, json.dumps(told)]
