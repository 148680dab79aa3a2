"""Growers that ask a writer to mend or to add tasks, where signals say so, or where two models agree.

    middo    hard, odd and unclear questions are each told anew in another way (tri-axial signals)
    mutual   a writer makes a question, a solver must find the answer that it was made for (mutual filter)

Whoever writes is asked for lines QUESTION: and ANSWER:; what is none is dropped. The answer is a claim, which the solver, and
after it the screen and the rollouts, have to confirm.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sharpen.core import Arm, Ask, GrowthGenerator, Message, Sample, Task, TaskSource
from sharpen.data import measures, quotas, screen
from sharpen.verify import verify

WRITTEN = re.compile(r"QUESTION:\s*(.+?)\s*ANSWER:\s*([^\n]+)", re.S | re.I)
NUMBER = re.compile(r"\d+")
FORM = "Write it as\nQUESTION: …\nANSWER: …"
RATE = "How clear and complete is this question, from 0 to 10? Say only the number.\n{question}"
WAYS = {
    "complexity": "This question is too hard. Write a simpler one of the same kind.\n{question}\n",
    "diversity": "These questions stand alone. Write a new one of their kind.\n{question}\n{near}\n",
    "quality": "This question is not clear. Write it so that it can only be understood in one way.\n{question}\n",
}
LIKE = "Write another question like this one, with its answer.\n{question}\nThe answer of that one is {answer}.\n"
NEIGHBOURS = 3


def written(parent: Task, text: str, family: str, operator: str) -> Task | None:
    """The task that a writer wrote; None where it wrote none, or where the parent's verifier belongs to one question."""
    found = WRITTEN.search(text)
    if found is None or parent.verifier in measures.IN_PROCESS or not found[1].strip():
        return None
    prompt = ({"role": "user", "content": found[1].strip()},)
    made = replace(parent, prompt=prompt, answer=found[2].strip(), solution=None, data={}, split="train")
    return replace(made, family=f"{parent.family}_{family}", parents=(parent.id,), operator=operator)


def low(values: np.ndarray, m: float) -> np.ndarray:
    """Which values are more than m standard deviations below the mean; none of equal ones."""
    return values < values.mean() - m * values.std() - 1e-12


def middo(
    failed: Sequence[Sample],
    arms: Sequence[Arm],
    rng: np.random.Generator,
    each: int = 16,
    hard: float = 1.0,
    odd: float = 1.0,
    unclear: float = 1.0,
    looked_at: int = 256,
    writer: str = "",
    *,
    source: TaskSource,
    embed: Callable[[Sequence[Sequence[Message]]], np.ndarray],
) -> GrowthGenerator:
    """For each signal at most `each` tasks, told anew by the writer.

    complexity  of the round's failed tasks those that failed more often than the mean by `hard` standard deviations: simpler
    diversity   of `looked_at` failed tasks those whose mean cosine with their nearest is below the mean by `odd`: more of these
    quality     those that the writer itself rates below the mean by `unclear`: clearer
    Source: Middo, arXiv 2508.21589, section 3, whose complexity is the loss before and after training; what is flagged there is
    replaced, and here the new task stands beside the old one.
    """
    count: dict[str, int] = {}
    tasks: dict[str, Task] = {}
    for sample in failed:
        task = sample.rollout.task
        tasks[task.id] = task
        count[task.id] = count.get(task.id, 0) + 1
    listed = [task for task in list(tasks.values())[-looked_at:] if task.verifier not in measures.IN_PROCESS]
    if len(listed) <= NEIGHBOURS:
        return []
    nearest, cosines = measures.neighbours(quotas.centred(embed([task.prompt for task in listed])), NEIGHBOURS)
    rated = yield [asked(RATE.format(question=screen.text(task)), writer) for task in listed]
    marks = np.array([float(found[0]) if (found := NUMBER.search(turn.text)) else 5.0 for turn in rated])
    flagged = {
        "complexity": low(-np.array([count[task.id] for task in listed], float), hard),
        "diversity": low(cosines.mean(axis=1), odd),
        "quality": low(np.clip(marks, 0, 10), unclear),
    }
    wishes = [(name, i) for name, flags in flagged.items() for i in rng.permutation(np.flatnonzero(flags))[:each].tolist()]
    if not wishes:
        return []
    near = {i: "\n".join(screen.text(listed[j]) for j in nearest[i]) for _, i in wishes}
    turns = yield [asked(WAYS[name].format(question=screen.text(listed[i]), near=near[i]) + FORM, writer) for name, i in wishes]
    made = [written(listed[i], turn.text, name, f"{name}: told anew") for (name, i), turn in zip(wishes, turns, strict=True)]
    return [task for task in made if task is not None]


def mutual(
    failed: Sequence[Sample],
    arms: Sequence[Arm],
    rng: np.random.Generator,
    each: int = 16,
    tries: int = 4,
    least: float = 0.75,
    writer: str = "",
    solver: str = "",
) -> GrowthGenerator:
    """Questions like the failed ones, of which a solver found the writer's answer in at least `least` of `tries` tries.

    Source: SRDF, arXiv 2412.08467, section 3: a generator describes a path, and what a navigator makes of the description must
    be that path (nDTW of at least 0.9). In text the path is the answer. With the student in both roles, both get better as it
    does.
    """
    tasks = list({sample.rollout.task.id: sample.rollout.task for sample in failed}.values())
    tasks = [task for task in tasks if task.answer is not None and task.verifier not in measures.IN_PROCESS]
    chosen = [tasks[i] for i in rng.permutation(len(tasks))[:each].tolist()]
    if not chosen:
        return []
    turns = yield [asked(LIKE.format(question=screen.text(task), answer=task.answer) + FORM, writer) for task in chosen]
    made = [written(task, turn.text, "mutual", "writer and solver agree") for task, turn in zip(chosen, turns, strict=True)]
    claimed = [task for task in made if task is not None]
    if not claimed:
        return []
    answers = yield [Ask(task.prompt, role=solver) for task in claimed for _ in range(tries)]
    agreed = Counter(i // tries for i, turn in enumerate(answers) if verify(claimed[i // tries], turn.text).correct)
    return [task for i, task in enumerate(claimed) if agreed[i] >= least * tries]


def asked(text: str, role: str) -> Ask:
    return Ask(({"role": "user", "content": text},), role=role)
