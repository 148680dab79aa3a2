"""Searches measured beside a single answer: accuracy and what it cost, for the same tasks and the same model.

All searches of a method run side by side over all tasks, so its seconds are those of the whole batch. Tokens and calls are the
ledger's (`core.Ledger`): what was drawn, and what stood before it each time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sharpen import estimate, models, rollouts, tasks, verify
from sharpen.core import Ask, Ledger, Role, Sample, TaskSource, UserError, suggest, tally
from sharpen.loop import evaluation, telling
from sharpen.loop.session import answers
from sharpen.rollouts import Asking, asking, search, values
from sharpen.verify import Judges, code

VALUES = {
    "likelihood": values.by_likelihood,
    "certainty": values.by_certainty,
    "verifier": values.by_verifier,
    "playouts": values.by_playouts,
    "role": values.by_role,
    "reward": values.by_reward,
}


def measure_searches(
    model_dir: Path,
    source: TaskSource,
    named: Sequence[str],
    n: int = 64,
    seed: int = 0,
    progress: Any = None,
    max_tokens: int | None = None,
    *,
    value: str = "likelihood",
    roles: Sequence[str] = (),
    settings: Sequence[str] = (),
    temperature: float | None = None,
    precision: str = "auto",
    device: str = "auto",
) -> dict[str, Any]:
    """Each search, and one greedy and one drawn answer beside them, on up to n test tasks of every arm.

    named  such as "best_of=16", "majority=32", "beam=4", "mcts=64", "best_first=16"
    value  what chooses: a name of VALUES
    roles  "value=WHO", where that is "role" or "reward": who says what an answer is worth. "role" is the model itself where
           nobody is named; "reward" wants a reward model

    Returns JSON: model, tasks, seed, asked, precision, device, value, and for each row of `searches` its name, accuracy with
    ci95 and n, the gain over a greedy answer with gain_ci95, sampled, read and calls a task, and seconds of all. Raises
    UserError as `evaluate_model` does.
    """
    if value not in VALUES:
        raise UserError(f"--value {value}: there are {', '.join(VALUES)}.{suggest(value, VALUES)}")
    several = telling.measured(model_dir, settings, 2, max_tokens, temperature)
    steps: dict[str, Any] = dict(step=max(4, -(-several.max_tokens // 8)))
    methods = {text: parsed(text, VALUES[value], steps) for text in dict.fromkeys(named)}
    code.require(source)
    model, tokenizer = models.load_model(model_dir)
    drawn = telling.suited(several, tokenizer)
    greedy = telling.suited(telling.measured(model_dir, settings, 1, max_tokens, 0.0), tokenizer)
    answering = models.LocalPolicy(model, tokenizer, precision, device=device)
    bound = judges_of(value, roles, answering, precision, device)
    stream = tasks.held_out(source, "test", n, seed)
    asked = [asking.told(Ask(task.prompt), task, drawn) for listed in stream.values() for task in listed]
    models.probe(answering, str(model_dir), asked, drawn.max_tokens)
    single = {"greedy": (rollouts.single, greedy), "drawn once": (rollouts.single, drawn)}
    rows = {**single, **{text: (method, drawn) for text, method in methods.items()}}
    made = {name: measured(name, *row, answering, stream, seed, bound, progress) for name, row in rows.items()}
    arms = [arm for arm, own in stream.items() for _ in own]
    found = [{**row, **over(samples, made["greedy"][1], arms)} for row, samples in made.values()]
    return {**described(answering, drawn, model_dir), "tasks": source.name, "seed": seed, "value": value, "searches": found}


def described(answering: models.LocalPolicy, told: Asking, model_dir: Path) -> dict[str, Any]:
    """The model, and how it was asked."""
    return {
        "model": str(model_dir),
        "temperature": told.sampling.temperature,
        "max_tokens": told.max_tokens,
        "asked": str(told),
        "precision": str(answering.model.dtype).removeprefix("torch."),
        "device": str(answering.model.device),
    }


def parsed(text: str, value: Any, steps: Mapping[str, Any]) -> Any:
    """The rollout that a search's name stands for. UserError for none."""
    try:
        return search.named(text, value, **steps)
    except ValueError as error:
        name = text.partition("=")[0]
        raise UserError(f"--search {error}.{suggest(name, search.NAMED) if name not in search.NAMED else ''}") from error


def judges_of(value: str, given: Sequence[str], answering: models.LocalPolicy, precision: str, device: str) -> dict[str, Any]:
    """Who stands behind the role of that name. UserError for a role that nothing asks."""
    if value not in ("role", "reward"):
        if given:
            raise UserError(f"--role {given[0]}: only --value role and reward ask one. Leave it out, or add --value role.")
        return {}
    role = Role("value", bound="student") if value == "role" else Role("value", gives="scores")

    def like(directory: Path) -> models.LocalPolicy:
        return models.LocalPolicy(*models.load_model(directory), precision, device=device)

    return models.roles.bind(models.roles.named([role], given), answering, like)


def measured(
    name: str,
    rollout: Any,
    told: Asking,
    answering: models.LocalPolicy,
    stream: Mapping[Any, Sequence[Any]],
    seed: int,
    roles: Mapping[str, Any],
    progress: Any,
) -> tuple[dict[str, Any], Sequence[Sample]]:
    """One row: what a method reached, and what a task cost; and the answers."""
    listed = [(arm, i, task) for arm, own in stream.items() for i, task in enumerate(own)]
    ids = [f"eval.{arm}.{i:06d}" for arm, i, _ in listed]
    if progress is not None:
        progress.phase(name, total=len(ids))
    began = time.monotonic()
    with Judges(verify.verify) as judges:
        how: dict[str, Any] = {"progress": progress, "asking": told, "roles": roles}
        given = told.max_tokens, told.sampling, rollout, judges
        made = answers(answering, *given, [task for _, _, task in listed], ids, seed, **how)
    return {"name": name, **figures(made, [arm for arm, _, _ in listed]), "seconds": time.monotonic() - began}, made


def figures(made: Sequence[Sample], arms: Sequence[Any]) -> dict[str, Any]:
    """Accuracy, the mean over arms as `eval` has it, and the cost of a task."""
    by_arm: dict[Any, list[list[Sample]]] = {}
    for arm, sample in zip(arms, made, strict=True):
        by_arm.setdefault(arm, []).append([sample])
    accuracy = estimate.mean([evaluation.estimates(groups)["accuracy"] for groups in by_arm.values()])
    spent = sum((sample.rollout.spent for sample in made), Ledger())
    n = max(len(made), 1)
    costs = {"sampled": spent.sampled / n, "read": spent.read / n, "calls": spent.calls / n}
    return {**evaluation.shown(accuracy, "accuracy"), **costs, "outcomes": vars(tally(made))}


def over(made: Sequence[Sample], first: Sequence[Sample], arms: Sequence[Any]) -> dict[str, Any]:
    """The gain over other answers to the same tasks, the mean over arms; a task that nobody could judge does not count."""
    pairs: dict[Any, list[tuple[bool, bool]]] = {}
    for arm, now, before in zip(arms, made, first, strict=True):
        own = pairs.setdefault(arm, [])
        if now.verdict.reward is not None and before.verdict.reward is not None:
            own.append((now.verdict.correct, before.verdict.correct))
    gain = estimate.mean(
        [estimate.change(sum(a > b for a, b in own), sum(a < b for a, b in own), len(own)) for own in pairs.values()]
    )
    return {"gain": gain and gain.value, "gain_ci95": gain and [gain.low, gain.high]}
