"""A user's own recipe, which leaves a trace where it is imported.

Paper: none
Parent: quickstart
Differs: it is in a file of its own
"""

import os
from dataclasses import replace
from pathlib import Path

from sharpen.recipe import Recipe
from sharpen.recipes.loop import quickstart

if trace := os.environ.get("SHARPEN_TEST_TRACE"):
    Path(trace).touch()


def recipe(**knobs) -> Recipe:
    return replace(quickstart.recipe(**knobs))
