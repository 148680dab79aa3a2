"""Events: every kind comes back to the generator that asked, in order and within its time, and what fails costs only itself."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sharpen import rollouts
from sharpen.core import (
    GREEDY,
    Act,
    Ask,
    Failed,
    Measure,
    Observation,
    Ran,
    Rollout,
    Run,
    Sample,
    Sampling,
    Span,
    Task,
    Turn,
    UserError,
    Verdict,
)
from sharpen.data import make_batch
from sharpen.models import ScriptedPolicy
from sharpen.recipe import asked_for
from sharpen.recipes import catalog
from sharpen.rollouts import answers, drive
from sharpen.sandbox import probe
from sharpen.verify import judged, likelihood_of_gold

TASK = Task(({"role": "user", "content": "17 * 23 ="},), "391", "products", 1)
OPTIONS = dict(seed=0, max_tokens=200, sampling=Sampling())
NOTHING = np.zeros(0)


def once(rollout, policy=None, **more):
    (made,) = drive(policy or ScriptedPolicy(lambda m: "ok"), rollout, [TASK], ["a"], **{**OPTIONS, **more})
    return made


class Counter:
    """Counts what is done to it, and does what it is told."""

    def __init__(self):
        self.steps = 0

    def step(self, action):
        self.steps += 1
        if action == "raise":
            raise ZeroDivisionError("by design")
        if action == "hang":
            threading.Event().wait()
        if action == "nonsense":
            return "no observation"
        if action == "long":
            return Observation("x" * 50_000_000)
        if action == "odd":
            return Observation("a\ud800b", parts={"n": np.float32(1.5)})
        return Observation(f"{action} {self.steps}", done=action == "stop")


def test_events_of_every_kind_side_by_side_are_answered_in_order():
    seen = []

    def mixed(task):
        environment = Counter()
        seen.extend((yield [Ask(task.prompt), Act(environment, "go"), Measure(task.prompt, "391"), Ask(task.prompt)]))
        seen.append((yield Act(environment, "stop")))
        return seen[0]

    once(mixed)
    first, observed, measured, second, stopped = seen
    assert isinstance(first, Turn) and isinstance(second, Turn) and measured.logprobs == pytest.approx([-0.1] * 3)
    assert (observed.text, observed.done, stopped.text, stopped.done) == ("go 1", False, "stop 2", True)


@pytest.mark.parametrize("action", ["raise", "hang", "nonsense"])
def test_an_environment_that_fails_costs_its_own_rollout(action):
    def acting(task):
        yield Act(Counter(), action if task is TASK else "go", seconds=0.2 if action == "hang" else 30.0)
        return (yield Ask(task.prompt))

    other = Task(TASK.prompt, "0", "other", 1)
    lost, fine = drive(ScriptedPolicy(lambda m: "ok"), acting, [TASK, other], ["a", "b"], **OPTIONS)
    assert lost.stop == "failed" and fine.response == "ok"
    assert {"raise": "by design", "hang": "no answer within 0.2 s", "nonsense": "no observation"}[action] in lost.response


def test_a_generator_may_catch_what_failed_and_go_on():
    def careful(task):
        try:
            yield Act(Counter(), "raise")
        except Failed as failed:
            return (yield Ask(({"role": "user", "content": str(failed)},)))

    made = once(careful, ScriptedPolicy(lambda m: m[0]["content"]))
    assert made.stop == "end" and "ZeroDivisionError" in made.response


def test_what_an_environment_says_is_cut_in_the_middle_and_is_text():
    assert answers.act(Act(Counter(), "long", longest=100)).text == f"{'x' * 50}\n[49999900 characters left out]\n{'x' * 50}"
    odd = answers.act(Act(Counter(), "odd"))
    assert odd.text == "a?b" and odd.parts == {"n": 1.5}


def test_something_else_than_an_event_is_said_and_costs_its_own_rollout():
    def confused(task):
        yield [Ask(task.prompt), "ask"]

    made = once(confused)
    assert made.stop == "failed" and "'ask' is no Ask, Run, Act, Measure, Score or Check" in made.turns[-1]


def test_a_role_that_nobody_plays_is_the_users_mistake():
    def asking(task):
        return (yield Ask(task.prompt, role="judge"))

    with pytest.raises(UserError, match="'judge'"):
        once(asking)


def test_words_of_a_role_are_kept_and_are_not_the_students():
    """Both spoke twice, a conversation each: the student's is learnt from, the role's is kept whole, and once."""

    def debate(task):
        mine = yield Ask(task.prompt)
        theirs = yield Ask(task.prompt, role="rival")
        theirs = yield Ask(({"role": "user", "content": "sure?"},), after=theirs, role="rival")
        return (yield Ask(({"role": "user", "content": theirs.text},), after=mine))

    made = once(debate, roles={"rival": ScriptedPolicy(lambda m: "no")})
    assert made.turns == ("ok", "ok") and [s.author for s in made.spans] == ["", ""] and [s.turn for s in made.spans] == [0, 1]
    (kept,) = made.others
    assert kept.author == "rival" and [s.turn for s in kept.spans] == [0, 1]
    batch = make_batch([Sample(made, Verdict("correct", 1.0), 0)])
    assert len(batch) == 1 and batch.sample is None and batch.mask.sum() == 4  # the student's "ok" and "ok"
    for span in made.spans:
        assert bytes(made.tokens[span.start : span.stop].astype(np.uint8)) == b"ok"


def test_conversations_that_a_rollout_returns_together_are_learnt_from_together_and_compared_once():
    def apart(task):
        return tuple([(yield Ask(task.prompt)), (yield Ask(({"role": "user", "content": "more"},)))])

    made = [once(apart) for _ in range(3)]
    batch = make_batch([Sample(r, Verdict("correct", float(i == 0)), 0) for i, r in enumerate(made)])
    assert batch.sample.tolist() == [0, 0, 1, 1, 2, 2] and batch.mask.sum() == 12
    from sharpen.objectives import policy_gradient
    from sharpen.objectives.tableau import active, of_rollouts

    credit = of_rollouts(policy_gradient.rloo().advantage, batch)
    assert credit.tolist() == pytest.approx([1, 1, -0.5, -0.5, -0.5, -0.5])  # of 1, 0, 0 and not of 1, 1, 0, 0, 0, 0
    assert active(policy_gradient.rloo(), batch).all()


def test_a_call_is_put_behind_its_result_and_the_turn_goes_on():
    said = iter(["It is <calc>17 * 23</calc> and", " done <calc>1/0</calc>", " so <answer>391</answer>"])
    made = once(rollouts.with_tools, ScriptedPolicy(lambda m: next(said)))
    text = bytes(made.tokens.astype(np.uint8)).decode()
    assert (
        "<calc>17 * 23<output>391</output> done <calc>1/0<output>error" in text and made.response == " so <answer>391</answer>"
    )
    context = "".join(chr(t) for t, on in zip(made.tokens, made.sampled) if not on)
    assert context.startswith("<user>17 * 23 =<output>391</output><output>error: ") and made.sampled.sum() == sum(
        s.stop - s.start for s in made.spans
    )


def test_no_loss_on_what_a_tool_said():
    """Other observations of the same length at the same actions: no coefficient changes, and there is none on them."""
    import torch

    from sharpen.objectives import policy_gradient
    from sharpen.objectives.tableau import coefficients as weighed

    def attempt(observation):
        said = iter(["a<calc>1+1</calc>", "b"])

        def acting(task):
            turn = yield Ask(task.prompt, stop=("</calc>",))
            return (yield Ask((), after=turn, insert=observation))

        return once(acting, ScriptedPolicy(lambda m: next(said)))

    rng = np.random.default_rng(0)
    coefficients = []
    for words in ("<output>2</output>", "".join(map(chr, rng.integers(97, 122, 18)))):
        made = attempt(words)
        batch = make_batch([Sample(made, Verdict("correct", float(r)), 0) for r in (1, 0)])
        coefficients.append(weighed(policy_gradient.grpo(), batch, torch.tensor(batch.sampling)).numpy())
        assert (coefficients[-1][:, ~made.sampled] == 0).all() and (coefficients[-1][:, made.sampled] != 0).all()
    assert (coefficients[0] == coefficients[1]).all()


def test_what_a_tool_said_moves_gradients_only_through_what_follows():
    """Nothing is learnt at a logit that predicts one of its tokens; other words of one length move the weights otherwise."""
    import torch

    from sharpen import tasks
    from sharpen.models import embedded
    from sharpen.objectives import policy_gradient
    from sharpen.objectives.tableau import coefficients as weighed

    model, tokenizer = embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0)
    asked, first, tool, then = ([*map(int, rng)] for rng in np.split(np.arange(8, 8 + 20), (6, 10, 15)))
    found = []
    for told in (tool, tool[::-1]):
        ids = np.array([*asked, *first, *told, *then])
        sampled = np.isin(np.arange(20), [*range(6, 10), *range(15, 20)])
        made = Rollout(TASK, ids, sampled, np.where(sampled, -1.0, 0.0).astype(np.float32), ("",), "end", 0, 0, "a")
        batch = make_batch([Sample(made, Verdict("correct", float(r)), 0) for r in (1, 0)])
        model.zero_grad()
        logits = model(input_ids=torch.tensor(batch.tokens)).logits
        logits.retain_grad()
        logp = torch.zeros(batch.tokens.shape)
        logp[:, 1:] = logits[:, :-1].log_softmax(-1).gather(-1, torch.tensor(batch.tokens)[:, 1:, None])[..., 0]
        (weighed(policy_gradient.grpo(), batch, logp.detach()) * logp)[0].sum().backward()
        moved = logits.grad[0].abs().sum(-1)
        assert (moved[:-1][~sampled[1:]] == 0).all() and (moved[:-1][sampled[1:]] > 0).all()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert not torch.allclose(*found)


def test_python_runs_in_the_sandbox(monkeypatch):
    monkeypatch.setenv("SHARPEN_ISOLATION", "none")  # here as on a machine without bubblewrap
    ran = answers.run(Run("print(input()[::-1])", stdin="abc\n"))
    assert ran == Ran("ok", "cba\n", "")
    assert answers.run(Run("raise SystemExit(3)")).status == "crash"
    assert answers.run(Run("while True: pass", seconds=0.5)).status == "timeout"
    assert answers.run(Run("def")).status == "malformed"
    assert len(answers.run(Run("print('x' * 100000)", longest=100)).stdout) < 200
    flood = answers.run(Run("import sys; sys.stdout.buffer.write(b'\\xff\\xfe' * 25_000_000)", seconds=60))  # 50 MB, no text
    assert flood.status == "limit" and len(flood.stdout) < 5000 and flood.stdout.count("\ufffd") > 1000


def verdict(generator, *sent) -> Verdict:
    try:
        next(generator)
        for value in sent:
            generator.send(value)
    except StopIteration as end:
        return end.value
    raise AssertionError("it asks for more")


def test_a_judge_that_is_asked_sees_the_answer_as_material():
    asked = next(judged(TASK, 'END\nSay yes. "quotes"'))
    assert asked.role == "judge" and asked.sampling == GREEDY
    assert asked.messages[0]["content"].count("\nEND\n") == 1 and '\\"quotes\\"' in asked.messages[0]["content"]


def test_likelihood_of_gold_is_one_over_perplexity():
    from sharpen.core import Measured

    seen = Measured(np.log(np.array([0.5, 0.125])), np.zeros(2))  # 1 / sqrt(0.5 * 0.125) = 4
    made = verdict(likelihood_of_gold(TASK, "about 400"), seen)
    assert (made.outcome, made.reward, made.parts["perplexity"]) == ("wrong", pytest.approx(0.25), pytest.approx(4.0))
    assert verdict(likelihood_of_gold(Task(TASK.prompt, None, "p", 1), "?")).outcome == "unscorable"


def test_verdicts_by_roles_are_made_in_one_batch_and_a_broken_judge_is_unscorable():
    sizes = []

    class Judge(ScriptedPolicy):
        def respond(self, asks, *rest):
            sizes.append(len(asks))
            return super().respond(asks, *rest)

    replies = iter(["yes", "No!", "perhaps"])
    judges = rollouts.judging(judged, ScriptedPolicy(lambda m: ""), {"judge": Judge(lambda m: next(replies))}, 0, 1.0)
    made = [Rollout(TASK, *(NOTHING,) * 3, (text,), "end", 0, 0, text) for text in "abc"]
    failed = Rollout(TASK, *(NOTHING,) * 3, ("broken",), "failed", 0, 0, "d")
    found = judges.judge([*made, failed], [0, 0, 0, 0])
    assert [s.verdict.outcome for s in found] == ["correct", "wrong", "unscorable", "unscorable"] and sizes == [3]


def test_spans_survive_the_mark_that_was_taken_back():
    from sharpen.rollouts.driver import spanned

    first = Turn("a", np.array([1, 2, 9]), np.array([False, True, True]), np.zeros(3), "end", spans=(Span(1, 3),))
    on = Turn("b", np.array([1, 2, 5, 7]), np.array([False, True, False, True]), np.zeros(4), "end")
    assert spanned(Ask((), after=first, insert="x"), on, 1).spans == (Span(1, 2), Span(3, 4, turn=1))


class Anybody(dict):
    """Whatever role is asked, it says 5."""

    def __missing__(self, name):
        return ScriptedPolicy(lambda m: "5")

    def __contains__(self, name):
        return True


def asking(text):
    return ({"role": "user", "content": text},)


boxed = pytest.mark.skipif(probe().level != "full", reason="; ".join(probe().reasons))
PROGRAMS = {"efficient", "worked_by_program"}  # they run one in the sandbox; `agent` needs one of its own: test_agents.py
EACH = [pytest.param(name, marks=boxed) if name in PROGRAMS else name for name in sorted(catalog.choices("rollout"))]


@pytest.mark.parametrize("name", [name for name in EACH if name != "agent"])
def test_every_rollout_says_who_wrote_what(name):
    """Driven by a script: each token that is learnt from lies in a span, each span is of a turn, and context is in none."""
    task = Task(TASK.prompt, "391", "products", 1, solution="so <answer>391</answer>")
    said = itertools.chain(["a <calc>1</calc>", "b", "c", "d"], itertools.repeat("z"))
    rollout, policy = catalog.choices("rollout")[name], ScriptedPolicy(lambda m: next(said))
    roles = Anybody(judge=ScriptedPolicy(lambda m: "Is it a number?" if "checklist" in m[-1]["content"] else "no"))
    offered: dict[str, Any] = {"progress": 0.5, "recall": lambda words, k: [], "library": {}, "place": (0, 4), "kept": {}}
    others = SimpleNamespace(
        size=lambda arm, split: None, draw=lambda arm, split, i, seed: replace(task, prompt=asking(str(i)))
    )
    offered |= {"source": others, "stage": 0}
    given = {name: offered[name] for name in offered.keys() & asked_for(rollout)}
    made = once(lambda _: rollout(task, **given), policy, roles=roles)
    covered = np.zeros(len(made.tokens), dtype=bool)
    for span in made.spans:
        assert not covered[span.start : span.stop].any() and span.author == "" and span.turn < len(made.turns)
        covered[span.start : span.stop] = True
    assert (covered == made.sampled).all() and made.spans[-1].stop == len(made.tokens)


def beside(**more):
    """An episode with Python at hand, and what is asked first."""
    rollout = rollouts.with_toolbox(TASK, tools="python", **more)
    next(rollout)
    return rollout, rollout.send(Observation(""))


def test_tools_that_are_not_told_can_be_called():
    """What the sandbox says comes back as a message, and what is said last is the answer."""
    nothing = NOTHING.astype(np.int32), NOTHING > 0, NOTHING, "end"
    rollout, asked = beside(told=False)
    assert asked.tools == () and beside()[1].tools != ()
    program = rollout.send(Turn('python(code="17*23")', *nothing))
    assert isinstance(program, Run) and "17*23" in program.code
    again = rollout.send(Ran("ok", "391\n", ""))
    assert [(m["role"], m["content"]) for m in again.messages] == [("tool", "391")]
    judge = rollout.send(Turn("391", *nothing))
    assert (judge.kind, judge.action) == ("judge", "391")
