"""Environments and tools: a plain class whose public methods are tools, run in processes that can be killed.

loading.py says what a SPEC names; episode.py asks a class, schema.py finds its tools; host.py is the process that forks one for
each environment, hosted.py what this process holds of it. calls.py reads what a model calls and says what is wrong with it.
toolbox.py has the tools that ship, of tools.py and retrieval.py; gymnastics.py, arena.py, openenv.py and prime.py make others'
environments ours; worlds/ has environments of papers. probes.py looks for what an environment does wrong; memory.py keeps
episodes; users.py has scripted users; agents.py runs agent programs; heuristics.py judges programs that guide a search.

May import: workers, verify.maths, verify.
"""

from sharpen.core import Act as act
from sharpen.environments import calls
from sharpen.environments.agents import Program, completion
from sharpen.environments.heuristics import asked, heuristic
from sharpen.environments.hosted import Hosted, open_env, ready
from sharpen.environments.loading import WORLDS, acts, checked, file_of, here, solution_of
from sharpen.environments.memory import Memory, told
from sharpen.environments.probes import look_at, probe
from sharpen.environments.retrieval import Index, words
from sharpen.environments.toolbox import Toolbox
from sharpen.environments.tools import TOOLS, cells, check_plan, draw
from sharpen.environments.users import Traits, User, expected_success
from sharpen.environments.worlds import (
    airline,
    analysis,
    atomic,
    charts,
    circuits,
    diagnosis,
    flags,
    lookup,
    masked,
    planning,
    rooms,
    table,
    tabular,
    tampering,
)

__all__ = [
    "Hosted",
    "Index",
    "Memory",
    "Program",
    "TOOLS",
    "Toolbox",
    "Traits",
    "User",
    "WORLDS",
    "act",
    "acts",
    "airline",
    "analysis",
    "asked",
    "atomic",
    "calls",
    "cells",
    "charts",
    "check_plan",
    "checked",
    "circuits",
    "completion",
    "diagnosis",
    "draw",
    "expected_success",
    "file_of",
    "flags",
    "here",
    "look_at",
    "heuristic",
    "lookup",
    "masked",
    "open_env",
    "planning",
    "probe",
    "rooms",
    "ready",
    "solution_of",
    "table",
    "tabular",
    "tampering",
    "told",
    "words",
]
