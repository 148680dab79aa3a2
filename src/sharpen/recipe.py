"""A recipe: nine functions and plain numbers that make a whole method."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from sharpen.core import (
    Choices,
    Decision,
    GrowthGenerator,
    RolloutGenerator,
    Sample,
    Sampling,
    Tableau,
    TaskSource,
    UserError,
    Verdict,
    growth,
)


@dataclass(frozen=True)
class Recipe:
    """A whole method: nine functions and plain numbers. `print` shows it; `replace` derives another.

    Slots, each a plain function or a functools.partial of one; it may ask for more arguments by name, see `call`
      tasks      () -> TaskSource
      curriculum (history, arms, prompts, samples, rng) -> [(arm or task, number of rollouts), …], one entry for each prompt;
                 `history` maps an arm to its latest HISTORY ArmStats, oldest first; what else there is: curriculum/state.py
      rollout    (Task) -> RolloutGenerator
      verify     (Task, response) -> Verdict
      select     (list of Sample) -> list of Sample
      objective  () -> Tableau
      guard      (before: Evaluation, after: Evaluation) -> Decision
      control    (rounds: Sequence[Mapping]) -> reason to stop, or None
      grow       (failed, arms, rng) -> GrowthGenerator, between two rounds: new tasks of what failed (core/growth.py)

    Numbers
      student          name of an embedded student, or a directory with a Hugging Face causal LM
      teacher          directory with a Hugging Face causal LM of the student's vocabulary, for objectives that have a teacher
      warmup_steps     SFT steps on worked solutions before the loop starts
      warmup_levels    the easiest levels of each family that are shown; never the hardest of a family with several
      warmup_demos     distinct worked solutions for each warm-up arm; 0 = a fresh one every time
      warmup_rows      worked solutions in a warm-up step
      warmup_lr        learning rate of the warm-up
      prompts          prompts in a step
      samples          rollouts for each prompt; a curriculum may spread the same total unevenly
      refills          times that a step asks for more prompts where `select` left fewer than `prompts` groups
      pool             tasks of each endless arm among which a curriculum over single tasks chooses
      replay           earlier successes added to the batch of a step (data/replay.py)
      lr               learning rate of the loop; it falls linearly over the budget to lr * lr_end
      average          decay of the running mean of the weights that is measured and kept; 0: the latest weights themselves
      passes           times that a step learns from its batch
      minibatches      updates in each pass; groups are shuffled and dealt whole
      extrapolation    the weights of a round go on by this share of the way from the last round's learned weights to its own,
                       before they are measured: momentum over rounds. 0: they stay as learned
      max_tokens       longest response, in tokens
      temperature      of sampling in the loop; evaluations are greedy
      top_k            draw from the k likeliest tokens only; 0: from all
      top_p            draw from the fewest likeliest tokens whose probabilities add up to p only; 1: from all
      min_p            draw from tokens at least min_p times as likely as the likeliest only; 0: from all
      stop             strings that end a response, in evaluations too
      round_steps      learning steps between two evaluations
      micro_tokens     tokens in one forward and backward pass, to the same gradient; 0: 2,048 on a processor, 16,384 on a GPU
      recompute        gradient checkpointing: less memory, a third more time for learning
      lora             rank of adapters that are trained instead of the weights; 0: the weights themselves
      device           "cpu", "cuda", …; "auto": a GPU where there is one
      precision        "fp32", "bf16", or "auto": bf16 where the processor multiplies it in hardware
      isolation        least isolation at which code of a response may run: "full", "reduced" or "none" (sandbox/)
      verdict_s        seconds until a verifier without a verdict is killed, beyond the time that a task grants to programs
      unscorable_limit share of verdicts that may fail on our side; above it the doctor stops the run
      validation       validation tasks for each arm
      test             test tasks for each arm
      grow_limit       grown tasks that a round may add; what a grower returns beyond them is refused
      grow_tries       rollouts of each grown task before it is added: it must succeed in some and fail in some. 0: not tried
      budget           such as "300steps", "10m", "2Mtokens", "10m loop" (guard/control.py)
    """

    tasks: Callable[..., TaskSource]
    curriculum: Callable[..., Choices]
    rollout: Callable[..., RolloutGenerator]
    verify: Callable[..., Verdict]
    select: Callable[..., list[Sample]]
    objective: Callable[..., Tableau]
    guard: Callable[..., Decision]
    control: Callable[..., str | None]
    grow: Callable[..., GrowthGenerator] = growth.nothing
    student: str = "tiny"
    teacher: str = ""
    warmup_steps: int = 0
    warmup_levels: int = 3
    warmup_demos: int = 0
    warmup_rows: int = 128
    warmup_lr: float = 2e-3
    prompts: int = 32
    samples: int = 8
    refills: int = 0
    pool: int = 1000
    replay: int = 0
    lr: float = 3e-4
    lr_end: float = 1.0
    average: float = 0.0
    passes: int = 1
    minibatches: int = 1
    extrapolation: float = 0.0
    max_tokens: int = 64
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    round_steps: int = 20
    micro_tokens: int = 0
    recompute: bool = False
    lora: int = 0
    device: str = "auto"
    precision: str = "auto"
    isolation: str = "full"
    verdict_s: float = 120.0
    unscorable_limit: float = 0.05
    validation: int = 32
    test: int = 64
    grow_limit: int = 64
    grow_tries: int = 4
    budget: str = "200steps"

    @property
    def sampling(self) -> Sampling:
        """How responses are drawn in the loop."""
        return Sampling(self.temperature, self.top_k, self.top_p, self.min_p, self.stop)

    def __str__(self) -> str:
        width = max(len(f.name) for f in fields(self))
        return "\n".join(f"{f.name:<{width}}  {describe(getattr(self, f.name))}" for f in fields(self))


def call(function: Callable[..., Any], *given: Any, **offered: Any) -> Any:
    """Call what a slot holds with what every function of that slot gets, and with those of the offers that it asks for.

    A function asks by naming a keyword-only parameter without a default: `def mine(samples, *, progress)`.
    """
    wanted = asked_for(function)
    missing = sorted(wanted - offered.keys())
    if missing:
        has = ", ".join(sorted(offered)) or "nothing"
        raise UserError(f"{describe(function)} asks for {', '.join(missing)}, and the loop offers that slot {has}.")
    return function(*given, **{name: offered[name] for name in wanted})


def first_objective(recipe: Recipe) -> Tableau:
    """The objective as it is before the first step: what it needs, such as a reference, does not change later.

    One that asks for the policy or the batch is given None for them.
    """
    return call(recipe.objective, progress=0.0, policy=None, batch=None, notes={}, losses=())


def asked_for(function: Callable[..., Any]) -> set[str]:
    """Names of the parameters that the loop fills by name: keyword-only, without a default, not set by a partial."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty}


SLOTS = ("tasks", "curriculum", "rollout", "verify", "select", "objective", "guard", "control", "grow")


def describe(value: Any, modules: bool = False) -> str:
    """A function or partial as the call a reader would write; any other value as its repr.

    modules  with the module of every function, and a partial of nothing as the function itself: equal texts are equal values
    """
    if hasattr(value, "func"):
        inner = [describe(a, modules) for a in value.args]
        inner += [f"{k}={describe(v, modules)}" for k, v in value.keywords.items()]
        return f"{describe(value.func, modules)}({', '.join(inner)})" if inner or not modules else describe(value.func, modules)
    if modules and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return getattr(value, "__name__", None) or repr(value)


def identity(value: Any) -> str:
    """What tells a function or value from all others, also where those of two files share a name."""
    return describe(value, modules=True)
