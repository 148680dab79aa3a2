"""Methods at equal budget, in turns, with intervals.

runner.py takes turns (workers.py: side by side), paired.py has the statistics, result.py the figures, page.py the page,
controls.py what a method is held against.

May import: terminal, sandbox, guard, store, recipes, loop, report.
"""

from sharpen.compare import controls, page, result
from sharpen.compare.runner import compare, plan, read_plan

__all__ = ["compare", "controls", "page", "plan", "read_plan", "result"]
