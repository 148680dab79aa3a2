"""No attack is judged correct, none ends as our failure, nothing is left for the next; every honest twin is judged correct."""

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from attacks import ATTACKS, CASES, Attack

from sharpen.core import Task
from sharpen.sandbox import Limits, Program, Result, Sandbox, probe

try:
    from sharpen.verify.code import code_io
except ImportError:  # without the verifier of programs, a comparison here stands for it
    code_io = None

pytestmark = pytest.mark.skipif(probe().level != "full", reason="; ".join(probe().reasons))

NEEDS = {"python": "python3", "c": "gcc", "javascript": "node"}
RUN = {
    "python": (("python3", "-I", "-B", "main"), Limits(memory_mb=256)),
    "c": (("./main",), Limits(memory_mb=256)),
    "javascript": (("node", "main"), Limits(memory_mb=512, address_space=False, processes=64)),
}
PATIENCE, PLENTY = 1.0, 60.0  # seconds for an attack, and for a twin, which must come to its end on a busy machine too


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(jobs=4) as made:
        yield made


def compiled(sandbox: Sandbox, language: str, source: str) -> bytes:
    if language != "c":
        return source.encode()
    build = Program(("gcc", "-w", "-o", "main", "main.c"), {"main.c": source.encode()}, limits=Limits(30.0), keep=("main",))
    result = sandbox.run(build)
    assert result.files, result.stderr.decode()
    return result.files["main"]


def outcome(result: Result, expected: str) -> str:
    """As a judge of stdin/stdout tasks would say it: the comparison happens here, where no candidate runs."""
    if result.status == "failed":
        return "unscorable"
    if result.status != "exited" or result.code != 0:
        return {"exited": "crash", "signalled": "crash", "timeout": "timeout"}.get(result.status, "limit")
    lines = [line.rstrip() for line in result.stdout.rstrip().split(b"\n")]
    return "correct" if lines == [expected.strip().encode()] else "wrong"


def judged(sandbox: Sandbox, language: str, source: str, wall_s: float = PLENTY) -> str:
    """The verdict on both cases: the first that is not correct decides."""
    if code_io is not None:
        tests = [{"stdin": given, "stdout": expected} for given, expected in CASES]
        data = {
            "language": language,
            "tests": tests,
            "time_limit_s": wall_s,
            "memory_mb": 512 if language == "javascript" else 256,
        }
        task = Task(({"role": "user", "content": "Add."},), None, "sums", 0, verifier="code_io", data=data)
        return code_io(task, f"```{language}\n{source}\n```").outcome
    argv, limits = RUN[language][0], replace(RUN[language][1], wall_s=wall_s)
    program = compiled(sandbox, language, source)
    results = sandbox.run_many([Program(argv, {"main": program}, case.encode(), limits) for case, _ in CASES])
    outcomes = [outcome(result, expected) for result, (_, expected) in zip(results, CASES)]
    return next((found for found in outcomes if found != "correct"), "correct")


def usable(attacks: list[Attack]) -> list[Attack]:
    return [attack for attack in attacks if shutil.which(NEEDS[attack.language])]


def test_there_are_attacks_of_every_kind():
    assert len(ATTACKS) == len({(attack.name, attack.kind, attack.language) for attack in ATTACKS}) >= 80
    assert set(Counter(attack.kind for attack in ATTACKS)) == {"forge", "escape", "exhaust", "poison", "false zero"}


@pytest.mark.parametrize("kind", ["forge", "escape", "exhaust", "poison", "false zero"])
def test_no_attack_pays_and_none_is_our_failure(sandbox, kind):
    attacks = usable([attack for attack in ATTACKS if attack.kind == kind])
    for _ in range(2 if kind == "poison" else 1):  # what one leaves behind, the next one finds
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(lambda attack: judged(sandbox, attack.language, attack.program, PATIENCE), attacks))
        wrong = {(a.name, a.language): found for a, found in zip(attacks, outcomes) if found in ("correct", "unscorable")}
        assert not wrong


def test_every_honest_twin_is_correct(sandbox):
    attacks = usable(ATTACKS)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda attack: judged(sandbox, attack.language, attack.twin), attacks))
    assert not {(a.name, a.kind, a.language): found for a, found in zip(attacks, outcomes) if found != "correct"}
