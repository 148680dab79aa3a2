"""Programming languages as data: a file name, a compile command or none, a run command, and what starting it costs.

To add one is to add its lines to LANGUAGES. Commands run inside the sandbox, in a writable directory that holds the source.
A name such as "lua5.4|lua" means the first of these that is installed; "{memory}" and "{stack}" are the task's limits in MB,
"{stack_kb}" three quarters of the latter in KiB, "{file}" and "{entry}" what the source is called and what is run of it.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sharpen.core import UserError, suggest

STANDARD = "/usr/local/bin:/usr/bin:/bin"  # what the sandbox shows of the machine without being asked
PATIENCE = 20.0  # seconds that asking an installation where it lives may take


@dataclass(frozen=True)
class Language:
    """What it takes to run programs of one language.

    file           what the source is called
    run            command that runs it
    compile        command that makes `keep` of it; empty where there is nothing to compile
    keep           what the run command needs of what the compiler made, instead of the source
    aliases        tags that a fenced block of this language may also carry
    install        command that installs it on Debian
    home           command that prints the directory of an installation outside STANDARD, whose bin holds the commands
    needs          commands that `compile` runs beside its first
    stack_mb       of the first thread, unless the task says more
    address_space  False where the runtime reserves far more address space than it uses
    start_s        seconds added to every time limit, for what happens before the program's first line
    start_mb       memory added to every memory limit, for the runtime itself
    processes      threads count as processes, and some runtimes start many
    """

    name: str
    file: str
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    install: str = ""
    home: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    stack_mb: int = 8
    address_space: bool = True
    start_s: float = 0.0
    start_mb: int = 0
    compile_s: float = 15.0
    processes: int = 32
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Installed:
    """A language whose commands were found: the same commands with paths, and the directories that the sandbox must show."""

    language: Language
    run: tuple[str, ...]
    compile: tuple[str, ...]
    binds: tuple[str, ...] = ()


DEEP = 64  # MB: what 200,000 calls in one another take, and few enough that threads, which get as much, still start
# C++20 took words and conversions away from C++17, and programs for either are usual.
GNU = (
    "g++ -O2 -std=gnu++20 -w -o main main.cpp 2>errors || g++ -O2 -std=gnu++17 -w -o main main.cpp 2>/dev/null || "
    "{ cat errors >&2; exit 1; }"
)

LISTED = (
    Language(
        "python",
        "main.py",
        (
            "python3",
            "-s",
            "-S",
            "-B",
        ),  # not -I: it ignores PYTHONHASHSEED, and a set would print as it likes
        aliases=("py", "python3", "py3"),
        install="apt-get install python3-minimal",
        home=("python3", "-c", "import sys; print(sys.base_prefix)"),
        env=MappingProxyType({"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}),
    ),
    Language(
        "c",
        "main.c",
        ("./main",),
        ("gcc", "-O2", "-std=gnu17", "-w", "-o", "main", "main.c", "-lm"),
        ("main",),
        install="apt-get install gcc libc6-dev",
        stack_mb=DEEP,
    ),
    Language(
        "cpp",
        "main.cpp",
        ("./main",),
        ("sh", "-c", GNU),
        ("main",),
        aliases=("c++", "cc", "cxx"),
        install="apt-get install g++",
        needs=("g++",),
        stack_mb=DEEP,
    ),
    Language(
        "javascript",
        "main.js",
        ("node", "--max-old-space-size={memory}", "--stack-size={stack_kb}", "main.js"),
        aliases=("js", "node", "nodejs"),
        install="apt-get install nodejs",
        stack_mb=DEEP,
        address_space=False,
        start_s=0.5,
        start_mb=128,
    ),
    Language(
        "rust",
        "main.rs",
        ("./main",),
        ("rustc", "-O", "--edition=2021", "--cap-lints=allow", "-o", "main", "main.rs"),
        ("main",),
        aliases=("rs",),
        install="apt-get install rustc",
        home=("rustc", "--print", "sysroot"),
        stack_mb=DEEP,
    ),
    Language(
        "java",
        "Main.java",  # or the name of its public class
        ("java", "-Xmx{memory}m", "-Xss{stack}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
        + ("-jar", "main.jar"),
        # What inner classes are called is not known.
        ("sh", "-c", 'javac -nowarn -d classes "$0" && jar cfe main.jar "$1" -C classes .', "{file}", "{entry}"),
        ("main.jar",),
        install="apt-get install default-jdk-headless",
        needs=("javac", "jar"),
        stack_mb=DEEP,
        address_space=False,
        start_s=1.0,
        start_mb=256,
        processes=128,
    ),
    Language("lua", "main.lua", ("lua5.4|lua5.3|lua", "main.lua"), install="apt-get install lua5.4"),
    Language(
        "fortran",
        "main.f90",
        ("./main",),
        ("gfortran", "-O2", "-w", "-o", "main", "main.f90"),
        ("main",),
        aliases=("f90", "f95", "f03", "f08"),
        stack_mb=DEEP,
        install="apt-get install gfortran",
    ),
    Language(
        "ocaml",
        "main.ml",
        ("./main",),
        ("ocamlopt", "-w", "-a", "-o", "main", "main.ml"),
        ("main",),
        aliases=("ml",),
        stack_mb=DEEP,
        install="apt-get install ocaml-nox",
    ),
    Language(
        "r", "main.R", ("Rscript", "--vanilla", "main.R"), install="apt-get install r-base-core", start_s=1.0, start_mb=256
    ),
    Language(
        "verilog",
        "main.v",
        ("vvp", "-n", "main"),  # -n: $stop ends it
        ("iverilog", "-g2012", "-o", "main", "main.v"),
        ("main",),
        aliases=("v", "systemverilog", "sv"),
        install="apt-get install iverilog",
    ),
    Language("bash", "main.sh", ("bash", "--norc", "main.sh"), aliases=("sh", "shell"), install="apt-get install bash"),
    Language("perl", "main.pl", ("perl", "main.pl"), aliases=("pl",), install="apt-get install perl"),
)
LANGUAGES: Mapping[str, Language] = {language.name: language for language in LISTED}
ALIASES: Mapping[str, str] = {alias: found.name for found in LISTED for alias in (found.name, *found.aliases)}


def language_of(name: str) -> Language:
    """The language of that name or alias, blind to case. Raises UserError where there is none."""
    known = ALIASES.get(name.lower())
    if known is None:
        raise UserError(f"There is no language {name!r}.{suggest(name.lower(), ALIASES)} There are: {', '.join(LANGUAGES)}.")
    return LANGUAGES[known]


def missing(name: str) -> str | None:
    """Why programs of a language cannot run on this machine, with the command that mends it; None where they can."""
    try:
        installed(language_of(name).name)
    except UserError as e:
        return str(e)
    return None


@functools.cache
def installed(name: str) -> Installed:
    """The language with its commands found. Raises UserError, with the command that installs it, where one is missing."""
    language = language_of(name)
    binds: dict[str, None] = {}

    def found(command: tuple[str, ...]) -> tuple[str, ...]:
        if not command or command[0].startswith("./"):
            return command
        path, bind = find(language, command[0])
        binds.update(dict.fromkeys(bind))
        return (path, *command[1:])

    for tool in language.needs:
        find(language, tool)
    run, compile = found(language.run), found(language.compile)
    return Installed(language, run, compile, tuple(binds))


def find(language: Language, names: str) -> tuple[str, tuple[str, ...]]:
    """(path, directories to show beside the standard ones) of the first of `names`, which "|" separates, that is installed."""
    for name in names.split("|"):
        if path := shutil.which(name, path=STANDARD):
            return path, ()
    for name in names.split("|"):
        if language.home and shutil.which(name):
            home = installation(language)
            path = os.path.join(home, "bin", name)
            if home and os.access(path, os.X_OK):
                return path, (home,)
    raise UserError(
        f"{language.name} is not installed: there is no {names.replace('|', ' or ')} in {STANDARD}. "
        f"On Debian: {language.install}. Or leave out tasks in {language.name}."
    )


def installation(language: Language) -> str:
    """The directory that the language's own `home` command prints, or nothing where it fails."""
    try:
        asked = subprocess.run(language.home, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.path.realpath(asked.stdout.strip()) if asked.returncode == 0 and asked.stdout.strip() else ""
