"""Evidence for people: one page about a run, and its numbers.

evidence.py gathers from the store, findings.py says what it means, answers.py what a gain is made of, calls.py how often
tools were called, users.py what difficult users cost; page.py and charts.py draw it, report.py is the way in. signal.py: where
rollouts went; searches.py: what searches reach, and at what cost.

May import: terminal, verify, guard, store.
"""

from sharpen.report import charts, evidence, page, searches, signal, streams
from sharpen.report.charts import Line, level, short
from sharpen.report.markup import Markup
from sharpen.report.report import render, summary

__all__ = [
    "Line",
    "Markup",
    "charts",
    "evidence",
    "level",
    "page",
    "render",
    "searches",
    "short",
    "signal",
    "streams",
    "summary",
]
