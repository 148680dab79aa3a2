"""`sharpen heads`: which attention heads carry the answers, from checkpoint to checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sharpen.cli.commands import AsJson, Spec


def heads(
    model_dirs: Annotated[list[Path], typer.Argument(metavar="MODEL_DIR…", help="Checkpoints, the first one before training.")],
    tasks: Spec = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Questions, each beside another one of its arm.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other questions.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Which attention heads carry a model's answers, and which are born and die over its checkpoints.

    A head's score is what of the answer's likelihood goes through it, between a question and another one of the same kind;
    the highest tenth is the circuit. It is a reading of the weights: it asks nothing and changes nothing.
    """
    from sharpen import models
    from sharpen import tasks as sources
    from sharpen.terminal import tables

    source = sources.parse_spec(tasks or "chain_sum/1-3")
    pairs = []
    for i in range(n):
        arm = source.arms[i % len(source.arms)]
        one, other = (source.draw(arm, "test", 2 * i + k, seed) for k in (0, 1))
        pairs.append((str(one.prompt[-1]["content"]), str(other.prompt[-1]["content"]), str(one.answer)))
    found = []
    for directory in model_dirs:
        policy = models.LocalPolicy(*models.load_model(Path(models.located(str(directory)))), "fp32")
        found.append(models.heads.circuit(policy, pairs))
    rows = models.heads.tracked(found)
    if as_json:
        shown = [{"scores": c.scores.tolist(), "heads": sorted(c.heads)} for c in found]
        print(json.dumps({"circuits": shown, "changes": rows, **models.heads.emerged(found)}, indent=1))
        return
    best = sorted(found[-1].heads, key=lambda head: -abs(found[-1].scores[head]))
    tables.show(("layer", "head", "score"), [(layer, head, f"{found[-1].scores[layer, head]:+.4f}") for layer, head in best])
    if rows:
        print()
        shown_rows = [
            (str(d), r["heads"], len(r["born"]), len(r["died"]), f"{r['jaccard']:.2f}", f"{r['correlation']:.2f}")
            for d, r in zip(model_dirs[1:], rows)
        ]
        tables.show(("checkpoint", "heads", "born", "died", "jaccard", "rank correlation"), shown_rows)
