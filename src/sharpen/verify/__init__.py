"""Verdicts: what an answer is worth, decided by strict rules outside of the model.

verdicts.py has the rules by name, on the final answer that final.py finds; judging.py runs them in processes that can be
killed (process.py). answers.py reads multiple choice and JSON, tool_calls.py judges calls of tools, which calls.py reads,
rewards.py pays for form, length and rubrics, judge_model.py asks a judge behind an endpoint, consensus.py needs no gold
answer, judged.py asks a role, speed.py times programs, tours.py runs a search with an answer's settings, journeys.py
judges plans, credit.py says what
each turn is worth, turns.py what happens between two, steps.py which steps of an answer are right. learnt.py and
self_judged.py have rewards that a model says, judgement.py what is read of its words; ranking.py judges orders, scheduling.py
rules that make orders, scaffolds.py by criteria, consistency.py selects what agrees with itself, pieces.py cuts answers.
behaviour.py watches how answers go about it. fields.py says what a line of a file has for each verifier, instructions.py what a
chat model is told. Mathematics is in maths/, programs are in code/.

May import: workers, families, verify.maths, verify.code.
"""

from sharpen.verify import (
    consensus,
    consistency,
    journeys,
    judge_model,
    judgement,
    learnt,
    pieces,
    ranking,
    scaffolds,
    scheduling,
    steps,
    tours,
    turns,
)
from sharpen.verify.answers import answers_of, labelled
from sharpen.verify.behaviour import BEHAVIOURS, graded, watched
from sharpen.verify.calls import Call, Unreadable, calls_of
from sharpen.verify.credit import (
    answer_of,
    as_judged,
    attempts,
    beyond_stopping,
    caused,
    counting_calls,
    discounted,
    each_turn,
    improvement,
    new_answer,
    only_last,
    progress,
    prover_advantage,
    repaired,
    says_right,
    taught,
    tried_again,
    with_role,
    worth_of_explanation,
    worth_of_repair,
)
from sharpen.verify.fields import FIELDS, NO_ANSWER, accepts_its_own, right_response, task_fields, with_choices
from sharpen.verify.final import final_answer, read_number, read_numbers
from sharpen.verify.instructions import INSTRUCTIONS, instructed, instruction, instructions_for
from sharpen.verify.journeys import journey
from sharpen.verify.judged import judged, likelihood_of_gold, reviewed
from sharpen.verify.judgement import asking, read_list, read_score, read_steps, read_yes
from sharpen.verify.judging import Judges, join, judge
from sharpen.verify.learnt import LEARNT, attributed, gap, pessimistic, progressed, scored, trusted
from sharpen.verify.ranking import listwise
from sharpen.verify.rewards import hints, rubric_problem
from sharpen.verify.scaffolds import by_criteria, untagged
from sharpen.verify.scheduling import scheduled
from sharpen.verify.self_judged import (
    agreed,
    co_evolved,
    debated,
    process_aware,
    rated,
    rationalised,
    step_augmented,
    stepwise,
    ticked,
)
from sharpen.verify.speed import speedup
from sharpen.verify.tool_calls import shown_tools, tools_told
from sharpen.verify.verdicts import (
    INSTANT,
    VERIFIERS,
    Verifier,
    boundary,
    choice,
    code_io,
    exact,
    gym,
    named,
    number,
    numbers,
    verify,
)

__all__ = [
    "BEHAVIOURS",
    "LEARNT",
    "agreed",
    "asking",
    "ranking",
    "read_list",
    "read_score",
    "read_steps",
    "read_yes",
    "attributed",
    "debated",
    "process_aware",
    "progressed",
    "rated",
    "rationalised",
    "step_augmented",
    "stepwise",
    "ticked",
    "FIELDS",
    "INSTANT",
    "answer_of",
    "as_judged",
    "new_answer",
    "attempts",
    "only_last",
    "progress",
    "caused",
    "prover_advantage",
    "repaired",
    "says_right",
    "steps",
    "tried_again",
    "untagged",
    "worth_of_explanation",
    "worth_of_repair",
    "turns",
    "NO_ANSWER",
    "accepts_its_own",
    "task_fields",
    "taught",
    "with_choices",
    "with_role",
    "INSTRUCTIONS",
    "instructed",
    "instruction",
    "instructions_for",
    "hints",
    "right_response",
    "shown_tools",
    "tools_told",
    "Call",
    "journey",
    "journeys",
    "tours",
    "Judges",
    "Unreadable",
    "VERIFIERS",
    "Verifier",
    "answers_of",
    "beyond_stopping",
    "boundary",
    "by_criteria",
    "calls_of",
    "choice",
    "co_evolved",
    "consensus",
    "consistency",
    "counting_calls",
    "code_io",
    "discounted",
    "each_turn",
    "exact",
    "scheduled",
    "scaffolds",
    "scheduling",
    "final_answer",
    "gym",
    "improvement",
    "join",
    "judge",
    "judge_model",
    "judgement",
    "judged",
    "labelled",
    "learnt",
    "likelihood_of_gold",
    "listwise",
    "named",
    "pessimistic",
    "pieces",
    "number",
    "numbers",
    "read_number",
    "read_numbers",
    "reviewed",
    "rubric_problem",
    "speedup",
    "scored",
    "gap",
    "graded",
    "trusted",
    "verify",
    "watched",
]
