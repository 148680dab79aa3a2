"""What a line of a file has to say for its verifier, beside its prompt: the answer, and what else the verdict is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sharpen.core import Task, UserError
from sharpen.verify import rewards, tool_calls, verdicts
from sharpen.verify.answers import answers_of, labelled

# Of a line, what goes into the task's data; code_io has its own list (code/problems.py), reasoning-gym's entries theirs.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "exact": ("accept", "spaces"),
    "choice": ("accept",),
    "number": ("accept",),
    "numbers": ("accept", "any_order"),
    "math": ("accept",),
    "multiple_choice": ("choices",),
    "json": ("schema",),
    "tool_call": ("tools",),
    "rubric": ("rubric",),
    "judge": ("criteria",),
}
NO_ANSWER = ("rubric", "judge", "json")  # these may do without


def task_fields(verifier: str, record: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """(the answer as text, the data) of a line whose verifier is one of FIELDS.

    Answers may be numbers, and lists of which any will do, or all letters of multiple choice (`answers_of`). Raises UserError
    with what is missing or misshapen, and the cure.
    """
    data = {name: record[name] for name in FIELDS[verifier] if record.get(name) is not None}
    answer, others = answers_of(verifier, record.get("answer"), record.get("choices"))
    accept = data.get("accept", [])
    if not isinstance(accept, list) or not all(isinstance(a, str | int | float) and not isinstance(a, bool) for a in accept):
        raise UserError("'accept' must be a list of further right answers, such as [\"LIM\"].")
    if accept or others:
        data["accept"] = [*others, *map(str, accept)]
    if verifier not in NO_ANSWER and not (answer or "").strip():
        raise UserError(f"the verifier {verifier} needs an 'answer'.")
    if verifier == "json" and answer is None and "schema" not in data:
        raise UserError("the verifier json needs an 'answer', or a 'schema'.")
    if verifier == "rubric" and (wrong := rewards.rubric_problem(data.get("rubric") or ())):
        raise UserError(f"{wrong}.")
    if verifier == "judge":
        criteria = data.get("criteria", [""])
        if not isinstance(criteria, list) or not criteria or not all(isinstance(text, str) for text in criteria):
            raise UserError("'criteria' must be a list of texts, each a question to the judge.")
    if verifier == "tool_call" and (wrong := tool_calls.problem(Task((), answer, "", 0, verifier=verifier, data=data))):
        raise UserError(wrong)
    return answer, data


def with_choices(question: str, choices: Any) -> str:
    """The question with its choices behind it, a line each, unless it names all of them itself."""
    texts = [str(text) for text in (choices.values() if isinstance(choices, Mapping) else choices or ())]
    if not texts or all(text in question for text in texts):
        return question
    return "\n".join([question, *(f"{label}. {text}" for label, text in zip(labelled(choices), texts, strict=True))])


def right_response(task: Task) -> str | None:
    """What a model could say that its verifier must accept, bare of any form; None where no rule says what is right."""
    if task.verifier == "tool_call" and task.answer is not None:
        return tool_calls.right_calls(task)
    return task.answer


def accepts_its_own(task: Task) -> bool:
    """Whether the verifier calls the task's own answer correct; true where there is none, or only a judge could say."""
    if task.answer is None or task.verifier in ("rubric", "judge"):
        return True
    said = right_response(task) or ""
    return verdicts.named(task.verifier)(task, said if task.verifier == "tool_call" else f"<answer>{said}</answer>").correct
