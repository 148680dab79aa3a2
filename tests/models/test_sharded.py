"""Learning in shards equals one process, with any number of ranks, before and after a checkpoint; a dead rank has a name."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed.checkpoint import metadata

import prefork
from sharpen.core import UserError
from sharpen.models import shards


def test_ranks_learn_what_one_process_learns(tmp_path):
    said = prefork.run(Path(__file__).with_name("sharded_run.py"), str(tmp_path))
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("[")]
    assert [line[0] for line in lines] == ["engines", "grpo", "reshard", "killed", "engines", "lora", "ppo", "eight"]
    for name, *rest in lines:
        if name == "killed":
            assert rest[0].startswith("rank_lost (ranks 1): rank 1 did not finish the call")
            continue
        if name == "engines":
            assert rest[0] == rest[1]  # tokens
            continue
        told, by_ranks, logp, other = map(np.array, rest)
        rough = name == "eight"  # the last bit of a gradient decides between two codes
        np.testing.assert_allclose(by_ranks, told, rtol=1e-3 if rough else 2e-5, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(other, logp, rtol=1e-4 if rough else 5e-6, err_msg=name)


def protocol(kind, name: str) -> bytes:
    """A pickle of the attribute of a class, as the first releases of Python 3.11 write a member of an Enum."""
    text = f"cbuiltins\ngetattr\n(c{kind.__module__}\n{kind.__name__}\n"
    return text.encode() + b"X" + len(name).to_bytes(4, "little") + name.encode() + b"tR."


def test_a_member_of_an_enum_is_read_in_either_form():
    kind = metadata._MEM_FORMAT_ENCODING
    for written in (pickle.dumps(kind.TORCH_CHANNELS_LAST), protocol(kind, "TORCH_CHANNELS_LAST")):
        assert shards.Index(io.BytesIO(written)).load() is kind.TORCH_CHANNELS_LAST


def test_an_index_that_names_code_is_not_read(tmp_path):
    (tmp_path / ".metadata").write_bytes(pickle.dumps(print))
    with pytest.raises(UserError, match="names builtins.print"):
        shards.read(tmp_path)
    for reached in (b"cbuiltins\ngetattr\n(cbuiltins\nprint\nX\x08\x00\x00\x00__self__tR.", protocol(torch.Size, "numel")):
        (tmp_path / ".metadata").write_bytes(reached)
        with pytest.raises(UserError, match="names builtins.print|asks for an attribute"):
            shards.read(tmp_path)
    (tmp_path / ".metadata").write_bytes(b"nothing")
    with pytest.raises(UserError, match="missing or damaged"):
        shards.read(tmp_path)
