"""Verifiers of answers with a fixed form: one of several choices, and JSON.

Both find the final answer first (`maths.extraction`). Neither bounds its own time beyond the length of what it reads: a schema
may ask for much work, and who judges many responses runs verifiers in processes with a deadline.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from sharpen.core import Task, UserError, Verdict
from sharpen.verify.maths import after_marker, find, last_box, sentences, settled, tagged, tidy, without_thoughts

VERSION = "5"
MOST_CALLS = 100
LONGEST_JSON = 20_000  # characters
LONGEST_MATCH = 0.5  # seconds of one pattern of a schema on one text

L = r"(?:\(([A-Za-z])\)|\[([A-Za-z])\]|([A-Za-z])(?![A-Za-z0-9']))"
LABEL = re.compile(
    r"(?:(?:so|thus|hence|therefore|then|clearly)[, ]+)?"
    r"(?:i (?:think|believe|guess|would say|am sure)(?: that)? )?"
    r"(?:(?:(?:i|we) (?:would )?)?(?:choose|pick|select|go with) (?:option |choice |answer )?"
    r"|it(?:'s| is| must be| should be| has to be) (?:definitely |clearly |obviously )?(?:option |choice )?"
    r"|(?:the |my )?(?:only )?(?:correct |right |best |final |most likely )?(?:answer|ans\b\.?|option|choice)?"
    r"(?: (?:is|must be|would be|should be|has to be)(?: definitely| indeed| clearly| certainly| therefore)?)?"
    r"(?: ?[:=] ?| - | )?(?:(?:definitely|indeed|clearly|certainly) )?(?:option |choice |answer )?)" + L + r"[.:)]?(.*)",
    re.I | re.S,
)
JUDGED = re.compile(
    r"(?:(?:so|thus|hence|therefore|(?:among|of) [a-z ]{1,30})[, ]+)?(?:(?:the )?(?:option|choice|answer) )?"
    + L
    + r" (?:is|must be|would be|should be|seems|looks)(?: clearly| definitely| therefore)?"
    r" (?:(?:the )?(?:correct|right|true|best)(?: (?:answer|option|choice|one))?|the (?:final )?answer)(.*)",
    re.I | re.S,
)
ABROAD = re.compile(
    r"(?:因此|所以|故)?，?(?:正确)?(?:答案|选项)?(?:应?选择?|是|为|:|：)*\s*" + L + r"(?:选项|项)?()[。.]?", re.S
)
BARE = re.compile(r"[-•\s*_`\"'({\[<]*[A-Za-z][\s*_`\"')}\]>.:]*(?:[.:)-]\s.{1,200})?")  # a letter, perhaps with its choice
CONCLUDES = re.compile(r"\W*(?:so|thus|hence|therefore|finally)\b", re.I)
CONCLUDED = re.compile(r"[,;] (?:so|hence|thus|therefore|which leaves|leaving)\b,? ", re.I)
CALLED_RIGHT = re.compile(
    r"((?:option |choice )?.{1,300}?) (?:is|must be|would be) (?:the )?"
    r"(?:(?:correct|right|best)(?: (?:answer|option|choice|one))?"
    r"|answer)",
    re.I | re.S,
)
BULLET = re.compile(r"^\s*(?:[-•>]\s+)+")
WRAPPED = re.compile(r"</?(?:b|i|u|em|strong|p)>|[<{\"“'`](?=[A-Za-z][>}\"”'`])|(?<=[<{\"“'`][A-Za-z])[>}\"”'`]")
NO_MARKER = re.compile(r"(?<![\w'])A:(?![ \t]*[*_]{0,2}\(?[A-Z]\)?\W*$)", re.MULTILINE)
QUESTION = re.compile(r"\bQ(?:uestion)?\s?:")
IN_WORDS = re.compile(r"(?:.{0,300}\b(?:is|are|was|were) )?(.{1,300}?)(?: ?[(\[]([A-Za-z])[)\]])?")
DENIED = re.compile(r"\b(?:not|no|never|neither|nor|or|if|unless|wrong|incorrect)\b|n't\b", re.I)
COPULA = re.compile(r"(?:です|だ|입니다)?[.。]?$")
BECAUSE = re.compile(r",? (?:because|since)\b", re.I)
REJECTED = re.compile(r"[,;]? (?:and not|but not|not|rather than|instead of) (?:option |choice )?\(?([A-Za-z])\)?", re.I)
SEVERAL = re.compile(r"[,;/&+ ]|\band\b", re.I)
CHOSEN_FROM = 2_000  # characters of a line that is read as a choice
FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\n`]*)\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
CALLS = re.compile(r"<(tool_call|function_call|tool_calls|json)>(.*?)(?:</\1>|\Z)", re.DOTALL)


def answers_of(verifier: str, answer: Any, choices: Any = None) -> tuple[str | None, list[str]]:
    """(the task's answer as text, further right answers) of what a line of JSON gives as `answer`.

    A list is several right answers of which any will do, but for `numbers` the list itself, and for `multiple_choice` the
    letters of all right choices. There, a whole number is the place of the right choice in the list, from 0.
    Raises UserError where a number is no place, or a choice too.
    """
    if answer is None or isinstance(answer, str) or verifier in ("json", "rubric", "judge", "tool_call"):
        return (answer if answer is None or isinstance(answer, str) else json.dumps(answer)), []
    if verifier == "multiple_choice" and isinstance(answer, int) and not isinstance(answer, bool):
        listed = labelled(choices)
        if isinstance(choices, Mapping) or not 0 <= answer < len(listed) or str(answer) in listed.values():
            raise UserError(f"the answer {answer} is no place in the list of choices, or is a choice itself. Give its letter.")
        return [*listed][answer], []
    if isinstance(answer, list) and answer and all(isinstance(item, str | int | float) for item in answer):
        texts = [item if isinstance(item, str) else json.dumps(item) for item in answer]
        if verifier in ("numbers", "multiple_choice"):
            return ", ".join(texts), []
        return texts[0], texts[1:]
    return json.dumps(answer), []


def multiple_choice(task: Task, response: str) -> Verdict:
    """One of several choices, by its letter or its whole text: "B", "(B)", "B. Lima", "Lima", "B is correct".

    Task: `answer` is a letter or the text of a choice, or several letters ("A, C"), of which all must be named and no other;
    data `choices` is a list of texts (A, B, …) or an object {letter: text}. Without `choices` only letters are read.
    The choice stands in the last <answer>, else in the last box, marker or line that makes one, else in the first line, before
    its reasons. `malformed`: no choice, or more than one. `unscorable`: the task's answer is none.
    """
    choices = labelled(task.data.get("choices"))
    gold = letters_of((task.answer or "").strip(), choices)
    if not gold:
        return Verdict(
            "unscorable", None, feedback="the task's own answer is none of its choices", rule="choice", version=VERSION
        )
    found, how = choice_made(response, choices, len(gold) > 1)
    rule = f"{how}: choice"
    if not found:
        return Verdict("malformed", 0.0, feedback="There is no choice, or more than one.", rule=rule, version=VERSION)
    return _judged(found == gold, rule)


def choice_made(response: str, choices: Mapping[str, str], several: bool) -> tuple[frozenset[str], str]:
    """(the letters that a response chooses, the rule that found them); no letters where it chooses none, or too many."""
    text = without_thoughts(response).strip()
    read = letters_of if several else single
    if (inside := tagged(text)) is not None:
        return read(last_box(inside) or inside, choices), "tag"
    text = settled(text)
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return frozenset(), "none"
    if not QUESTION.search(text):  # "A:" with nothing asked before it is the first choice
        text = NO_MARKER.sub("A.", text)
    marked, line = after_marker(text)
    answer = find(text)
    boxed = answer.text if answer.how == "box" else None
    last = "whole" if len(lines) == 1 else "last line"
    made = read(boxed, choices) if boxed is not None else frozenset()
    if marked and (boxed is None or not made or text.rfind(line) > text.rfind("\\boxed")):
        said = next((found for each in (line, *sentences(line), marked) if (found := read(each, choices))), frozenset())
        said = frozenset() if mislabelled(line, choices) else said
        return (said, "marker") if not made or made == said or not said else (frozenset(), "box and marker")
    if made:
        return made, "box"
    if made := read(lines[-1], choices):
        begun = len(lines) > 1 and BARE.fullmatch(lines[0]) and not CONCLUDES.match(lines[-1])
        alone = read(lines[0], choices) if begun else made
        return (made if alone in (made, frozenset()) else frozenset()), last
    first, *more = [part for part in re.split(r"(?<=[^\W\d_]{2}[.!?])\s+", lines[0], maxsplit=1) if part] + lines[1:]
    made = frozenset() if not more or mislabelled(first, choices) else read(first, choices)
    again = {each for part in more for each in read(part, choices)}
    return (made, "first line") if made and not again - made else (frozenset(), last)


def mislabelled(text: str, choices: Mapping[str, str]) -> bool:
    """Whether a letter stands before the words of another choice: "A. Quito", where Quito is B."""
    match = re.match(r"\W*(?:option |choice )?\(?([A-Za-z])[).:\s-]+(.+)", tidy(text[:CHOSEN_FROM]), re.I | re.S)
    if match is None:
        return False
    own, words = choices.get(match[1].upper(), ""), _plain(match[2])
    return any(words.startswith(other) and not own.startswith(other) for other in choices.values() if other != own and other)


def single(text: str, choices: Mapping[str, str]) -> frozenset[str]:
    return frozenset(filter(None, [chosen(text, choices)]))


def letters_of(text: str, choices: Mapping[str, str]) -> frozenset[str]:
    """The letters of all choices that a text names, as in "A, C", "A and C" or "AC"; none where it names anything else."""
    if one := chosen(text, choices):
        return frozenset([one])
    plain = re.sub(r"[\[\]()*.]", " ", tidy(text[:CHOSEN_FROM]))
    plain = re.sub(r"^(?:the )?(?:correct )?(?:answers?|options?|choices?)(?: (?:is|are))?:? ", "", plain.strip(), flags=re.I)
    plain = re.sub(
        r" are (?:both |all )?(?:the )?(?:correct|right)(?: (?:answers|options|choices|ones))?$", "", plain.strip(), flags=re.I
    )
    items = [item for item in SEVERAL.split(plain.removeprefix("both ").removeprefix("Both ")) if item]
    if len(items) == 1 and len(items[0]) > 1 and items[0].isupper():
        items = list(items[0])
    found = {item.upper() for item in items}
    fit = all(len(item) == 1 and item.isalpha() for item in items) and len(found) == len(items)
    return frozenset(found) if fit and (not choices or found <= set(choices)) else frozenset()


def labelled(choices: Any) -> dict[str, str]:
    """{letter: text}, without spaces around; empty where there are no choices."""
    if isinstance(choices, Mapping):
        return {str(label).strip().upper(): _plain(str(text)) for label, text in choices.items()}
    return {chr(ord("A") + i): _plain(str(text)) for i, text in enumerate(choices or ())}


def chosen(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter of the choice that a text makes, or None where it makes none or several."""
    text = WRAPPED.sub("", tidy(BULLET.sub("", unicodedata.normalize("NFKC", text[:CHOSEN_FROM])))).strip()
    plain = _plain(text)
    by_text = [label for label, choice in choices.items() if choice == plain]
    if by_text and plain.upper() not in choices:
        return by_text[0] if len(by_text) == 1 else None
    _, but, concluded = text.rpartition(", but ")
    if but and JUDGED.fullmatch(concluded.rstrip(" .!")):  # "A is tempting, but B is correct."
        text = concluded
    rejected = [match[1].upper() for match in REJECTED.finditer(text)]
    text = COPULA.sub("", BECAUSE.split(REJECTED.sub("", CONCLUDED.split(text)[-1]))[0].rstrip(" .!"))
    judged = JUDGED.fullmatch(text)
    match = judged or LABEL.fullmatch(text) or ABROAD.fullmatch(text)
    if match is None:
        called = CALLED_RIGHT.fullmatch(text)
        if called and not DENIED.search(called[1]) and choices:
            return chosen(called[1], choices)
        return in_words(text, choices)
    label, rest = (match[1] or match[2] or match[3]).upper(), _plain(match[4])
    if label in rejected or (choices and label not in choices) or re.search(r"\bnot\b|n't\b|\b(?:in|un)?correct\b", rest):
        return None
    rest = re.sub(r"^[-:=),] ?", "", rest).strip("() ")
    if not rest or choices.get(label) == rest:
        return label
    others = [letter for letter, choice in choices.items() if letter != label and choice and choice in rest]
    again = re.search(r"\b(?:or|and|not)\b|\([A-Za-z]\)|(?<![A-Za-z])[B-Z](?![A-Za-z])", match[4])
    return None if others or again or not (_separated(text, label) or not choices) else label


def in_words(text: str, choices: Mapping[str, str]) -> str | None:
    """The one choice that a sentence ends with, as in "The capital is Quito" or "Quito (B)"; None where it names two."""
    match = IN_WORDS.fullmatch(text)
    if match is None or DENIED.search(text[: match.start(1)]):
        return None
    named = [label for label, choice in choices.items() if choice and choice == _plain(match[1])]
    others = [label for label, choice in choices.items() if choice and choice in _plain(text) and label not in named]
    return named[0] if len(named) == 1 and not others and (match[2] or named[0]).upper() == named[0] else None


def _separated(text: str, label: str) -> bool:
    """Whether a mark stands behind the letter, so that it labels what follows: "B. Lima", but not "A dog"."""
    return (
        re.match(rf".*?(?:[(\[]{label}[)\]]|{label} ?[.:)]|{label} - |{label},? (?:because|since)\b)", text, re.I) is not None
    )


def _plain(text: str) -> str:
    return " ".join(tidy(text).casefold().split())


def json_value(task: Task, response: str) -> Verdict:
    """JSON that a schema allows, and that is the task's own answer where it has one.

    Task: data `schema`, a JSON Schema (draft 2020-12); `answer`, JSON. At least one of them. Numbers are compared by value,
    true is not 1, the order of keys does not count, nor that of the objects in a list of nothing but objects: calls of tools
    at the same time. The JSON is what stands in the last <answer>, in <tool_call>s, in the last fenced block (one that is
    tagged as JSON before others), else the whole response, or the only JSON in it. `malformed`: no JSON, a key twice, NaN.
    Parts: `parsed`, `valid`, `equal`. Remote references of a schema are not fetched.
    """
    schema = task.data.get("schema")
    try:
        gold = [parse_json(task.answer)] if task.answer else []
        validator = _validator(json.dumps(schema)) if schema is not None else None
    except (ValueError, RecursionError) as e:
        return Verdict(
            "unscorable", None, feedback=f"the task's answer or schema cannot be read: {e}", rule="json", version=VERSION
        )
    if validator is None and not gold:
        return Verdict("unscorable", None, feedback="the task has neither schema nor answer", rule="json", version=VERSION)
    text, rule = json_text(response)
    if len(text) > LONGEST_JSON + len(task.answer or ""):
        return Verdict("limit", 0.0, feedback="The JSON is too long.", rule=rule, version=VERSION)
    parts = {"parsed": 0.0, "valid": 0.0, "equal": 0.0}
    try:
        value = parse_json(text)
        parts["parsed"] = 1.0
        error = next(validator.iter_errors(value), None) if validator else None
    except (ValueError, RecursionError) as e:
        return Verdict("malformed", 0.0, parts, f"This is no JSON: {e}", rule, VERSION)
    except TimeoutError:
        return Verdict("limit", 0.0, parts, "A pattern of the schema takes too long on this text.", rule, VERSION)
    if error is not None:
        return Verdict(
            "wrong", 0.0, parts, f"The schema's {error.validator!r} is violated at {error.json_path}.", rule, VERSION
        )
    parts["valid"] = 1.0
    parts["equal"] = float(not gold or same_json(value, gold[0]) or same_calls(value, gold[0]))
    return _judged(bool(parts["equal"]), rule, parts)


def json_text(response: str) -> tuple[str, str]:
    """(the text that should be JSON, the rule that found it)."""
    text = without_thoughts(response).strip()
    if (inside := tagged(text)) is not None:
        return fenced_json(inside) or inside, "tag: json"
    if called := CALLS.findall(text):
        calls = [content.strip() for _, content in called]
        return (calls[0] if len(calls) == 1 else f"[{','.join(calls)}]"), "call: json"
    if (fenced := fenced_json(text)) is not None:
        return fenced, "fence: json"
    try:
        parse_json(text)
    except (ValueError, RecursionError):
        if (alone := json_in_prose(text)) is not None:
            return alone, "prose: json"
    return text, "whole: json"


def fenced_json(text: str) -> str | None:
    """The last fenced block that is tagged as JSON, else the last without a tag, else the last; None without any."""
    blocks = [(match[2].strip().lower(), match[3].strip()) for match in FENCE.finditer(text)]
    for wanted in (("json", "jsonc", "json5", "tool_call", "tool_calls", "function_call"), ("",)):
        if found := [content for tag, content in blocks if (tag.split() or [""])[0] in wanted]:
            return found[-1]
    return blocks[-1][1] if blocks else None


def json_in_prose(text: str) -> str | None:
    """The one JSON object or array in a sentence; None where there is none, or more than one thing in braces."""
    place = re.search(r'\{|\[\s*[\[{"0-9-]', text[-LONGEST_JSON:])
    if place is None:
        return None
    rest = text[-LONGEST_JSON:][place.start() :]
    try:
        _, end = json.JSONDecoder().raw_decode(rest)
    except (ValueError, RecursionError):
        return None
    return None if re.search(r"[{}\[\]]", rest[end:]) else rest[:end]


def parse_json(text: str) -> Any:
    """A JSON value. Raises ValueError for anything else, also for NaN, infinities and an object with a key twice."""
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def same_json(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return one == other


def same_calls(one: Any, other: Any) -> bool:
    """Whether two lists of objects, such as calls of tools at the same time, hold the same objects in any order."""
    if not (isinstance(one, list) and isinstance(other, list) and len(one) == len(other) <= MOST_CALLS):
        return False
    left = list(other)
    for item in one:
        place = next((i for i, each in enumerate(left) if isinstance(item, dict) and same_json(item, each)), None)
        if place is None:
            return False
        left.pop(place)
    return True


@functools.lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    """Patterns are matched with a deadline, and nothing is fetched.

    Raises ValueError where it is no schema, UserError where jsonschema is not installed.
    """
    if importlib.util.find_spec("jsonschema") is None:
        raise UserError(
            'A task has a JSON Schema, and jsonschema, which reads it, is not installed: pip install "sharpen[schema]"'
        )
    import jsonschema
    import referencing

    base = jsonschema.Draft202012Validator
    loaded = json.loads(schema)
    try:
        base.check_schema(loaded)
    except jsonschema.SchemaError as e:
        raise ValueError(e.message) from e
    timed = jsonschema.validators.extend(base, {"pattern": _pattern, "patternProperties": _pattern_properties})
    return timed(loaded, registry=referencing.Registry())


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Any:
    import jsonschema
    import regex

    if isinstance(value, str) and not regex.search(pattern, value, timeout=LONGEST_MATCH):
        yield jsonschema.ValidationError("the pattern does not match")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], value: Any, schema: Any) -> Any:
    import regex

    for pattern, subschema in patterns.items() if isinstance(value, dict) else ():
        for key, inner in value.items():
            if regex.search(pattern, key, timeout=LONGEST_MATCH):
                yield from validator.descend(inner, subschema, path=key, schema_path=pattern)


def _judged(right: bool, rule: str, parts: Mapping[str, float] | None = None) -> Verdict:
    if right:
        return Verdict("correct", 1.0, parts or {}, rule=rule, version=VERSION)
    return Verdict("wrong", 0.0, parts or {}, "The answer is wrong.", rule, VERSION)
