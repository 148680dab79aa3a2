"""A run shown in the tracker that a team already looks at. Nothing needs it, and it can neither stop a run nor slow it.

processes.py starts a process for each tracker beside the run and leaves it a minute at the end; sending.py is what such a
process does: it reads what the run has committed and sends it on. tracker.py is what a tracker has to be; to_….py are those
that ship.

May import: store.
"""

from sharpen.track.processes import following, remember, remembered, trackers
from sharpen.track.tracker import Tracked, Tracker

__all__ = ["Tracked", "Tracker", "following", "remember", "remembered", "trackers"]
