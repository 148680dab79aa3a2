"""Methods at equal budget, in turns, with intervals.

runner.py takes turns (workers.py: side by side), paired.py has the statistics, result.py the figures, page.py the page,
controls.py what a method is held against. gaps.py says what a student recovers of the gap to a ceiling, halving.py ends bad
runs of a sweep early.

May import: terminal, sandbox, guard, store, recipes, loop, report.
"""

from sharpen.compare import controls, gaps, halving, page, paired, result, runner
from sharpen.compare.runner import compare, permitted, plan, read_plan

__all__ = ["compare", "controls", "gaps", "halving", "page", "paired", "permitted", "plan", "read_plan", "result", "runner"]
