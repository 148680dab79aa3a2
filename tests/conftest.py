"""Settings that must be in place before torch and transformers are imported, and where tests write."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny matrices: more threads only get in each other's way
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # many processes are started: they compile what they import once
os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded at run time, and tests would be the place to notice
os.environ["XDG_STATE_HOME"] = os.path.join(tempfile.gettempdir(), f"sharpen-tests-{os.getuid()}")  # where a secret is kept

MEMORY = Path("/dev/shm")
ROOM = 6e9  # bytes: what the tests of a whole session write, twice over

# Every commit waits for the disk. What tests write need not outlive the machine, so where there is room it is kept in memory.
if "PYTEST_DEBUG_TEMPROOT" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
    available = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:")]
    if available and int(available[0].split()[1]) * 1024 > 2 * ROOM:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)

# By itself it fails what takes longer than 200 ms on one example, or long to draw.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser):
    parser.addoption("--all-recipes", action="store_true", help="learn with, and interrupt, each (tests/loop/test_learning.py)")
