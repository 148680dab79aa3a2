"""reasoning-gym's families: their levels and options, which are not used and why, and the data set behind each.

levels.py says what is known of each family; datasets.py makes the data set of one.

May import: nothing but the ground files.
"""

from sharpen.families.datasets import LISTED, between, dataset, dataset_of, level_count
from sharpen.families.levels import ACCEPTED, BLOCKED, DEFAULT, OPTIONS, SCORED, VERIFIER

__all__ = [
    "ACCEPTED",
    "BLOCKED",
    "DEFAULT",
    "LISTED",
    "OPTIONS",
    "SCORED",
    "VERIFIER",
    "between",
    "dataset",
    "dataset_of",
    "level_count",
]
