"""Verdicts: what an answer is worth, decided by strict rules outside of the model.

verdicts.py has the rules by name, on the final answer that final.py finds; judging.py runs them in processes that can be killed
(process.py). answers.py reads multiple choice and JSON, tool_calls.py judges calls of tools, which calls.py reads, rewards.py
pays for form, length and rubrics, judge_model.py asks a judge behind an endpoint, consensus.py needs no gold answer, judged.py
asks a role, speed.py times programs, credit.py says what each turn is worth. fields.py says what a line of a file has for
each verifier, instructions.py what a chat model is told. Mathematics is in maths/, programs are in code/.

May import: families, verify.maths, verify.code.
"""

from sharpen.verify import judge_model
from sharpen.verify.answers import answers_of, labelled
from sharpen.verify.credit import discounted, each_turn, improvement
from sharpen.verify.fields import FIELDS, NO_ANSWER, accepts_its_own, right_response, task_fields, with_choices
from sharpen.verify.final import final_answer, read_number, read_numbers
from sharpen.verify.instructions import INSTRUCTIONS, instruction, instructions_for
from sharpen.verify.judged import judged, likelihood_of_gold, reviewed
from sharpen.verify.judging import Judges, join, judge
from sharpen.verify.rewards import rubric_problem
from sharpen.verify.speed import speedup
from sharpen.verify.tool_calls import shown_tools, tools_told
from sharpen.verify.verdicts import (
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
    "FIELDS",
    "NO_ANSWER",
    "accepts_its_own",
    "task_fields",
    "with_choices",
    "INSTRUCTIONS",
    "instruction",
    "instructions_for",
    "right_response",
    "shown_tools",
    "tools_told",
    "Judges",
    "VERIFIERS",
    "Verifier",
    "answers_of",
    "boundary",
    "choice",
    "code_io",
    "discounted",
    "each_turn",
    "exact",
    "final_answer",
    "gym",
    "improvement",
    "join",
    "judge",
    "judge_model",
    "judged",
    "labelled",
    "likelihood_of_gold",
    "named",
    "number",
    "numbers",
    "read_number",
    "read_numbers",
    "reviewed",
    "rubric_problem",
    "speedup",
    "verify",
]
