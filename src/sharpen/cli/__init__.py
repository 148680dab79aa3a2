"""The command line.

program.py has the commands with a run, commands.py those without, profiling.py where a step's time goes.

May import: terminal, verify, tasks, audit, guard, store, recipes, loop, report, compare.
"""

from sharpen.cli.program import app, main

__all__ = ["app", "main"]
