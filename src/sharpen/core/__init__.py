"""The nouns of sharpen. Read this file first.

1. A `TaskSource` draws `Task`s; an `Arm` (family, level) is what a curriculum chooses between.
2. A rollout is a generator: it yields events (`Ask`, `Run`, `Act`, `Measure`, …), is sent what came of them, and returns its
   last `Turn`; the record is a `Rollout`.
3. A verifier turns (task, response) into a `Verdict`; rollout and verdict together are a `Sample`.
4. Samples become a `Batch` of arrays; a `Tableau` turns a batch into coefficients on log-probabilities.
5. A `Policy` is a model that can be asked, scored, trained and saved.
6. Between rounds a grower (`GrowthGenerator`) may make new tasks of what failed.
7. A `Recipe` (recipe.py) holds nine functions and a few numbers: that is a whole method.

Everything here is frozen data: no I/O, and no torch.

May import: nothing but the ground files.
"""

from sharpen.core import growth
from sharpen.core.environments import Act, Ended, Environment, Observation, shortened
from sharpen.core.errors import FatalDiagnosis, Interrupted, NotFinite, UserError, suggest
from sharpen.core.events import Ask, Event, Failed, GrowthGenerator, RolloutGenerator, VerdictGenerator
from sharpen.core.growth import Refused, Repair, Weakness
from sharpen.core.hooks import Beside, Hook, Step
from sharpen.core.learning import Batch, Lesson, Passage, Tableau
from sharpen.core.ledger import Ledger, Spending
from sharpen.core.measures import Check, Measure, Measured, Score, Scored
from sharpen.core.policy import Policy, Speaker
from sharpen.core.programs import Ran, Run
from sharpen.core.roles import Role
from sharpen.core.rollouts import GREEDY, PLAIN, Branch, Rollout, Sampling, Searched, Span, Turn
from sharpen.core.study import Study
from sharpen.core.tasks import HISTORY, SPLITS, Arm, ArmStats, Choices, Message, Task, TaskSource, flat
from sharpen.core.verdicts import ANSWERS, OUTCOMES, Decision, Evaluation, Sample, Tally, Verdict, came_out, tally
from sharpen.core.words import plural

__all__ = [
    "ANSWERS",
    "Act",
    "Arm",
    "ArmStats",
    "Ask",
    "Batch",
    "Beside",
    "Branch",
    "Check",
    "Choices",
    "Decision",
    "Ended",
    "Environment",
    "Evaluation",
    "Event",
    "Failed",
    "FatalDiagnosis",
    "GREEDY",
    "GrowthGenerator",
    "HISTORY",
    "Hook",
    "Interrupted",
    "Check",
    "Ledger",
    "Lesson",
    "Measure",
    "Measured",
    "Message",
    "NotFinite",
    "OUTCOMES",
    "Observation",
    "PLAIN",
    "Policy",
    "Ran",
    "Refused",
    "Repair",
    "Role",
    "Rollout",
    "RolloutGenerator",
    "Run",
    "SPLITS",
    "Sample",
    "Sampling",
    "Score",
    "Scored",
    "Searched",
    "Span",
    "Speaker",
    "Spending",
    "Step",
    "Study",
    "Passage",
    "Tableau",
    "Tally",
    "Task",
    "TaskSource",
    "Turn",
    "UserError",
    "Verdict",
    "VerdictGenerator",
    "Weakness",
    "came_out",
    "growth",
    "flat",
    "plural",
    "shortened",
    "suggest",
    "tally",
]
