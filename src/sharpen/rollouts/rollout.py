"""Rollouts as generators: what to ask, in which order. No I/O inside, so three `send`s test one without a model.

A rollout takes a task, yields an event (or a list of them), is sent what came of it (or the list), and returns its last turn.
core/events.py has the events; driver.py runs any number of rollouts side by side and batches what they ask for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sharpen.core import Ask, Message, RolloutGenerator, Sampling, Task, UserError
from sharpen.data import balance, discovery, errors, experience, prompting
from sharpen.hashing import derive
from sharpen.recipe import asked_for
from sharpen.rollouts.asking import after_system
from sharpen.verify import final_answer, right_response

REVISED = 0.25  # of the tasks that are shown; with all of them a small student learns to copy, and never to work it out
AGAIN = "Check your answer and correct it if it is wrong."


def single(task: Task, system: str = "") -> RolloutGenerator:
    """One question, one answer. `system` is put before the prompt where it is not empty."""
    turn = yield Ask(with_system(task, system))
    return turn


def self_correct(task: Task, system: str = "", again: str = AGAIN, shown: bool = False) -> RolloutGenerator:
    """Two attempts: the second sees the first, and only the second is judged. Both are trained.

    shown  what a warm-up learns from: `revision`
    Source: SCoRe, arXiv 2409.12917, section 3 (the two-turn episode; its shaped reward is the recipe's business).
    """
    if shown:
        return (yield from revision(task, lambda attempt: again, system))
    first = yield Ask(with_system(task, system))
    second = yield Ask(({"role": "user", "content": again},), after=first)
    return second


def revision(task: Task, words: Callable[[str], str | None], system: str = "") -> RolloutGenerator:
    """The worked solution, and of a share REVISED of the tasks an attempt that is asked for again: of half of these it stands
    after itself, both learnt, so that what is right is left alone; of the others after itself with an error in it
    (`errors.spoilt`), which is read only.

    words  what an attempt is answered; None: nothing, and the worked solution stands alone
    """
    right = worked_out(task)
    luck = np.random.default_rng(derive(0, "revision", task.id))
    if luck.random() >= REVISED:
        return (yield Ask(with_system(task, system), answer=right))
    wrong = errors.spoilt(task, right, luck) if luck.random() < 0.5 else None
    told = None if wrong is None else words(wrong)
    if wrong is not None and told is not None:
        earlier: list[Message] = [{"role": "assistant", "content": wrong}, {"role": "user", "content": told}]
        return (yield Ask((*with_system(task, system), *earlier), answer=right))
    turn = yield Ask(with_system(task, system), answer=right)
    told = words(right)
    return turn if told is None else (yield Ask(({"role": "user", "content": told},), after=turn, answer=right))


def under_each(task: Task, principles: tuple[str, ...]) -> RolloutGenerator:
    """An answer under each of these system messages; the last is judged, all are learnt from: SAMI (arXiv 2404.14313)."""
    turns = yield [Ask(with_system(task, principle)) for principle in principles]
    return tuple(turns)


def again(rollout: Callable[..., RolloutGenerator]) -> str:
    """What `self_correct` says before the second attempt, with its settings."""
    return str(getattr(rollout, "keywords", {}).get("again", AGAIN))


def at_balance(task: Task, *, library: dict[str, Any]) -> RolloutGenerator:
    """One answer at the temperature at which exploration and exploitation are in balance (data/balance.py); in evaluations as
    they draw."""
    if task.split != "train":
        return (yield Ask(task.prompt))
    temperature = balance.temperature_of(task, library.get(balance.KEY, {}))
    return (yield Ask(task.prompt, sampling=Sampling(temperature=temperature)))


def demonstrate(task: Task, system: str = "") -> RolloutGenerator:
    """The task's worked solution (or its bare answer, where nobody wrote one) as if the model had given it."""
    turn = yield Ask(with_system(task, system), answer=worked_out(task))
    return turn


def worked_out(task: Task) -> str:
    """The task's worked solution, or its bare answer. UserError where it has neither."""
    answer = task.solution if task.solution is not None else right_response(task)
    if answer is None:
        raise UserError(
            f"task {task.id} of {task.arm} has neither a solution nor an answer, so nothing can be shown of it. Give it a "
            "solution; where it is the warm-up that shows it, --set warmup_steps=0 leaves that out."
        )
    return answer


def demonstrated(task: Task, rollout: Callable[..., RolloutGenerator] = single) -> RolloutGenerator:
    """What `rollout` would be shown in a warm-up, in its place; the model is measured with `rollout` itself."""
    return (yield from demonstrating(rollout)(task))


# The first asks as ever. What helps one model harms another, so several ways are tried and one is chosen by measuring.
INSTRUCTIONS = (
    "",
    "Think step by step, then give the answer.",
    "Work it out carefully and check the result before you answer.",
    "Answer in one short sentence.",
    "Give only the final answer.",
    "Write down the numbers, then calculate.",
    "Repeat the question in your own words, then answer it.",
    "You are an expert. Take your time and be exact.",
)


def instructed(
    task: Task,
    rollout: Callable[..., RolloutGenerator] = single,
    instructions: tuple[str, ...] = INSTRUCTIONS,
    *,
    kept: Mapping[str, Any],
) -> RolloutGenerator:
    """`rollout` with an instruction behind the question: the one whose number is `kept["instruction"]`; none before that."""
    text = instructions[int(kept["instruction"][0])] if "instruction" in kept else ""
    return (yield from rollout(with_instruction(task, text)))


def with_instruction(task: Task, text: str) -> Task:
    """The task with a text behind its question; in a system message, where the question is not plain text."""
    if not text:
        return task
    *before, question = task.prompt
    if not isinstance(question["content"], str):
        return replace(task, prompt=after_system(task.prompt, text))
    return replace(task, prompt=(*before, {**question, "content": f"{question['content']}\n\n{text}"}))


def within(rollout: Callable[..., RolloutGenerator]) -> Callable[..., RolloutGenerator]:
    """The rollout that `demonstrated` or `instructed` stands for; any other is itself."""
    whole = rollout if isinstance(rollout, partial) else partial(rollout)
    return whole.keywords.get("rollout", single) if whole.func in (demonstrated, instructed) else rollout


AIDED = ("sharpen.rollouts.hints", "sharpen.rollouts.weak")  # modules of rollouts that ask a held-out task as `single` does


def unaided(rollout: Callable[..., RolloutGenerator]) -> Callable[..., RolloutGenerator]:
    """What a model is measured with: the same rollout, but `single` for `demonstrate`, which would be right by itself, and for
    those of hints.py and weak.py, which help in training only; and an episode without what is shown."""
    whole = rollout if isinstance(rollout, partial) else partial(rollout)
    if whole.func.__module__ in AIDED:
        return partial(single, system=whole.keywords["system"]) if whole.keywords.get("system") else single
    if whole.func is demonstrated:
        return unaided(within(rollout))
    if whole.keywords.get("shown"):
        return partial(whole.func, *whole.args, **{k: v for k, v in whole.keywords.items() if k != "shown"})
    return partial(single, *whole.args, **whole.keywords) if whole.func is demonstrate else rollout


def demonstrating(rollout: Callable[[Task], RolloutGenerator]) -> Callable[[Task], RolloutGenerator]:
    """`demonstrate` after the same system message as this rollout's, so that what is shown is what will be asked. A strategy
    with a parameter `shown` acts its worked solution out itself; what it recalls is nothing, before anything was done."""
    rollout = within(rollout)
    inner = rollout.func if isinstance(rollout, partial) else rollout
    if "shown" in inspect.signature(inner).parameters:
        nothing: dict[str, Any] = {"recall": lambda words, k: []} if "recall" in asked_for(rollout) else {}
        return partial(rollout, shown=True, **nothing)
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


def with_system(task: Task, system: str) -> tuple[Message, ...]:
    return after_system(task.prompt, system)


FASTER = "Write a program that does the same as this one, and takes less time:\n```{language}\n{program}\n```"


def rewrite_program(task: Task, system: str = "") -> RolloutGenerator:
    """One answer to the request for a faster program than the task's worked one; to the question itself where it has none."""
    if not task.solution:
        return (yield Ask(with_system(task, system)))
    text = FASTER.format(language=task.data.get("language", "python"), program=task.solution)
    asked = replace(task, prompt=(*task.prompt[:-1], {**task.prompt[-1], "content": text}))
    return (yield Ask(with_system(asked, system)))


def with_insights(task: Task, most: int = 2, *, library: Mapping[str, Any]) -> RolloutGenerator:
    """One answer, after what the run has learnt for such questions (data/experience.py)."""
    turn = yield Ask(with_system(task, experience.told(experience.retrieved(library, task, most))))
    return turn


def prompted(task: Task, *, library: Mapping[str, Any]) -> RolloutGenerator:
    """One answer, under the instruction that is being tried for this task, or the best one (data/prompting.py)."""
    turn = yield Ask(with_system(task, prompting.prompts(library)[prompting.chosen(library, task)]["text"]))
    return turn


def evolving(task: Task, *, library: Mapping[str, Any]) -> RolloutGenerator:
    """One answer, after the best rules that were found so far (data/discovery.py)."""
    turn = yield Ask(with_system(task, discovery.told(library)))
    return turn
