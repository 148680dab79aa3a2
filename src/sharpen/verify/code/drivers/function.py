"""In the sandbox: calls one function of a candidate's Python file on the arguments of one case.

stdin    {"nonce", "name", "args", "kwargs"}, values as `comparing.read_value` explains
stdout   a line "nonce value", after whatever the candidate prints; where the call raises, {"$raised": [names of its classes]}
The files solution.py and, before it in the same namespace, preamble.py hold the code. What is returned is only written down,
and judged elsewhere: an object that equals everything is written as {"$other": …}, which equals nothing.
`pack` and `unpack` come from drivers/values.py, which is put before this text.
"""

# ruff: noqa: F821
# mypy: ignore-errors
import json
import os
import sys
import types

# What LeetCode has imported before a `class Solution`.
LEETCODE = """
from typing import *
from collections import *
from functools import *
from itertools import *
from heapq import *
from bisect import *
import bisect, collections, functools, heapq, itertools, math, operator, random, re, string, sys
from math import ceil, comb, floor, gcd, inf, log, log2, sqrt
"""


def load(names):
    """The candidate's namespace; a module of its own, for dataclasses and pickle look it up by name."""
    module = sys.modules["solution"] = types.ModuleType("solution")
    for name in names:
        with open(name, "rb") as file:
            code = file.read()
        if b"class Solution" in code:
            exec(LEETCODE, module.__dict__)
        exec(compile(code, name, "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def answer():
    request = json.loads(sys.stdin.read())
    write, dumps, packed = os.write, json.dumps, pack  # as they are before the candidate's code runs
    names = [name for name in ("preamble.py", "solution.py") if os.path.exists(name)]
    namespace = load(names)
    called = namespace.get(request["name"])
    if called is None and isinstance(namespace.get("Solution"), type):
        called = getattr(namespace["Solution"](), request["name"], None)
    if called is None:
        sys.exit(f"there is no function {request['name']}")

    def told(value):
        sys.stdout.flush()
        data = f"\n{request['nonce']} {dumps(value)}\n".encode("utf-8", "surrogatepass")
        while data:
            data = data[write(1, data) :]

    try:
        value = called(*unpack(request["args"]), **unpack(request["kwargs"]))
    except Exception as e:
        told({"$raised": [kind.__name__ for kind in type(e).__mro__]})
        raise
    told(packed(value))


answer()
