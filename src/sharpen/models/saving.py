"""A local policy as a directory, and back: a model that transformers loads, with the optimizer and a few numbers beside it.

What is written is the whole model, buffers that belong to it (a router's biases) too, in float32 as it is trained; config.json
says so. What is written is counted: a tensor that a library drops is an error, not a surprise at the next load. Adapters whose
base is known (`LocalPolicy.base`) are written by themselves, with a reference to it: that is what a run's commits hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sharpen.core import UserError
from sharpen.models import adapters, base, optimizer
from sharpen.models.critic import ValueHead
from sharpen.models.loading import BESIDE, in_short, load_weights, read_json

SHARDS = "shards"  # folder of a checkpoint whose trained weights and optimizer are in shards


def weights(model: Any, trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's `state_dict()` in float32, trained weights as they are trained. What is tied stays one tensor."""
    names = {id(p): n for n, p in model.named_parameters()}
    made: dict[int, Tensor] = {}
    out = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in made:
            value = trained.get(names.get(id(tensor), ""), tensor).detach()
            made[id(tensor)] = value.float() if value.dtype in (torch.bfloat16, torch.float16) else value
        out[name] = made[id(tensor)]
    return out


def write_model(model: Any, state: dict[str, Tensor], path: Path, ends: Sequence[int] = ()) -> None:
    """The model's directory, with these values. Raises RuntimeError where the files hold less than `state`.

    ends  ids that end a turn, which generation_config.json then names, so that others stop there too

    Architectures may have other names and cuts in files than in memory, so numbers are counted, not names.
    """
    wanted = sum({t.data_ptr(): t.numel() for t in state.values()}.values())
    model.save_pretrained(path, state_dict=dict(state))
    written = 0
    for file in path.glob("*.safetensors"):
        if file.name not in BESIDE:
            with safe_open(file, "pt") as opened:
                written += sum(_numbers(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
    if written < wanted:
        raise RuntimeError(f"{path}: {wanted} numbers were to be written, and the files hold {written}")
    config = path / "config.json"
    config.write_text(json.dumps(_with_dtype(read_json(config), "float32"), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    generation = path / "generation_config.json"
    if ends and generation.is_file():
        told = {**read_json(generation), "eos_token_id": list(ends) if len(ends) > 1 else ends[0]}
        generation.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _numbers(shape: list[int]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count


def _with_dtype(config: Any, dtype: str) -> Any:
    """The configuration, with this where it says in which type the numbers of the model, or of a part, are written."""
    if not isinstance(config, dict):
        return config
    return {k: dtype if k in ("dtype", "torch_dtype") and v else _with_dtype(v, dtype) for k, v in config.items()}


def save(policy: Any, directory: str) -> None:
    """A directory that transformers loads, or an adapter that says what it lies on; with optimizer.safetensors and policy.json
    beside it."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    write(policy, state(policy), directory)


def shown(policy: Any) -> dict[str, Tensor]:
    """The trained weights that a policy answers with: their running mean, where it keeps one."""
    return dict(zip(policy.trained, policy.mean, strict=True)) if policy.mean else dict(policy.trained)


def state(policy: Any) -> dict[str, Tensor]:
    """What the weights' files hold. Adapters are merged by the model's own layers, so nothing else may use it meanwhile."""
    if alone(policy):
        return shown(policy)
    found = weights(policy.model, shown(policy))
    return adapters.merged(policy.model, found) if policy.lora else found


def alone(policy: Any) -> bool:
    """Whether adapters are written by themselves."""
    return bool(policy.lora and policy.base)


def write(policy: Any, state: dict[str, Tensor], directory: str) -> None:
    """`save`, of a policy with this `state`. It only reads the policy."""
    write_weights(policy, state, Path(directory))
    write_beside(policy, Path(directory))


def write_weights(policy: Any, state: dict[str, Tensor], path: Path) -> None:
    if alone(policy):
        adapters.write(state, policy.lora, policy.base.name, path)
        base.write(policy.base, path)
    else:
        write_model(policy.model, state, path, policy.end_ids)


def write_base(policy: Any, path: Path) -> None:
    """What adapters lie on, as a model by itself."""
    found = weights(policy.model, {})
    write_model(policy.model, {adapters.plain(n): w for n, w in found.items() if ".lora_" not in n}, path, policy.end_ids)
    policy.tokenizer.save_pretrained(path)


def write_beside(policy: Any, path: Path) -> None:
    """What is not the model: the tokenizer, the optimizer with the latest weights, a critic, the version."""
    moments = {f"{key}:{n}": t for n, p in policy.trained.items() for key, t in policy.optimizer.state.get(p, {}).items()}
    if policy.mean or (policy.lora and not alone(policy)):
        moments |= {f"latest:{n}": t.detach() for n, t in policy.trained.items()}
    if policy.mean and policy.lora and not alone(policy):
        moments |= {f"mean:{n}": t for n, t in zip(policy.trained, policy.mean)}
    moments |= {f"learned:{n}": t for n, t in zip(policy.trained, policy.learned)}
    save_file({k: t.contiguous() for k, t in moments.items()}, path / "optimizer.safetensors")
    write_rest(policy, path)


def write_rest(policy: Any, path: Path) -> None:
    """The tokenizer, where it is not the base's, a critic, the version."""
    if not alone(policy):
        policy.tokenizer.save_pretrained(path)
    if policy.critic is not None:
        save_file(policy.critic.state(), path / "critic.safetensors")
    (path / "policy.json").write_text(json.dumps({"version": policy.version}))


def load(policy: Any, directory: str) -> None:
    """Restore what `save` wrote, bit for bit. Raises UserError, which names the file, where one is missing or damaged."""
    path = Path(directory)
    policy.take_back()
    if (path / SHARDS).is_dir() or policy.ranks:
        load_shards(policy, path)
        return
    former = {parameter: dict(own) for parameter, own in policy.optimizer.state.items()}
    policy.optimizer.state.clear()
    if (path / adapters.WEIGHTS).is_file():
        policy.put(list(adapter(policy, path).values()))
        policy.mean = [t.detach().clone() for t in policy.trained.values()] if policy.average else []
    elif not policy.lora:  # merged adapters are restored below; the weights beneath them never change
        take(policy, load_weights(path, type(policy.model)))
        policy.mean = [t.detach().clone() for t in policy.trained.values()] if policy.average else []
    numbers = {n: i for i, n in enumerate(policy.trained)}
    learned: dict[int, Tensor] = {}
    for key, tensor in each(path / "optimizer.safetensors", policy.kept):
        field, name = key.split(":", 1)
        if field == "latest":
            policy.trained[name].data.copy_(tensor)
        elif field == "mean":
            policy.mean[numbers[name]].copy_(tensor)
        elif field == "learned":
            learned[numbers[name]] = tensor
        else:
            weights = policy.trained[name]
            policy.optimizer.state[weights][field] = into(former.get(weights, {}).get(field), tensor)
    optimizer.refuse_other(policy.optimizer, path)
    load_rest(policy, path)
    policy.learned = [learned[i] for i in sorted(learned)]
    policy.refresh()


def into(place: Tensor | None, tensor: Tensor) -> Tensor:
    """A tensor of a file in memory of its own: that of what it replaces, where it fits, for what is given back stays ours."""
    if place is None or (place.shape, place.dtype, place.device) != (tensor.shape, tensor.dtype, tensor.device):
        return tensor.clone()
    return place.copy_(tensor)


def take(policy: Any, saved: Any) -> None:
    """Weights and buffers of another model of the same kind; it is let go of before anything else is loaded."""
    parameters, kept = dict(saved.named_parameters()), saved.state_dict()
    policy.put([parameters[n].detach() for n in policy.trained])
    with torch.no_grad():
        for name, buffer in policy.model.named_buffers():
            if name in kept:
                buffer.copy_(kept[name])


def adapter(policy: Any, path: Path) -> dict[str, Tensor]:
    """The adapter in a directory. UserError where it was trained on another base than the policy's, or does not fit."""
    if not policy.lora:
        raise UserError(f"{path} is an adapter, and this run trains whole weights. Set lora to the rank that it was made with.")
    if policy.base:
        base.same(policy.base, path)
    return adapters.read(path, policy.trained)


def load_shards(policy: Any, path: Path) -> None:
    """`load`, where either the checkpoint or the policy is in shards: what is trained is read from one and laid out for
    the other."""
    from sharpen.models import shards

    found = shards.read(path / SHARDS) if (path / SHARDS).is_dir() else whole(path, policy)
    lay = policy.ranks.shard if policy.ranks else lambda value, like: value.to(like.device)
    policy.optimizer.state.clear()
    if policy.average:
        policy.mean = [t.detach().clone() for t in policy.trained.values()]
    learned: list[Tensor] = []
    with torch.no_grad():
        for i, (name, weights) in enumerate(policy.trained.items()):
            weights.copy_(lay(found[f"latest:{name}"], weights))
            if policy.mean:
                policy.mean[i].copy_(lay(found.get(f"mean:{name}", found[f"latest:{name}"]), weights))
            learned += [lay(found[f"learned:{name}"], weights)] if f"learned:{name}" in found else []
            for key in optimizer.STATE:
                if (value := found.get(f"{key}:{name}")) is not None:
                    policy.optimizer.state[weights][key] = value if key == "step" else lay(value, weights)
    optimizer.refuse_other(policy.optimizer, path)
    load_rest(policy, path)
    policy.learned = learned
    policy.refresh()


def whole(path: Path, policy: Any) -> dict[str, Tensor]:
    """What a single process has saved, by the names that shards have."""
    found = read(path / "optimizer.safetensors", "cpu")
    if (path / adapters.WEIGHTS).is_file():
        held = adapter(policy, path)
        return {f"latest:{n}": t for n, t in held.items()} | {f"mean:{n}": t for n, t in held.items()} | found
    if any(key.startswith("latest:") for key in found):
        return found
    saved = dict(load_weights(path, type(policy.model)).named_parameters())
    return found | {f"latest:{name}": saved[name].detach() for name in policy.trained}


def load_rest(policy: Any, path: Path) -> None:
    policy.critic = None
    if (path / "critic.safetensors").exists():
        state = read(path / "critic.safetensors", str(policy.model.device))
        policy.critic = ValueHead(len(state["weight"]) - 1, policy.model.device)
        policy.critic.restore(state)
    policy.version = read_json(path / "policy.json")["version"]


def read(file: Path, device: str) -> dict[str, Tensor]:
    return dict(each(file, device))


def each(file: Path, device: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file one after another, for all together would lie in memory beside what they replace. What was read of
    a file lies there until it is closed, so it is opened for each."""
    try:
        with safe_open(file, "pt", device=device) as opened:
            names = list(opened.keys())
        for name in names:
            with safe_open(file, "pt", device=device) as opened:
                tensor = opened.get_tensor(name)
            yield name, tensor
            del tensor
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{file} is missing or damaged ({in_short(error)}), and the run cannot go on exactly as it would have without it. "
            "Restore it from a copy, or start a new run from the model beside it: --model."
        ) from error
