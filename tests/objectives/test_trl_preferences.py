"""Pair losses beside TRL's own trainers: the loss and its gradient by every weight of a model, on random pairs."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("trl", reason="TRL is not installed: pip install trl==1.16.*")

from test_preferences import OBJECTIVES, B, published
from trl_losses import distance, gradient, loaded, quiet, settings

from sharpen.core import Batch, Task, TaskSource
from sharpen.models import embedded, logprobs, policy
from sharpen.objectives.tableau import weigh

PAIRS, WIDTH = 4, 14


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> tuple[Path, Path]:
    """A student and a reference that differ, as directories."""
    nowhere = TaskSource("none", (), lambda arm, split, index, seed: Task((), None, "f", 1))
    paths = []
    for seed in (0, 1):
        made = policy.LocalPolicy(*embedded.build("micro", nowhere, seed), "fp32")
        with torch.no_grad():  # fresh weights hardly tell tokens apart
            for weight in made.model.parameters():
                weight.mul_(1.5)
        paths.append(tmp_path_factory.mktemp("models") / str(seed))
        made.save(str(paths[-1]))
    return paths[0], paths[1]


def batch() -> Batch:
    """Pairs as neighbours, the better first, whose sides share a prompt of three tokens and differ in length."""
    rng = np.random.default_rng(0)
    rows = 2 * PAIRS
    lengths = rng.integers(5, WIDTH, rows)
    mask = ((np.arange(WIDTH) >= 3) & (np.arange(WIDTH) < lengths[:, None])).astype(np.float32)
    tokens = rng.integers(5, 250, (rows, WIDTH))
    tokens[1::2, :3] = tokens[::2, :3]
    ones, reward = np.ones(rows, np.float32), np.tile([1, 0], PAIRS).astype(np.float32)
    return Batch(tokens, mask, -mask, reward, np.arange(rows) // 2, ones, lengths)


def ours(name: str, models: tuple[Path, Path]) -> tuple[float, dict[str, torch.Tensor]]:
    """The published loss at our log-probabilities, and the gradient that the coefficients make."""
    (model, _), (other, _) = map(policy.load_model, models)
    tableau, rows = OBJECTIVES[name], np.arange(2 * PAIRS)
    found = logprobs.scores(model, batch(), rows, reference=other)
    given, _ = weigh(tableau, batch(), found.logp.detach(), rows, found.reference if tableau.reference else None)
    _, gradients = gradient(model, -(given * found.logp).sum())
    wide = dataclasses.replace(batch(), mask=batch().mask[:, : found.logp.shape[1]])
    return float(published(name, wide, found.reference.double())(found.logp.detach().double())), gradients


def one_by_one(losses: list[tuple[float, dict[str, torch.Tensor]]]) -> tuple[float, dict[str, torch.Tensor]]:
    """The mean over pairs of losses and gradients."""
    mean = {name: torch.stack([g[name] for _, g in losses]).mean(0) for name in losses[0][1]}
    return float(np.mean([loss for loss, _ in losses])), mean


def sides(pairs: list[int]) -> dict[str, torch.Tensor]:
    """What TRL's collator makes of these pairs: the better sides, then the worse."""
    order = [2 * p for p in pairs] + [2 * p + 1 for p in pairs]
    width = int(batch().lengths[order].max())
    seen = np.arange(width) < batch().lengths[order, None]
    return {
        "input_ids": torch.from_numpy(np.where(seen, batch().tokens[order, :width], 0)),
        "attention_mask": torch.from_numpy(seen.astype(np.int64)),
        "completion_mask": torch.from_numpy(batch().mask[order, :width].astype(np.int64)),
    }


def dpo_trainer(models: tuple[Path, Path], out: str, **more):
    import trl
    from datasets import Dataset

    given = settings(trl.DPOConfig, out, PAIRS, beta=B, **more)
    words = [{"prompt": "a", "chosen": "b", "rejected": "c"}] * 2
    reference = loaded(models[1])["model"]
    made = trl.DPOTrainer(ref_model=reference, args=given, train_dataset=Dataset.from_list(words), **loaded(models[0]))
    made.model.train()
    return made


# Our objective; TRL's name for it; its settings; whether its formula is ours only on one pair at a time. "aot" sorts the
# margins of a batch, "sft" is a mean over all tokens of a batch: on one pair they are cDPO, and the NLL of iterative RPO.
CASES = [
    ("dpo", "sigmoid", {}, False),
    ("ipo", "ipo", {}, False),
    ("cdpo", "aot", {"label_smoothing": 0.2}, True),
    ("spin_hinge", "hinge", {}, False),
    ("exo", "exo_pair", {"label_smoothing": 0.01}, False),
    ("sppo", "sppo_hard", {}, False),
    ("rpo", ["sigmoid", "sft"], {"loss_weights": [1.0, 0.7]}, True),
]


@pytest.mark.parametrize(("name", "kind", "more", "alone"), CASES, ids=[c[0] for c in CASES])
def test_dpo_trainer_agrees(name, kind, more, alone, models):
    with quiet(), tempfile.TemporaryDirectory() as out:
        trainer = dpo_trainer(models, out, loss_type=kind, **more)
        parts = [[p] for p in range(PAIRS)] if alone else [list(range(PAIRS))]
        found = [gradient(trainer.model, trainer._compute_loss(trainer.model, sides(part), False)) for part in parts]
    loss, gradients = one_by_one(found)
    mine, own = ours(name, models)
    assert mine == pytest.approx(loss, rel=1e-5)
    assert distance(own, gradients) < 1e-5
    others = [ours(n, models)[1] for n in ("simpo", "dpo") if n != name]
    assert all(distance(o, gradients) > 1e-2 for o in others)  # it can tell methods apart


@pytest.mark.parametrize("name", ["simpo", "odds"])
def test_trainers_without_a_reference_agree(name, models):
    """CPOTrainer with the loss "simpo", its gamma a product where ours is a ratio, without its NLL; ORPOTrainer's odds ratio,
    without its NLL, which is a mean over the tokens of the better sides and of their prompts."""
    with quiet(), tempfile.TemporaryDirectory() as out:
        trainer = reference_free(name, models, out)
        found = []
        for p in range(PAIRS):
            made = trainer.concatenated_forward(trainer.model, collated(p))
            losses = trainer.cpo_loss(*made[:2])[0] if name == "simpo" else -trainer.odds_ratio_loss(*made[:2])[0]
            found.append(gradient(trainer.model, losses.mean()))
    loss, gradients = one_by_one(found)
    mine, own = ours(name, models)
    assert mine == pytest.approx(loss, rel=1e-5)
    assert distance(own, gradients) < 1e-5


def reference_free(name: str, models: tuple[Path, Path], out: str):
    from datasets import Dataset

    if name == "simpo":
        from trl.experimental.cpo import CPOConfig as Config
        from trl.experimental.cpo import CPOTrainer as Trainer

        more = dict(loss_type="simpo", cpo_alpha=0.0, simpo_gamma=0.5 * B)
    else:
        from trl.experimental.orpo import ORPOConfig as Config
        from trl.experimental.orpo import ORPOTrainer as Trainer

        more = {}
    words = [{"prompt": "a", "chosen": "b", "rejected": "c"}] * 2
    made = Trainer(args=settings(Config, out, 1, beta=B, **more), train_dataset=Dataset.from_list(words), **loaded(models[0]))
    made.model.train()
    return made


def collated(pair: int) -> dict[str, torch.Tensor]:
    """What the collators of the older trainers make of one pair."""
    found = {}
    for side, row in (("chosen", 2 * pair), ("rejected", 2 * pair + 1)):
        n = int(batch().lengths[row])
        ids = torch.from_numpy(batch().tokens[None, row, :n])
        trained = torch.from_numpy(batch().mask[None, row, :n]) > 0
        found |= {
            f"{side}_input_ids": ids,
            f"{side}_attention_mask": torch.ones_like(ids),
            f"{side}_labels": torch.where(trained, ids, -100),
        }
    return {**found, "prompt_input_ids": found["chosen_input_ids"][:, :3], "prompt_attention_mask": torch.ones(1, 3).long()}
