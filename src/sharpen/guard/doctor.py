"""What goes wrong in silence, found in the numbers that a run leaves behind.

Pure functions of stored rows, so a run that is going and `sharpen check RUN` use the same ones:

1. A check looks at the last WINDOW learning steps, or fewer where it says so, and is quiet until there are that many: one bad
   step is noise, and a healthy run must never be stopped.
2. What it finds is a `Diagnosis`: a name, the numbers that show it, and a cure. Cures name knobs for `--set`.
3. Fatal is what makes every further step worthless or harmful: the run stops, and its accepted weights stay what they were.
   What only wastes part of the budget, or what the ratchet catches, is said and not stopped.

Read from a step: step, phase, round; its stats reward, correct, silent, truncated, malformed, timeout, unscorable, rollouts,
tokens, loss, grad_norm, mismatch, entropy, lr, temperature, unscorable_limit, solutions_right, and what monitors.py names; a
check whose numbers are missing is quiet. From a round: round, accuracy, n.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from sharpen.guard import learnt, monitors

Step = Mapping[str, Any]

WINDOW = 20  # learning steps: several thousand answers, a minute or so of the default recipe
PATIENCE = 40  # steps without any reward: a curriculum may need a while to find the first task that is solved
TRUNCATED = 0.9  # share of answers cut off; a healthy run that thinks long stays below one half
SILENT = 0.98  # share of groups without variance; with 8 answers each, nearly all tasks are solved above 99.7 % or below 0.3 %
UNSCORABLE = 0.05  # share that stops, where the recipe says nothing: what is lost is not a random part, so it bends learning
REFUSED = 0.5  # share of worked solutions that are right, below which it is said: all of them should be
TIMEOUT = 0.3  # share of answers whose program ran out of time
MISMATCH = 0.05, 0.2  # mean |log-prob gap|: bfloat16 alone makes 0.001 to 0.03; at 0.2 it fills the usual clip range of a ratio
GROWTH = 5.0  # times the gap of the first WINDOW steps, once it is above GROWN
GROWN = 0.02
LEAST_GROWN = 16  # proposals, below which nothing is said of who wrote them
DISTRUSTED = 0.5  # share of proposals that are wrong, no task, or not there
LEAKED = 0.05  # share of proposals that are held out; of a pool of its own hardly one in a thousand is
ROUNDS = 6  # the last three rounds against the three before
ALIKE = 0.2  # of the entropy of the first WINDOW steps, below which it is said, while tasks are unsolved …
SOLVED = 0.9  # … that is, below this reward
GAIN = 0.01  # … and unless held-out accuracy rises by more than this
LONGER = 1.5  # times as long as in the first WINDOW steps, with CUT of them cut off
CUT = 0.1
APART = 0.03  # least rise of training reward, and least fall of held-out accuracy, that count as such


@dataclass(frozen=True)
class Diagnosis:
    """A named trouble: whether the run must stop, the numbers that show it, and what to do about it."""

    name: str
    fatal: bool
    evidence: Mapping[str, float]
    cure: str

    def __str__(self) -> str:
        numbers = ", ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in self.evidence.items())
        return f"{self.name} ({numbers}): {self.cure}"


def diagnose(
    steps: Sequence[Step], rounds: Sequence[Mapping[str, Any]] = (), audits: Sequence[Mapping[str, Any]] = ()
) -> list[Diagnosis]:
    """Everything that is wrong now, the fatal first. The lists are whole and in order, as Store.steps, Store.rounds and the
    meta `audits` (loop/auditing.py) are."""
    loop = [s for s in steps if s["phase"] == "loop"]
    checks = (
        not_finite(steps),
        unscorable(loop),
        timeouts(loop),
        all_truncated(loop),
        reward_zero(loop),
        solutions_refused(loop),
        no_variance(loop),
        mismatch(loop),
        mismatch_grows(loop),
        answers_alike(loop, rounds),
        answers_lengthen(loop),
        held_out_falls(loop, rounds),
        *(Diagnosis(f.name, False, f.evidence, f.cure) for f in learnt.look(loop, rounds, audits)),
        *(Diagnosis(f.name, False, f.evidence, f.cure) for f in monitors.look(loop, rounds)),
    )
    return sorted((found for found in checks if found), key=lambda found: not found.fatal)


def not_finite(steps: Sequence[Step]) -> Diagnosis | None:
    """Loss or gradient of one of the last WINDOW steps, of any phase, is NaN or infinite. Fatal at once: weights may be too."""
    for s in steps[-WINDOW:]:
        bad = {key: float(s[key]) for key in ("loss", "grad_norm") if key in s and not math.isfinite(s[key])}
        if bad:
            knob = "lr" if s["phase"] == "loop" else "warmup_lr"
            lower = f"--set {knob}={s['lr'] / 2:g}" if s.get("lr") else f"a lower --set {knob}=…"
            cure = f"Training diverged. Begin a new run with {lower}; the accepted checkpoint is from before."
            return Diagnosis("loss_not_finite", True, {"step": float(s["step"]), **bad}, cure)
    return None


def unscorable(loop: Sequence[Step]) -> Diagnosis | None:
    """Verdicts that failed on our side, twice each: above the recipe's `unscorable_limit` of them the run stops.

    Five steps are enough; where all were lost in a single one, it is only said.
    """
    shares = _values(loop[-WINDOW:], "unscorable")
    limit = float(loop[-1].get("unscorable_limit", UNSCORABLE)) if loop else UNSCORABLE
    if len(shares) < 5 or fmean(shares) <= limit:
        return None
    cure = (
        "The verifier fails, not the model, and its failures are missing from every group. See why: sharpen query RUN "
        "\"SELECT rule, feedback, count(*) FROM verdicts WHERE outcome = 'unscorable' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 5\""
    )
    fatal = sum(share > 0 for share in shares) > 1
    return Diagnosis("unscorable", fatal, {"unscorable": fmean(shares), "limit": limit, "steps": len(shares)}, cure)


def timeouts(loop: Sequence[Step]) -> Diagnosis | None:
    """Many answers score 0 because their program ran out of time. Not fatal: it may be what there is to learn."""
    shares = _last(loop, "timeout")
    if not shares or fmean(shares) < TIMEOUT:
        return None
    cure = (
        'Programs that never end, or a time limit too short for this machine: look at some, sharpen query RUN "SELECT r.turns '
        "FROM rollouts r JOIN verdicts v ON v.rollout = r.id WHERE v.outcome = 'timeout' LIMIT 5\", and raise time_limit_s of "
        "the tasks where a right program needs longer."
    )
    return Diagnosis("timeouts", False, {"timeout": fmean(shares), "steps": len(shares)}, cure)


def all_truncated(loop: Sequence[Step]) -> Diagnosis | None:
    """Nearly every answer runs out of tokens. Fatal unless some are right all the same: then only tokens are wasted."""
    shares, correct = _last(loop, "truncated"), _last(loop, "correct")
    if not shares or not correct or fmean(shares) < TRUNCATED:
        return None
    window = loop[-WINDOW:]
    length = sum(s["tokens"] for s in window) / max(sum(s["rollouts"] for s in window), 1)
    evidence = {"truncated": fmean(shares), "correct": fmean(correct), "tokens_an_answer": length, "steps": len(shares)}
    cure = (
        f"Answers need more room, --set max_tokens={max(2 * round(length), 32)}, or the model never ends its turn: check its "
        "chat template with `sharpen query RUN \"SELECT turns FROM rollouts WHERE stop = 'length' LIMIT 3\"`, or show it how "
        "with more --set warmup_steps=…"
    )
    return Diagnosis("all_truncated", fmean(correct) < 0.02, evidence, cure)


def reward_zero(loop: Sequence[Step]) -> Diagnosis | None:
    """Not one answer earned anything for PATIENCE steps. Fatal: without a first success there is nothing to learn from."""
    rewards = _last(loop, "reward", PATIENCE)
    if not rewards or any(r != 0 for r in rewards):
        return None
    window = loop[-PATIENCE:]
    answers = float(sum(s.get("rollouts", 0) for s in window))
    malformed, truncated = (fmean(_values(window, key) or [0.0]) for key in ("malformed", "truncated"))
    evidence = {"reward": 0.0, "steps": len(rewards), "answers": answers, "malformed": malformed, "truncated": truncated}
    if answers:
        evidence["highest_likely_success_rate"] = min(3 / answers, 1.0)  # rule of three: 95 % bound after no success
    if malformed >= 0.5:
        cure = "Most answers lack <answer>…</answer>: show it with more --set warmup_steps=…, or ask for it in the prompt."
    elif truncated >= 0.5:
        cure = "Most answers are cut off before their end: raise --set max_tokens=…"
    else:
        cure = "The tasks are too hard to ever be solved: add easier levels to --tasks, or more --set warmup_steps=…"
    return Diagnosis("reward_zero", True, evidence, cure)


def solutions_refused(loop: Sequence[Step]) -> Diagnosis | None:
    """The verifier does not take half of the worked solutions for right. Fatal where it takes none: then none is learnt."""
    shares = _last(loop, "solutions_right", 5)
    if not shares or fmean(shares) >= REFUSED:
        return None
    cure = (
        "Worked solutions are judged like answers, and these are not taken for right: see why with `sharpen audit TASKS`, and "
        "how they end with `sharpen tasks TASKS`."
    )
    return Diagnosis("solutions_refused", not any(shares), {"right": fmean(shares), "steps": len(shares)}, cure)


def no_variance(loop: Sequence[Step]) -> Diagnosis | None:
    """Nearly every group's rewards are all equal, so nearly no gradient is left.

    Fatal where no group at all had variance, yet tasks are left to learn (mean reward between 0 and 0.9; `reward_zero` waits
    longer at 0). Objectives that learn without variance, such as SFT, are known by their gradient in steps that are all silent.
    """
    silent, rewards = _last(loop, "silent"), _last(loop, "reward")
    if not silent or not rewards or fmean(silent) < SILENT:
        return None
    if any(s["silent"] == 1 and s.get("grad_norm", 0) > 0 for s in loop[-WINDOW:]):
        return None
    reward = fmean(rewards)
    if reward >= 0.9:
        cure = (
            "Too easy: nearly every task is solved every time. Add harder levels to --tasks, or stop: no more is to be gained."
        )
    elif reward <= 0.1:
        cure = "Too hard: nearly no task is ever solved. Add easier levels to --tasks, or more --set warmup_steps=…"
    else:
        cure = "Each task is solved always or never: sample at higher --set temperature=…, or add levels between to --tasks."
    evidence = {"silent": fmean(silent), "reward": reward, "steps": len(silent)}
    return Diagnosis("no_variance", min(silent) == 1 and 0 < reward < 0.9, evidence, cure)


def mismatch(loop: Sequence[Step]) -> Diagnosis | None:
    """Engine and trainer disagree on the probability of the same tokens. Fatal where ratios are mostly this error."""
    gaps = _gaps(loop)[-WINDOW:]
    if len(gaps) < WINDOW or fmean(gaps) < MISMATCH[0]:
        return None
    cure = (
        f"The model that samples is not the model that learns. Try --set precision=fp32{_temperature(loop)}; if the gap stays, "
        "the two see different tokens, weights or templates."
    )
    return Diagnosis("mismatch", fmean(gaps) >= MISMATCH[1], {"mismatch": fmean(gaps), "steps": len(gaps)}, cure)


def mismatch_grows(loop: Sequence[Step]) -> Diagnosis | None:
    """The gap is GROWTH times what it was, by medians, so that a spike is no growth. Said early: it ends in collapse."""
    gaps = _gaps(loop)
    if len(gaps) < 2 * WINDOW:
        return None
    first, last = median(gaps[:WINDOW]), median(gaps[-WINDOW:])
    if last < GROWN or last < GROWTH * first:
        return None
    lr = loop[-1].get("lr")
    lower = f"--set lr={lr / 2:g}" if lr else "a lower --set lr=…"
    cure = f"Weights move into a region where rounding decides. Begin again with {lower}, or with --set precision=fp32."
    return Diagnosis("mismatch_grows", False, {"mismatch": last, "at_first": first}, cure)


def answers_alike(loop: Sequence[Step], rounds: Sequence[Mapping[str, Any]] = ()) -> Diagnosis | None:
    """The model says the same again and again before it can solve its tasks: nothing new is tried. Not fatal.

    Quiet while held-out accuracy rises: to become certain of what is right is how a healthy run learns.
    """
    seen = _values(loop, "entropy")
    rewards = _last(loop, "reward")
    if len(seen) < 2 * WINDOW or not rewards:
        return None
    first, last = fmean(seen[:WINDOW]), fmean(seen[-WINDOW:])
    if last >= ALIKE * first or fmean(rewards) >= SOLVED or gains(rounds):
        return None
    warmer = f"--set temperature={1.3 * loop[-1].get('temperature', 1.0):.3g}"
    cure = f"Answers are drawn from ever fewer. Begin again with {warmer}, a lower --set lr=…, or --set objective=dapo."
    return Diagnosis("answers_alike", False, {"entropy": last, "at_first": first, "reward": fmean(rewards)}, cure)


def gains(rounds: Sequence[Mapping[str, Any]]) -> bool:
    """Whether held-out accuracy rose by more than GAIN over the last four rounds, half against half; of fewer rounds the last
    against the first, and of one nothing is known."""
    seen = [float(r["accuracy"]) for r in rounds[-4:]]
    half = len(seen) // 2
    return half > 0 and fmean(seen[-half:]) - fmean(seen[:half]) > GAIN


def answers_lengthen(loop: Sequence[Step]) -> Diagnosis | None:
    """Answers grow against their limit, and what is cut off earns nothing. Not fatal: to think longer may be what is learnt."""
    lengths = [s["tokens"] / s["rollouts"] for s in loop if s.get("tokens") and s.get("rollouts")]
    cut = _last(loop, "truncated")
    if len(lengths) < 2 * WINDOW or not cut:
        return None
    first, last = fmean(lengths[:WINDOW]), fmean(lengths[-WINDOW:])
    if last < LONGER * first or fmean(cut) < CUT:
        return None
    cure = (
        "Give them room with a larger --set max_tokens=…, or ask for less: --set prompt_suffix='Answer in one short sentence.'"
    )
    return Diagnosis("answers_lengthen", False, {"tokens": last, "at_first": first, "truncated": fmean(cut)}, cure)


def growth_fails(proposed: int, refused: Mapping[str, int]) -> Diagnosis | None:
    """What a round of growth says of those who write tasks: that most of what they claim is in dispute, is no task, repeats, or
    is held out; or that nobody answers. Quiet below LEAST_GROWN proposals. Not fatal: nothing of it is trained on.

    refused  proposals by reason, as in the table `refusals`; `proposed` counts these too
    """
    kinds = {
        "teacher_down": (("the role gives no answer", "nobody answered"), "Nobody answers"),
        "teacher_wrong": (("label in dispute", "its verifier refuses its answer"), "Most claimed answers are wrong"),
        "teacher_prose": (("no JSON object with a question", "no task"), "Replies hold no task in the form that is asked for"),
        "teacher_repeats": (("duplicate",), "The same questions come again"),
        "teacher_leaks": (("held out", "contains what is held out"), "Proposals hold validation or test questions"),
    }
    for name, (reasons, said) in kinds.items():
        n = sum(refused.get(reason, 0) for reason in reasons)
        limit = LEAKED if name == "teacher_leaks" else DISTRUSTED
        if proposed >= LEAST_GROWN and n > limit * proposed:
            cure = (
                f'{said}; nothing of it is trained on. See: sharpen query RUN "SELECT reason, n, example FROM refusals". Take '
                "another model with --role, or mend its server or its prompt."
            )
            return Diagnosis(name, False, {"share": n / proposed, "proposed": float(proposed)}, cure)
    return None


def held_out_falls(loop: Sequence[Step], rounds: Sequence[Mapping[str, Any]]) -> Diagnosis | None:
    """Training reward up while held-out accuracy falls, by the last three rounds against the three before.

    The fall must also exceed two standard errors of a difference between two evaluations. Not fatal: it is the guard's to keep
    the weights from before.
    """
    rewards = {r["round"]: _values((s for s in loop if s["round"] == r["round"]), "reward") for r in rounds[-ROUNDS - 1 :]}
    seen = [r for r in rounds[-ROUNDS - 1 :] if rewards[r["round"]] and r["n"]][-ROUNDS:]
    if len(seen) < ROUNDS:
        return None
    half = ROUNDS // 2
    was, now = (fmean(fmean(rewards[r["round"]]) for r in part) for part in (seen[:half], seen[half:]))
    before, after = (fmean(r["accuracy"] for r in part) for part in (seen[:half], seen[half:]))
    middle = (before + after) / 2
    noise = math.sqrt(2 * middle * (1 - middle) / seen[-1]["n"])
    if now - was < APART or before - after < max(APART, 2 * noise):
        return None
    evidence = {"reward_before": was, "reward": now, "held_out_before": before, "held_out": after, "standard_error": noise}
    cure = (
        "The model learns what is rewarded, not the skill: look at what earns reward (`sharpen report RUN` shows samples), "
        "widen --tasks, use --set guard=ratchet, or a lower --set lr=… or --set round_steps=…"
    )
    return Diagnosis("held_out_falls", False, evidence, cure)


def _values(steps: Iterable[Step], key: str) -> list[float]:
    """What was measured; a NaN is a step that measured nothing, such as the reward of a step without a scored answer."""
    return [float(s[key]) for s in steps if s.get(key) is not None and math.isfinite(s[key])]


def _last(loop: Sequence[Step], key: str, n: int = WINDOW) -> list[float]:
    """The values of the last n steps, or nothing unless all n have one."""
    values = _values(loop[-n:], key)
    return values if len(values) == n else []


def _gaps(loop: Sequence[Step]) -> list[float]:
    """A step that trained on no row reports a gap of exactly 0, which says nothing."""
    return [gap for gap in _values(loop, "mismatch") if gap > 0]


def _temperature(loop: Sequence[Step]) -> str:
    temperature = loop[-1].get("temperature", 1)
    return f" and --set temperature=1 (it is {temperature:g})" if temperature != 1 else ""
