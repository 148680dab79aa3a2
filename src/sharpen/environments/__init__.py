"""Environments and tools: a plain class whose public methods are tools, run in processes that can be killed.

loading.py says what a SPEC names; episode.py asks a class, schema.py finds its tools; host.py is the process that forks one for
each environment, hosted.py what this process holds of it. calls.py reads what a model calls and says what is wrong with it.
toolbox.py has the tools that ship, of tools.py, which retrieval.py searches for; gymnastics.py, arena.py, openenv.py and prime.py make others' environments ours;
worlds/ has environments of papers. probes.py looks for what an environment does wrong; memory.py keeps episodes; users.py are
scripted users.

May import: verify.maths, verify.
"""

from sharpen.core import Act as act
from sharpen.environments import calls
from sharpen.environments.hosted import Hosted, open_env
from sharpen.environments.loading import WORLDS, acts, checked, file_of, here
from sharpen.environments.probes import probe
from sharpen.environments.retrieval import Index, words
from sharpen.environments.toolbox import Toolbox
from sharpen.environments.tools import TOOLS, cells, check_plan, draw

__all__ = ["Hosted", "Index", "TOOLS", "Toolbox", "WORLDS", "act", "acts", "calls", "cells", "check_plan", "checked", "draw", "file_of", "here", "open_env", "probe", "words"]
