"""The run's record: SQLite and checkpoints, one commit at a time.

store.py is what the loop writes and reads; database.py is the file, checkpoints.py the weights beside it,
growth.py the tasks that have grown, evaluations.py
the evaluations.

May import: guard.
"""

from sharpen.store import database, evaluations, growth
from sharpen.store.store import Fault, Position, Store, no_fault

__all__ = ["Fault", "Position", "Store", "database", "evaluations", "growth", "no_fault"]
