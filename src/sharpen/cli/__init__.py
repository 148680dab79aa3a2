"""The command line.

program.py has the commands with a run, driving.py how one ends (lineage.py: what came of a task), commands.py those without
(data.py: what a set of tasks is worth), serving.py those for the neighbours, viewing.py the page, profiling.py where a step's
time goes.

May import: terminal, environments, verify, tasks, audit, data, guard, models, store, recipes, loop, serve, report, view,
track, compare.
"""

from sharpen.cli.program import app, main

__all__ = ["app", "main"]
