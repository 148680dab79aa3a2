"""Who is asked what, in which order: rollouts as generators, and the driver that batches them.

rollout.py has the strategies (single, self_correct, rationalise, demonstrate), tools.py those with tools, acting.py those in
an environment, agent.py those that an agent program owns, talking.py those with a user whom a role plays, stages.py those in
which something comes before the answer, retry.py attempts with feedback between them, which feedback.py gives; critique.py
what is said of answers, tutoring.py a tutor and a pupil; own_judge.py a model that judges itself, consistent.py programs
against tests of its own. search.py tries several answers and chooses: trees.py searches, values.py says what a beginning is
worth. splicing.py cuts, inserts and forces within an answer; guided.py draws with the hooks of decoding.py. asking.py says what
the student is told beside the question, and keeps it with a model. hints.py has help that fades, weak.py supervisors that err,
contexts.py what stands before a question, tags.py marks. driver.py runs generators side by side; answers.py says what comes of
programs, environments and measurements; judges.py runs verdicts that need a model.

May import: workers, environments, verify.maths, verify.code, verify, tasks, data.
"""

from sharpen.rollouts import (
    asking,
    contexts,
    critique,
    decoding,
    exploring,
    feedback,
    guided,
    hints,
    own_judge,
    refining,
    search,
    splicing,
    stages,
    studying,
    tags,
    talking,
    trees,
    tutoring,
    values,
    weak,
)
from sharpen.rollouts.acting import acting, episode, remembering, with_toolbox
from sharpen.rollouts.agent import agent
from sharpen.rollouts.asking import UNTOLD, Asking
from sharpen.rollouts.consistent import conair
from sharpen.rollouts.driver import Roles, drive, perform
from sharpen.rollouts.judges import RoleJudges, judging
from sharpen.rollouts.own_judge import best_by_own, co_evolved, ticked_again
from sharpen.rollouts.retry import phrases, rethink, retry, untried, words_on
from sharpen.rollouts.rollout import (
    INSTRUCTIONS,
    again,
    at_balance,
    demonstrate,
    demonstrated,
    demonstrating,
    evolving,
    instructed,
    prompted,
    rationalise,
    rewrite_program,
    self_correct,
    single,
    unaided,
    under_each,
    with_insights,
    within,
)
from sharpen.rollouts.stages import advised, deliberated, staged, tutored
from sharpen.rollouts.tools import Calculator, with_tools

__all__ = [
    "UNTOLD",
    "Asking",
    "advised",
    "again",
    "asking",
    "at_balance",
    "best_by_own",
    "co_evolved",
    "conair",
    "contexts",
    "search",
    "splicing",
    "studying",
    "tags",
    "talking",
    "trees",
    "values",
    "Calculator",
    "RoleJudges",
    "acting",
    "agent",
    "episode",
    "Roles",
    "decoding",
    "INSTRUCTIONS",
    "demonstrate",
    "demonstrated",
    "demonstrating",
    "instructed",
    "drive",
    "critique",
    "exploring",
    "feedback",
    "deliberated",
    "evolving",
    "guided",
    "hints",
    "judging",
    "own_judge",
    "perform",
    "phrases",
    "prompted",
    "rationalise",
    "remembering",
    "refining",
    "rethink",
    "retry",
    "rewrite_program",
    "tutoring",
    "self_correct",
    "single",
    "ticked_again",
    "unaided",
    "under_each",
    "within",
    "with_toolbox",
    "untried",
    "staged",
    "stages",
    "tutored",
    "weak",
    "with_insights",
    "with_tools",
    "words_on",
]
