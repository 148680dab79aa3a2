"""One model on several processes, its trained weights, gradients and optimizer in shards (torch's FSDP2, arXiv 2304.11277).

1. Rows are shared out by group, so that every rank runs passes of its own; what is found is added up, and so are gradients.
2. FSDP gathers the weights of all ranks before the first pass of a call, and drops them once a step has changed them. Gradients
   are summed over ranks once, behind the last pass: ranks may have different numbers of passes.
3. Sums, never means: the loss has its normalisers from the whole batch already, and gloo's mean of a reduce-scatter has been
   the sum (pytorch #162338).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

from sharpen.core import Batch
from sharpen.models import optimizer


class Whole(nn.Module):
    """Runs a function of the model while its weights are whole: FSDP's hooks are on this module's call."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], Tensor]) -> Tensor:
        return work()


class Ranks:
    """A policy's model among the processes of a torch.distributed group, this one of them."""

    def __init__(self, policy: Any, bf16: bool = False):
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        mesh = init_device_mesh(policy.model.device.type, (self.size,))
        kind = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if bf16 else MixedPrecisionPolicy()
        whole = fully_shard(Whole(policy.model), mesh=mesh, reshard_after_forward=False, mp_policy=kind)
        self.whole = cast(Any, whole)
        self.whole.set_gradient_divide_factor(1.0)
        self.whole.set_force_sum_reduction_for_comms(True)
        self.whole.set_reshard_after_backward(False)
        self.whole.set_requires_gradient_sync(False)
        self.mesh, self.device, self.gathered = mesh, policy.model.device, False
        policy.trained = {n.removeprefix("model."): p for n, p in self.whole.named_parameters() if p.requires_grad}
        plain: dict[str, Any] = dict(foreach=False, fused=False)
        policy.optimizer = optimizer.make(policy.trained, policy.model, policy.optimizer_bits, **plain)
        policy.mean = [t.detach().clone() for t in policy.trained.values()] if policy.average else []
        policy.ranks, self.packed = self, policy.packed
        self.front: Any = None  # of rank 0: what makes every rank do it

    def gather(self) -> None:
        """Every rank has the whole weights. All ranks call it."""
        if not self.gathered:
            self.whole.unshard()
            self.gathered = True

    def scatter(self) -> None:
        """The whole weights are out of date: only shards are kept."""
        if self.gathered:
            self.packed.forget()  # it has addresses of memory that is given back here
            self.whole.reshard()
            self.gathered = False

    def mine(self, batch: Batch, rows: np.ndarray) -> np.ndarray:
        """Those of these rows that this rank runs: whole groups, dealt out by length."""
        groups, which = np.unique(batch.group[rows], return_inverse=True)
        size = np.zeros(len(groups), dtype=np.int64)
        np.add.at(size, which, batch.lengths[rows])
        dealt = np.empty(len(groups), dtype=np.int64)
        order = np.argsort(-size, kind="stable")
        there = np.arange(len(groups)) % (2 * self.size)  # there and back, so that the first rank has not all the longest
        dealt[order] = np.minimum(there, 2 * self.size - 1 - there)
        return rows[dealt[which] == self.rank]

    def run(self, work: Callable[[], Tensor]) -> Tensor:
        """A pass with gradient."""
        self.gather()
        return self.whole(work)

    def reduce(self, policy: Any) -> None:
        """Behind a step's last pass: gradients become the sum over all ranks, in shards. A rank without rows adds nothing."""
        self.gather()
        self.whole.set_requires_gradient_sync(True)
        parameters = [p for p in policy.model.parameters() if p.requires_grad]
        self.run(lambda: torch.stack([p.sum() for p in parameters]).sum() * 0.0).backward()
        self.whole.set_requires_gradient_sync(False)
        if policy.critic is not None:
            weight = policy.critic.weight
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
            dist.all_reduce(weight.grad)

    def clip(self, trained: Mapping[str, Tensor], most: float) -> float:
        """Scale gradients whose norm over all ranks is larger than `most`; returns that norm."""
        local = [p.grad.to_local() for p in trained.values() if p.grad is not None]  # type: ignore[attr-defined]
        (total,) = self.summed([sum(float(g.double().square().sum()) for g in local)])
        norm = float(np.sqrt(total))
        if np.isfinite(norm):
            torch._foreach_mul_(local, min(1.0, most / (norm + 1e-6)))
        return norm

    def summed(self, numbers: Sequence[float]) -> list[float]:
        """Each number's sum over all ranks."""
        found = torch.tensor(list(numbers), dtype=torch.float64, device=self.device)
        dist.all_reduce(found)
        return found.tolist()

    def joined(self, found: dict[str, np.ndarray], names: Sequence[str], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Arrays of which each rank has filled its own rows, whole."""
        out = {}
        for name in names:
            whole = torch.from_numpy(found.get(name, np.zeros(shape, dtype=np.float32))).to(self.device)
            dist.all_reduce(whole)
            out[name] = whole.cpu().numpy()
        return out

    def full(self, model: Any, trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The model's `state_dict()` as whole tensors, trained weights as given. All ranks call it. What is tied stays one."""
        self.scatter()  # `state_dict` of such a model is of its shards
        names = {id(p): n for n, p in model.named_parameters()}
        made: dict[int, Tensor] = {}
        out = {}
        for name, tensor in model.state_dict(keep_vars=True).items():
            if id(tensor) not in made:
                value = trained.get(names.get(id(tensor), ""), tensor).detach()
                made[id(tensor)] = value.full_tensor() if hasattr(value, "full_tensor") else value
            out[name] = made[id(tensor)]
        return out

    def shard(self, value: Tensor, like: Tensor) -> Tensor:
        """This rank's shard of a whole tensor that lies on every rank, laid out as another."""
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(value.to(self.device), self.mesh, like.placements)  # type: ignore[attr-defined]
