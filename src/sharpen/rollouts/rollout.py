"""Rollouts as generators: what to ask, in which order. No I/O inside, so three `send`s test one without a model.

A rollout takes a task, yields an `Ask` (or a list of them), is sent the `Turn` (or the list), and returns its last turn.
`drive` runs any number of them side by side and batches what they ask for.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sharpen.core import Ask, Rollout, RolloutGenerator, Sampling, Task, Turn, UserError
from sharpen.hashing import derive
from sharpen.protocol import Policy
from sharpen.verify import final_answer


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


def unaided(rollout: Callable[..., RolloutGenerator]) -> Callable[..., RolloutGenerator]:
    """What a model is measured with: the same rollout, but `single` for `demonstrate`, which would be right by itself."""
    whole = rollout if isinstance(rollout, partial) else partial(rollout)
    return partial(single, *whole.args, **whole.keywords) if whole.func is demonstrate else rollout


def demonstrating(rollout: Callable[[Task], RolloutGenerator]) -> Callable[[Task], RolloutGenerator]:
    """`demonstrate` after the same system message as this rollout's, so that what is shown is what will be asked."""
    system = getattr(rollout, "keywords", {}).get("system", "")
    return partial(demonstrate, system=system) if system else demonstrate


def rationalise(
    task: Task, system: str = "", hint: str = "The answer is {answer}. Show how to get there.", again: bool = True
) -> RolloutGenerator:
    """One answer; where it is wrong and the task is for training, a second one with the answer as hint: STaR.

    The training text is the question without the hint, and the second answer as if it had been given at once (forced, so no
    likelihood ratio is taken on it). Right is what has the task's own final answer, letter for letter: the verdict proper is
    the verifier's, afterwards. Source: arXiv 2203.14465, section 3.2.
    """
    first = yield Ask(with_system(task, system))
    if not again or task.split != "train" or task.answer is None or final_answer(task, first.text)[0] == task.answer.strip():
        return first
    *before, question = task.prompt
    hinted = {**question, "content": f"{question['content']} {hint.format(answer=task.answer)}"}
    second = yield Ask(with_system(replace(task, prompt=(*before, hinted)), system))
    told = yield Ask(with_system(task, system), answer=second.text)
    return told


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
    sampling: Sampling,
    finished: Callable[[int, Rollout], None] | None = None,
) -> list[Rollout]:
    """Run one rollout for each task; everything that is asked at the same time is generated in one batch.

    Rollout i samples with derive(seed, ids[i], ask number), so a result does not depend on its neighbours. A generator that
    raises becomes a rollout with stop "failed" and the error as its text, and costs only itself; `judge` makes it unscorable.
    A UserError passes through: it is about the run, not about one rollout.

    finished  is called with the number of a rollout and the rollout as soon as it is complete, while others go on, so that
              it can be judged beside them
    """
    generators = [rollout(task) for task in tasks]
    waiting: dict[int, list[Ask] | Ask] = {}
    turns: list[list[Turn]] = [[] for _ in tasks]
    done: dict[int, Rollout] = {}

    def resume(i: int, answer: Turn | list[Turn] | None) -> None:
        try:
            wish = generators[i].send(answer)
            while wish == []:  # nothing is asked, so nothing will come
                wish = generators[i].send([])
            waiting[i] = wish
        except StopIteration as end:
            complete(i, end.value)
        except UserError:
            raise
        except Exception:  # the one boundary where a failed rollout becomes data
            empty = np.zeros(0)
            turns[i].append(Turn(traceback.format_exc(limit=-3), empty.astype(np.int32), empty > 0, empty, "failed"))
            complete(i, turns[i][-1])

    def complete(i: int, last: Turn) -> None:
        waiting.pop(i, None)
        texts = tuple(t.text for t in turns[i])
        seed_of = derive(seed, ids[i], 0)
        done[i] = Rollout(tasks[i], last.tokens, last.sampled, last.logprobs, texts, last.stop, last.version, seed_of, ids[i])
        if finished:
            finished(i, done[i])

    for i in range(len(tasks)):
        resume(i, None)
    while waiting:
        wanted, told = dict(waiting), {i: len(t) for i, t in enumerate(turns)}
        asks = {(i, n): ask for i, want in wanted.items() for n, ask in enumerate(want if isinstance(want, list) else [want])}
        places, seeds = list(asks), [derive(seed, ids[i], told[i] + n) for i, n in asks]
        take = partial(_take, places, wanted, turns, told, {}, resume)
        policy.respond(list(asks.values()), seeds, max_tokens, sampling, take)
    return [done[i] for i in range(len(tasks))]


def _take(
    places: list, wanted: dict, turns: list, told: dict, answers: dict, resume: Callable, number: int, turn: Turn
) -> None:
    """Note the answer to one ask; when a rollout has all that it asked for, go on with it."""
    i, n = places[number]
    own = answers.setdefault(i, {})
    own[n] = turn
    if len(own) == (len(wanted[i]) if isinstance(wanted[i], list) else 1):
        turns[i].extend(own[n] for n in sorted(own))
        resume(i, turns[i][told[i] :] if isinstance(wanted[i], list) else turn)
