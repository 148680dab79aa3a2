"""Sizes for a model that is brought: chosen before the run begins, by the lengths that it writes and by its speed.

1. `measured` lets the model answer some training tasks, and learn nothing from them; nothing of it is part of the run.
2. `chosen` turns that into settings. Where the budget is time they follow from the clock; where it is steps or tokens, from the
   lengths alone.
3. `sized` adds them to the request as if the user had set them, so the store has them and a resumed run is the same run. What
   the user did set is never touched.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from sharpen import models, rollouts
from sharpen.core import GREEDY, Sample, TaskSource, Verdict
from sharpen.curriculum import trainable
from sharpen.data import make_batch
from sharpen.guard import control
from sharpen.hashing import derive
from sharpen.loop import telling
from sharpen.loop.session import Request, build_recipe
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe, opening
from sharpen.terminal import clock_time

ROWS = {"cpu": 32, "gpu": 256}  # answers that are looked at
FIRST, LONGEST = 64, 512  # tokens: the first look, and the longest answer that is sized for
FINISHED = 0.8  # share of the answers that must come to their end; a longer look is taken where fewer do
CUT = 0.05  # share of answers that are cut off, above which it is said
ROOM = 1.1  # the limit above the length that they keep within
EVALUATIONS = 0.2  # share of the budget that all evaluations together may cost
STEPS = 100  # that a time budget should hold …
PROMPTS = 8, 40  # … with so many prompts in each
FEWEST = 10  # steps: below this, prompts are given up
ROUNDS = 5
SIZES = {"max_tokens", "prompts", "round_steps", "validation", "test"}
SAMPLES, BUDGET, TASKS = 8, "15m", "arithmetic"  # where the user named none, and no recipe either
LEARNING = 2.0  # what a token costs that is generated and learnt from, in generated tokens, where no clock decides
# Full weights: smaller models take, and need, higher rates. Parameters, learning rate.
RATES = ((3e8, "2e-5"), (1e9, "1e-5"), (4e9, "5e-6"), (math.inf, "2e-6"))
RATE_LORA = "1e-4"


@dataclass(frozen=True)
class Measured:
    """What a model's answers cost.

    length         mean length of an answer as it is sampled, in tokens
    limit          the length that most greedy answers keep within (`worthwhile`)
    cut            share of the sampled answers that were cut off at the limit with its room
    answer_s       seconds to generate one answer, among many
    learn_s        seconds to learn from one
    """

    length: float
    limit: int
    cut: float
    answer_s: float
    learn_s: float


def brought(model: str | None) -> bool:
    """Whether --model names a model of the user's own, and no embedded student."""
    return model is not None and model not in models.embedded.STUDENTS


def fitted(request: Request, picked: bool, say: Callable[[str], None]) -> tuple[Request, Callable[..., Request] | None]:
    """The request with what a brought model gets whose user named no recipe (`picked`): samples enough to compare, a budget,
    tasks that a small model half knows. And what `loop.start` sizes it with; None where no model is brought."""
    if not brought(request.model):
        return request, None
    models.located(request.model or "", say)
    if picked:
        given = {setting.partition("=")[0].strip() for setting in request.settings}
        settings = request.settings if "samples" in given else (*request.settings, f"samples={SAMPLES}")
        budget = request.budget if request.budget or "budget" in given else BUDGET
        tasks = request.tasks or (None if "tasks" in given else TASKS)
        request = replace(request, settings=settings, budget=budget, tasks=tasks)
    return request, partial(sized, picked=picked)


def supposed(request: Request) -> Recipe:
    """The recipe with sizes such as a small model gets, for what is measured before `sized` knows them."""
    given = {setting.partition("=")[0].strip().rpartition(".")[2] for setting in request.settings}
    recipe = opening(build_recipe(request))
    sizes = {"prompts": PROMPTS[0], "max_tokens": FIRST}
    return replace(recipe, **{name: value for name, value in sizes.items() if name not in given})


def sized(request: Request, policy: Any, source: TaskSource, progress: Any, picked: bool = False) -> Request:
    """The request with sizes for this model and budget. `picked`: the user named no recipe, so the rate is chosen too; that of
    adapters always is."""
    given = {setting.partition("=")[0].strip().rpartition(".")[2] for setting in request.settings}
    recipe = opening(build_recipe(request))
    if SIZES | ({"lr"} if picked or recipe.lora else set()) <= given:
        return request
    progress.phase("look at the model's answers")
    policy.tick = lambda what, share: progress.advance(0, **{what: share})
    found = measured(recipe, policy, source, request.seed, recipe.max_tokens if "max_tokens" in given else None)
    policy.tick = models.unheard
    progress.advance(0, answers=None, learnt=None)
    values = chosen(recipe, found, len(source.arms), given)
    if "lr" not in given and (picked or recipe.lora):
        values["lr"] = RATE_LORA if recipe.lora else next(rate for most, rate in RATES if parameters(policy) <= most)
    settings = tuple(f"{name}={value}" for name, value in values.items())
    cut = f" ({found.cut:.0%} cut off)" if found.cut > CUT else ""
    progress.say(
        f"sized for this model, whose answers are {found.length:.0f} tokens long on average{cut}: "
        + " ".join(f"--set {setting}" for setting in settings)
    )
    sized_request = replace(request, settings=(*request.settings, *settings))
    progress.say(foretold(opening(build_recipe(sized_request)), found, len(source.arms)))
    return sized_request


def parameters(policy: Any) -> int:
    return sum(p.numel() for p in policy.model.parameters())


def measured(recipe: Recipe, policy: Any, source: TaskSource, seed: int, given: int | None) -> Measured:
    """Answers to training tasks of every arm in turn; the model stays as it is.

    Greedy ones say how long an answer is: those that a small model samples at first run on without end, and learn not to.
    Sampled ones, cut off at the limit that follows, say what they cost. `given` is the limit that the user has set.
    """
    arms = trainable(source)
    gpu = str(policy.model.device).startswith("cuda")
    rows = ROWS["gpu" if gpu else "cpu"]
    listed = [source.draw(arms[i % len(arms)], "train", i, derive(seed, "sizing")) for i in range(rows)]
    ids = [f"sizing.{i:04d}" for i in range(rows)]
    told = telling.of_recipe(recipe, policy.tokenizer)  # as the run will ask
    ask = rollouts.single if recipe.roles else rollouts.unaided(recipe.rollout)
    limit = given
    if limit is None:
        for longest in (FIRST, LONGEST):
            made = rollouts.drive(policy, ask, listed, ids, seed=seed, max_tokens=longest, sampling=GREEDY, asking=told)
            # One that was cut off is longer than any limit; where few are, how long they are changes nothing worth the look.
            lengths = np.array([math.inf if rollout.stop == "length" else max(rollout.n_sampled, 1) for rollout in made])
            if np.isfinite(lengths).mean() >= FINISHED:
                break
        limit = worthwhile(lengths)
    longest = given or roomy(limit)
    for _ in range(2 if gpu else 1):  # a GPU's first of each compiles what every later one uses
        start = time.monotonic()
        made = rollouts.drive(policy, ask, listed, ids, seed=seed, max_tokens=longest, sampling=recipe.sampling, asking=told)
        answer_s = (time.monotonic() - start) / rows
        start = time.monotonic()
        learnt = [Sample(rollout, Verdict("correct", 1.0), group) for group, rollout in enumerate(made[: rows // 4])]
        policy.direction(make_batch(learnt), policy_gradient.sft())
        learn_s = (time.monotonic() - start) / len(learnt)
    length = sum(rollout.n_sampled for rollout in made) / rows
    return Measured(length, limit, sum(rollout.stop == "length" for rollout in made) / rows, answer_s, learn_s)


def roomy(limit: int) -> int:
    """The longest answer for a limit that most keep within."""
    return min(max(math.ceil(limit * ROOM / 16) * 16, 32), LONGEST)


def worthwhile(lengths: np.ndarray) -> int:
    """The limit at which most answers come to their end for each token that is written: those cut off earn nothing.

    At least FINISHED of the answers keep within it. [20] * 9 + [500] gives 20: 9 answers of 200 tokens, against 10 of 680. An
    answer that was cut off has the length inf; where too many were, LONGEST.
    """
    limits = [limit for limit in np.unique(lengths) if limit < math.inf and (lengths <= limit).mean() >= FINISHED]
    return int(max(limits, key=lambda limit: (lengths <= limit).sum() / np.minimum(lengths, limit).sum(), default=LONGEST))


def chosen(recipe: Recipe, found: Measured, arms: int, given: set[str]) -> dict[str, Any]:
    """Settings for what is not `given`: max_tokens, prompts, round_steps, validation, test."""
    values: dict[str, Any] = {}

    def value(name: str, computed: int) -> int:
        if name in given:
            return int(getattr(recipe, name))
        values[name] = computed
        return computed

    value("max_tokens", roomy(found.limit))
    budget, samples = control.parse_budget(recipe.budget), recipe.samples
    timed = "seconds" in budget.kind
    row_s = found.answer_s + found.learn_s
    if timed:
        least, most = PROMPTS
        prompts = min(max(round(budget.amount / STEPS / row_s / samples), least), most)
        prompts = value("prompts", max(min(prompts, int(budget.amount / FEWEST / row_s / samples)), 2))
        steps = max(int(budget.amount * (1 - EVALUATIONS / 2) / (prompts * samples * row_s)), 1)
    else:
        prompts = value("prompts", recipe.prompts)
        steps = max(int(budget.amount / (1 if budget.kind == "steps" else prompts * samples * found.length)), 1)
    every = value("round_steps", min(max(math.ceil(steps / ROUNDS), 1), 50) if timed else min(recipe.round_steps, steps))
    whole = budget.amount / found.answer_s if timed else steps * prompts * samples * LEARNING  # in answers
    # The test split twice, validation before the first round and after each; two test tasks to one of validation.
    each = EVALUATIONS * whole / arms / (2 * 2 + 1 + math.ceil(steps / every))
    value("validation", min(max(int(each), 2), recipe.validation))
    value("test", min(max(int(2 * each), 4), recipe.test))
    return values


def foretold(recipe: Recipe, found: Measured, arms: int) -> str:
    """What a run will cost, in one line: a step, the evaluations, and how many steps the budget holds."""
    step = recipe.prompts * recipe.samples * (found.answer_s + found.learn_s)
    look, test = recipe.validation * arms * found.answer_s, recipe.test * arms * found.answer_s
    budget = control.parse_budget(recipe.budget)
    said = (
        f"a step should take {spoken(step)}; evaluations {spoken(look)} for each round of {recipe.round_steps} steps, and "
        f"{spoken(look + test)} before the first step and {spoken(test)} after the last, which the budget does not count"
    )
    if "seconds" in budget.kind:
        steps = int(budget.amount / (step + look / recipe.round_steps))
        holds = f"about {steps} steps" if steps > 1 else "one step"
        return f"{said}; the budget of {spoken(budget.amount)} holds {holds}"
    return said


def spoken(seconds: float) -> str:
    """4.31 → "4.3 s", 75 → "1:15", as people read times."""
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 60 else clock_time(seconds)


def told(recipe: Recipe, stats: Mapping[str, Any], step_s: float, look_s: float, left: control.Budget) -> str:
    """What the first step says of those to come, and what would be cheaper where the budget holds too few.

    look_s  seconds of one evaluation on the validation split, 0 if unknown
    """
    length = stats["tokens"] / max(stats["rollouts"], 1)
    whole = recipe.round_steps * step_s + look_s
    said = (
        f"answers are {length:.0f} tokens long on average, a step takes {spoken(step_s)}, a round of {recipe.round_steps} "
        f"{spoken(whole)}"
    )
    if "seconds" in left.kind:
        steps = int(left.amount / max(step_s + look_s / recipe.round_steps, 1e-9))
        said += f"; the budget allows {'about ' if steps > 1 else ''}{max(steps, 1)}"
    else:
        each = 1.0 if left.kind == "steps" else stats["tokens"]
        steps = max(math.ceil(left.amount / max(each, 1)), 1)
        said += f"; the budget's {steps} steps take {spoken(steps * (whole / recipe.round_steps))}"
    few = steps < 2 * FEWEST if "seconds" in left.kind else step_s > 60
    cheaper = []
    if few and stats["truncated"] < CUT and 4 * length < recipe.max_tokens:
        cheaper.append(f"--set max_tokens={math.ceil(3 * length / 16) * 16}")
    if few and recipe.prompts > PROMPTS[0]:
        cheaper.append(f"--set prompts={PROMPTS[0]}")
    return said + (f"; cheaper: {' '.join(cheaper)}" if cheaper else "")
