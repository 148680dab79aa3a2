"""A recipe: nine functions and plain numbers that make a whole method; or several recipes, one after the other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from typing import Any

from sharpen.core import (
    Choices,
    Decision,
    GrowthGenerator,
    Role,
    RolloutGenerator,
    Sample,
    Sampling,
    Tableau,
    TaskSource,
    UserError,
    growth,
)

PRECISIONS = ("auto", "bf16", "fp32")
OPTIMIZER_BITS = (32, 8)


def checked_bits(bits: int, said: str = "optimizer_bits=") -> int:
    """The bits of the optimizer's moments, as they are. UserError where there are none such; `said` is how they were given."""
    if bits not in OPTIMIZER_BITS:
        raise UserError(f"{said}{bits}: the optimizer's moments have {' bits, or '.join(map(str, OPTIMIZER_BITS))}.")
    return bits


@dataclass(frozen=True)
class Recipe:
    """A whole method: nine functions and plain numbers. `print` shows it; `replace` derives another.

    Slots, each a plain function or a functools.partial of one; it may ask for more by name: loop/offers.py
      tasks      () -> TaskSource
      curriculum (history, arms, prompts, samples, rng) -> [(arm or task, number of rollouts), …], one entry for each prompt;
                 `history` maps an arm to its latest HISTORY ArmStats, oldest first
      rollout    (Task) -> RolloutGenerator
      verify     (Task, response) -> Verdict; or, where a role has to be asked, a generator of it
      select     (list of Sample) -> list of Sample
      objective  () -> Tableau
      guard      (before: Evaluation, after: Evaluation) -> Decision
      control    (rounds: Sequence[Mapping]) -> reason to stop, or None
      grow       (failed, arms, rng) -> GrowthGenerator, between two rounds: new tasks of what failed (core/growth.py)

    Numbers
      student          name of an embedded student, or a directory with a Hugging Face causal LM
      roles            the other models that the recipe asks or learns from, each a `core.Role`; `--role NAME=WHO` binds them
      warmup_steps     SFT steps on worked solutions before the loop starts
      warmup_levels    the easiest levels of each family that are shown; never the hardest of a family with several
      warmup_demos     distinct worked solutions for each warm-up arm; 0 = a fresh one every time
      warmup_rows      worked solutions in a warm-up step
      warmup_lr        learning rate of the warm-up
      warmup_until     share of new training questions, answered greedily at once, from which the warm-up ends before its last
                       step: there is something to learn left. 0: it does all its steps
      prompts          prompts in a step
      samples          rollouts for each prompt; a curriculum may spread the same total unevenly
      early            rollouts of each prompt that are made first; the others go where a group may still become mixed. 0: no
      refills          times that a step asks for more prompts where `select` left fewer than `prompts` groups
      pool             tasks of each endless arm among which a curriculum over single tasks chooses
      replay           earlier successes added to the batch of a step (data/replay.py)
      replay_focus     share of them drawn by arm as this step's prompts were, and where success is rare; 0: any arm alike
      replay_half_life steps after which a success is replayed half as often; 0: old ones as often as new ones
      shuffled         verdicts are dealt anew among the answers to a task before anything learns from them: a control
      lr               learning rate of the loop; it falls linearly over the budget to lr * lr_end
      average          decay of the running mean of the weights that is measured and kept; 0: the latest weights themselves
      passes           times that a step learns from its batch
      minibatches      updates in each pass; groups are shuffled and dealt whole
      extrapolation    the weights of a round go on by this share of the way from the last round's learned weights to its own,
                       before they are measured: momentum over rounds. 0: they stay as learned
      system           the system message; "auto": that of the model's directory (asking.json), else none
      prompt_suffix    what stands behind each question; "auto": what the model's directory says, else what its verifier wants
                       to be told, where the student is a chat model; "": nothing
      max_tokens       longest response, in tokens
      temperature      of sampling in the loop; evaluations are greedy
      adapt            numbers that follow the run, of lr and temperature, with commas between, or "all" (guard/adapting.py)
      top_k            draw from the k likeliest tokens only; 0: from all
      top_p            draw from the fewest likeliest tokens whose probabilities add up to p only; 1: from all
      min_p            draw from tokens at least min_p times as likely as the likeliest only; 0: from all
      stop             strings that end a response, in evaluations too
      round_steps      learning steps between two evaluations
      micro_tokens     tokens in one forward and backward pass, to the same gradient; 0: as many as fit
                       (models/memory.py)
      recompute        gradient checkpointing: less memory, a third more time for learning
      offload          float32 weights and the optimizer in the processor's memory, beside a GPU that trains in bf16: 16 bytes a
                       parameter less there, and slower updates
      optimizer_bits   bits of the optimizer's moments: 32, or 8, quantised block by block (models/optimizer.py): a quarter
                       of their memory, and slower updates
      lora             rank of adapters that are trained instead of the weights; 0: the weights themselves
      device           "cpu", "cuda", …; "auto": a GPU where there is one
      precision        "fp32", "bf16", or "auto": bf16 where the processor multiplies it in hardware
      isolation        least isolation at which code of a response may run: "full", "reduced" or "none" (sandbox/)
      verdict_s        seconds until a verifier without a verdict is killed, beyond the time that a task grants to programs
      unscorable_limit share of verdicts that may fail on our side; above it the doctor stops the run
      unreadable_limit share of the first evaluation's answers that cannot be read, from which the doctor stops a run that
                       would learn from right answers only, and has none; 1: never
      validation       validation tasks for each arm
      test             test tasks for each arm
      retention        tasks that are never trained on, whose loss is harm to a guard that asks for them: a SPEC of tasks, ""
                       for none; "auto": the suite `retention` for a model that is brought, for an embedded student two families
                       of others
      retain           retention questions in an evaluation, of all arms together; 0: none
      grow_limit       grown tasks that a round may add; what a grower returns beyond them is refused
      grow_tries       rollouts of each grown task before it is added: it must succeed in some and fail in some. 0: not tried
      grow_low         least share of those in which it must succeed
      grow_high        largest share of those in which it may
      budget           such as "300steps", "10m", "2Mtokens", "10m loop" (guard/control.py)
    """

    tasks: Callable[..., TaskSource]
    curriculum: Callable[..., Choices]
    rollout: Callable[..., RolloutGenerator]
    verify: Callable[..., Any]  # -> Verdict, or a generator of one
    select: Callable[..., list[Sample]]
    objective: Callable[..., Tableau]
    guard: Callable[..., Decision]
    control: Callable[..., str | None]
    grow: Callable[..., GrowthGenerator] = growth.nothing
    student: str = "tiny"
    roles: tuple[Role, ...] = ()
    warmup_steps: int = 0
    warmup_levels: int = 3
    warmup_demos: int = 0
    warmup_rows: int = 128
    warmup_lr: float = 2e-3
    warmup_until: float = 0.0
    prompts: int = 32
    samples: int = 8
    early: int = 0
    refills: int = 0
    pool: int = 1000
    replay: int = 0
    replay_focus: float = 0.0
    replay_half_life: float = 0.0
    shuffled: bool = False
    lr: float = 3e-4
    lr_end: float = 1.0
    average: float = 0.0
    passes: int = 1
    minibatches: int = 1
    extrapolation: float = 0.0
    system: str = "auto"
    prompt_suffix: str = "auto"
    max_tokens: int = 64
    temperature: float = 1.0
    adapt: str = ""
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    round_steps: int = 20
    micro_tokens: int = 0
    recompute: bool = False
    offload: bool = False
    optimizer_bits: int = 32
    lora: int = 0
    device: str = "auto"
    precision: str = "auto"
    isolation: str = "full"
    verdict_s: float = 120.0
    unscorable_limit: float = 0.05
    unreadable_limit: float = 0.98
    validation: int = 32
    test: int = 64
    retention: str = "auto"
    retain: int = 64
    grow_limit: int = 64
    grow_tries: int = 4
    grow_low: float = 0.0
    grow_high: float = 1.0
    budget: str = "200steps"

    @property
    def sampling(self) -> Sampling:
        """How responses are drawn in the loop."""
        return Sampling(self.temperature, self.top_k, self.top_p, self.min_p, self.stop)

    def __str__(self) -> str:
        width = max(len(f.name) for f in fields(self))
        return "\n".join(f"{f.name:<{width}}  {describe(getattr(self, f.name))}" for f in fields(self))


@dataclass(frozen=True)
class Stage:
    """A part of a run: a recipe with a share of the budget, and what becomes of its weights once that is spent.

    name       what reports call it, and settings: `--set dpo.lr=1e-5`
    share      of the budget; those of all stages add up to 1. What a stage leaves, because its `control` stops it, the later
               ones have. Learning rates, `progress` and budgets inside the stage are relative to what it has itself
    hand_over  (accepted rounds of the stage, that with its first weights first) -> {number of round: share}: the weights that
               go on are the mean, weighted by these shares. It is asked after every accepted round, and a round to which it
               gives nothing is forgotten (guard/handover.py)
    gate       (before, after) -> Decision: whether what is handed over is good enough, against the stage's first weights
    otherwise  where it is not: "back", to go on from the stage's first weights, or "stop", to end the run with what there is
    optimizer  "fresh" or "inherited": the optimizer and the value head with which the stage begins
    merge      (list of {name: tensor}, shares) -> {name: tensor}: how the weights that are handed over become one, where that
               is no weighted mean (models/merging.py); the first are those with which the stage began. None: the mean
    arms       FAMILY/LEVEL of what the stage practises; (): all. Evaluations are of all arms in every stage
    """

    name: str
    recipe: Recipe
    share: float
    hand_over: Callable[..., dict[int, float]]
    gate: Callable[..., Decision]
    otherwise: str = "back"
    optimizer: str = "fresh"
    arms: tuple[str, ...] = ()
    merge: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Stages:
    """Stages that follow one another: a value wherever a recipe is one. `print` shows what they share, then each one's own.

    What a run has once is the same in all of them (`recipes.staging.COMMON`): student, tasks, verifier, warm-up, budget, ….
    """

    stages: tuple[Stage, ...]

    def __str__(self) -> str:
        same, rest = shared(self)
        lines = [f"{name:<{max(map(len, same))}}  {describe(value)}" for name, value in same.items()]
        for stage, own in zip(self.stages, rest, strict=True):
            lines += ["", *(f"{f'{stage.name}.{name}':<30}  {describe(value)}" for name, value in own.items())]
        return "\n".join(lines)


Method = Recipe | Stages


def shared(method: Stages) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What all stages have alike, by name; and for each of them the rest, `share` and the like first."""
    numbers = [{f.name: getattr(s.recipe, f.name) for f in fields(Recipe)} for s in method.stages]
    same = {n: v for n, v in numbers[0].items() if len({identity(one[n]) for one in numbers}) == 1}
    own = [{f.name: getattr(s, f.name) for f in fields(Stage) if f.name not in ("name", "recipe")} for s in method.stages]
    return same, [a | {n: v for n, v in b.items() if n not in same} for a, b in zip(own, numbers, strict=True)]


def opening(method: Method) -> Recipe:
    """What a run is until its first learning step: its first stage, with answers as long as any stage allows."""
    if isinstance(method, Recipe):
        return method
    return replace(method.stages[0].recipe, max_tokens=max(s.recipe.max_tokens for s in method.stages))


def slot_texts(method: Method, slot: str) -> str:
    """What stands in a slot, as a reader would write it: of stages, what each has, where they differ."""
    recipes = [method] if isinstance(method, Recipe) else [stage.recipe for stage in method.stages]
    return ", then ".join(dict.fromkeys(describe(getattr(recipe, slot)) for recipe in recipes))


def identities(method: Method) -> dict[str, str]:
    """The `identity` of every slot and number by name, of stages as `dpo.lr`: what tells a method from all others."""
    if isinstance(method, Recipe):
        return {f.name: identity(getattr(method, f.name)) for f in fields(method)}
    own = {f"{s.name}.{f.name}": identity(getattr(s, f.name)) for s in method.stages for f in fields(s) if f.name != "recipe"}
    return own | {f"{s.name}.{n}": text for s in method.stages for n, text in identities(s.recipe).items()}


def call(function: Callable[..., Any], *given: Any, **offered: Any) -> Any:
    """Call what a slot holds with what every function of that slot gets, and with those of the offers that it asks for.

    A function asks by naming a keyword-only parameter without a default: `def mine(samples, *, progress)`.
    """
    return function(*given, **{name: offered[name] for name in wanted(function, offered)})


def wanted(function: Callable[..., Any], offered: Collection[str]) -> set[str]:
    """What a function asks for. UserError where something is not among what is offered."""
    names = asked_for(function)
    missing = sorted(names - set(offered))
    if missing:
        has = ", ".join(sorted(offered)) or "nothing"
        raise UserError(f"{describe(function)} asks for {', '.join(missing)}, and the loop offers that slot {has}.")
    return names


def first_objective(recipe: Recipe, stage: int = 1) -> Tableau:
    """The objective as it is before the first step: what it needs, such as a reference, does not change later.

    One that asks for the policy or the batch is given None for them. Stages may need different things: the first one less.
    """
    return call(recipe.objective, progress=0.0, policy=None, batch=None, notes={}, losses=(), stage=stage)


def asked_for(function: Callable[..., Any]) -> set[str]:
    """Names of the parameters that the loop fills by name: keyword-only, without a default, not set by a partial."""
    if isinstance(function, partial):
        return asked_for(function.func) - set(function.keywords)
    return set(_asked_for(function) if inspect.isfunction(function) else _asked_for.__wrapped__(function))


@cache  # a signature takes fifty microseconds, and a step asks for some hundred
def _asked_for(function: Callable[..., Any]) -> frozenset[str]:
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty)


SLOTS = ("tasks", "curriculum", "rollout", "verify", "select", "objective", "guard", "control", "grow")


def functions(method: Method) -> list[tuple[str, str, Callable[..., Any]]]:
    """Every function of a method: where it stands, such as `guard` or `dpo.gate`, for what slot, and itself. What stages share
    stands once."""
    if isinstance(method, Recipe):
        return [(slot, slot, getattr(method, slot)) for slot in SLOTS]
    same, rest = shared(method)
    found = [(slot, slot, value) for slot, value in same.items() if slot in SLOTS]
    for stage, own in zip(method.stages, rest, strict=True):
        found += [(f"{stage.name}.{name}", name, value) for name, value in own.items() if name in (*SLOTS, "hand_over", "gate")]
    return found


def describe(value: Any, modules: bool = False) -> str:
    """A function or partial as the call a reader would write; any other value as its repr.

    modules  with the module of every function, and a partial of nothing as the function itself: equal texts are equal values
    """
    if hasattr(value, "func"):
        inner = [describe(a, modules) for a in value.args]
        inner += [f"{k}={describe(v, modules)}" for k, v in value.keywords.items()]
        return f"{describe(value.func, modules)}({', '.join(inner)})" if inner or not modules else describe(value.func, modules)
    if isinstance(value, tuple) and any(callable(v) or isinstance(v, Role) for v in value):
        return f"({', '.join(describe(v, modules) for v in value)}{',' * (len(value) == 1)})"
    if isinstance(value, Role):  # without addresses of its functions: they differ from run to run
        said = {f.name: getattr(value, f.name) for f in fields(Role) if f.name == "name" or getattr(value, f.name) != f.default}
        return f"Role({', '.join(f'{k}={describe(v, modules)}' for k, v in said.items())})"
    if modules and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return getattr(value, "__name__", None) or repr(value)


def identity(value: Any) -> str:
    """What tells a function or value from all others, also where those of two files share a name."""
    return describe(value, modules=True)
