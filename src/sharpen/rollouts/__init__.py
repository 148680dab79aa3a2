"""Who is asked what, in which order: rollouts as generators, and the driver that batches them.

rollout.py has the strategies (single, self_correct, rationalise, demonstrate), tools.py those with tools, retry.py attempts
with feedback between them, which feedback.py gives; critique.py what is said of answers, tutoring.py a tutor and a pupil;
own_judge.py a model that judges itself, consistent.py programs against tests of its own.
asking.py says what the student is told beside the question, and keeps it with a model. driver.py runs
generators side by side; answers.py says what comes of programs, environments and measurements; judges.py runs verdicts that
need a model.

May import: verify.maths, verify.code, verify, data.
"""

from sharpen.rollouts import asking, critique, feedback, own_judge, tutoring
from sharpen.rollouts.asking import UNTOLD, Asking
from sharpen.rollouts.consistent import conair
from sharpen.rollouts.driver import Roles, drive, perform
from sharpen.rollouts.judges import RoleJudges, judging
from sharpen.rollouts.own_judge import best_by_own, co_evolved, ticked_again
from sharpen.rollouts.retry import rethink, retry, untried
from sharpen.rollouts.rollout import demonstrate, demonstrating, rationalise, self_correct, single, unaided
from sharpen.rollouts.tools import Calculator, with_tools

__all__ = [
    "UNTOLD",
    "Asking",
    "asking",
    "best_by_own",
    "co_evolved",
    "conair",
    "Calculator",
    "RoleJudges",
    "Roles",
    "demonstrate",
    "demonstrating",
    "drive",
    "critique",
    "feedback",
    "tutoring",
    "judging",
    "own_judge",
    "perform",
    "rationalise",
    "rethink",
    "retry",
    "self_correct",
    "single",
    "ticked_again",
    "unaided",
    "untried",
    "with_tools",
]
