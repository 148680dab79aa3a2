"""Growth on its own: what a run has failed at becomes a file of tasks, and nothing is trained. What `sharpen grow` does.

The run's store is only read, also while the run goes on: what a round of growth would add to it is added in memory and given
up. Failures are those of the last round that has any; the student is the accepted weights. Its screen, its tries and its
disputes are those of a run (growing.py).
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sharpen import models
from sharpen.core import Role, Task, UserError, growth, plural
from sharpen.curriculum import state
from sharpen.data import growth as growers
from sharpen.data import label, propose, screen
from sharpen.loop import growing, offers, resuming
from sharpen.loop.due import Due
from sharpen.loop.loop import going
from sharpen.loop.session import load_checkpoint
from sharpen.recipe import Recipe
from sharpen.recipes import catalog
from sharpen.store import Store
from sharpen.tasks import Ruling, decisions, line_of

FEWEST = 64  # proposals that are asked for at once, of which many may be refused
PASSES = 8  # times that a grower is asked, until there are as many tasks as were wanted


@dataclass
class Made:
    """What came of it. `tasks`: (task, tries, of these right)."""

    tasks: list[tuple[Task, int, int]] = field(default_factory=list)
    weaknesses: list[growth.Weakness] = field(default_factory=list)
    disputes: dict[str, growth.Refused] = field(default_factory=dict)
    repairs: list[tuple[growth.Repair, Task | None]] = field(default_factory=list)
    refusals: screen.Refusals = field(default_factory=screen.Refusals)
    seconds: float = 0.0
    round: int = 0
    failures: int = 0

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "round": self.round,
            "failures": self.failures,
            "weaknesses": [{k: v for k, v in vars(w).items() if k != "samples"} for w in self.weaknesses],
            "tasks": len(self.tasks),
            "arms": {str(arm): n for arm, n in sorted(Counter(task.arm for task, _, _ in self.tasks).items())},
            "refused": dict(sorted(self.refusals.n.items())),
            "examples": dict(sorted(self.refusals.example.items())),
            "repairs": dict(Counter(item.kind for item, _ in self.repairs)),
            "disputes": len(self.disputes),
            "seconds": round(self.seconds, 1),
        }


def grow(
    directory: Path,
    n: int,
    progress: Any,
    recipe: str = "",
    settings: Sequence[str] = (),
    roles: Sequence[str] = (),
    trusted: bool = False,
) -> Made:
    """Up to n tasks of what the run failed at last, by its own grower, or by that of another recipe.

    Where the run's recipe grows nothing and none is named: the role `proposer`, where it is bound, rewrites failures, and the
    student's majority labels them; else the families' programs make tasks.
    Raises UserError where the run has not failed at anything yet, or the grower asks for what there is not.
    """
    began, made = time.monotonic(), Made()
    with Store.open(directory, write=False) as store:
        request, method, source, policy = resuming.taken_up(store, progress, True, trusted)
        last = store.last_commit()
        if last is None or last.accepted is None:
            raise UserError(f"{directory} has no accepted weights yet. Wait until its first evaluation is done.")
        base = method if isinstance(method, Recipe) else method.stages[-1].recipe
        changed = grower_of(base, recipe, settings, roles, n)
        models.roles.reach(changed.roles)
        this = going(store, changed, request.seed, policy, source, progress, began, Due(1e9, time.monotonic))
        with this.judges:
            state.recall(this.state, store)
            load_checkpoint(this, last.accepted)
            made.round = recall(this)
            made.failures = len(this.grown.failed)
            empty = 0
            for number in range(PASSES if this.grown.seen else 0):
                empty = 0 if one_pass(this, last.step + number, made, n) else empty + 1
                if len(made.tasks) >= n or empty == 2:
                    break
    made.seconds = time.monotonic() - began
    if not made.failures:
        raise UserError(f"no failures are left to learn from: {directory} has no training answer that was judged and wrong.")
    return made


def grower_of(base: Recipe, recipe: str, settings: Sequence[str], roles: Sequence[str], n: int) -> Recipe:
    """The run's recipe with the grower that is wanted, its roles bound. UserError."""
    numbers = base
    if recipe or settings:
        other = catalog.build(recipe or "grpo", settings)
        if not isinstance(other, Recipe) or other.grow is growth.nothing:
            raise UserError(f"--recipe {recipe}: it grows nothing. `sharpen list` shows the family growth.")
        grow, named, numbers = other.grow, other.roles, other
    elif base.grow is not growth.nothing:
        grow, named = base.grow, base.roles
    elif any(text.startswith("proposer=") for text in roles):
        votes = (partial(label.by_majority, k=8),)
        grow, named = partial(growers.closed_loop, propose=propose.rewrite, label=votes), (Role("proposer"),)
    else:
        grow, named = growers.closed_loop, ()
    if "n" in getattr(getattr(grow, "func", grow), "__annotations__", {}):
        grow = partial(grow, n=max(n, FEWEST))
    own = [role for role in base.roles if role.name not in {r.name for r in named}]
    bound = models.roles.named([*own, *named], roles)
    for role in bound:
        models.roles.check(role)
    tried = {name: getattr(numbers, name) for name in ("grow_tries", "grow_low", "grow_high")}
    made = dataclasses.replace(base, grow=grow, roles=tuple(bound), grow_limit=n, **tried)
    offers.check(made)
    return made


def recall(this: Any) -> int:
    """Read the last round that has training answers. Returns its number."""
    rows = this.store.rows("SELECT coalesce(max(round), 0) FROM rollouts WHERE purpose = 'train'")
    growing.recall(this, number := int(rows[0][0]))
    return number


def one_pass(this: Any, step: int, made: Made, n: int) -> bool:
    """Ask the grower once. Returns whether it brought anything new."""
    refusals = made.refusals
    progress = min(step / max(step + 1, 1), 1.0)
    found = growing.Found.of(growing.proposed(this, step, made.round, progress, refusals), refusals)
    if not made.weaknesses:
        made.weaknesses = found.weaknesses
        made.repairs = growing.repaired(this, found.repairs, refusals)
    made.disputes |= found.disputes
    candidates = growing.screened(this, found.proposals, refusals)
    added = growing.tried(this, step, made.round, candidates, refusals)[: n - len(made.tasks)]
    this.grown.add([task for task, _, _ in added])
    made.tasks += added
    this.progress.say(f"{len(made.tasks)} of {plural(n, 'task')}")
    return bool(added)


def write(made: Made, out: Path) -> list[str]:
    """The tasks as a file, and beside it those whose labels are in dispute, which nothing trains on until a person decides.

    Returns a sentence for each file. Raises UserError where one cannot be written.
    """
    said = []
    try:
        lines = [
            {"id": t.id, **line_of(t), "parents": list(t.parents), "operator": t.operator, "tries": k, "correct": right}
            for t, k, right in made.tasks
        ]
        put(out, lines)
        said.append(f"{plural(len(lines), 'task')} in {out}")
        if made.disputes:
            beside = out.with_name(f"{out.stem}.disputes.jsonl")
            open_ = [
                (id, line_of(item.task) | {"dispute": item.example[:2000]}) for id, item in made.disputes.items() if item.task
            ]
            put(beside, [{"id": id, **line} for id, line in open_])
            rulings = {decisions.content(line): Ruling(id, "wrong", decisions.content(line)) for id, line in open_}
            decisions.write(beside, rulings)
            said.append(
                f"{len(open_)} labels are in dispute, in {beside}: none is trained on until a person decides, "
                f"sharpen audit {beside} --decide ID=right"
            )
        if made.repairs:
            beside = out.with_name(f"{out.stem}.repairs.jsonl")
            put(
                beside,
                [
                    {
                        "task": i.task.id,
                        "prompt": line_of(i.task)["prompt"],
                        "was": i.task.answer,
                        "is": t.answer if t else None,
                        "kind": i.kind,
                        "reason": i.reason,
                    }
                    for i, t in made.repairs
                ],
            )
            said.append(f"{len(made.repairs)} labels of training tasks look wrong, in {beside}")
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}. Choose another --out.") from error
    return said


def put(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    part.replace(path)
