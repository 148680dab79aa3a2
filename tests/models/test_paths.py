"""Which way a model takes: measured, remembered, shown, and the same for whoever goes on."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sharpen.core import FatalDiagnosis, TaskSource
from sharpen.models import cores, embedded, paths
from sharpen.models.engine import native

NOWHERE = TaskSource("none", (), lambda arm, split, index, seed: None)
WORK = paths.Work(8, 8)


@pytest.fixture
def model(tmp_path, monkeypatch):
    native.library()  # where it is kept does not change
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "sharpen").mkdir()
    return embedded.build("micro", NOWHERE, 0)[0]


def test_a_path_is_measured_once_and_then_remembered(model, tmp_path):
    first = paths.choose(model, WORK)
    assert first.seconds > 0 and first.path.precision in ("fp32", "bf16") and first.path.threads == torch.get_num_threads()
    assert all(first.seconds * paths.WORTH < seconds for seconds in first.others.values())
    assert paths.choose(model, WORK) == first  # to the last bit of its seconds
    assert paths.recalled(json.loads(json.dumps(dataclasses.asdict(first)))) == first and paths.recalled(None) is None
    (kept,) = (tmp_path / "sharpen").iterdir()
    kept.write_text("{")
    assert paths.choose(model, WORK).seconds != first.seconds


def test_measuring_leaves_the_model_as_it_was(model):
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    paths.choose(model, WORK)
    assert all(torch.equal(p, before[n]) and p.grad is None for n, p in model.named_parameters())


def test_what_is_settled_is_not_measured(model):
    made = paths.choose(model, paths.Work(512, 64), micro_tokens=777)
    assert made.path.micro_tokens == 777 and not any("passes of 3,072" in way for way in made.others)
    assert not any("1 thread" in way for way in made.others) or torch.get_num_threads() == 1


def test_what_was_chosen_is_said_in_one_line():
    path = paths.ComputePath("fp32", True, 2, 1536, 512)
    said = str(paths.Choice(path, 0.29, {"C kernels, bf16, 2 threads": 0.56}))
    assert said == "path: C kernels, fp32, 2 threads, measured: 1.93 times the speed of C kernels, bf16, 2 threads"
    assert str(paths.Choice(path, 0.29, {}, 0.5)).endswith("; others took 50% of the cores meanwhile")
    assert "not measured" in str(paths.Choice(dataclasses.replace(path, compiled=False)))


@pytest.mark.skipif(not cores.STAT.exists(), reason="only Linux tells")
def test_children_are_no_neighbours():
    watch = cores.Watch()
    assert watch.foreign(seconds=1e9) is None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in cores._family(cores.os.getpid())
    finally:
        child.communicate(b"\n", timeout=600)
    assert child.pid not in cores._family(cores.os.getpid())
    assert 0 <= watch.foreign(seconds=0.0) <= 1


def test_a_prompt_and_packed_weights_count_once_and_not_with_every_token():
    assert paths.generation(0.5, 0.9, 48) == pytest.approx(0.5 + 47 * 0.1)
    assert paths.generation(0.5, 0.9, 1) == 0.5
    assert paths.generation(0.9, 0.5, 21) == pytest.approx(0.9 + 20 * 0.5 / 20), "disturbed, a token still costs something"


def test_of_each_part_the_faster_try_counts(model, monkeypatch):
    timer = paths._Timer(model, paths.Work(4, 3, 4))
    tries = iter([(2.0, 2.4, 1.0), (1.0, 3.0, 0.5)])
    monkeypatch.setattr(timer, "step", lambda path: next(tries))
    assert timer.seconds(paths.ComputePath()) == pytest.approx(2.0 + 2 * max(0.1, 2.4 / 20) + 1.0)
    assert timer.seconds(paths.ComputePath()) == pytest.approx(1.0 + 2 * 1.4 / 4 + 0.5)


def laid(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A root directory in which a process has these control groups, and these have these files."""
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_no_more_threads_than_the_control_groups_grant_processors(tmp_path, monkeypatch):
    """150,000 us in each 100,000 us are one and a half processors, so two threads; the smallest of a group's parents counts."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    of = "sys/fs/cgroup"
    second = laid(tmp_path / "2", "0::/a/b\n", {f"{of}/a/b/cpu.max": "max 100000\n", f"{of}/a/cpu.max": "150000 100000\n"})
    old = {f"{of}/cpu/c/cpu.cfs_quota_us": "300000\n", f"{of}/cpu/c/cpu.cfs_period_us": "100000\n"}
    first = laid(tmp_path / "1", "4:memory:/m\n3:cpu,cpuacct:/c\n0::/\n", old)
    least = laid(tmp_path / "0", "0::/\n", {f"{of}/cpu.max": "5000 100000\n"})
    odd = laid(tmp_path / "odd", "0::/\n", {f"{of}/cpu.max": "some text\n"})
    assert [cores.usable(64, root) for root in (second, first, least, odd, tmp_path / "nowhere")] == [2, 3, 1, 64, 64]
    assert cores.usable(1, second) == 1  # what the affinity leaves
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert cores.usable(64, second) == 64  # the user has chosen


def test_a_model_that_says_what_is_not_finite_is_named_while_it_is_measured(model):
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(FatalDiagnosis, match="not_finite.*NaN or infinity is in"):
        paths.choose(model, WORK)
