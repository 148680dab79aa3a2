"""Rollouts that are drawn with a hook: who reads along, and after which words. decoding.py has the hooks themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sharpen.core import Ask, Beside, Hook, Message, RolloutGenerator, Step, Task
from sharpen.rollouts import decoding
from sharpen.rollouts.rollout import with_system

GOOD = "Answer rightly: work it out, and say the right result."
BAD = "Answer wrongly: say a result that is not right."


def plain(step: Step) -> Any:
    """The model's own logits."""
    return step.logits


def hooked(
    task: Task,
    change: Callable[[Step], Any] = plain,
    beside: Sequence[Beside] = (),
    hidden: bool = False,
    system: str = "",
) -> RolloutGenerator:
    """One answer, drawn with a hook. Who reads along after no messages of its own reads the question."""
    turn = yield Ask(with_system(task, system), hook=Hook(change, tuple(beside), hidden))
    return turn


def by_experts(task: Task, most: float = 2.0, expert: str = "expert", base: str = "base", system: str = "") -> RolloutGenerator:
    """`decoding.fused` with two small models: one tuned, and the same before it was."""
    beside = (Beside(role=expert), Beside(role=base))
    return (yield from hooked(task, partial(decoding.fused, most=most), beside, system=system))


def by_context(task: Task, alpha: float = -1.0, k: int = 10, threshold: float = 0.0, system: str = "") -> RolloutGenerator:
    """`decoding.trusting`: the whole question against its last paragraph, which stands without the context before it."""
    question = without_context(task)
    if question is None:
        return (yield Ask(with_system(task, system)))
    change = partial(decoding.trusting, alpha=alpha, k=k, threshold=threshold)
    return (yield Ask(with_system(task, system), hook=Hook(change, (Beside(question),))))


def without_context(task: Task) -> tuple[Message, ...] | None:
    """The task's messages with the last paragraph of the last one alone; None where there is no other."""
    *before, last = task.prompt
    text = last["content"]
    context, blank, question = text.rstrip().rpartition("\n\n") if isinstance(text, str) else ("", "", "")
    return (*before, {**last, "content": question}) if context.strip() and blank else None


def by_class(
    task: Task,
    omega: float = 30.0,
    keep: float = 0.8,
    target: float = 0.8,
    role: str = "",
    good: str = GOOD,
    bad: str = BAD,
    system: str = "",
) -> RolloutGenerator:
    """`decoding.guided` with two control codes in the system message of the class-conditional model."""
    beside = tuple(Beside(with_system(task, code), role) for code in (good, bad))
    change = partial(decoding.guided, omega=omega, keep=keep, target=target)
    return (yield from hooked(task, change, beside, system=system))


def by_prompts(
    task: Task, rate: float = 1.0, prompts: Sequence[str] = ("Think step by step.",), good: str = GOOD, bad: str = BAD
) -> RolloutGenerator:
    """`decoding.nudged`: the plain question, mixed with the same behind other system messages."""
    codes = (good, bad, *prompts)
    beside = tuple(Beside(with_system(task, code)) for code in codes)
    return (yield from hooked(task, partial(decoding.nudged, rate=rate), beside))


def reflecting(
    task: Task, window: int = 25, k: float = 4.0, share: float = 0.5, lr: float = 0.01, system: str = ""
) -> RolloutGenerator:
    """`decoding.reflected`."""
    change = partial(decoding.reflected, window=window, k=k, share=share, lr=lr)
    return (yield from hooked(task, change, (), True, system))
