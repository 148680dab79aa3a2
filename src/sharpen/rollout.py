"""Rollouts as generators: what to ask, in which order. No I/O inside, so three `send`s test one without a model.

A rollout takes a task, yields an `Ask` (or a list of them), is sent the `Turn` (or the list), and returns its last turn.
`drive` runs any number of them side by side and batches what they ask for.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence

import numpy as np

from sharpen.core import Ask, Policy, Rollout, RolloutGenerator, Sample, Task, Turn, UserError, Verdict
from sharpen.hashing import derive
from sharpen.verify import boundary


def single(task: Task, system: str = "") -> RolloutGenerator:
    """One question, one answer. `system` is put before the prompt where it is not empty."""
    turn = yield Ask(with_system(task, system))
    return turn


def self_correct(
    task: Task, system: str = "", again: str = "Check your answer and correct it if it is wrong."
) -> RolloutGenerator:
    """Two attempts: the second sees the first, and only the second is judged. Both are trained.

    Source: SCoRe, arXiv 2409.12917, section 3 (the two-turn episode; its shaped reward is the recipe's business).
    """
    first = yield Ask(with_system(task, system))
    second = yield Ask(({"role": "user", "content": again},), after=first)
    return second


def demonstrate(task: Task, system: str = "") -> RolloutGenerator:
    """The task's worked solution (or its bare answer, where nobody wrote one) as if the model had given it."""
    answer = task.solution if task.solution is not None else task.answer
    if answer is None:
        raise UserError(f"task {task.id} of {task.arm} has neither a solution nor an answer, so it cannot be demonstrated")
    turn = yield Ask(with_system(task, system), answer=answer)
    return turn


def with_system(task: Task, system: str) -> tuple:
    return ({"role": "system", "content": system}, *task.prompt) if system else task.prompt


def drive(
    policy: Policy,
    rollout: Callable[[Task], RolloutGenerator],
    tasks: Sequence[Task],
    ids: Sequence[str],
    *,
    seed: int,
    max_tokens: int,
    temperature: float,
) -> list[Rollout]:
    """Run one rollout for each task; everything that is asked at the same time is generated in one batch.

    Rollout i samples with derive(seed, ids[i], ask number), so a result does not depend on its neighbours. A generator that
    raises becomes a rollout with stop "failed" and the error as its text, and costs only itself; `judge` makes it unscorable.
    A UserError passes through: it is about the run, not about one rollout.
    """
    generators = [rollout(task) for task in tasks]
    waiting: dict[int, list[Ask] | Ask] = {}
    turns: list[list[Turn]] = [[] for _ in tasks]
    last: dict[int, Turn] = {}

    def resume(i: int, answer: Turn | list[Turn] | None) -> None:
        try:
            waiting[i] = generators[i].send(answer)
        except StopIteration as end:
            waiting.pop(i, None)
            last[i] = end.value
        except UserError:
            raise
        except Exception:  # the one boundary where a failed rollout becomes data
            waiting.pop(i, None)
            empty = np.zeros(0)
            turns[i].append(Turn(traceback.format_exc(limit=-3), empty.astype(np.int32), empty > 0, empty, "failed"))
            last[i] = turns[i][-1]

    for i in range(len(tasks)):
        resume(i, None)
    while waiting:
        asked = [(i, ask) for i, want in waiting.items() for ask in (want if isinstance(want, list) else [want])]
        count = {i: len(turns[i]) for i in waiting}
        seeds = []
        for i, _ in asked:
            seeds.append(derive(seed, ids[i], count[i]))
            count[i] += 1
        answers = policy.respond([ask for _, ask in asked], seeds, max_tokens, temperature)
        for (i, _), turn in zip(asked, answers, strict=True):
            turns[i].append(turn)
        for i, want in list(waiting.items()):
            resume(i, turns[i][-len(want) :] if isinstance(want, list) else turns[i][-1])
    return [
        Rollout(
            task=task,
            tokens=last[i].tokens,
            sampled=last[i].sampled,
            logprobs=last[i].logprobs,
            turns=tuple(t.text for t in turns[i]),
            stop=last[i].stop,
            version=last[i].version,
            seed=derive(seed, ids[i], 0),
            id=ids[i],
        )
        for i, task in enumerate(tasks)
    ]


def judge(rollouts: Sequence[Rollout], groups: Sequence[int], verify: Callable[[Task, str], Verdict]) -> list[Sample]:
    """Verdicts for rollouts. A rollout or a verifier that failed on our side is unscorable, never wrong."""
    samples, guarded = [], boundary(verify)
    for rollout, group in zip(rollouts, groups, strict=True):
        if rollout.stop == "failed":
            verdict = Verdict("unscorable", None, feedback=rollout.response, rule="rollout failed")
        else:
            verdict = guarded(rollout.task, rollout.response)
        samples.append(Sample(rollout, verdict, group))
    return samples
