"""A page on this machine that shows runs while they go on, and takes what people decide about them.

found.py finds the runs, reading.py reads what the page shows live, searching.py looks through rollouts and sets two evaluations
side by side, trees.py reads what outer loops have tried, watching.py says when there is news, deciding.py leaves for a run what
people ask of it, app.py is the server; layouts.py fills pages/, the layouts, the style sheet and the script.

The stores are only read, by connections that can do nothing else; what people decide lies in files that the run takes in
(store/asked.py). Torch is not imported: the server has to stay small beside a run.

May import: terminal, guard, store, report.
"""

from sharpen.view import app, deciding, found, trees

__all__ = ["app", "deciding", "found", "trees"]
