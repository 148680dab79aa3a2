"""A plan in words, and the commands that run it."""

from __future__ import annotations

from pathlib import Path

from sharpen.plan.cost import Cost, Plan
from sharpen.plan.shapes import Device, Load, Shape

PORT = 8000


def told(plan: Plan, price: Cost, shape: Shape, device: Device, load: Load) -> str:
    where = (
        f"{plan.learn} devices, in turn for rollouts and for learning"
        if plan.together
        else f"{plan.generate} devices for rollouts, {plan.learn} for learning"
    )
    how = [
        f"{shape.name} on {device.name}: {where}",
        f"{plan.engines} engines of {plan.tensor}, " + (f"adapters of rank {plan.lora}" if plan.lora else "whole weights"),
        f"passes of {plan.micro} tokens" + (", activations computed again" if plan.recompute else ""),
        *([f"moments of {plan.bits} bits"] if plan.bits != 32 else []),
        f"ahead by {plan.ahead}" if plan.ahead else "not ahead of the learner",
    ]
    rows = [f"  {name:<22}{seconds:9.1f} s" for name, seconds in price.seconds.items()]
    rate = load.rows * load.mean / price.step
    rows += [f"  {'a step':<22}{price.step:9.1f} s   {load.rows} answers, {rate:,.0f} tokens/s"]
    kept = [f"  {name:<22}{size / 1e9:9.1f} GB" for name, size in price.memory.items() if name != "most" and size > 5e7]
    kept += [f"  {'fullest device':<22}{price.memory['most'] / 1e9:9.1f} GB   of {device.memory / 1e9:.0f}"]
    return "\n".join(["; ".join(how), *rows, *kept])


def commands(plan: Plan, model: str, device: Device, load: Load) -> str:
    """What to type: an engine a group of devices, then the run."""
    longest = load.prompt + load.most
    model = model if Path(model).is_dir() else "MODEL"  # a size is none that could be served
    engine = (
        f"vllm serve {model} --tensor-parallel-size {plan.tensor} --max-model-len {longest} --logprobs-mode processed_logprobs"
    )
    engine += f" --enable-lora --max-lora-rank {max(plan.lora, 8)} --max-loras {plan.ahead + 2}" if plan.lora else ""
    share = f" --gpu-memory-utilization {0.45 if plan.together else 0.9}"
    variables = "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True " if plan.lora else "VLLM_SERVER_DEV_MODE=1 "
    per_node = max(device.node // plan.tensor, 1)
    urls = [f"http://node{i // per_node}:{PORT + i % per_node}" for i in range(plan.engines)]
    shown = ",".join(urls) if len(urls) <= 16 else f"{','.join(urls[:2])},…,{urls[-1]}"
    nodes, processes = -(-plan.learn // device.node), min(plan.learn, device.node)
    start = f"torchrun --nnodes {nodes} --nproc-per-node {processes} -m sharpen" if plan.learn > 1 else "sharpen"
    run = f"{start} run grpo --model {model} --engines {shown}" + (" --shard fsdp" if plan.learn > 1 else "")
    run += f" --ahead {plan.ahead}" if plan.ahead else ""
    run += f" --set prompts={-(-load.rows // load.samples)} --set samples={load.samples}"
    run += f" --set micro_tokens={plan.micro} --set max_tokens={load.most}" + (
        " --set recompute=true" if plan.recompute else ""
    )
    run += f" --set lora={plan.lora}" if plan.lora else ""
    run += f" --set optimizer_bits={plan.bits}" if plan.bits != 32 else ""
    often = "once" if plan.engines == 1 else f"{plan.engines} times, once for each group of {plan.tensor} devices"
    first = f"# {often}, ports from {PORT} on each node"
    return f"{first}\n{variables}{engine}{share} --enable-scale-out --port {PORT}\n{run}"
