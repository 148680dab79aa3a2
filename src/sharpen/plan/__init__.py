"""Which devices do what, and what it costs: before anything is started.

shapes.py is models and devices, cost.py the seconds and bytes of a plan, search.py finds the cheapest, simulate.py tries one
out
on drawn lengths, measure.py fits a device to this machine, told.py prints a plan and the commands that run it.

May import: terminal, objectives, models.engine.
"""

from sharpen.plan import measure
from sharpen.plan.cost import Cost, Plan, cost
from sharpen.plan.search import annealed, best, plans
from sharpen.plan.shapes import DEVICES, KNOWN, Device, Load, Shape, device, shape
from sharpen.plan.simulate import simulated
from sharpen.plan.told import commands, told

__all__ = [
    "DEVICES",
    "KNOWN",
    "Cost",
    "Device",
    "Load",
    "Plan",
    "Shape",
    "annealed",
    "best",
    "commands",
    "cost",
    "device",
    "measure",
    "plans",
    "shape",
    "simulated",
    "told",
]
