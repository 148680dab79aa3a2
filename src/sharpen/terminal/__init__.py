"""What a person sees of a run while it goes on, and where runs lie on disk.

terminal.py shows progress, noted.py notes it for others, tables.py prints results, person.py asks somebody, places.py names run
directories and keeps paths right, listening.py takes an address.

May import: nothing but the ground files.
"""

from sharpen.terminal import places, tables
from sharpen.terminal.listening import listening
from sharpen.terminal.noted import Noted, noted
from sharpen.terminal.person import asked, person, read_line
from sharpen.terminal.terminal import Quiet, Terminal, clock_time

__all__ = ["Noted", "Quiet", "Terminal", "asked", "clock_time", "listening", "noted", "person", "places", "read_line", "tables"]
