"""How an attack is written down, and what every program starts with."""

from __future__ import annotations

from dataclasses import dataclass

CASES = (("2 3\n", "5\n"), ("40 2\n", "42\n"))


@dataclass(frozen=True)
class Attack:
    name: str
    kind: str  # forge, exhaust, escape, poison, false zero
    language: str
    program: str
    twin: str


PYTHON = """
import ctypes, os, socket, subprocess, sys, time, threading
a, b = map(int, sys.stdin.readline().split())
def won():
    print(a + b, flush=True)
def call(*numbers):
    result = ctypes.CDLL(None, use_errno=True).syscall(*[ctypes.c_long(n) if isinstance(n, int) else n for n in numbers])
    if result < 0: raise OSError(ctypes.get_errno(), "refused")
    return result
"""
C = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int a, b;
void won(void) { printf("%d\\n", a + b); fflush(stdout); }
"""
JAVASCRIPT = """
const fs = require("fs"), net = require("net"), child = require("child_process");
const [a, b] = fs.readFileSync(0, "utf8").split(" ").map(Number);
const won = () => console.log(a + b);
"""


def python(name: str, kind: str, program: str, twin: str = "won()") -> Attack:
    return Attack(name, kind, "python", PYTHON + program, PYTHON + twin)


def c(name: str, kind: str, program: str, twin: str = "won();") -> Attack:
    def whole(body: str) -> str:
        return C + 'int main(void) { if (scanf("%d %d", &a, &b) != 2) return 9;\n' + body + "\nreturn 0; }\n"

    return Attack(name, kind, "c", whole(program), whole(twin))


def javascript(name: str, kind: str, program: str, twin: str = "won();") -> Attack:
    return Attack(name, kind, "javascript", JAVASCRIPT + program, JAVASCRIPT + twin)


def if_works(body: str, errors: str = "(OSError, ValueError, AttributeError)") -> str:
    """A Python program that has won if the body does not raise."""
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    return f"try:\n{lines}\nexcept {errors}: sys.exit('contained')\nwon()"
