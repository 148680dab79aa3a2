"""A model measured outside a run: one batch, several samples, and a model whose numbers are none."""

import json
from pathlib import Path

import pytest
import torch

from sharpen import models, rollouts, tasks
from sharpen.core import GREEDY, PLAIN, FatalDiagnosis, Tally, UserError
from sharpen.loop import evaluate_model, evaluation
from sharpen.models import embedded

SOURCE = tasks.parse_spec("chain_sum/1-2,spell_backward/1")


@pytest.fixture(scope="module")
def student() -> models.LocalPolicy:
    return models.LocalPolicy(*embedded.build("micro", SOURCE, 0), precision="fp32", device="cpu")


def said(told: dict) -> list:
    return [[(s.rollout.id, s.rollout.response, s.verdict.outcome) for s in group] for g in told.values() for group in g]


def test_all_arms_in_one_batch_are_what_each_is_alone_and_more_samples_add_to_the_first(student: models.LocalPolicy) -> None:
    stream = tasks.held_out(SOURCE, "test", 3, 0)
    for told in (rollouts.Asking(max_tokens=6, sampling=sampling) for sampling in (GREEDY, PLAIN)):
        together = evaluation.ask(student, stream, told, rollouts.single, 1, 0)
        alone = [evaluation.ask(student, {arm: own}, told, rollouts.single, 1, 0) for arm, own in stream.items()]
        assert said(together) == [group for one in alone for group in said(one)]
    more = said(evaluation.ask(student, stream, told, rollouts.single, 3, 0))
    assert [group[:1] for group in more] == said(together) and len({text for group in more for _, text, _ in group}) > 9


def test_figures_are_those_of_the_answers(tmp_path: Path, student: models.LocalPolicy) -> None:
    student.model.save_pretrained(tmp_path)
    student.tokenizer.save_pretrained(tmp_path)
    found = evaluate_model(tmp_path, SOURCE, n=11, max_tokens=4, samples=2)
    json.dumps(found, allow_nan=False)
    assert set(found["arms"]) == {"chain_sum/1", "chain_sum/2", "spell_backward/1"}
    told = [Tally(**f["outcomes"]) for f in found["arms"].values()]
    assert sum(told, Tally()) == Tally(**found["outcomes"]) and sum(t.judged + t.lost for t in told) == 66
    assert found["pass@1"]["value"] == found["accuracy"] <= found["pass@2"]["value"] and "maj@2" in found
    assert found["share"]["n"] == 33 and found["temperature"] == 1
    assert len(found["examples"]) == 3 and all(
        set(e) >= {"response", "came_out", "prompt", "answer"} for e in found["examples"]
    )
    assert found["findings"] and "--max-tokens" in found["findings"][0]  # a fresh model talks until it is cut off
    with pytest.raises(UserError, match="all the same"):
        evaluate_model(tmp_path, SOURCE, samples=2, temperature=0.0)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_model_with_a_weight_that_is_no_number_is_stopped_by_name(tmp_path: Path, number: float) -> None:
    model, tokenizer = embedded.build("micro", SOURCE, 0)
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[0, 0] = number
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(FatalDiagnosis, match=r"not_finite: .*model\.layers\.1\.mlp\.down_proj\.weight"):
        evaluate_model(tmp_path, SOURCE, n=1, max_tokens=4)


def test_several_attempts_count_as_the_last_and_say_what_happened_between(tmp_path: Path, student: models.LocalPolicy) -> None:
    student.model.save_pretrained(tmp_path)
    student.tokenizer.save_pretrained(tmp_path)
    found = evaluate_model(tmp_path, SOURCE, n=3, max_tokens=4, attempts=3, feedback="verdict")
    between = found["turns"]["between"]
    assert len(found["turns"]["accuracy"]) == 3 and len(between) == 2 and found["turns"]["tasks"] == 9
    assert found["turns"]["accuracy"][-1]["value"] == found["share"]["accuracy"]
    scripted = evaluate_model(
        tmp_path, SOURCE, n=1, max_tokens=4, attempts=2, feedback="critic", roles=("critic=test_evaluation:silent",)
    )
    assert scripted["turns"]["tasks"] == 3
    for how, match in (
        (dict(attempts=0), "two or more"),
        (dict(attempts=2, feedback="unari"), "Did you mean 'unary'"),
        (dict(attempts=2, roles=("critic=student",)), "no role 'critic'"),
        (dict(roles=("critic=student",)), "no role 'critic'"),
    ):
        with pytest.raises(UserError, match=match):
            evaluate_model(tmp_path, SOURCE, n=1, max_tokens=4, **how)


def silent(messages) -> str:
    return ""
