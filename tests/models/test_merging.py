"""Models into one by hand, and what does not fit is refused before anything is written."""

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from sharpen.cli.program import app
from sharpen.core import UserError
from sharpen.models import LocalPolicy, embedded, merging
from sharpen.tasks import gym


def w(*values):
    return {"w": torch.tensor(values)}


def test_sums_by_hand():
    base, a, b = w(1.0, 1.0), w(2.0, 1.0), w(1.0, 3.0)
    assert merging.linear([a, b], [0.25, 0.75])["w"].tolist() == [1.25, 2.5]
    assert merging.task_arithmetic(base, [a, b])["w"].tolist() == [2.0, 3.0]
    assert merging.task_arithmetic(base, [a], -1.0)["w"].tolist() == [0.0, 1.0]
    assert merging.neon(base, [a], 0.5)["w"].tolist() == [0.5, 1.0]
    assert torch.equal(merging.task_arithmetic(base, [a])["w"], a["w"]) and torch.equal(
        merging.neon(base, [a], 0.0)["w"], base["w"]
    )


def test_ties_trims_elects_and_averages_those_that_agree():
    """Changes (4, -1, 0.1, 3) and (2, 3, 0.2, -3.5), the half that is largest: (4, 0, 0, 3) and (0, 3, 0, -3.5). Signs: +, +,
    none, -, for 3 - 3.5 is below 0."""
    base = w(0.0, 0.0, 0.0, 0.0)
    found = merging.ties(base, [w(4.0, -1.0, 0.1, 3.0), w(2.0, 3.0, 0.2, -3.5)], density=0.5, scale=2.0)
    assert found["w"].tolist() == [8.0, 6.0, 0.0, -7.0]
    assert torch.equal(merging.ties(base, [w(4.0, -1.0, 0.1, 3.0)], density=1.0)["w"], torch.tensor([4.0, -1.0, 0.1, 3.0]))


def test_dare_is_the_same_in_the_mean_and_the_same_for_the_same_seed():
    base, a = {"w": torch.zeros(20000)}, {"w": torch.full((20000,), 2.0)}
    found = merging.dare(base, [a], density=0.1, seed=3)["w"]
    assert set(found.tolist()) == {0.0, 20.0} and float(found.mean()) == pytest.approx(2.0, rel=0.1)
    assert torch.equal(found, merging.dare(base, [a], density=0.1, seed=3)["w"])
    assert not torch.equal(found, merging.dare(base, [a], density=0.1, seed=4)["w"])


def test_models_of_other_shapes_are_refused():
    with pytest.raises(UserError, match="w is 2 and 3"):
        merging.linear([w(1.0, 2.0), w(1.0, 2.0, 3.0)], [0.5, 0.5])
    with pytest.raises(UserError, match="only one of them has v"):
        merging.task_arithmetic(w(1.0), [{"v": torch.ones(1)}])
    with pytest.raises(UserError, match="density=0"):
        merging.ties(w(1.0), [w(2.0)], density=0)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two students of one kind, and one of other tasks, so of another vocabulary."""
    root, source = tmp_path_factory.mktemp("models"), gym(["chain_sum/1"])
    for name, seed, tasks in (("a", 0, source), ("b", 1, source), ("other", 0, gym(["spell_backward/1"]))):
        LocalPolicy(*embedded.build("micro", tasks, seed), "fp32").save(str(root / name))
    return root


def call(*words):
    return CliRunner().invoke(app, ["merge", *map(str, words)])


def test_the_command_writes_the_mean(models, tmp_path):
    found = call(tmp_path / "out", models / "a", models / "b", "--share", 0.25, "--share", 0.75)
    assert found.exit_code == 0, found.output
    a, b, out = (load_file(path / "model.safetensors") for path in (models / "a", models / "b", tmp_path / "out"))
    assert a.keys() == out.keys() and all(torch.equal(out[n], 0.25 * a[n] + 0.75 * b[n]) for n in out)
    assert (tmp_path / "out" / "tokenizer.json").exists() and not (tmp_path / "out" / "optimizer.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{a}", "{other}"), "are of different shapes"),
        (("{a}",), "is a mean of two models"),
        (("{a}", "{b}", "--how", "tie"), "did you mean"),
        (("{a}", "--how", "ties"), "Name it: --base"),
        (("{a}", "{b}", "--share", "0.5"), "1 shares for 2 models"),
        (("{a}", "{b}", "--share", "0.5", "--share", "0.6"), "add up to 1.1"),
        (("{a}", "{b}", "--scale", "2"), "--scale does nothing with linear: it is read by task_arithmetic and ties and dare"),
        (("{a}", "{b}", "--density", "0.2"), "--density does nothing with linear: it is read by ties and dare. Leave"),
        (("{a}", "--how", "ties", "--base", "{b}", "--seed", "0"), "--seed does nothing with ties: it is read by dare and"),
        (("{a}", "--how", "posterior", "--base", "{b}"), "--base does nothing with posterior"),
        (("{a}", "--how", "neon", "--base", "{b}", "--share", "1"), "--share does nothing with neon: it is read by linear"),
    ],
)
def test_the_command_refuses(models, tmp_path, words, said):
    given = [word.format(a=models / "a", b=models / "b", other=models / "other") for word in words]
    found = call(tmp_path / "out", *given)
    assert found.exit_code == 2 and said.lower() in " ".join(found.output.lower().split()), found.output
    assert not (tmp_path / "out").exists()
