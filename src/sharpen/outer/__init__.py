"""Outer loops: what is searched is not weights but recipes, their numbers, and how a model is asked.

history.py is what was tried, on disk; engine.py proposes, measures and halves; space.py are the numbers to choose, and
proposers.py choose them: at random, by Optuna, by knowledge gradient (acquisition.py), by evolution strategies
(strategies.py), by a role (asked.py). runs.py measures a candidate as a run at equal budget; asking.py as a way to ask a
finished model. tuning.py puts these together. files.py writes recipes that a person can read; archive.py chooses whom to
change, changes.py changes it, trusted.py what may run, apart.py measures what a role wrote; population.py says who is a member,
evolve.py is the loop over them, page.py shows its tree.

May import: terminal, sandbox, tasks, models, rollouts, guard, store, recipes, loop, report, view, compare.
"""

from sharpen.outer import asked, evolve, tuning

__all__ = ["asked", "evolve", "tuning"]
