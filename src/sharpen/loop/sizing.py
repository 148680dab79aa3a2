"""Sizes for a model that is brought: chosen before the run begins, by the lengths that it writes and by its speed.

1. `looking.measured` lets the model answer some training tasks, and learn nothing from them; nothing of it is part of the run.
   Where no recipe was named, a few ways to ask and to draw are tried too.
2. `chosen` turns that into settings. Where the budget is time they follow from the clock; where it is steps or tokens, from the
   lengths alone.
3. `sized` adds them to the request as if the user had set them, so the store has them and a resumed run is the same run. What
   the user did set is never touched.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sharpen import guard, models
from sharpen.core import TaskSource, plural
from sharpen.guard import control
from sharpen.loop import reckoning, telling
from sharpen.loop.looking import BRIEF, FIRST, TEMPERATURES, Measured, Teaching, best, measured, roomy
from sharpen.loop.session import Request, build_recipe
from sharpen.recipe import Recipe, asked_for, opening
from sharpen.terminal import clock_time

CUT = 0.05  # share of answers that are cut off, above which it is said
EVALUATIONS = 0.2  # share of the budget that all evaluations together may cost
STEPS = 100  # that a time budget should hold …
PROMPTS = 8, 40  # … with so many prompts in each
LEAST_VALIDATION = 2  # tasks an arm, unless the budget is too short for that
RETAINED, LEAST_RETAINED = 0.5, 8  # retention questions to a validation task, at most; and of all, at least
FEWEST = 10  # steps: below this, prompts are given up
ROUNDS = 4
LOOK, LONG = 0.1, 120.0  # share of a budget of time that the look takes at most; and seconds, whatever the budget
SIZES = {"max_tokens", "prompts", "round_steps", "validation", "test"}
SAMPLES, BUDGET, TASKS = 8, "15m", "arithmetic"  # where the user named none, and no recipe either
LEARNING = 2.0  # what a token costs that is generated and learnt from, in generated tokens, where no clock decides
# Full weights: smaller models take, and need, higher rates. Parameters, learning rate.
RATES = ((3e8, "3e-5"), (1e9, "1e-5"), (4e9, "5e-6"), (math.inf, "2e-6"))
RATE_LORA = "1e-4"


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
    sizes: dict[str, Any] = {"prompts": PROMPTS[0], "max_tokens": FIRST}
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
    budget = control.parse_budget(recipe.budget)
    seconds = min(LOOK * budget.amount, LONG) if "seconds" in budget.kind else LONG
    ways = open_ways(recipe, policy, given) if picked else [{}]
    found = measured(recipe, policy, source, request.seed, given, ways, seconds)
    policy.tick = models.unheard
    progress.advance(0, answers=None, learnt=None)
    taken = best(found.ways) if found.ways else {}
    values = chosen(recipe, found, len(source.arms), given)
    values |= {name: value for name, value in taken.items() if value != getattr(recipe, name)}
    if "lr" not in given and (picked or recipe.lora):
        values["lr"] = RATE_LORA if recipe.lora else next(rate for most, rate in RATES if parameters(policy) <= most)
    if picked and not {"lr", "adapt"} & given:
        values["adapt"] = "lr"  # lower where the guard sees harm; a temperature that follows the run was not measured yet
    settings = tuple(f"{name}={value}" for name, value in values.items())
    if found.ways:
        progress.say(promised(found.ways, taken))
    cut = f" ({found.cut:.0%} cut off)" if found.cut > CUT else ""
    progress.say(
        f"sized for this model, whose answers are {found.length:.0f} tokens long on average{cut}: "
        + " ".join(f"--set {shlex.quote(setting)}" for setting in settings)
    )
    sized_request = replace(request, settings=(*request.settings, *settings))
    progress.say(foretold(opening(build_recipe(sized_request)), found, len(source.arms)))
    return sized_request


def open_ways(recipe: Recipe, policy: Any, given: set[str]) -> list[dict[str, Any]]:
    """What may be tried: temperatures, and to ask for a short sentence, where the user has set neither and neither he nor the
    model's directory says how it is asked. The usual way is the first."""
    told = telling.of_recipe(recipe, policy.tokenizer)
    asked = {"system", "prompt_suffix"} & given or told.system or told.prompt_suffix is not None
    suffixes = [recipe.prompt_suffix] if asked else [recipe.prompt_suffix, BRIEF]
    drawn = {"temperature", "top_k", "top_p", "min_p"} & given
    temperatures = (recipe.temperature,) if drawn else TEMPERATURES
    return [{"prompt_suffix": suffix, "temperature": heat} for heat in temperatures for suffix in suffixes]


def promised(ways: Sequence[tuple[dict[str, Any], Teaching]], taken: Mapping[str, Any]) -> str:
    """Which way to ask and to draw was taken, and what it was compared with."""

    def shown(way: Mapping[str, Any]) -> str:
        told = "as its verifier wants" if way["prompt_suffix"] == telling.AUTO else f"with {way['prompt_suffix']!r}"
        return f"asked {told} at temperature {way['temperature']:g}"

    each = "; ".join(
        f"{shown(way)}: {found.right:.0%} right, {found.tokens:.0f} tokens an answer, {found.rate:.1f}" for way, found in ways
    )
    return f"{shown(taken)}, from what each teaches (variance of the reward within a group that 1,000 tokens buy): {each}"


def parameters(policy: Any) -> int:
    return sum(p.numel() for p in policy.model.parameters())


def chosen(recipe: Recipe, found: Measured, arms: int, given: set[str]) -> dict[str, Any]:
    """Settings for what is not `given`: max_tokens, prompts, round_steps, validation, retain, test."""
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
        # What others take of the processor now they may not take later: prompts are sized for what it does by itself.
        alone_s = row_s * found.busy
        prompts = min(max(round(budget.amount / STEPS / alone_s / samples), least), most)
        prompts = value("prompts", max(min(prompts, int(budget.amount / FEWEST / alone_s / samples)), 2))
        steps = max(int(budget.amount * (1 - EVALUATIONS / 2) / (prompts * samples * row_s)), 1)
    else:
        prompts = value("prompts", recipe.prompts)
        steps = max(int(budget.amount / (1 if budget.kind == "steps" else prompts * samples * found.length)), 1)
    look_s = found.look_s or found.answer_s
    whole = EVALUATIONS * (budget.amount / look_s if timed else steps * prompts * samples * LEARNING)  # in answers
    rounds = ROUNDS
    if timed:  # as many rounds as can be measured at all; one in a budget that is too short for even that
        rounds = min(max(int(whole / arms / LEAST_VALIDATION - 2 * 2 - 1), 1), ROUNDS)
    every = value("round_steps", min(max(math.ceil(steps / rounds), 1), 50) if timed else min(recipe.round_steps, steps))
    # The test split twice, validation before the first round and after each; two test tasks to one of validation, and at most
    # half a retention question.
    asked, times = asked_for(recipe.guard), math.ceil(steps / every)
    retains = "retained" in asked and recipe.retain > 0
    each = whole / arms / (2 * 2 + (1 + RETAINED * retains) * (1 + times))
    least = 1 if timed and each < LEAST_VALIDATION else LEAST_VALIDATION
    # A guard that counts its looks says how many tasks show what a person cares about; more would be wasted.
    most = max(guard.needed(reckoning.FALL, arms, times), recipe.validation) if "looks" in asked else recipe.validation
    validation = value("validation", min(max(int(each), least), most))
    if retains:
        value("retain", min(recipe.retain, max(int(RETAINED * validation * arms), LEAST_RETAINED)))
    value("test", min(max(int(2 * each), 2 * least), recipe.test))
    return values


def foretold(recipe: Recipe, found: Measured, arms: int) -> str:
    """What a run will cost, in one line: a step, the evaluations, and how many steps the budget holds."""
    step = recipe.prompts * recipe.samples * (found.answer_s + found.learn_s)
    each = found.look_s or found.answer_s
    retain = recipe.retain if "retained" in asked_for(recipe.guard) else 0
    look, test = (recipe.validation * arms + retain) * each, recipe.test * arms * each
    budget = control.parse_budget(recipe.budget)
    said = (
        f"a step should take {spoken(step)}; evaluations {spoken(look)} for each round of "
        f"{plural(recipe.round_steps, 'step')}, and {spoken(look + test)} before the first step and {spoken(test)} after the "
        "last, which the budget does not count"
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
        takes = f"take{'s' if steps == 1 else ''} {spoken(steps * (whole / recipe.round_steps))}"
        said += f"; the budget's {plural(steps, 'step')} {takes}"
    few = steps < 2 * FEWEST if "seconds" in left.kind else step_s > 60
    cheaper = []
    if few and stats.get("truncated", 0.0) < CUT and 4 * length < recipe.max_tokens:
        cheaper.append(f"--set max_tokens={math.ceil(3 * length / 16) * 16}")
    if few and recipe.prompts > PROMPTS[0]:
        cheaper.append(f"--set prompts={PROMPTS[0]}")
    return said + (f"; cheaper: {' '.join(cheaper)}" if cheaper else "")
