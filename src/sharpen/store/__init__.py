"""The run's record: SQLite and checkpoints, one commit at a time.

store.py is what the loop writes and reads; database.py is the file, checkpoints.py the weights beside it.

May import: guard.
"""

from sharpen.store import database
from sharpen.store.store import Fault, Position, Store, no_fault

__all__ = ["Fault", "Position", "Store", "database", "no_fault"]
