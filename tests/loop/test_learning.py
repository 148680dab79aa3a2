"""Recipes on a toy task with a real, tiny model: one of each kind learns, and those that keep all there is to keep resume.

A kind is a family, or where its objectives are defined. `--all-recipes` does both with every one, in a quarter of an hour.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from sharpen.core import growth
from sharpen.loop import loop
from sharpen.recipe import SLOTS, Recipe, asked_for, opening
from sharpen.recipes import catalog
from sharpen.rollouts import rollout
from sharpen.store.store import Store
from sharpen.terminal import terminal

SETTINGS = (
    *("precision=fp32", "samples=8", "prompts=16", "lr=0.001", "lr_end=1", "average=0", "round_steps=10", "validation=4"),
    *("test=4", "max_tokens=6", "guard=always"),
)
WARMUP = ("student=micro", "warmup_levels=3", "warmup_steps=50", "warmup_rows=32", "warmup_demos=0", "warmup_lr=0.004")
STEPS = 40
FIRST, THEN = 2, 2  # steps until a run is interrupted, in the middle of its first round; and, resumed, again in its second
# Two or three tongues to learn at once; a fifth of the tokens; fewer tasks at a time; smaller gradients.
SLOW = {"chain_of_hindsight": 60, "d3s": 50, "view_batch": 70, "cispo": 50, "luffy": 50, "window_entropy": 70}
SLOW |= {"exo": 50, "sppo": 60, "srpo": 80, "knapsack": 50, "redi": 50, "srft": 60, "apo": 60, "spo": 50, "mixing": 50}
SLOW |= {"loop": 50, "ppo": 60, "cdpo": 50, "pcl": 60, "stat_sel": 50, "reinforce": 50, "retrospective": 50, "leti": 50}
SLOW |= {"omni": 60, "targeted_entropy": 60, "thompson": 50, "ipo": 50, "grpo": 50, "clip_cov": 50, "gkd": 50, "online_dpo": 50}
SLOW |= {"tulu": 60}  # three stages
SLOW |= {"ded": 60, "qdc": 80, "il_quality": 60}  # a part of the right answers
OWN = {
    "acereason": ("first=echo", "second=mirror"),
    "cures": ("subsets=1",),  # of some thirty tasks, fifteen subsets would have two each
    "cispo": ("lr=0.0003",),  # nothing holds a second pass back: at three times this rate some runs fall again
    "loop": ("lr=0.0005",),  # the same where the clip comes too late
    "ppo": ("lr=0.0005",),
    "reason_rank": ("unreadable_limit=1",),  # nothing is right within so few tokens
    "score": ("rollout.again=?", "alpha=1"),  # a second turn that the warm-up has not shown
    "view_batch": ("views=2",),  # four tasks a step pull a student this small to and fro
}
OWN_TASKS = ("reason_rank",)  # judged by an order
# One pair a prompt, of its extremes, needs more prompts rather than more answers to each.
OWN |= {info.name: ("prompts=32", "samples=4") for info in catalog.recipes() if info.family == "preference"}
# Of a run that need not learn. A worked solution may be an episode in a process of its own.
FEW = ("prompts=8", "samples=4", "round_steps=3", "warmup_steps=3", "warmup_rows=8")
# Programs that are timed, and reviews that are scored, are nothing that this student writes.
INFOS = [info for info in catalog.recipes() if info.name not in ("code_speed", "cycle_researcher")]
RECIPES = [info.name for info in INFOS]


class Cut(terminal.Quiet):
    """Interrupts a run after so many steps of its loop."""

    def __init__(self, steps: int):
        super().__init__()
        self.left, self.looping = steps, False

    def phase(self, name: str, *given, **named) -> None:
        self.looping = name != "warm-up" and not name.startswith("evaluate")  # a stage is a phase of its own name

    def advance(self, n: int, **named) -> None:
        self.left -= n * self.looping

    def interruptible(self):
        return contextlib.nullcontext(lambda: self.left <= 0)


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """Say what you were told: one to three letters. Two families, so that there are two arms, equally hard."""
    path = tmp_path_factory.mktemp("echo") / "echo.jsonl"
    words = ["".join(w) for n in (1, 2, 3) for w in itertools.product("abc", repeat=n)]
    lines = [
        {"prompt": f"Echo {w}", "answer": w, "family": ("echo", "mirror")[i % 2], "solution": w} for i, w in enumerate(words)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def warmed(echo, tmp_path_factory):
    """A student that answers every second question right: what the warm-up makes of it, made once for all recipes."""
    settings = (*(s for s in SETTINGS if s != "lr=0.001"), *WARMUP, "lr=1e-30")
    return made_once("warmed", settings, echo, tmp_path_factory)


@pytest.fixture(scope="module")
def teacher(echo, tmp_path_factory):
    """The directory of a student of the same vocabulary that has been shown the answers for longer."""
    settings = ["warmup_steps=200" if s.startswith("warmup_steps") else s for s in (*SETTINGS, *WARMUP)]
    return made_once("teacher", settings, echo, tmp_path_factory)


def made_once(name: str, settings: Sequence[str], echo, tmp_path_factory):
    """What a run of one step ends with, the same for all workers of a session: the first that wants it makes it."""
    place = tmp_path_factory.getbasetemp()
    place = place.parent if "PYTEST_XDIST_WORKER" in os.environ else place
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / f"{name}.done").exists():
            loop.start(loop.Request("grpo", tuple(settings), 0, "1steps", None, str(echo), place / name), terminal.Quiet())
            (place / f"{name}.done").touch()
    with Store.open(place / name) as store:
        return store.checkpoint_path(store.last_commit().accepted)


def request(recipe: str, warmed, teacher, echo, directory) -> loop.Request:
    built = catalog.build(recipe)
    made = opening(built)
    own = OWN.get(recipe, ())
    settings = (*(s for s in SETTINGS if s.split("=")[0] not in {o.split("=")[0] for o in own}), *own)
    who = {role.name: str(teacher) for role in made.roles if not role.bound}
    if recipe == "self_judge":  # a student of two arms cannot judge
        who["judge"] = "scripted_roles:strict_judge"
    roles = tuple(f"{name}={whose}" for name, whose in who.items())
    if shows(built):  # as many rows as the others have rollouts
        settings = (*(s for s in settings if not s.startswith(("samples=", "prompts="))), "prompts=128")
    if isinstance(built, Recipe) and rollout.demonstrating(made.rollout) is rollout.demonstrate:
        settings = (*settings, f"student={warmed}", "warmup_steps=0")
    else:  # it asks after a system message, which its warm-up has to show
        settings = (*settings, *WARMUP)
    tasks = None if recipe in OWN_TASKS else str(echo)
    return loop.Request(recipe, settings, 0, f"{SLOW.get(recipe, STEPS)}steps", None, tasks, directory, roles=roles)


def steps(directory) -> list[dict]:
    with Store.open(directory) as store:
        return [s for s in store.steps() if s["phase"] == "loop"]


def shows(made) -> bool:
    """Whether a recipe is shown the answers instead of giving its own."""
    return isinstance(made, Recipe) and made.rollout is rollout.demonstrate


def last_stage(name: str, steps: int) -> int:
    """How many steps the last stage of a recipe has: all, where there is but one. Stages before it may be shown the answers."""
    built = catalog.build(name)
    return steps if isinstance(built, Recipe) else int(built.stages[-1].share * steps)


def kinds(info: catalog.RecipeInfo) -> set[Any]:
    """Its family, and where its objectives are defined: what it learns by. In stages that is another thing than alone."""
    made = catalog.load(info).recipe()
    recipes = [made] if isinstance(made, Recipe) else [stage.recipe for stage in made.stages]
    return {info.family, *((len(recipes) > 1, bare(recipe.objective).__module__) for recipe in recipes)}


def bare(function: Any) -> Any:
    return bare(function.func) if isinstance(function, partial) else function


# Of other families the rollouts ask in words that this student has never met, or take attempts that its warm-up does not show.
ALONE = {
    "curriculum",
    "distillation",
    "hybrid",
    "loop",
    "penalty",
    "policy_gradient",
    "preference",
    "staged",
    "supervised",
}
WORDY = ("sami",)  # principles, which this student cannot read
DEAR = ("debate", "pedagogical", "self_prm")  # rollouts of so many turns that a step takes seconds
STATELESS = {"progress", "demos", "entropy", "logprobs", "retell", "decode", "mask_token", "rng", "source", "temperature"}
STATELESS |= {"earlier", "stage", "likelihood"}  # without a stream there is nothing to come back


def remembers(info: catalog.RecipeInfo) -> set[Any]:
    """What of a run has to come back for it, beside weights and optimizer."""
    made = catalog.load(info).recipe()
    recipes = [made] if isinstance(made, Recipe) else [stage.recipe for stage in made.stages]
    kept: set[Any] = {name for recipe in recipes for slot in SLOTS for name in asked_for(getattr(recipe, slot))} - STATELESS
    kept |= {(role.gives, bool(role.objective)) for recipe in recipes for role in recipe.roles}
    kept |= {"growth"} if any(recipe.grow is not growth.nothing for recipe in recipes) else set()
    kept |= {"replay"} if any(recipe.replay for recipe in recipes) else set()
    kept |= {"average"} if any(recipe.average for recipe in recipes) else set()
    return kept | {"stages"} if len(recipes) > 1 else kept


def fewest(left: dict[str, set[Any]]) -> list[str]:
    """Recipes that together have all that any has: again and again the one with most that no other has yet."""
    chosen = []
    while most := max(left, key=lambda name: len(left[name])):
        if not (new := set(left[most])):
            return chosen
        chosen.append(most)
        left = {name: rest - new for name, rest in left.items()}


def learners() -> list[str]:
    return fewest({info.name: kinds(info) for info in INFOS if info.family in ALONE and info.name not in WORDY})


def keepers() -> list[str]:
    return fewest({info.name: remembers(info) for info in INFOS if info.name not in DEAR})


def pytest_generate_tests(metafunc):
    some = {"learner": learners, "kept": keepers}
    for name in some.keys() & set(metafunc.fixturenames):
        metafunc.parametrize(name, RECIPES if metafunc.config.getoption("all_recipes") else sorted(some[name]()))


def test_it_learns(learner, warmed, teacher, echo, tmp_path):
    loop.start(request(learner, warmed, teacher, echo, tmp_path / "whole"), terminal.Quiet())
    whole = steps(tmp_path / "whole")
    measured = (
        "loss" if shows(catalog.build(learner)) else "correct"
    )  # it is shown the answers: what it learns shows in the loss
    learnt = whole[-last_stage(learner, len(whole)) :]
    first, last = (statistics.fmean(s[measured] for s in part) for part in (learnt[:8], learnt[-8:]))
    assert last < 0.8 * first if measured == "loss" else last > first + 0.05, (first, last)


def test_interrupted_it_goes_on_the_same(kept, warmed, teacher, echo, tmp_path):
    name = kept

    def asked(directory):
        made = request(name, warmed, teacher, echo, directory)
        few = {setting.partition("=")[0]: setting for setting in FEW}
        return replace(made, settings=tuple(few.get(s.partition("=")[0], s) for s in made.settings))

    with pytest.raises(KeyboardInterrupt):
        loop.start(asked(tmp_path / "whole"), Cut(FIRST + THEN))
    with pytest.raises(KeyboardInterrupt):
        loop.start(asked(tmp_path / "stopped"), Cut(FIRST))
    with pytest.raises(KeyboardInterrupt):
        loop.resume(tmp_path / "stopped", Cut(THEN))
    assert len(steps(tmp_path / "whole")) == FIRST + THEN and steps(tmp_path / "stopped") == steps(tmp_path / "whole")
