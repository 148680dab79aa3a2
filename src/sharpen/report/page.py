"""The report as one HTML page: evidence in, text out. The layout and the style sheet are page.html.j2 and page.css.

The page holds no script and asks for nothing: its content security policy forbids both, so what a model wrote, escaped as it
is, could not act even if it were not. Charts are inline SVG (charts.py).
"""

from __future__ import annotations

import functools
import json
import math
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import jinja2

from sharpen.core import Arm, UserError, plural
from sharpen.estimate import Estimate, mean
from sharpen.report import answers, charts, flows, streams
from sharpen.report.charts import level, percent, short
from sharpen.report.evidence import STATES, Evidence, Round, Skills, split
from sharpen.report.findings import checks, duration, verdict
from sharpen.report.markup import Markup
from sharpen.report.points import points

LONGEST = 2000  # characters of a prompt or response that the page shows
GIST = 90  # characters of a prompt in the line that stands for a closed sample
SAMPLES = 6  # sample tasks of each kind
COLUMNS = 48  # of the curriculum's heat map; more rounds are joined
POINTS = 240  # of a line over steps; more steps are joined
ARMS = 60  # rows of the curriculum's heat map; with more arms it shows families
WHISKERS = 60  # rounds; with more, intervals are in the table and on hover only

METRICS = (  # step statistic, title, what it means, widest range
    ("solutions_right", "Worked solutions taken for right", "share, by the verifier; the others are not learnt", (0.0, 1.0)),
    ("loss", "Loss", "of the objective; of worked solutions, falling means that they are learnt", None),
    ("reward", "Training reward", "mean over the step's rollouts; biased by what the curriculum chose", (0.0, 1.0)),
    ("silent", "Silent groups", "share whose rewards are all equal: comparing them teaches nothing", (0.0, 1.0)),
    ("mismatch", "Engine–trainer mismatch", "mean |difference| of log-probabilities; should stay small and flat", None),
    ("staleness", "Staleness", "updates between writing and learning, in the mean; a run with --ahead", None),
    ("tokens", "Tokens sampled", "in each step", None),
    ("truncated", "Answers cut off", "share that ran out of tokens", (0.0, 1.0)),
    ("malformed", "Malformed answers", "share without an answer that can be read", (0.0, 1.0)),
    ("entropy", "Entropy", "of the policy, in nats; a fall to zero ends exploration", None),
    ("grad_norm", "Gradient norm", "before clipping", None),
    ("verifying", "Answers that check", "share of rollouts with words that show it", (0.0, 1.0)),
    ("turning back", "Answers that turn back", "share of rollouts with words that show it", (0.0, 1.0)),
    ("sub-goals", "Answers with sub-goals", "share of rollouts with words that show it", (0.0, 1.0)),
    ("trying cases", "Answers that try cases", "share of rollouts with words that show it", (0.0, 1.0)),
)
KINDS = (  # (was, became) -> title, what to look for
    ((0, 1), "Newly solved", "wrong before, right after"),
    ((1, 0), "Newly broken", "right before, wrong after"),
    ((0, 0), "Still wrong", "wrong both times"),
    ((1, 1), "Right both times", ""),
    ((0, None), "Wrong before", "not tried again yet"),
    ((1, None), "Right before", "not tried again yet"),
)
SHAPES = {"start": "ring", "undecided": "ring", "unclear": "ring", "kept": "dot", "rolled back": "cross"}
SHAPES |= {"handed over": "ring", "refused": "cross"}
HIDDEN = "\x7f\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
VISIBLE = {ord(c): f"⟨U+{ord(c):04X}⟩" for c in HIDDEN} | {i: chr(0x2400 + i) for i in range(32) if chr(i) not in "\n\t"}


def html(
    directory: Path,
    evidence: Evidence,
    samples: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The whole page. `samples` are those of `evidence.samples`, `examples` those of `baseline.example`."""
    return filled(
        files("sharpen.report"),
        name=directory.resolve().name,
        e=evidence,
        verdict=verdict(evidence),
        before=mean(list(evidence.before.values())),
        after=mean(list(evidence.after.values())),
        gain=mean(list(evidence.change.values())),
        checks=checks(evidence),
        families=_families(evidence),
        skills=_skills(evidence),
        answers=answers.section(evidence),
        flows=flows.section(evidence.attempts),
        flow_words=flows.sentence(evidence.attempts["test"]) or flows.sentence(evidence.attempts["before"]),
        examples=[{**s, "gist": _gist(s["prompt"])} for s in examples],
        stream=streams.section(evidence.stream),
        rounds=rounds(evidence.rounds),
        curriculum=curriculum(evidence.chosen),
        training=training(evidence.steps),
        cost=_cost(evidence),
        kinds=_kinds(samples),
        commands=_commands(directory, evidence.meta),
        facts=_facts(evidence.meta),
        diagnoses=[{**d, "evidence": _numbers(d["evidence"])} for d in evidence.diagnoses],
    )


def filled(room: Traversable, layout: str = "page.html.j2", **values: Any) -> str:
    """A page from a room's layout, with the style sheet that all pages share."""
    return template(room.joinpath(layout).read_text("utf-8")).render(style=style(), **values)


@functools.cache  # a third of a second for the report's
def template(layout: str) -> jinja2.Template:
    return environment().from_string(layout)


def style() -> Markup:
    """The style sheet that all pages share."""
    return Markup(files("sharpen.report").joinpath("page.css").read_text("utf-8"))


def environment(loader: jinja2.BaseLoader | None = None) -> jinja2.Environment:
    """How pages are made: everything is escaped but Markup, and a name that is not given is an error."""
    how: dict[str, Any] = dict(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment = jinja2.Environment(loader=loader, finalize=visible, **how)
    environment.filters |= {f.__name__: f for f in (percent, points, duration, short, excerpt, breakable, plural)}
    return environment


def write(text: str, target: Path) -> Path:
    """Put a page where it belongs, in one piece. Raises UserError where that cannot be written."""
    part = target.with_name(target.name + ".part")
    try:
        part.write_text(text, encoding="utf-8", errors="replace")  # a lone surrogate has no UTF-8
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(
            f"The report cannot be written to {target}: {error.strerror}. Free space or choose another place."
        ) from error
    return target


def visible(value: Any) -> Any:
    """What is put into a page, control characters shown as signs."""
    if not isinstance(value, str):
        return value
    shown = value.translate(VISIBLE)
    return Markup(shown) if isinstance(value, Markup) else shown


def excerpt(text: str) -> Mapping[str, Any]:
    """The start of a text of any length, and how many characters are left out.

    Control characters are shown as signs, so that none can hide or reorder what stands beside it.
    """
    return {"text": text[:LONGEST].translate(VISIBLE), "left_out": max(0, len(text) - LONGEST)}


def breakable(name: str) -> Markup:
    """A name that may be broken into lines after its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def _families(evidence: Evidence) -> Sequence[Mapping[str, Any]]:
    """A row for each family: mean over its arms before and after, largest gain first."""

    def of(skills: Skills, family: str) -> Estimate | None:
        return mean([e for arm, e in skills.items() if arm.family == family])

    rows = []
    for family in sorted({arm.family for arm in evidence.before.keys() | evidence.after.keys()}):
        before, after, gain = of(evidence.before, family), of(evidence.after, family), of(evidence.change, family)
        said = (
            ", ".join(f"{when} {_interval(e)}" for when, e in (("before", before), ("after", after)) if e) or "nothing judged"
        )
        chart = charts.dumbbell(_triple(before), _triple(after), f"{family}: {said}")
        rows.append({"family": family, "before": before, "after": after, "gain": gain, "chart": chart})
    return sorted(rows, key=lambda row: (-row["gain"].value if row["gain"] else 9, row["family"]))


def _triple(e: Estimate | None) -> tuple[float, float, float] | None:
    return (e.value, e.low, e.high) if e else None


def _interval(e: Estimate) -> str:
    return f"{percent(e.value, 1)} ({percent(e.low)} to {percent(e.high)}, {e.n:,} tasks)"


def _skills(evidence: Evidence) -> Mapping[str, Any]:
    """Three maps of the same families and levels; a cell is None where there is no such arm or nothing was judged."""
    arms = sorted(evidence.before.keys() | evidence.after.keys())
    maps = [("Before", evidence.before), ("After", evidence.after), ("Difference", evidence.change)]
    return {
        "families": sorted({a.family for a in arms}),
        "levels": sorted({a.level for a in arms}),
        "known": set(arms),
        "maps": [(title, {a: skills.get(a) for a in arms}) for title, skills in maps],
        "arm": Arm,
    }


def rounds(rounds: Sequence[Round]) -> Mapping[str, Any]:
    """The validation chart and its table: the line is the accuracy of the kept weights."""
    line, marks, kept = [], [], None
    for r in rounds:
        if r.accuracy is None:
            continue
        if r.state in ("kept", "handed over") or kept is None:
            kept = r.accuracy.value
        line.append((float(r.number), kept))
        low, high = (r.accuracy.low, r.accuracy.high) if len(rounds) <= WHISKERS else (None, None)
        title = f"round {r.number}{f' of {r.stage}' * bool(r.stage)}, {r.state}: {_interval(r.accuracy)}"
        marks.append(charts.Mark(r.number, r.accuracy.value, title, SHAPES[r.state], low, high))
    chart = charts.plot(
        [charts.Line(line, "kept", steps=True)] if line else [],
        marks,
        label="Accuracy on the validation stream over rounds",
        height=240,
        form=level,
        x_name="round",
        bounds=(0.0, 1.0),
        about=5,
    )
    states = [r.state for r in rounds]
    table = [(r, _numbers(r.decision.numbers) if r.decision else "") for r in rounds]
    counts = {state.replace(" ", "_"): states.count(state) for state in (*STATES.values(), "refused", "handed over")}
    halved = split(r.decision for r in rounds if r.decision)
    return {"chart": chart, "table": table, "split": halved, **counts}


def _numbers(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}\u00a0{_number(v)}" for k, v in values.items())


def _number(value: Any) -> str:
    return short(value).replace("-", "\u2212") if isinstance(value, int | float) and math.isfinite(value) else str(value)


def curriculum(chosen: Mapping[tuple[int, Arm], tuple[int, int]]) -> Mapping[str, Any] | None:
    """Share of each round's rollouts that went to each arm, or to each family where there are too many arms."""
    numbers = sorted({number for number, _ in chosen})
    if not numbers:
        return None
    arms = {arm for _, arm in chosen}
    width = math.ceil(len(numbers) / COLUMNS)
    column = {number: i // width for i, number in enumerate(numbers)}
    sums: dict[tuple[str, int], list[int]] = {}
    totals = [0] * (max(column.values()) + 1)
    for (number, arm), (n, successes) in chosen.items():
        cell = sums.setdefault((str(arm) if len(arms) <= ARMS else arm.family, column[number]), [0, 0])
        cell[0], cell[1] = cell[0] + n, cell[1] + successes
        totals[column[number]] += n
    by_name = (
        {str(arm): (arm.family, arm.level) for arm in arms} if len(arms) <= ARMS else {a.family: (a.family, 0) for a in arms}
    )
    names = sorted(by_name, key=lambda name: by_name[name])
    rows, titles = [], []
    for name in names:
        cells = [sums.get((name, j), [0, 0]) for j in range(len(totals))]
        rows.append([n / total if total else 0.0 for (n, _), total in zip(cells, totals, strict=True)])
        titles.append(
            [
                f"{name}, round {_range(numbers[j * width : (j + 1) * width])}: {n:,} rollouts, {percent(share, 1)}"
                + (f", {percent(won / n)} solved" if n else "")
                for j, ((n, won), share) in enumerate(zip(cells, rows[-1], strict=True))
            ]
        )
    return {
        "names": names,
        "chart": charts.heat(rows, titles, label="Share of each round's rollouts by arm"),
        "largest": max(max(row) for row in rows),
        "first": numbers[0],
        "last": numbers[-1],
        "width": width,
        "totals": [sum(sums.get((name, j), [0])[0] for j in range(len(totals))) / max(sum(totals), 1) for name in names],
    }


def _range(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}"


def training(steps: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Small multiples over learning steps; where steps are joined, the line is their mean and the band their range."""
    width = math.ceil(len(steps) / POINTS) or 1
    found = []
    for key, title, meaning, bounds in METRICS:
        known = [(s["step"], float(s[key])) for s in steps if isinstance(s.get(key), int | float) and math.isfinite(s[key])]
        if not known:
            continue
        joined = [known[i : i + width] for i in range(0, len(known), width)]
        line = [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in joined]
        wide = zip(line, joined, strict=True) if width > 1 else ()
        band = [(x, min(y for _, y in g), max(y for _, y in g)) for (x, _), g in wide]
        form = level if bounds and key != "reward" else short
        lone = [charts.Mark(*line[0], title=f"step {known[0][0]}: {form(line[0][1])}")] if len(line) == 1 else []
        chart = charts.plot(
            [charts.Line(line, "data", band)],
            lone,
            label=f"{title} over steps",
            form=form,
            bounds=bounds,
            span=(known[0][0], known[-1][0]),
        )
        latest = [y for _, y in known[-10:]]
        found.append({"title": title, "meaning": meaning, "chart": chart, "latest": form(sum(latest) / len(latest))})
    return found


def _cost(evidence: Evidence) -> Mapping[str, Any]:
    wall = sum(evidence.seconds.values())
    parts = [(phase, seconds, seconds / wall if wall else 0.0) for phase, seconds in evidence.seconds.items()]
    tokens = sum(t for _, t in evidence.tokens.values())
    beside = float(evidence.meta.get("ahead.seconds", 0.0))  # of a thread: of these the run waited for "generate" alone
    making = beside or evidence.seconds.get("generate", 0.0)
    trained = evidence.tokens.get("train", (0, 0))[1]
    return {
        "wall": wall,
        "parts": parts,
        "chart": charts.stacked(
            [
                (f"c{i % 8}", share, f"{phase}: {duration(seconds)}, {percent(share, 1)}")
                for i, (phase, seconds, share) in enumerate(parts)
            ],
            label="Seconds by phase",
        ),
        "beside": beside,
        "tokens": tokens,
        "rollouts": sum(n for n, _ in evidence.tokens.values()),
        "speed": tokens / wall if wall else None,
        "generating": trained / making if making and trained else None,
    }


def _gist(prompt: Sequence[Mapping[str, Any]]) -> str:
    """What the last message asks, on one line of up to GIST characters."""
    text = " ".join(excerpt(_content(prompt[-1].get("content")))["text"].split()) if prompt else ""
    return text if len(text) <= GIST else text[:GIST] + "…"


def _kinds(samples: Iterable[Mapping[str, Any]]) -> Sequence[tuple[str, str, Sequence[Mapping[str, Any]]]]:
    """Samples under the title of their kind, with prompt and turns as texts."""
    pool = [
        {
            "arm": Arm(s["family"], s["level"]),
            "kind": (s["was"], s["became"]),
            "answer": s["answer"],
            "gist": _gist(json.loads(s["prompt"])),
            "prompt": [(m.get("role", ""), _content(m.get("content"))) for m in json.loads(s["prompt"])],
            "attempts": [
                (when, a and {**a, "turns": [_content(t) for t in json.loads(a["turns"])]})
                for when, a in (("Before", s["first"]), ("After", s["last"]))
            ],
        }
        for s in samples
    ]
    grouped = [(title, meaning, [s for s in pool if s["kind"] == kind]) for kind, title, meaning in KINDS]
    return [(title, meaning, chosen) for title, meaning, chosen in grouped if chosen]


def _content(content: Any) -> str:
    """A message's text; a part that is not text (an image, an action) is named."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(
            p["text"] if isinstance(p, dict) and isinstance(p.get("text"), str) else f"[{_part(p)}]" for p in content
        )
    return json.dumps(content, ensure_ascii=False)


def _part(part: Any) -> str:
    return str(part.get("type", "part")) if isinstance(part, dict) else "part"


def _commands(directory: Path, meta: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    here = directory.resolve()
    near = here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here
    place = shlex.quote(os.fspath(near))
    argv = meta.get("argv") or []
    made = [("Make it again", shlex.join(map(str, argv)))] if argv else []
    return [
        *made,
        ("Go on after an interruption", f"sharpen resume {place}"),
        ("Look for silent failures", f"sharpen check {place}"),
        ("Take the model away, as a Hugging Face directory", f"sharpen export {place} MODEL_DIR"),
        ("Ask anything of its records", f'sharpen query {place} "SELECT outcome, count(*) FROM verdicts GROUP BY outcome"'),
    ]


def _facts(meta: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What the run recorded of itself, nested values flattened, without what the page shows elsewhere."""
    shown = {"recipe_text", "argv", "request"}
    facts = []
    for key, value in meta.items():
        if key not in shown:
            inner = value.items() if isinstance(value, dict) else [("", value)]
            facts += [(f"{key} {k}".strip(), v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)) for k, v in inner]
    return facts
