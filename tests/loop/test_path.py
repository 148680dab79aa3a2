"""A run goes the way that was chosen when it began, whoever takes it up; and where its time goes can be asked."""

import re

import pytest
from test_resume import SETTINGS

from sharpen import loop, models, tasks
from sharpen.loop import processor
from sharpen.models import paths
from sharpen.models.engine import native
from sharpen.store import Store
from sharpen.terminal import Quiet

OPEN = tuple(s for s in SETTINGS if not s.startswith("precision"))


class Said(Quiet):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def test_a_resumed_run_does_not_choose_again(tmp_path, monkeypatch):
    request = loop.Request("grpo", OPEN, 0, "1steps", None, "chain_sum/1", tmp_path / "run")
    begun, resumed = Said(), Said()
    loop.start(request, begun, pause=lambda: True)
    with Store.open(request.directory, write=False) as store:
        meta = store.meta()
    choice = paths.recalled(meta["path"])
    assert begun.lines[0] == str(choice) and meta["threads"] == choice.path.threads
    native.library()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))  # a machine that remembers nothing
    loop.resume(request.directory, resumed)
    assert resumed.lines[0] == begun.lines[0]
    assert not list(tmp_path.glob("elsewhere/sharpen/path-*"))


def test_a_precision_that_is_only_emulated_is_said_with_its_price(monkeypatch):
    policy = models.LocalPolicy(*models.embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0), "bf16", device="cpu")
    said = Said()
    for fast in (True, False):
        monkeypatch.setattr(processor, "fast_bf16", lambda device, fast=fast: fast)
        processor.say_path(policy, said)
    (line,) = [line for line in said.lines if "bfloat16" in line]  # that there is no compiler is said, too
    assert re.match(r"bfloat16 is emulated by this processor: .* takes \d+\.\d times as long as in float32", line)


@pytest.mark.parametrize(("compiler", "why"), [("", "there is no C compiler"), ("echo broken >&2; exit 1", "fails (broken)")])
def test_a_compiler_that_is_not_there_or_fails_is_said_and_changes_nothing_else(compiler, why, tmp_path, monkeypatch):
    if compiler:
        (tmp_path / "cc").write_text(f"#!/bin/sh\n{compiler}\n")
        (tmp_path / "cc").chmod(0o755)
    monkeypatch.setattr(native, "_made", native._made.__wrapped__)
    monkeypatch.setattr(native.sysconfig, "get_config_var", lambda name: "cc")
    monkeypatch.setenv("PATH", str(tmp_path))
    policy = models.LocalPolicy(*models.embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0), "fp32", device="cpu")
    said = Said()
    processor.say_path(policy, said)
    assert native.library() is None and why in said.lines[0]


def test_a_precision_that_was_asked_for_is_not_chosen(tmp_path):
    request = loop.Request("grpo", tuple(SETTINGS), 0, "1steps", None, "chain_sum/1", tmp_path / "run")
    said = Said()
    loop.start(request, said, pause=lambda: True)
    assert not any(line.startswith("path:") for line in said.lines)
    with Store.open(request.directory, write=False) as store:
        assert store.meta()["path"] is None


def test_a_profile_names_the_dearest_operations_first():
    request = loop.Request("grpo", tuple(SETTINGS), 0, None, None, "chain_sum/1")
    found = loop.profile(request, 2)
    seconds = [o.seconds for o in found.operations]
    assert found.steps == 2 and seconds == sorted(seconds, reverse=True) and 0 < sum(seconds) < 2 * found.seconds
    products = [o for o in found.operations if o.name in ("mm", "addmm")]
    assert products and all(o.floor > 0 for o in products)
    assert any(o.name == "C step" and o.floor > 0 for o in found.operations) or native.library() is None
