"""A model is asked in a run as its recipe and its directory say, and what it was trained with goes with its export."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sharpen import tasks
from sharpen.cli import program
from sharpen.core import Sampling, UserError
from sharpen.loop import evaluate_model, loop, telling
from sharpen.loop.session import Request, build_recipe
from sharpen.models import embedded, load_model
from sharpen.recipe import opening
from sharpen.rollouts import Asking, asking
from sharpen.store import Store
from sharpen.terminal import Quiet, tables
from sharpen.verify import INSTRUCTIONS

SIZES = ("prompts=2", "samples=2", "round_steps=1", "validation=1", "test=2", "max_tokens=6")
SPEC = "chain_sum/1"
TOLD = INSTRUCTIONS["number"]


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """A directory with a chat model that is none of the embedded ones: its template is another."""
    place = tmp_path_factory.mktemp("chat")
    model, tokenizer = embedded.build("micro", tasks.parse_spec(SPEC), 0)
    tokenizer.chat_template = embedded.CHAT_TEMPLATE.replace("<|assistant|>", "<|assistant|>\n")
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def start(directory: Path, model: object, *settings: str) -> Path:
    request = Request("grpo", (*SIZES, *settings), 0, "1steps", str(model), SPEC, directory)
    return loop.start(request, Quiet())


def prompts(run: Path, policy_dir: Path) -> set[str]:
    """All that was in front of the first sampled token, of every rollout of a run."""
    _, tokenizer = load_model(policy_dir)
    with Store.open(run, write=False) as store:
        found = [store.read_rollouts(purpose) for purpose in ("before", "validation", "train", "test")]
    assert all(found)
    return {tokenizer.decode(s.rollout.tokens[: int(s.rollout.sampled.argmax())]) for own in found for s in own}


@pytest.fixture(scope="module")
def instructed(tmp_path_factory, chat):
    """A run of the chat model with a system message, and its export."""
    place = tmp_path_factory.mktemp("instructed")
    run = start(place / "run", chat, "system=Be brief.", "temperature=0.5")
    result = CliRunner().invoke(program.app, ["export", str(run), str(place / "best")])
    assert result.exit_code == 0 and "asking.json" in result.output, result.output
    return run, place / "best"


def test_a_chat_model_is_told_in_practice_and_in_evaluations(tmp_path, chat):
    said = prompts(start(tmp_path / "run", chat), chat)
    assert all(f"=\n\n{TOLD}<|assistant|>" in prompt for prompt in said)


def test_an_embedded_student_is_told_nothing(tmp_path):
    source = tasks.parse_spec(SPEC)
    _, tokenizer = embedded.build("micro", source, 0)
    recipe = opening(build_recipe(Request("grpo", SIZES, tasks=SPEC, model="micro")))
    assert telling.of_recipe(recipe, tokenizer).silent
    assert not telling.of_recipe(dataclasses.replace(recipe, system="Be brief."), tokenizer).silent
    assert telling.of_directory(tmp_path, tokenizer).silent  # wherever it was saved


def test_who_judges_by_a_function_of_his_own_has_to_tell_himself(chat):
    recipe = opening(build_recipe(Request("self_judge", SIZES, tasks=SPEC, model=str(chat))))
    _, tokenizer = load_model(chat)
    assert telling.of_recipe(recipe, tokenizer).instructions == {}


def test_an_export_says_how_it_was_asked(instructed):
    run, best = instructed
    assert all("Be brief." in prompt and TOLD not in prompt for prompt in prompts(run, best))
    found = asking.read(best)
    assert found == Asking("Be brief.", None, INSTRUCTIONS, 6, Sampling(temperature=0.5))


def test_an_export_is_measured_as_the_run_measured_it(instructed, capsys):
    run, best = instructed
    figures = evaluate_model(best, tasks.parse_spec(SPEC), 2)
    with Store.open(run, write=False) as store:
        told = {s.rollout.task.id: s.rollout.response for s in store.read_rollouts("test")}
    assert {e["task"]: e["response"] for e in figures["examples"]}.items() <= told.items()
    assert figures["max_tokens"] == 6 and figures["temperature"] == 0 and "'Be brief.'" in figures["asked"]
    tables.show_evaluation(figures)
    assert "\nasked after the system message 'Be brief.'" in capsys.readouterr().out
    other = evaluate_model(best, tasks.parse_spec(SPEC), 2, settings=["system=", "prompt_suffix=Now!", "max_tokens=3"])
    assert other["asked"] == "with 'Now!' behind each question, for answers of at most 3 tokens"


def test_what_is_told_counts_where_positions_end(tmp_path, chat):
    long = f"system={'Be brief. ' * 20_000}"
    with pytest.raises(UserError, match="positions end at"):
        evaluate_model(chat, tasks.parse_spec(SPEC), 2, settings=[long])
    with pytest.raises(UserError, match="positions end at"):
        start(tmp_path / "run", chat, long)
    assert len(str(Asking(system=long))) < 400


def test_a_run_goes_on_from_an_export_as_it_was_asked_unless_it_is_told_otherwise(instructed, tmp_path):
    _, best = instructed
    _, tokenizer = load_model(best)

    def of(*settings: str) -> Asking:
        sizes = [s for s in SIZES if not s.startswith("max_tokens")]
        recipe = opening(build_recipe(Request("grpo", (*sizes, *settings), tasks=SPEC, model=str(best))))
        return telling.of_recipe(recipe, tokenizer)

    assert of().system == "Be brief." and of().max_tokens == 6
    assert of("system=", "max_tokens=9").system == "" and of("max_tokens=9").max_tokens == 9
    assert of("prompt_suffix=Now!").prompt_suffix == "Now!"


def test_a_resumed_run_asks_as_it_began_whatever_became_of_the_directory(tmp_path, chat):
    model = tmp_path / "model"
    model.mkdir()
    for file in chat.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    request = Request("grpo", SIZES, 0, "1steps", str(model), SPEC, tmp_path / "run")
    loop.start(request, Quiet(), pause=lambda: True)
    asking.write(Asking("Be long.", ""), model)
    loop.resume(tmp_path / "run", Quiet())
    assert all(TOLD in prompt and "Be long." not in prompt for prompt in prompts(tmp_path / "run", model))


def test_the_system_message_of_a_rollout_goes_with_the_export_too(tmp_path, chat):
    run = start(tmp_path / "run", chat, "rollout.system=Answer in <answer>.")
    with Store.open(run, write=False) as store:
        checkpoint = store.checkpoint_path(store.last_commit().accepted)
    assert json.loads((checkpoint / asking.FILE).read_text())["system"] == "Answer in <answer>."


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (["sytem=x"], "Did you mean 'system'"),
        (["lr=1"], "nothing about asking"),
        (["max_tokens=0"], "at least 1"),
        (["top_p=2"], "top_p"),
        (["temperature=hot"], "a number"),
        (["system=a", "system=b"], "twice"),
    ],
)
def test_settings_of_asking_that_make_no_sense_are_said(settings, why):
    with pytest.raises(UserError, match=why):
        telling.changed(Asking(), settings)


def test_a_system_message_may_stand_in_a_file(tmp_path, instructed, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("system.txt").write_text("Be kind.\nAlways.\n", encoding="utf-8")
    told = ["eval", str(instructed[1]), "--tasks", SPEC, "-n", "1", "--json", "--system", "@system.txt"]
    result = CliRunner().invoke(program.app, [*told, "--set", "temperature=0"])
    assert "Be kind.\\\\nAlways." in result.stdout
    result = CliRunner().invoke(program.app, [*told[:-1], "@nothing.txt"])
    assert result.exit_code == 2 and "nothing.txt" in result.stderr
