"""Do both sides compute the same? TRL's loss and gradient against sharpen's on one batch of sequences, in fp32.

TRL runs whole: its trainer is handed the sequences through `rollout_func`, scores them by the same reward, and makes its own
advantages, loss and gradient. What has to be accounted for:

1. TRL's advantages divide by the standard deviation of a sample plus 1e-4: `contenders.tableau`.
2. sharpen minimises -(c * logp).sum() with fixed coefficients c, whose gradient is the surrogate's. The surrogate itself, which
   TRL reports, is -c.sum() as long as nothing is clipped, and on the first pass over fresh samples nothing is.
3. TRL takes the likelihood ratio to be exactly 1 on that pass; sharpen divides by the probabilities noted when sampling, which
   differ from it by rounding.
4. TRL adds up micro-batches, here of 32 rows, into one step.
5. TRL's clipping of the gradient is off here. sharpen's gradient is read from AdamW's first moment, (1 - beta1) times the
   clipped gradient, and the reported norm undoes the clipping.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from common import ADAM, LR, MAX_GRAD_NORM, Shape, reward
from contenders import roll_out, tableau, tasks, trl_settings, trl_trainer

TOLERANCE = 1e-4  # relative, of the loss and of the whole flattened gradient


def gate(connection: Connection, shape: Shape, model: Path) -> None:
    """The work of a process of `contenders.started`: sends what `compare` returns."""
    connection.send(compare(shape, model))


def compare(shape: Shape, model: Path) -> dict[str, Any]:
    """{"loss", "trl_loss", "gradient_norm", "loss_error", "gradient_error", "passed"} on one step's sequences.

    Half of the groups are silent. The model has to be one whose completions differ in length: at equal lengths the loss is the
    sum of all advantages, which is 0.
    """
    from sharpen.data import make_batch
    from sharpen.models import policy

    local = policy.LocalPolicy(*policy.load_model(model), precision="fp32")
    samples, _ = roll_out(local, tasks(shape, 1, silent=True), shape, step=0)
    ours, our_loss = sharpen_gradient(local, make_batch(samples))
    theirs, their_loss = trl_gradient(shape, model, samples)
    difference = sum(float((ours[name] - theirs[name]).square().sum()) for name in theirs) ** 0.5
    norm = sum(float(g.square().sum()) for g in theirs.values()) ** 0.5
    errors = {"loss_error": abs(our_loss - their_loss) / abs(their_loss), "gradient_error": difference / norm}
    passed = ours.keys() == theirs.keys() and all(error <= TOLERANCE for error in errors.values())
    return {"loss": our_loss, "trl_loss": their_loss, "gradient_norm": norm, **errors, "passed": passed}


def sharpen_gradient(local: Any, batch: Any) -> tuple[dict[str, Any], float]:
    """(gradient of each parameter, value of the surrogate) by the public interface of a policy that has never learnt."""
    import torch

    from sharpen.objectives.tableau import coefficients

    loss = -float(coefficients(tableau(), batch, torch.from_numpy(local.logprobs(batch)).double()).sum())
    norm = local.update(batch, tableau(), LR)["grad_norm"]
    scale = max(norm / MAX_GRAD_NORM, 1.0) / (1 - ADAM["betas"][0])
    moments = {name: local.optimizer.state[weights]["exp_avg"] for name, weights in local.trained.items()}
    return {name: moment.double() * scale for name, moment in moments.items()}, loss


def trl_gradient(shape: Shape, model: Path, samples: list[Any]) -> tuple[dict[str, Any], float]:
    """(gradient of each parameter, loss) of the one step that a GRPOTrainer makes on the sequences of `samples`."""
    import torch
    from transformers import TrainerCallback
    from trl import GRPOTrainer

    left = defaultdict(list)  # question -> its sequences that TRL has not been given yet
    for sample in samples:
        left[sample.rollout.task.prompt[-1]["content"]].append(sample.rollout)
    gradient: dict[str, torch.Tensor] = {}
    losses: list[float] = []

    class Recorded(GRPOTrainer):
        def compute_loss(self, *given: Any, **named: Any) -> Any:
            loss = super().compute_loss(*given, **named)
            losses.append(float(loss.detach()))
            return loss

    class Reader(TrainerCallback):
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            gradient.update({name: p.grad.double().clone() for name, p in model.named_parameters()})

    def replay(prompts: Any, trainer: Any) -> dict[str, Any]:
        rollouts = [left[prompt[-1]["content"]].pop(0) for prompt in prompts]
        return {
            "prompt_ids": [r.tokens[~r.sampled].tolist() for r in rollouts],
            "completion_ids": [r.tokens[r.sampled].tolist() for r in rollouts],
            "logprobs": [r.logprobs[r.sampled].tolist() for r in rollouts],
        }

    def rewarded(prompts: Any, completions: Any, **_: Any) -> list[float]:
        return [reward(p[-1]["content"], c[-1]["content"], silent=True) for p, c in zip(prompts, completions, strict=True)]

    with tempfile.TemporaryDirectory() as out:
        settings = trl_settings(shape, out, bf16=False, micro=32, max_grad_norm=0.0, max_steps=1, disable_tqdm=True)
        trainer = trl_trainer(Recorded, shape, model, settings, rewarded, rollout_func=replay, callbacks=[Reader()])
        torch.set_num_threads(shape.threads)
        trainer.train()
    return gradient, sum(losses)
