"""Losses and gradients of TRL's own trainers on a batch of ours: the independent implementation that objectives are held to.

A trainer is built whole and handed the batch's sequences as if it had sampled them. It scores them by the batch's rewards,
makes its own advantages, and computes its own loss; nothing of its formulas is restated here.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sharpen.core import Batch

Result = tuple[float, dict[str, torch.Tensor]]  # loss, gradient of each parameter in float64


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """TRL and what it imports warn about their own futures, which is no news about ours."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def settings(config: Any, out: str, rows: int, **more: Any) -> Any:
    """A configuration that trains on one batch of so many rows on the processor, with nothing that is not asked for."""
    given = dict(
        output_dir=out,
        use_cpu=True,
        bf16=False,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=1,
        gradient_checkpointing=False,
        max_steps=1,
        save_strategy="no",
        report_to="none",
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
    return config(**{**given, **more})


def loaded(directory: Path) -> dict[str, Any]:
    """Model and tokenizer in a directory, as the arguments of a trainer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, local_files_only=True)
    return dict(model=model, processing_class=AutoTokenizer.from_pretrained(directory, local_files_only=True))


def gradient(model: Any, loss: torch.Tensor) -> Result:
    """The loss as a number, and its gradient with respect to every parameter."""
    named = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()))
    return float(loss.detach()), {name: g.double() for name, g in zip(named, found, strict=True)}


def policy_gradient(kind: str, directory: Path, batch: Batch, **more: Any) -> Result:
    """Loss and gradient of a "grpo" or "rloo" trainer on a batch of groups of one size, neighbours in the batch.

    The batch's sampling log-probabilities are those of the behaviour policy. `more` are fields of the trainer's configuration.
    """
    import trl
    from datasets import Dataset

    rows, size = len(batch), int((batch.group == batch.group[0]).sum())
    asked = [{"prompt": [{"role": "user", "content": str(g)}]} for g in batch.group]
    trained = batch.mask > 0
    prompts = [batch.tokens[i, : int(trained[i].argmax())].tolist() for i in range(rows)]
    completions = [batch.tokens[i, trained[i]].tolist() for i in range(rows)]
    sampling = [batch.sampling[i, trained[i]] for i in range(rows)]
    trainer_type, config = (trl.GRPOTrainer, trl.GRPOConfig) if kind == "grpo" else (trl.RLOOTrainer, trl.RLOOConfig)

    class Fed(trainer_type):  # type: ignore[valid-type, misc]
        """Everything of TRL but the sampling itself."""

        def _generate_single_turn(self, *given: Any, **named: Any) -> Any:
            return (completions, None) if kind == "grpo" else completions

        def _tokenize_prompts(self, *given: Any, **named: Any) -> Any:
            return prompts, None, {}

    with quiet(), tempfile.TemporaryDirectory() as out:
        asks = settings(config, out, rows, num_generations=size, **{"beta": 0.0, **more})
        trainer = Fed(
            reward_funcs=lambda **_: [float(r) for r in batch.reward],
            args=asks,
            train_dataset=Dataset.from_list(asked),
            **loaded(directory),
        )
        trainer.current_gradient_accumulation_steps = 1
        trainer.model.train()
        inputs = trainer._generate_and_score_completions(asked)
        old = torch.zeros(inputs["completion_ids"].shape)
        for i, logp in enumerate(sampling):
            old[i, : len(logp)] = torch.as_tensor(logp)
        assert inputs["completion_mask"].sum(1).tolist() == [len(c) for c in completions]
        inputs |= {"old_per_token_logps": old, "old_logps": (old * inputs["completion_mask"]).sum(1)}
        return gradient(trainer.model, trainer._compute_loss(trainer.model, inputs))


def supervised(directory: Path, batch: Batch, **more: Any) -> Result:
    """Loss and gradient of an SFT trainer on the batch's sequences, of which only what the mask names is learnt."""
    import trl
    from datasets import Dataset

    rows = [
        {
            "input_ids": batch.tokens[i, : batch.lengths[i]].tolist(),
            "completion_mask": batch.mask[i, : batch.lengths[i]].astype(int).tolist(),
        }
        for i in range(len(batch))
    ]
    with quiet(), tempfile.TemporaryDirectory() as out:
        asks = settings(trl.SFTConfig, out, len(rows), completion_only_loss=True, max_length=None, **more)
        trainer = trl.SFTTrainer(args=asks, train_dataset=Dataset.from_list(rows), **loaded(directory))
        trainer.model.train()
        inputs = trainer.data_collator([trainer.train_dataset[i] for i in range(len(rows))])  # with labels made of the masks
        items = (inputs["labels"][:, 1:] != -100).sum()
        return gradient(trainer.model, trainer.compute_loss(trainer.model, inputs, num_items_in_batch=items))


def distance(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Norm of the difference of two gradients over the norm of the second."""
    assert ours.keys() == theirs.keys()
    square = sum(float((ours[n].double() - g).square().sum()) for n, g in theirs.items())
    return float(np.sqrt(square / sum(float(g.square().sum()) for g in theirs.values())))
