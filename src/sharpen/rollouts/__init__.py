"""Who is asked what, in which order: rollouts as generators, and the driver that batches them.

rollout.py has the strategies (single, self_correct, rationalise, demonstrate, …), tools.py those with tools, stages.py those
in which something comes before the answer. asking.py says what
the student is told beside the question, and keeps it with a model. driver.py runs
generators side by side; answers.py says what comes of programs, environments and measurements; judges.py runs verdicts that
need a model.

May import: verify.maths, verify.code, verify, data.
"""

from sharpen.rollouts import asking
from sharpen.rollouts.asking import UNTOLD, Asking
from sharpen.rollouts.driver import Roles, drive, perform
from sharpen.rollouts.judges import RoleJudges, judging
from sharpen.rollouts.rollout import (
    demonstrate,
    demonstrating,
    evolving,
    prompted,
    rationalise,
    self_correct,
    single,
    unaided,
    with_insights,
)
from sharpen.rollouts.stages import deliberated, guided, staged, tutored
from sharpen.rollouts.tools import Calculator, with_tools

__all__ = [
    "UNTOLD",
    "Asking",
    "asking",
    "Calculator",
    "RoleJudges",
    "Roles",
    "deliberated",
    "demonstrate",
    "demonstrating",
    "drive",
    "evolving",
    "guided",
    "judging",
    "perform",
    "prompted",
    "rationalise",
    "self_correct",
    "single",
    "staged",
    "tutored",
    "unaided",
    "with_insights",
    "with_tools",
]
