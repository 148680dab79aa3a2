"""The command line.

program.py has the commands with a run, commands.py those without, serving.py those for the neighbours, profiling.py where a
step's time goes.

May import: terminal, verify, data, tasks, audit, guard, models, store, recipes, loop, serve, report, track, compare.
"""

from sharpen.cli.program import app, main

__all__ = ["app", "main"]
