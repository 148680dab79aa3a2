"""Who is asked what, in which order: rollouts as generators, and the driver that batches them.

rollout.py has the strategies (single, self_correct, rationalise, demonstrate), tools.py those with tools, search.py those that
try several answers and choose: trees.py searches, values.py says what a beginning is worth. splicing.py cuts, inserts and
forces within an answer; guided.py draws with the hooks of decoding.py. asking.py says what the student is told beside the
question, and keeps it with a model. driver.py runs generators side by side; answers.py says what comes of programs,
environments and measurements; judges.py runs verdicts that need a model.

May import: verify.maths, verify.code, verify, data.
"""

from sharpen.rollouts import asking, decoding, exploring, guided, refining, search, splicing, studying, trees, values
from sharpen.rollouts.asking import UNTOLD, Asking
from sharpen.rollouts.driver import Roles, drive, perform
from sharpen.rollouts.judges import RoleJudges, judging
from sharpen.rollouts.rollout import demonstrate, demonstrating, rationalise, self_correct, single, unaided
from sharpen.rollouts.tools import Calculator, with_tools

__all__ = [
    "UNTOLD",
    "Asking",
    "asking",
    "search",
    "splicing",
    "studying",
    "trees",
    "values",
    "Calculator",
    "RoleJudges",
    "Roles",
    "decoding",
    "demonstrate",
    "demonstrating",
    "drive",
    "exploring",
    "guided",
    "judging",
    "perform",
    "rationalise",
    "refining",
    "self_correct",
    "single",
    "unaided",
    "with_tools",
]
