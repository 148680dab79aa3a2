"""Controls in a run: what they learn from, what they leave alone, and that they go on where they were."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from pathlib import Path

import pytest
from test_resume import assert_same

from sharpen.loop import loop
from sharpen.store.store import Store
from sharpen.terminal import terminal

SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_steps=6", "warmup_rows=8", "warmup_demos=4", "warmup_lr=0.004", "prompts=4"),
    *("samples=4", "round_steps=1", "validation=4", "test=4", "max_tokens=6", "replay=4", "guard=always"),
)


@pytest.fixture(scope="module")
def echo(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("echo") / "echo.jsonl"
    words = ["".join(w) for n in (1, 2, 3) for w in itertools.product("abc", repeat=n)]
    lines = [{"prompt": f"Echo {w}", "answer": w, "family": "echo", "solution": w} for w in words]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def run(directory: Path, echo: str, control: str, budget: str = "3steps", pieces: bool = False) -> Path:
    settings = tuple(s for s in SETTINGS if s != "guard=always" or control != "prompt")
    request = loop.Request("quickstart", settings, 1, budget, None, echo, directory, as_control=control)
    loop.start(request, terminal.Quiet(), pause=lambda: pieces)
    while pieces and not finished(directory):
        loop.resume(directory, terminal.Quiet(), pause=lambda: True)
    return directory


def finished(directory: Path) -> bool:
    with Store.open(directory) as store:
        last = store.last_commit()
        return bool(last and last.finished)


def weights(directory: Path) -> dict[str, str]:
    """Digest of the weights of each round that was committed."""
    from sharpen.store import checkpoints

    return {path.parent.name: checkpoints.digest(path) for path in sorted(directory.glob("checkpoints/*/model.safetensors"))}


def test_a_prompt_is_chosen_on_validation_and_no_weight_is_touched(echo, tmp_path):
    whole = run(tmp_path / "whole", echo, "prompt", "40steps")
    with Store.open(whole) as store:
        rounds = store.rounds()
        asked = store.rows("SELECT count(*) FROM batches WHERE step >= 6")[0][0]
        begun = store.evaluation(0, "before")
        assert store.evaluation(max(r["round"] for r in rounds), "test").n == begun.n
    assert len(rounds) == 8 and asked == 0  # the question alone, and seven instructions
    assert len(set(weights(whole).values())) == 1
    assert_same(whole, run(tmp_path / "pieces", echo, "prompt", "40steps", pieces=True))


def test_worked_solutions_are_those_of_the_warm_up_and_all_that_is_learnt_from(echo, tmp_path):
    whole = run(tmp_path / "whole", echo, "solutions")
    with Store.open(whole) as store:
        shown = {s.rollout.task.id for s in store.read_rollouts("warmup")}
        learnt = [s for s in store.read_rollouts("train")]
        assert {s.rollout.task.id for s in learnt} <= shown and len(learnt) == 3 * (4 * 4 + 4)
        assert all(s.rollout.stop == "forced" and s.verdict.correct for s in learnt)
        assert store.evaluation(0, "validation").accuracy < 1  # it is measured without them
    assert_same(whole, run(tmp_path / "pieces", echo, "solutions", pieces=True))


def test_shuffled_verdicts_are_in_the_store_and_reach_what_is_replayed(echo, tmp_path):
    whole, plain = run(tmp_path / "whole", echo, "shuffled"), run(tmp_path / "plain", echo, "")
    groups: dict[str, dict] = {}
    for directory in (whole, plain):
        with Store.open(directory) as store:
            found: dict = defaultdict(list)
            for s in store.read_rollouts("train"):
                if s.rollout.id.startswith("s000006"):  # the first step, made by the same weights
                    found[s.group].append((s.rollout.response, s.verdict.reward, s.verdict.rule))
            groups[directory.name] = found
    assert groups["whole"].keys() == groups["plain"].keys()
    for group, dealt in groups["whole"].items():
        own = groups["plain"][group]
        assert [d[0] for d in dealt] == [o[0] for o in own]
        assert sorted(d[1] for d in dealt) == sorted(o[1] for o in own)
        assert {d[2] for d in dealt} == {"shuffled"}
    assert_same(whole, run(tmp_path / "pieces", echo, "shuffled", pieces=True))


def test_untrained_is_the_student_as_it_was(echo, tmp_path):
    whole = run(tmp_path / "whole", echo, "untrained")
    with Store.open(whole) as store:
        assert store.evaluation(0, "before") == store.evaluation(0, "test")
        assert not any(step["phase"] == "loop" for step in store.steps())
