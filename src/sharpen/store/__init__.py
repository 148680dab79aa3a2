"""The run's record: SQLite and checkpoints, one commit at a time.

store.py is what the loop writes and reads; database.py is the file, checkpoints.py the weights beside it with their checksums,
position.py what a commit says, place.py where the run is, growth.py (tables.py) what has grown, lineage.py what came of
a task, evaluations.py the evaluations, served.py what a server was asked, asked.py what people ask of the run,
segments.py rollouts in files of their own.

May import: guard.
"""

from sharpen.store import asked, checkpoints, database, evaluations, growth, lineage, segments, served
from sharpen.store.asked import Asked
from sharpen.store.place import refuse_taken
from sharpen.store.position import Position
from sharpen.store.served import Served
from sharpen.store.store import Fault, Store, no_fault

__all__ = [
    "Asked",
    "Fault",
    "Position",
    "Served",
    "Store",
    "asked",
    "checkpoints",
    "database",
    "evaluations",
    "growth",
    "lineage",
    "no_fault",
    "refuse_taken",
    "segments",
    "served",
]
