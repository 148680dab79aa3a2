"""The command line.

program.py has the commands with a run (lineage.py: what came of a task), commands.py those without (data.py: what a set of
tasks is worth), serving.py those for the neighbours, profiling.py where a step's time goes.

May import: terminal, environments, verify, tasks, audit, data, guard, models, store, recipes, loop, serve, plan, report, track,
compare.
"""

from sharpen.cli.program import app, main

__all__ = ["app", "main"]
