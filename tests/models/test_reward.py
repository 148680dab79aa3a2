"""Reward models: what their losses are, what a head learns, and that it comes back bit for bit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from sharpen.core import Lesson, NotFinite, Role, Score, TaskSource, UserError
from sharpen.core import Task as AnyTask
from sharpen.models import embedded, policy
from sharpen.models import roles as casting
from sharpen.models.reward import Blank, RewardModel, ScriptedScorer, head_of
from sharpen.objectives import rewards

NOWHERE = TaskSource("none", (), lambda arm, split, index, seed: AnyTask((), None, "f", 1))
QUESTION = ({"role": "user", "content": "12 + 30 ="},)
NAN = math.nan


def made(seed: int = 0) -> RewardModel:
    return RewardModel(policy.LocalPolicy(*embedded.build("micro", NOWHERE, seed), "fp32"))


def scores(model, *answers):
    return [found.values.tolist() for found in model.score([Score(QUESTION, tuple(steps), "r") for steps in answers])]


def taught(targets, group):
    targets = torch.tensor(targets)
    return rewards.Taught(targets, torch.ones(targets.shape, dtype=torch.bool), torch.tensor(group), torch.ones(len(group)))


def test_losses_by_hand():
    """log(1 + e^-2) = 0.126928, log(1 + e^2) = 2.126928; of NaN nothing is learnt."""
    said = torch.tensor([[2.0, 2.0], [2.0, 0.0], [-1.0, 3.0]])
    told = taught([[1.0, 0.0], [1.0, NAN], [NAN, NAN]], [0, 0, 0])
    assert rewards.classify()(said, told).tolist() == pytest.approx([(0.126928 + 2.126928) / 2, 0.126928, 0.0], abs=1e-6)
    assert rewards.regress()(said, taught([[1.0, 0.0], [4.0, NAN], [NAN, NAN]], [0, 0, 0])).tolist() == [2.5, 4.0, 0.0]
    # The sum of the steps against the last target: (4 - 1)^2, nothing, (2 - 1)^2.
    assert rewards.attribute()(said, taught([[NAN, 1.0], [NAN, NAN], [NAN, 1.0]], [0, 0, 0])).tolist() == [9.0, 0.0, 1.0]
    # The first (last score 2) is better than the third of its group (3) and not compared with the second.
    pair = rewards.prefer()(said, taught([[NAN, 1.0], [NAN, 0.0], [NAN, 0.0]], [0, 1, 0])).tolist()
    assert pair == pytest.approx([math.log(1 + math.e), 0.0, 0.0])
    assert rewards.prefer(margin=1.0)(said, taught([[NAN, 1.0], [NAN, 0.0], [NAN, 0.0]], [0, 1, 0]))[0] == pytest.approx(
        2.126928
    )


def test_a_step_shorter_than_the_others_is_not_counted():
    told = rewards.Taught(torch.tensor([[1.0, NAN]]), torch.tensor([[True, False]]), torch.tensor([0]), torch.ones(1))
    assert rewards.attribute()(torch.tensor([[1.0, 7.0]]), told).tolist() == [0.0]
    assert rewards.last(torch.tensor([[1.0, 7.0]]), told).tolist() == [1.0]


def test_a_fresh_one_prefers_nothing_and_learns_which_step_was_wrong():
    model = made()
    assert scores(model, ["1 ", "2 "], ["9"]) == [[0.0, 0.0], [0.0]] and model.fresh
    lessons = [Lesson(QUESTION, ("1 ", "2 ", "3"), (1.0, 0.0, 0.0)), Lesson(QUESTION, ("1 ", "4 ", "3"), (1.0, 1.0, 1.0))]
    for _ in range(40):
        found = model.learn(lessons, rewards.classify(), 1e-2)
    (bad, good) = scores(model, ["1 ", "2 ", "3"], ["1 ", "4 ", "3"])
    assert found["loss"] < 0.35 and bad[0] > 0.5 and max(bad[1:]) < -0.5 and min(good) > 0.5
    assert model.version == 40 and bad[0] == pytest.approx(good[0], abs=1e-4)  # what comes behind a step changes nothing of it


def test_scores_do_not_depend_on_neighbours_nor_on_the_size_of_a_pass():
    model = made()
    model.learn([Lesson(QUESTION, ("1", "2"), (1.0, 0.0))], rewards.classify(), 3e-3)
    answers = [["1 ", "2 "], ["1 2 3"], ["", "1"], ["\u00e9\u4e2d ", "x" * 40]]
    together = scores(model, *answers, *answers)
    alone = [scores(model, steps)[0] for steps in answers]
    model.policy.micro_tokens = 16
    cut = scores(model, *answers, *answers)
    for both, one, small in zip(together, alone * 2, cut, strict=True):
        assert both == pytest.approx(one, abs=1e-5) and both == pytest.approx(small, abs=1e-5)


def test_gradients_of_passes_are_that_of_the_whole_and_pairs_stay_together():
    def stepped(tokens):
        model = made()
        model.policy.micro_tokens = tokens
        lessons = [Lesson(QUESTION, (f"{i}",), (float(i % 2),), i // 4) for i in range(8)]
        first = model.learn(lessons, rewards.prefer(), 1e-3)
        return first["loss"], model.head.detach().clone()

    (whole, a), (cut, b) = stepped(4096), stepped(16)
    assert whole == pytest.approx(cut, abs=1e-6) and whole == pytest.approx(math.log(2) / 2)  # half of them are the better ones
    assert torch.allclose(a, b, atol=1e-5) and a.abs().sum() > 0


def test_saved_and_loaded_it_goes_on_bit_for_bit(tmp_path):
    lessons = [Lesson(QUESTION, ("1 ", "2"), (1.0, 0.0)), Lesson(QUESTION, ("1 ", "4"), (1.0, 1.0), 1)]
    first = made()
    first.learn(lessons, rewards.classify(), 1e-3)
    first.save(str(tmp_path))
    again = made(seed=5)
    again.load(str(tmp_path))
    for model in (first, again):
        model.learn(lessons, rewards.classify(), 1e-3)
    assert torch.equal(first.head, again.head) and again.version == 2 and not again.fresh
    ours, theirs = first.policy.trained, again.policy.trained
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert torch.equal(head_of(tmp_path, 64), load_file(tmp_path / "head.safetensors")["weight"])


def test_what_is_not_finite_is_refused_before_any_weight_is_touched():
    model = made()
    before = model.head.detach().clone()
    for target in (math.inf, -math.inf):
        with pytest.raises(NotFinite):
            model.learn([Lesson(QUESTION, ("1",), (target,))], rewards.regress(), 1e-3)
    with pytest.raises(NotFinite):
        model.learn([Lesson(QUESTION, ("1",), (3e38,))], rewards.regress(), 1e-3)  # its square is infinite
    assert torch.equal(model.head, before) and model.version == 0
    with pytest.raises(ValueError, match="a target for each step"):
        Lesson(QUESTION, ("1", "2"), (1.0,))


def test_one_of_another_tokenizer_reads_the_same_text():
    """To this one the first step is a single token; each step ends where it ends all the same."""
    shape = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48)
    tokenizer = embedded.build_tokenizer(["ab cd "])
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape)).eval()
    other, own = RewardModel(policy.LocalPolicy(model, tokenizer, "fp32")), made()
    (short, ends), (long, theirs) = (m.tokens(QUESTION, ("ab cd ", "x")) for m in (other, own))
    assert len(long) - len(short) == 5 and ends[1] - ends[0] == theirs[1] - theirs[0] == 2  # "x", and the mark behind it
    assert scores(other, ["ab cd ", "x"]) == [[0.0, 0.0]]


def test_an_answer_longer_than_the_model_is_cut_within_its_steps():
    model = made()
    model.policy.model.config.max_position_embeddings = 64
    tokens, places = model.tokens(QUESTION, ("a" * 500, "b" * 500, "c"))
    assert len(tokens) <= 64 and len(places) == 3 and places == sorted(set(places)) and places[-1] == len(tokens) - 2


def test_a_head_of_another_library_is_read_and_one_of_many_classes_refused(tmp_path):
    weight = torch.arange(64.0)[None]
    save_file({"score.weight": weight}, tmp_path / "model.safetensors")
    found = head_of(tmp_path, 64)
    assert found[:-1].tolist() == pytest.approx((weight[0] * 8).tolist()) and found[-1] == 0  # ours is divided by sqrt(64)
    save_file({"score.weight": torch.zeros(3, 64)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="several classes"):
        head_of(tmp_path, 64)
    save_file({"model.weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    assert head_of(tmp_path, 64) is None


@pytest.mark.parametrize(
    ("role", "said"),
    [
        (Role("r", gives="scores", bound="start"), "no head that has learnt"),
        (Role("r", gives="scores", bound="start", objective=rewards.classify), "nothing says what from"),
        (Role("r", gives="scores", bound="student", objective=rewards.classify, teach=list), "learns already"),
        (Role("r", gives="scores", bound="http://x/v1#m"), "gives words only"),
    ],
)
def test_a_role_that_cannot_score_is_refused(role, said):
    with pytest.raises(UserError, match=said):
        casting.check(role)


def test_a_model_without_a_head_is_refused_unless_it_learns_one(tmp_path):
    made().policy.save(str(tmp_path))
    like = lambda path: policy.LocalPolicy(*embedded.build("micro", NOWHERE, 0), "fp32")  # noqa: E731
    with pytest.raises(UserError, match="no head that says one number"):
        casting.bind([Role("r", gives="scores", bound=str(tmp_path))], Blank(), like)
    learns = Role("r", gives="scores", bound="start", objective=rewards.classify, teach=list)
    bound = casting.bind([learns], Blank(), like)
    assert scores(bound["r"], ["1", "2"]) == [[0.0, 0.0]]
    casting.take([learns], bound, "start", tmp_path, None, like)
    assert isinstance(bound["r"], RewardModel) and bound["r"].fresh


def test_a_script_says_one_number_for_each_step():
    scorer = ScriptedScorer(lambda messages, steps: [len(step) for step in steps])
    assert scores(scorer, ["ab", "c"]) == [[2.0, 1.0]]
    with pytest.raises(UserError, match="1 numbers for 2 steps"):
        scores(ScriptedScorer(lambda messages, steps: [0.0]), ["ab", "c"])


def test_json_of_a_state_dict_is_not_needed(tmp_path):
    """What lies beside a checkpoint is safetensors alone: nothing is unpickled."""
    model = made()
    model.save(str(tmp_path))
    kinds = {file.suffix for file in tmp_path.iterdir()}
    assert kinds <= {".safetensors", ".json", ".jinja"} and json.loads((tmp_path / "policy.json").read_text()) == {"version": 0}
    assert np.isfinite(model.head.detach().numpy()).all()
