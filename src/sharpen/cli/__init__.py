"""The command line.

program.py has the commands with a run, driving.py how one ends (lineage.py: what came of a task; signals.py: where rollouts
went), commands.py those without (data.py: what a set of tasks is worth; comparing.py: methods), serving.py those for the
neighbours, viewing.py the page, profiling.py where a step's time goes; outer.py loops over recipes, suite.py fixed
evaluations, heads.py attention heads.

May import: terminal, workers, environments, verify, tasks, audit, data, objectives, guard, models, store, recipes, loop, serve,
plan, report, view, track, compare, outer, suites.
"""

from sharpen.cli.program import app, main

__all__ = ["app", "main"]
