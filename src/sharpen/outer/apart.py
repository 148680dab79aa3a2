"""A member that a role wrote as code: run in a process of its own, and measured by this one, which never imports it.

Its weights and the root's are asked here, one after the other, on the root's stream, and judged by the root's verifier, so that
a verifier which it has edited in its own process decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sharpen import loop, models, rollouts, tasks
from sharpen.compare import runner
from sharpen.core import GREEDY, Evaluation, UserError
from sharpen.outer import files, runs, trusted
from sharpen.outer.history import Candidate, Failed, Failure
from sharpen.outer.population import Loop, genome_of, sentences
from sharpen.recipe import identities
from sharpen.store import Store

PATIENCE = 20.0  # times as long as the root's run may a role's code take
LEAST_S = 300.0
NAMELESS = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures", "use_cache")  # of no weight


def fit(this: Loop, candidate: Candidate) -> None:
    """Build a role's file where it can do no harm here. UserError where it cannot be built, or changes what all share."""
    plan, path, genome = this.plan, this.file(candidate.number), genome_of(this, candidate.number)
    if "file" not in candidate.values:  # a change of one
        files.put(path, genome, *sentences(this, candidate, genome))
    options = {"settings": plan.settings, "model": plan.model, "tasks": plan.tasks, "budget": plan.each, "roles": plan.roles}
    said = trusted.tried(path, {key: value for key, value in options.items() if value})
    intact(this, candidate)
    files.unchanged(identities(this.root), said)


def measured(this: Loop, candidate: Candidate, seed: int, split: str, by_root: float) -> tuple[Evaluation, Evaluation, float]:
    """(root, member, the member's sampled tokens for one of the root's) on a stream of the root's, of runs with that seed, the
    root's being there already. Raises Failed, and UserError where the code has edited this program.

    by_root  seconds that the root's run took; the member has PATIENCE times as many
    """
    path, plan = this.file(candidate.number), this.plan
    place = this.directory / "runs" / f"a{candidate.number:03d}-{seed}"
    given = [("--set", s) for s in plan.settings] + [("--role", r) for r in plan.roles]
    given += [(key, value) for key, value in (("--model", plan.model), ("--tasks", plan.tasks)) if value]
    options = [text for pair in given for text in pair]
    try:
        fit(this, candidate)  # what it imports may be another than when it was written
        trusted.run(path, place, [*options, "--budget", plan.each, "--seed", str(seed)], max(LEAST_S, PATIENCE * by_root))
    except UserError as error:
        raise Failed(str(error)) from error
    finally:
        intact(this, candidate)
    root = runs.trials(this.setting, "root", plan.recipe, (), (seed,))[-1].directory
    try:
        stream = tasks.held_out(this.root.tasks(), split, getattr(this.root, split), seed)
        held = {task.id for own in stream.values() for task in own}
        (ours, mine), (theirs, its) = weights(root), weights(place, held)
        if student(ours) != student(theirs):
            raise UserError("its student is not the root's: it has other sizes")
        return answers(this, ours, stream, seed), answers(this, theirs, stream, seed), its / max(mine, 1.0)
    except UserError as error:
        raise Failed(str(error)) from error


def intact(this: Loop, candidate: Candidate) -> None:
    """Raises Tampered where this program's own files are not what they were, and notes that this member has failed."""
    if this.package and trusted.package() != this.package:
        why = "sharpen's own files were changed while it ran"
        if candidate.number not in this.history.failed:
            this.history.add(Failure(candidate.number, why))
        raise trusted.Tampered(
            f"{this.file(candidate.number)}: {why}. Install sharpen anew, or undo the edit: nothing that it says can be "
            "believed before. The same command then goes on, without that member."
        )


def weights(place: Path, held: Collection[str] = ()) -> tuple[Path, float]:
    """(the accepted weights of a run, tokens that its steps sampled). UserError where it has none, and where it has practised a
    task of those that it is measured on."""
    with Store.open(place, write=False) as store:
        last = store.last_commit()
        if last is None or last.accepted is None:
            raise UserError(f"{place} has no accepted weights")
        practised = "SELECT DISTINCT task FROM rollouts WHERE purpose NOT IN ('validation', 'before', 'test')"
        if held and any(task in held for (task,) in store.rows(practised)):
            raise UserError("it has practised tasks that it is measured on")
        return store.verified(last.accepted), float(runner.totals(store)["tokens"])


def student(directory: Path) -> dict[str, Any]:
    """What a model is, without what says nothing of its sizes."""
    found: dict[str, Any] = json.loads((directory / "config.json").read_text("utf-8"))
    return {key: value for key, value in found.items() if key not in NAMELESS}


def answers(this: Loop, directory: Path, stream: Any, seed: int) -> Evaluation:
    """Greedy answers of saved weights to a stream, judged by the root's verifier."""
    model, tokenizer = models.load_model(directory)
    policy = models.LocalPolicy(model, tokenizer, this.root.precision, device=this.root.device)
    told = loop.telling.of_recipe(this.root, tokenizer)
    greedy = replace(told, sampling=replace(GREEDY, stop=this.root.stop))
    by_arm = loop.ask(policy, stream, greedy, rollouts.unaided(this.root.rollout), 1, seed)
    firsts = {arm: [group[0].verdict for group in groups] for arm, groups in by_arm.items()}
    return Evaluation({arm: tuple(None if v.reward is None else v.correct for v in own) for arm, own in firsts.items()})


def gain(this: Loop, candidate: Candidate, seeds: Sequence[int], by_root: float) -> dict[str, Any] | None:
    """member - root on the test split with fresh seeds, as JSON; None where nothing was judged in both. Raises Failed."""
    both = [measured(this, candidate, seed, "test", by_root)[:2] for seed in seeds]
    return runs.difference([root for root, _ in both], [member for _, member in both])
