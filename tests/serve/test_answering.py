"""Many are answered at once, and each as if it were alone: however an answer is cut, it is the same."""

from __future__ import annotations

import queue

import numpy as np
import pytest
import torch

from sharpen import models, tasks
from sharpen.core import Ask, Sampling
from sharpen.models import embedded
from sharpen.serve import answering
from sharpen.serve.answering import Answering, Row, steady
from sharpen.store import Served, Store

FAR = 1e18  # an end of time


@pytest.fixture(scope="module")
def policy():
    torch.manual_seed(1)
    return models.LocalPolicy(*embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0), "fp32", device="cpu")


def prompt(policy, text):
    return policy.prompt_tokens(Ask(({"role": "user", "content": text},)))


def rows_answered(policy, rows, kept=None):
    news = queue.SimpleQueue()
    for row in rows:
        row.changed = lambda: news.put(None)
    with Answering(policy, kept) as going:
        going.add(rows)
        while not all(row.over for row in rows):
            news.get(timeout=600)
    return rows


def row_of(policy, text="2 + 2 =", seed=0, n=40, sampling=None, **more):
    return Row(prompt(policy, text), seed, n, sampling or Sampling(), FAR, lambda: None, **more)


def test_an_answer_does_not_depend_on_how_it_is_cut_or_what_it_is_with(policy, monkeypatch):
    (alone,) = policy.respond([Ask(({"role": "user", "content": "2 + 2 ="},))], [7], 40, Sampling())
    for first in (1, 3, 64):
        monkeypatch.setattr(answering, "slice_of", lambda rows, n=first: n)
        mine, _, _ = rows_answered(policy, [row_of(policy, seed=7), row_of(policy, "Say x", 8), row_of(policy, seed=9, n=5)])
        expected = alone.tokens[alone.sampled]
        assert mine.written == expected.tolist() and mine.stop == alone.stop and mine.text == alone.text
        np.testing.assert_allclose(mine.drawn, alone.logprobs[alone.sampled], atol=1e-4)


def test_slices_grow_and_are_short_where_somebody_reads_along(policy):
    plain, read = row_of(policy), row_of(policy, streamed=True)
    assert answering.slice_of([plain]) == answering.FIRST
    plain.written = [0] * 100
    assert answering.slice_of([plain]) == 100 and answering.slice_of([plain, read]) == 25
    plain.written = [0] * 10_000
    assert answering.slice_of([plain]) == answering.LONGEST


def test_a_stop_string_is_found_across_slices_and_the_tokens_end_with_it(policy, monkeypatch):
    whole = rows_answered(policy, [row_of(policy, seed=3)])[0]
    stop = whole.text[5:8]
    for first in (1, 2, 64):
        monkeypatch.setattr(answering, "slice_of", lambda rows, n=first: n)
        (row,) = rows_answered(policy, [row_of(policy, seed=3, sampling=Sampling(stop=(stop,)))])
        assert row.stop == "stop" and row.text == whole.text[: whole.text.index(stop)]
        assert stop in policy.text(np.array(row.written)) and stop not in policy.text(np.array(row.written[:-1]))


def test_what_a_later_token_may_change_is_not_shown_yet(policy):
    row = row_of(policy, sampling=Sampling(stop=("STOP", "\n\n")))
    for text, shown in (("abc", "abc"), ("abc ST", "abc "), ("a\n", "a"), ("caf\ufffd", "caf"), ("STO", "")):
        row.text = text
        assert steady(row) == shown
    row.stop = "length"
    assert steady(row) == row.text


def test_log_probabilities_are_the_models_own(policy):
    (row,) = rows_answered(policy, [row_of(policy, n=6, top=2, echo=True)])
    whole = np.concatenate([row.prompt, row.written])
    assert len(row.likeliest.logprobs) == len(whole) and np.isnan(row.likeliest.logprobs[0])
    np.testing.assert_allclose(row.likeliest.logprobs[len(row.prompt) :], row.drawn, atol=1e-4)  # at temperature 1 both are
    with torch.no_grad():
        logits = policy.model(input_ids=torch.tensor(whole[None].astype(np.int64))).logits[0].float().log_softmax(-1)
    best = logits[:-1].topk(2)
    assert (row.likeliest.ids[1:] == best.indices.numpy()).all()
    np.testing.assert_allclose(row.likeliest.values[1:], best.values.numpy(), atol=1e-4)


def test_one_that_is_late_or_left_goes_and_the_others_stay(policy):
    late, left, other = row_of(policy), row_of(policy), row_of(policy, n=3)
    late.until, left.gone = 0.0, True
    rows_answered(policy, [late, left, other])
    assert (late.stop, left.stop, other.stop) == ("late", "late", "length") and len(other.written) == 3


def test_a_model_that_fails_fails_its_answers_and_not_the_thread(policy):
    news = queue.SimpleQueue()
    bad = Row(np.zeros(0, np.int32), 0, 4, Sampling(), FAR, lambda: news.put(None))
    with Answering(policy) as going:
        going.add([bad])
        news.get(timeout=600)
        good = row_of(policy, n=2)
        good.changed = lambda: news.put(None)
        going.add([good])
        while not good.over:
            news.get(timeout=600)
    assert bad.stop == "failed" and "no tokens" in bad.why and good.stop == "length"


def test_what_was_served_is_rows_and_no_state_of_the_run(tmp_path):
    Store.create(tmp_path / "run", {"recipe": "x"}).close()
    served = Served(tmp_path / "run")
    with Store.open(tmp_path / "run") as reader:
        served.add([(0.0, "m", "q", "a", b"", b"", 1, 2, "end", "{}")] * 2)
        found = reader.rows("SELECT id, text, n_sampled FROM served")
        assert [tuple(row) for row in found] == [(1, "a", 2), (2, "a", 2)] and reader.last_commit() is None
    served.close()
    with Store.open(tmp_path / "run", write=True) as store:  # the lock is given back, and the table is no damage
        assert store.rows("SELECT count(*) FROM served")[0][0] == 2
