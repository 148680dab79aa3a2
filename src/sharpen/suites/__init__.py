"""Fixed evaluations of a finished model: one row for each axis and measure, with intervals, before and after.

axis.py says what an axis is, runner.py asks and keeps; general.py (INSTRUCTEVAL's axes), critique.py, planning.py (blocks and
journeys), reasoning.py (ARC, formulas: symbolic.py), insight.py (tables) and contamination.py are what ships, without any
data set of elsewhere. continual.py reads a run over task sets, process.py has its reasoning judged; external.py runs lm-eval
and Inspect against `sharpen serve`; ranking.py puts models in order of quality and cost.

May import: terminal, tasks, verify, models, rollouts, store, guard, loop, serve, report, compare, outer.
"""

from sharpen.suites import continual, external, ranking
from sharpen.suites.runner import SUITES, compared, run, show

__all__ = ["SUITES", "compared", "continual", "external", "ranking", "run", "show"]
