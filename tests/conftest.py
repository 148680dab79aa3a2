"""Settings that must be in place before torch and transformers are imported."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny matrices: more threads only get in each other's way
os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded at run time, and tests would be the place to notice
