"""Child processes for verdicts, programs and environments, on this machine or on others.

child.py is a process that speaks through its pipes. `start` makes one: here, or on one of the machines of `using`. there.py is
one of another machine, made by spawn.py; nodes.py has machines that are processes here, ray.py those of a Ray cluster.

May import: nothing but the ground files.
"""

from sharpen.workers.child import ONE_THREAD, Child, end_with
from sharpen.workers.places import Gone, checked, elsewhere, slots, start, starting, using

__all__ = ["ONE_THREAD", "Child", "Gone", "checked", "elsewhere", "end_with", "slots", "start", "starting", "using"]
