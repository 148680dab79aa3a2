"""Plans that are learnt after what is wrong with each make a model that can be asked for one with nothing wrong.

Paper: arXiv 2408.06318 (TravelPlanner, feedback-aware fine-tuning), section on FAFT
Parent: leti
Differs: tasks are journeys under constraints, and the words before a plan are the verifier's list of the constraints that it
    fails, or that it passes all. From the paper: own plans, drawn journeys, and wrong plans weigh a half; its templates and
    ratios could not be read
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, tasks
from sharpen.data import relabel
from sharpen.recipe import Recipe
from sharpen.recipes.supervised import leti


def recipe(journeys: bool = True, wrong: float = 0.5) -> Recipe:
    parent = leti.recipe()
    if not journeys:
        return parent
    asked = partial(rollouts.single, system=f"{relabel.GOOD} {relabel.WORKS}")
    select = partial(relabel.with_feedback, wrong=wrong)
    return replace(parent, tasks=tasks.journeys, rollout=asked, select=select, max_tokens=96)


NEUTRAL = dict(journeys=False)


def check(made: Recipe) -> bool:
    """The feedback is a function of the plan, the plan that a task is drawn about passes, and a scrubbed question keeps it."""
    from sharpen.core import Arm
    from sharpen.tasks import travel
    from sharpen.verify import journey, journeys

    for index in range(12):
        task = made.tasks().draw(Arm("journeys", 1 + index % 3), "train", index, 0)
        plan = str(task.solution)
        days, first = task.data["days"], plan.splitlines()[0].split()[1]
        again = "\n".join(f"{day} {first}" for day in range(1, days + 1))
        kept = all(line.split()[1] in travel.scrubbed(task) for line in plan.splitlines())
        if not journey(task, plan).correct or "once" not in journeys.faults(task, again) or not kept:
            return False
    return journey(task, "no plan").outcome == "malformed"
