"""Settings that must be in place before torch and transformers are imported."""

import os
import tempfile

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny matrices: more threads only get in each other's way
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # many processes are started: they compile what they import once
os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded at run time, and tests would be the place to notice
os.environ["XDG_STATE_HOME"] = os.path.join(tempfile.gettempdir(), f"sharpen-tests-{os.getuid()}")  # where a secret is kept

# By itself it fails what takes longer than 200 ms on one example, or long to draw.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser):
    parser.addoption("--all-recipes", action="store_true", help="learn with, and interrupt, each (tests/loop/test_learning.py)")
