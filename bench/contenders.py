"""The two sides of the comparison, each in a process of its own: it builds itself, then makes one step whenever it is told to.

`open_contender` starts the process and returns the end of a pipe. "plain" and "silent" ask for one step with either reward;
the answer is a dictionary of seconds and tokens. The first answer, to nothing, says how long building took. "stop" ends it.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from common import ADAM, LR, MAX_GRAD_NORM, Shape, high_water_mb, prompts, reward

DEADLINE = 900.0  # seconds that either end of the pipe waits for the other
STEPS = 64  # steps' worth of prompts; they begin again after that

# The knobs of `trl_steps` for each variant, beside what makes the two sides equal (see `trl_settings`).
# Tried and no faster on two cores: micro-batches of 16, 64 and 256 rows, a static cache. Continuous batching: ten times slower.
TUNED: dict[str, Any] = dict(micro=32, attention="eager", logging_strategy="no", disable_tqdm=True)
TRL: dict[str, dict[str, Any]] = {
    "trl fp32": dict(bf16=False),
    "trl bf16": dict(bf16=True),
    "trl fp32 tuned": dict(bf16=False, **TUNED),
    "trl bf16 tuned": dict(bf16=True, **TUNED),
    "trl fp32 compiled": dict(bf16=False, torch_compile=True, **TUNED),
    "trl bf16 compiled": dict(bf16=True, torch_compile=True, **TUNED),
}


def open_contender(name: str, shape: Shape, model: Path) -> tuple[Any, Connection]:
    """`started` for "sharpen" or one of `TRL`."""
    return started(sharpen_steps if name == "sharpen" else partial(trl_steps, **TRL[name]), shape, model)


def started(work: Callable[..., None], shape: Shape, model: Path) -> tuple[Any, Connection]:
    """(process, pipe) of `serve` in a fresh interpreter, which shares no thread pool and no memory with this one."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=serve, args=(work, there, shape, model), daemon=True)
    process.start()
    there.close()
    return process, here


def ask(connection: Connection, what: str | None = None) -> dict[str, Any]:
    """Send a command, where there is one, and wait for the answer. Raises EOFError where the process has died."""
    if what is not None:
        connection.send(what)
    if not connection.poll(DEADLINE):
        raise TimeoutError(f"a contender was silent for {DEADLINE:.0f} s after {what!r}")
    return connection.recv()


def serve(work: Callable[..., None], connection: Connection, shape: Shape, model: Path) -> None:
    """The child process. What libraries print goes to standard error, for standard output may be a JSON object's."""
    os.dup2(2, 1)
    import torch

    torch.set_num_threads(shape.threads)
    work(connection, shape, model)


def commands(connection: Connection) -> Iterator[str]:
    while connection.poll(DEADLINE) and (command := connection.recv()) != "stop":
        yield command


def tableau() -> Any:
    """TRL's default loss, "dapo" with one clip: GRPO with a mean over all tokens of the batch.

    TRL divides by the standard deviation of a sample (n - 1) plus 1e-4; `policy_gradient.grpo` says which deviation, and its
    eps is 1e-6. Silent groups stay in the count of tokens.
    """
    from sharpen.objectives import advantage, policy_gradient

    return replace(
        policy_gradient.grpo(unbiased=True, per_token=True), advantage=partial(advantage.normalised, unbiased=True, eps=1e-4)
    )


def tasks(shape: Shape, steps: int = STEPS, silent: bool = False) -> list[Any]:
    from sharpen.core import Task

    asked = prompts(shape, steps)
    return [Task(({"role": "user", "content": text},), None, "sums", 1, data={"silent": silent}) for text in asked]


def verdict(task: Any, response: str) -> Any:
    from sharpen.core import Verdict

    worth = reward(task.prompt[-1]["content"], response, task.data["silent"])
    return Verdict("wrong", worth, rule="share of lower-case letters")


def roll_out(
    local: Any, chosen: Sequence[Any], shape: Shape, step: int, judges: Any = None
) -> tuple[list[Any], tuple[float, float]]:
    """(judged rollouts, clock after generating and after judging) of one step, as `loop.sampling_step.try_out` makes them.

    judges   `judging.Judges`, which judge while others are still generated; without, everything is judged here at the end
    """
    from sharpen import rollouts
    from sharpen.core import PLAIN
    from sharpen.rollouts import rollout
    from sharpen.verify import judge

    groups = [i for i in range(len(chosen)) for _ in range(shape.samples)]
    ids = [f"s{step:06d}.{i:03d}.{j:03d}" for i in range(len(chosen)) for j in range(shape.samples)]
    made = rollouts.drive(
        local,
        rollout.single,
        [chosen[i] for i in groups],
        ids,
        seed=step,
        max_tokens=shape.tokens,
        sampling=PLAIN,
        finished=judges.begin if judges else None,
    )
    generated = time.perf_counter()
    samples = judges.judge(made, groups) if judges else judge(made, groups, verdict)
    return samples, (generated, time.perf_counter())


def sharpen_steps(connection: Connection, shape: Shape, model: Path) -> None:
    from sharpen import curriculum
    from sharpen.data import make_batch
    from sharpen.loop.step import describe_step
    from sharpen.models import policy
    from sharpen.verify import judging

    loaded = policy.load_model(model)
    begin = time.perf_counter()
    local = policy.LocalPolicy(*loaded, precision="auto")
    connection.send({"seconds": time.perf_counter() - begin, "bf16": str(local.model.dtype) == "torch.bfloat16"})
    listed = {"plain": tasks(shape), "silent": tasks(shape, silent=True)}
    with judging.Judges(verdict) as judges:
        for step, command in enumerate(commands(connection)):
            first = step * shape.prompts % len(listed[command])
            start = time.perf_counter()
            chosen = listed[command][first : first + shape.prompts]
            samples, (generated, judged) = roll_out(local, chosen, shape, step, judges)
            batch = make_batch(samples)
            stats = local.update(batch, tableau(), LR)
            learned = time.perf_counter()
            describe_step(samples), curriculum.statistics(step, samples)
            connection.send(
                {
                    "seconds": time.perf_counter() - start,
                    "generate": generated - start,
                    "judge": judged - generated,
                    "learn": learned - judged,
                    "tokens": int(sum(s.rollout.n_sampled for s in samples)),
                    "trained_rows": int(stats["rows_trained"]),
                    "row_tokens": int(batch.lengths.sum()),
                    "peak_mb": high_water_mb(),
                }
            )


def trl_settings(shape: Shape, out: str, micro: int = 8, **more: Any) -> Any:
    """A GRPOConfig that does the work of `sharpen_steps`: TRL's defaults except where the two would differ.

    micro   rows of one forward and backward pass; 8 is TRL's default
    """
    from trl import GRPOConfig

    micro = min(micro, shape.rows)
    given = dict(
        output_dir=out,
        use_cpu=True,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=shape.rows // micro,
        steps_per_generation=shape.rows // micro,
        num_generations=shape.samples,
        max_completion_length=shape.tokens,
        gradient_checkpointing=False,
        learning_rate=LR,
        lr_scheduler_type="constant",
        adam_beta1=ADAM["betas"][0],
        adam_beta2=ADAM["betas"][1],
        adam_epsilon=ADAM["eps"],
        weight_decay=ADAM["weight_decay"],
        max_grad_norm=MAX_GRAD_NORM,
        max_steps=10**6,
        shuffle_dataset=False,
        save_strategy="no",
        report_to="none",
        dataloader_pin_memory=False,
    )
    return GRPOConfig(**{**given, **more})


def trl_trainer(
    kind: Any,
    shape: Shape,
    model: Path,
    settings: Any,
    rewarded: Callable[..., list[float]],
    attention: str = "sdpa",
    **more: Any,
) -> Any:
    """A GRPOTrainer, or the subclass `kind`, on the questions of `tasks`."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    listed = [{"prompt": [{"role": "user", "content": text}]} for text in prompts(shape, STEPS)]
    return kind(
        model=AutoModelForCausalLM.from_pretrained(
            model, dtype="float32", local_files_only=True, attn_implementation=attention
        ),
        processing_class=AutoTokenizer.from_pretrained(model, local_files_only=True),
        reward_funcs=rewarded,
        args=settings,
        train_dataset=Dataset.from_list(listed),
        **more,
    )


def trl_steps(connection: Connection, shape: Shape, model: Path, attention: str = "sdpa", **knobs: Any) -> None:
    import torch
    from transformers import TrainerCallback
    from trl import GRPOTrainer

    waiting = commands(connection)
    seen: dict[str, Any] = {}

    class Timed(GRPOTrainer):
        def _generate_single_turn(self, prompt_ids: Any, *rest: Any, **named: Any) -> Any:
            start = time.perf_counter()
            answer = super()._generate_single_turn(prompt_ids, *rest, **named)
            seen["generate"] = time.perf_counter() - start
            seen["tokens"] = sum(map(len, answer[0]))
            seen["row_tokens"] = seen["tokens"] + sum(map(len, prompt_ids))
            return answer

    class Paced(TrainerCallback):
        """Between two optimizer steps the trainer waits to be told to go on; a step's time is what lies between."""

        def go_on(self, control: Any) -> None:
            seen["command"] = next(waiting, "stop")
            control.should_training_stop = seen["command"] == "stop"
            seen["start"] = time.perf_counter()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            connection.send({"seconds": 0.0, "bf16": args.bf16})
            self.go_on(control)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seconds = time.perf_counter() - seen["start"]
            figures = {key: seen[key] for key in ("generate", "judge", "tokens", "row_tokens")}
            learn = seconds - seen["generate"] - seen["judge"]
            connection.send({**figures, "seconds": seconds, "learn": learn, "peak_mb": high_water_mb()})
            self.go_on(control)

    def rewarded(prompts: Any, completions: Any, **_: Any) -> list[float]:
        start = time.perf_counter()
        asked = [(p[-1]["content"], c[-1]["content"]) for p, c in zip(prompts, completions, strict=True)]
        worth = [reward(question, answer, seen["command"] == "silent") for question, answer in asked]
        seen["judge"] = time.perf_counter() - start
        return worth

    with tempfile.TemporaryDirectory() as out:
        settings = trl_settings(shape, out, **knobs)
        trainer = trl_trainer(Timed, shape, model, settings, rewarded, attention, callbacks=[Paced()])
        torch.set_num_threads(shape.threads)
        trainer.train()
