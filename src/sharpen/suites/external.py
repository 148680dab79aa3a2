"""Evaluations of others, asked of `sharpen serve`: lm-eval and Inspect, each in a process of its own.

A suite is named `lm-eval:TASK` or `inspect:TASK`; TASK is theirs, and so are its data. The model is served on this machine
while they run, and their figures become rows like ours.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sharpen.core import UserError
from sharpen.serve import app, opened
from sharpen.terminal import listening

KINDS = {"lm-eval": "lm_eval", "inspect": "inspect_ai"}
READY_S = 600.0
HOUR = 3600.0
WORDS = "words.log"  # what a harness prints, in the folder of its results


def named(suite: str) -> tuple[str, str] | None:
    """(kind, task) of a suite of somebody else's; None of one of ours."""
    kind, colon, task = suite.partition(":")
    return (kind, task) if colon and kind in KINDS and task else None


def require(kind: str) -> None:
    """UserError with the command that installs what is missing."""
    app.require()
    there = {"lm-eval": importlib.util.find_spec("lm_eval"), "inspect": importlib.util.find_spec("inspect_ai")}
    if there[kind] is None:
        raise UserError(f"--suite {kind}:… needs {KINDS[kind]}, not installed here: pip install 'sharpen[harness]'")


def command(kind: str, task: str, url: str, here: tuple[str, Path], out: Path, n: int | None, seed: int) -> list[str]:
    """What is run, for a server at `url`; here: what it calls its model, and where that one's tokenizer is."""
    name, home = here
    limit = ["--limit", str(n)] if n else []
    if kind == "lm-eval":
        served = f"model={name},base_url={url}/completions,tokenizer={home},tokenizer_backend=huggingface"
        options = ["--model", "local-completions", "--model_args", served, "--tasks", task, "--output_path", str(out)]
        return [sys.executable, "-m", "lm_eval", "run", *options, *limit, "--seed", str(seed)]
    options = ["--model", f"openai-api/sharpen/{name}", "--log-format", "json", "--log-dir", str(out), "--display", "none"]
    return [sys.executable, "-m", "inspect_ai", "eval", task, *options, *limit, "--seed", str(seed)]


def placed(kind: str, task: str) -> tuple[str, Path | None]:
    """(a task as its harness takes it, where to run that; None: here). Inspect finds a file in its own folder only."""
    file, at, name = task.partition("@")
    if kind != "inspect" or not Path(file).is_file():
        return task, None
    return Path(file).name + at + name, Path(file).resolve().parent


@contextmanager
def serving(model_dir: Path, settings: Sequence[str], precision: str, device: str) -> Iterator[tuple[str, str, Path]]:
    """(address, name, directory) of the model, while this lasts."""
    here = opened(model_dir, settings, precision, device)
    at = listening("127.0.0.1", 0)
    started: list[Any] = []
    ready = threading.Event()

    def begun(server: Any) -> None:
        started.append(server)
        ready.set()

    thread = threading.Thread(target=app.serve, args=(here, at, READY_S, False, begun), daemon=True)
    thread.start()
    if not ready.wait(READY_S):
        raise UserError(f"the server of {model_dir} did not come up in {READY_S:.0f} s")
    try:
        yield f"http://127.0.0.1:{at.getsockname()[1]}/v1", here.name, here.home
    finally:
        started[0].should_exit = True
        thread.join(60)


def run(
    suite: str,
    model_dir: Path,
    directory: Path,
    n: int | None,
    seed: int,
    progress: Any,
    settings: Sequence[str] = (),
    precision: str = "auto",
    device: str = "auto",
    seconds: float = HOUR,
) -> dict[str, Any]:
    """Run somebody else's evaluation on the model; rows as ours are. UserError where it fails or takes longer than that."""
    kind, task = named(suite) or ("", "")
    require(kind)
    out = (directory / kind).resolve()
    out.mkdir(parents=True, exist_ok=True)
    task, folder = placed(kind, task)
    progress.say(f"{model_dir} is opened, and served to {kind} {task}, whose words go to {out / WORDS}")
    with serving(model_dir, settings, precision, device) as (url, name, home):
        asked = command(kind, task, url, (name, home), out, n, seed)
        key = os.environ.get(app.KEY, "") or "none"
        environment = dict(os.environ) | {"OPENAI_API_KEY": key, "SHARPEN_API_KEY": key, "SHARPEN_BASE_URL": url}
        with (out / WORDS).open("wb") as words:
            try:
                ended = subprocess.run(asked, cwd=folder, env=environment, stdout=words, stderr=words, timeout=seconds)
            except subprocess.TimeoutExpired:
                raise UserError(f"{kind} had not ended after {seconds:.0f} s. Take a smaller -n.") from None
    if ended.returncode:
        lines = (out / WORDS).read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise UserError(f"{kind} failed on {task}: {lines[-1][:500]}\nAll that it said is in {out / WORDS}.")
    rows = read(kind, out)
    if not rows:
        raise UserError(f"{kind} left no figures in {out}")
    found = {"model": str(model_dir), "suite": suite, "n": n, "seed": seed, "settings": list(settings), "rows": rows}
    (directory / "suite.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def read(kind: str, out: Path) -> list[dict[str, Any]]:
    """The rows of the newest file of figures there."""
    files = sorted(out.rglob("results*.json" if kind == "lm-eval" else "*.json"), key=lambda p: p.stat().st_mtime)
    if not files:
        return []
    try:
        found = json.loads(files[-1].read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{files[-1]} cannot be read: {error}") from error
    return lm_eval_rows(found) if kind == "lm-eval" else inspect_rows(found)


def lm_eval_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of lm-eval's results: `metric,filter` beside `metric_stderr,filter`."""
    rows = []
    for task, figures in found.get("results", {}).items():
        n = found.get("n-samples", {}).get(task, {}).get("effective")
        for key, value in figures.items():
            name, comma, kept = key.partition(",")
            if comma and isinstance(value, int | float) and not name.endswith("_stderr"):
                error = figures.get(f"{name}_stderr,{kept}")
                rows.append(row(task, f"{name} ({kept})", float(value), error, n))
    return rows


def inspect_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of an Inspect log: every metric of every scorer, with its stderr where it has one."""
    task, results = found.get("eval", {}).get("task", "inspect"), found.get("results") or {}
    rows = []
    for score in results.get("scores", []):
        metrics = {name: metric["value"] for name, metric in score.get("metrics", {}).items()}
        for name, value in metrics.items():
            if name != "stderr":
                rows.append(
                    row(
                        task, f"{name} ({score['name']})", float(value), metrics.get("stderr"), results.get("completed_samples")
                    )
                )
    return rows


def row(task: str, measure: str, value: float, error: Any, n: Any) -> dict[str, Any]:
    """Theirs as ours: an interval of 1.96 standard errors, where they say one."""
    known = isinstance(error, int | float) and math.isfinite(error)
    ci = [value - 1.96 * error, value + 1.96 * error] if known else None
    return {"axis": task, "measure": measure, "value": value, "ci95": ci, "n": n or 0}
