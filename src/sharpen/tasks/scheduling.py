"""Jobs to put in order: each task shows some, and asks for a rule that does well on others too (verify/scheduling.py)."""

from __future__ import annotations

from sharpen.core import Arm, Task, TaskSource, UserError
from sharpen.hashing import derive, split_of
from sharpen.verify import scheduling as ordering

FAMILY = "tardiness"
SIZES = {1: 5, 2: 6, 3: 7}  # jobs, by level
SHOWN = 2  # instances in a question
TRIES = 200
ASKED = (
    "Jobs with a processing time p and a due date d go through one machine, one after the other; t is the time at which it is "
    "free. Write a rule, one expression of p, d and t with + - * / max( ) min( ), such that always taking the job with its "
    "smallest value makes the total tardiness small. Examples of jobs (p, d):\n{examples}\nWrite the rule only."
)


def scheduling() -> TaskSource:
    """Endless; every task keeps instances to itself. The worked solution is the earliest due date, which can be bettered."""
    return TaskSource("scheduling", tuple(Arm(FAMILY, level) for level in SIZES), draw, languages=frozenset())


def draw(arm: Arm, split: str, index: int, seed: int) -> Task:
    if arm.family != FAMILY or arm.level not in SIZES:
        raise UserError(f"scheduling has no {arm}; it has {', '.join(f'{FAMILY}/{level}' for level in SIZES)}.")
    for attempt in range(TRIES):
        own = derive(seed, "scheduling", arm.level, index, attempt)
        shown = ordering.instances(own, SIZES[arm.level], SHOWN)
        prompt = ({"role": "user", "content": ASKED.format(examples="\n".join(map(str, shown)))},)
        if split_of(prompt) == split:
            data = {"seed": own, "jobs": SIZES[arm.level]}
            return Task(prompt, None, FAMILY, arm.level, split, "exact", data, solution=ordering.EDD)
    raise UserError(f"{arm}: {TRIES} draws brought no question of the {split} split")
