"""One step of the loop: choose tasks, roll them out, verify, select, learn, record."""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from sharpen import curriculum, guard
from sharpen.core import Sample, Task
from sharpen.data import make_batch, replay
from sharpen.guard import monitors
from sharpen.hashing import derive
from sharpen.loop import learning
from sharpen.loop.offers import Moment
from sharpen.loop.sampling_step import practise, say_short
from sharpen.loop.session import Run
from sharpen.loop.warmup import ramp
from sharpen.verify import BEHAVIOURS, LEARNT


def learn(this: Run, step: int, number: int, spent: float) -> dict[str, Any]:
    """One step: choose, roll out, verify, select, update, record; returns what it measured. `spent` is the share of the
    stage's budget used so far.

    Where `select` leaves fewer groups than the step has prompts, the curriculum is asked for the missing ones, `refills` times.
    """
    this = steered(this)
    recipe = this.recipe
    start = time.monotonic()
    drawn: list[Task] = []  # by group
    samples: list[Sample] = []
    kept: list[Sample] = []
    moment, tried = Moment(this, step, number, spent), []
    for refill in range(1 + recipe.refills):
        missing, seen = recipe.prompts - len({s.group for s in kept}), len(samples)
        if refill and missing <= 0:
            break
        chosen, new = practise(moment, refill, missing, len(drawn))
        samples += new
        tried += this.state.observe(step, samples[seen:])
        drawn += [task for task, _ in chosen]
        with this.timed("learn", step):
            moment.see(samples, drawn)
            kept = moment.ask("select", samples)
    say_short(this, step, samples, kept)
    with this.timed("learn", step), this.ahead.beside() if this.ahead else nullcontext():
        kept = kept + replayed(this, step, drawn)
        replay.remember(this.memory, samples if recipe.replay else ())
        warming = this.budget.kind == "seconds" and recipe.warmup_steps  # then the warm-up has spent of the budget too
        lr = recipe.lr * ramp(step - this.at.step, 0.0 if warming else spent) * (1 - (1 - recipe.lr_end) * spent)
        batch = make_batch(kept, recipe.sampling)
        stats = learning.updates(moment, kept, batch, lr) if kept else {}
        stats = {**stats, **learning.teach_roles(moment, samples, lr)} if recipe.roles else stats
        moment.adopt()
        this.policy.version = step + 1
    with this.timed("store", step):
        stats = {**describe_step(samples), **stats, "lr": lr, "temperature": recipe.temperature}
        stats |= staleness(this, kept, step)
        stats["unscorable_limit"] = recipe.unscorable_limit
        this.store.add_samples("train", step, number, samples)
        this.store.add_samples("demo", step, number, moment.shown)
        this.store.add_samples("told", step, number, moment.told)
        this.store.add_batch(step, kept)
        this.store.add_step(step, "loop", number, stats)
        this.steps.append({**stats, "step": step, "phase": "loop", "round": number})
        this.store.add_arm_stats(curriculum.statistics(step, samples))
        this.store.add_rows("task_stats", tried)
    rate = stats["tokens"] / max(time.monotonic() - start, 1e-9)
    if "solutions" in stats:
        told = {"loss": stats.get("loss"), "solutions": stats["solutions"], "learnt_per_second": rate}
    else:
        compared = {"silent": stats["silent"]} if recipe.samples > 1 else {}
        told = {"reward": stats["reward"], **compared, "tokens_per_second": rate}
    this.progress.advance(1, **told)
    return stats


def steered(this: Run) -> Run:
    """The run, for this step at the temperature that a function has noted for it, if one has: `entropy.tempered`."""
    if "temperature" not in this.notes:
        return this
    return dataclasses.replace(this, recipe=dataclasses.replace(this.recipe, temperature=float(this.notes["temperature"])))


def staleness(this: Run, kept: Sequence[Sample], step: int) -> dict[str, float]:
    """How many updates ago what a step learnt from was written, in the mean; nothing of a run that is not ahead."""
    written = [step - s.rollout.version for s in kept if s.rollout.stop != "forced"]
    return {"staleness": sum(written) / len(written)} if this.ahead and written else {}


def replayed(this: Run, step: int, drawn: Sequence[Task]) -> list[Sample]:
    """Earlier successes for this step's batch, each a group of its own.

    Their log-probabilities are those of an older policy: blanked, as a worked solution's are, for they would be taken for a
    mismatch between engine and trainer.

    drawn  the tasks of this step's prompts, for a recipe whose curriculum has a part in what is replayed
    """
    recipe, rng = this.recipe, np.random.default_rng(derive(this.seed, step, "replay"))
    aim = None
    if recipe.replay_focus or recipe.replay_half_life:
        history = this.store.history()
        chances = {arm: curriculum.posterior(history.get(arm, ())) for arm in {task.arm for task in drawn}}
        rare = {arm: b / (a + b) for arm, (a, b) in chances.items()}
        aim = replay.Aim(replay.wanted(drawn, rare), recipe.replay_focus, recipe.replay_half_life, step)
    found = []
    for i, sample in enumerate(replay.recall(this.memory, recipe.replay, rng, this.grown.repairs, aim)):
        old = dataclasses.replace(sample.rollout, logprobs=np.zeros_like(sample.rollout.logprobs))
        found.append(dataclasses.replace(sample, rollout=old, group=-1 - i))
    return found


def parts_of(samples: Sequence[Sample], name: str) -> list[float]:
    """A part of the verdicts that have it."""
    return [s.verdict.parts[name] for s in samples if name in s.verdict.parts]


def describe_step(samples: Sequence[Sample]) -> dict[str, Any]:
    """What a person and the doctor want to know of a step's rollouts. Shares are of all rollouts, or of all groups.

    Where all of them are worked solutions (`forced`), nothing was sampled, so that there is no reward to speak of: then it is
    their number, and the share of them that the verifier takes for right.
    """
    given = sum(s.rollout.stop == "forced" for s in samples)
    if given and given == len(samples):
        return {
            "rollouts": given,
            "tokens": sum(s.rollout.n_sampled for s in samples),
            "solutions": given,
            "solutions_right": sum(s.verdict.correct for s in samples) / given,
            "unscorable": sum(s.verdict.outcome == "unscorable" for s in samples) / given,
        }
    scored = [s for s in samples if s.verdict.reward is not None]
    rewards: dict[int, list[float]] = defaultdict(list)
    for s in scored:
        rewards[s.group].append(float(s.verdict.reward or 0.0))
    n = max(len(samples), 1)
    learnt = parts_of(scored, LEARNT)
    return {
        "rollouts": len(samples),
        "tokens": sum(s.rollout.n_sampled for s in samples),
        **variety(scored),
        "reward": sum(sum(r) for r in rewards.values()) / max(len(scored), 1),
        "correct": sum(s.verdict.correct for s in scored) / max(len(scored), 1),
        "silent": sum(len(set(r)) <= 1 for r in rewards.values()) / max(len(rewards), 1),
        "truncated": sum(s.rollout.stop == "length" for s in samples) / n,
        "malformed": sum(s.verdict.outcome == "malformed" for s in samples) / n,
        "timeout": sum(s.verdict.outcome == "timeout" for s in samples) / n,
        "unscorable": sum(s.verdict.outcome == "unscorable" for s in samples) / n,
        **({"learnt": sum(learnt) / len(learnt)} if learnt else {}),
        **{name: sum(shown) / len(shown) for name in BEHAVIOURS if (shown := parts_of(scored, name))},
        **drift(samples),
    }


def variety(scored: Sequence[Sample]) -> dict[str, float]:
    """Of judged answers the entropy of a token as it was drawn, estimated by its surprise, and the balance score of groups."""
    words = sum(s.rollout.n_sampled for s in scored)
    surprise = -sum(float(s.rollout.logprobs[s.rollout.sampled].sum()) for s in scored) / max(words, 1)
    groups: dict[int, list[tuple[str, bool]]] = defaultdict(list)
    for s in scored:
        groups[s.group].append((s.rollout.response, s.verdict.correct))
    balance = guard.adapting.balance(groups.values())
    return {"entropy": surprise} | ({} if balance is None else {"balance": balance})


def drift(samples: Sequence[Sample]) -> dict[str, Any]:
    """What the monitors of drift read (guard/monitors.py), of what was sampled: means over answers."""
    own = [s for s in samples if s.rollout.n_sampled and s.rollout.stop != "forced"]
    if not own:
        return {}
    tampered = [s.verdict.parts["tampered"] for s in own if "tampered" in s.verdict.parts]
    return {
        "length": sum(s.rollout.n_sampled for s in own) / len(own),
        "repeated": sum(monitors.repeated(s.rollout.response) for s in own) / len(own),
        "foreign": sum(monitors.strange(asked(s.rollout.task), s.rollout.response) for s in own) / len(own),
        **({"tampered": sum(tampered) / len(tampered)} if tampered else {}),
    }


def asked(task: Task) -> str:
    """The words of a question."""
    return " ".join(m["content"] for m in task.prompt if isinstance(m.get("content"), str))
