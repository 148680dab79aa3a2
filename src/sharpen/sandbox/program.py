"""What runs in the sandbox, under which limits, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LEVELS = ("full", "reduced", "none")  # strongest first
STATUSES = ("exited", "signalled", "timeout", "memory", "output", "failed")
HIGHEST = 1 << 31


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    wall_s         seconds by the clock from its first instruction to SIGKILL
    cpu_s          seconds of processor time for each process; None: wall_s rounded up, plus 1
    memory_mb      of address space for each process, and of memory for all of them together
    processes      processes and threads at once
    output_bytes   of stdout and of stderr, each; a program that writes more is killed
    files_mb       everything it writes to files, together
    stack_mb       of the first thread; where a runtime gives later threads as much, it is address space for each of them
    address_space  False: memory_mb does not limit the address space, which the JVM, node and Go reserve far beyond their use
    """

    wall_s: float = 5.0
    cpu_s: float | None = None
    memory_mb: int = 512
    processes: int = 32
    output_bytes: int = 1_000_000
    files_mb: int = 32
    stack_mb: int = 8
    address_space: bool = True

    def __post_init__(self) -> None:
        cpu_s = self.wall_s if self.cpu_s is None else self.cpu_s
        for value in (self.wall_s, cpu_s, self.memory_mb, self.processes, self.output_bytes, self.files_mb, self.stack_mb):
            if not 0 < value < HIGHEST:
                raise ValueError(f"{value} is no limit: it must be above 0 and below {HIGHEST}; {self}")


@dataclass(frozen=True)
class Program:
    """A command and the files it is given.

    argv   resolved inside the sandbox; the working directory is the writable one
    files  relative path -> content, in the working directory before the start; executable where the content is (ELF or #!)
    stdin  a regular file with this content
    keep   relative paths of regular files to read back afterwards; missing ones and links are absent from the result
    env    added to the fixed environment (PATH, HOME, LANG, TMPDIR)
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    limits: Limits = Limits()
    keep: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.argv:
            raise ValueError("a program needs a command")
        for path in (*self.files, *self.keep):
            if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
                raise ValueError(f"{path!r} is no path below the working directory")
        for text in (*self.argv, *self.files, *self.keep, *self.env, *self.env.values()):
            text.encode()  # UnicodeEncodeError, a ValueError, for what cannot be a file name or an argument
            if "\0" in text:
                raise ValueError(f"{text!r} holds a NUL")


@dataclass(frozen=True)
class Result:
    """What came of a program.

    status     exited      by itself, with `code`
               signalled   by a signal, with its number as `code`; an exit code above 128 reads as one, as in a shell
               timeout     killed at wall_s
               memory      killed because all its processes together held more than memory_mb
               output      killed because stdout or stderr grew beyond output_bytes; what came before is here
               failed      our fault: broker, bubblewrap, a command that is not installed; `detail` says what
    seconds    from its first instruction to its end
    files      those of `keep` that exist
    isolation  one of LEVELS
    """

    status: str
    code: int | None
    stdout: bytes
    stderr: bytes
    seconds: float
    files: Mapping[str, bytes]
    isolation: str
    detail: str = ""
