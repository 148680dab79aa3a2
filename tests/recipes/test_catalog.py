"""Recipes are read without being run; every way to set one wrongly is refused, and every right way does something."""

import ast
import dataclasses
import math
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sharpen
from sharpen import curriculum, recipe
from sharpen.core import Sampling, UserError
from sharpen.objectives import policy_gradient
from sharpen.recipe import describe
from sharpen.recipes import catalog, validation
from sharpen.rollouts import Asking, asking

OWN = '''"""Curiosity pays.

Paper: arXiv 0000.00000
    section 2
Parent: dapo
Differs: only
    in name
Status: {status}
"""
from dataclasses import replace
from functools import partial
from pathlib import Path
from sharpen import curriculum
from sharpen.objectives import policy_gradient
from sharpen.recipes.policy_gradient import dapo

Path(__file__).with_suffix(".imported").touch()

def recipe(rate: float = 0.5, depth: int | None = None, names: tuple[str, ...] = (), loud: bool = False, where=None, **knobs):
    built = replace(dapo.recipe(**knobs), objective=partial(policy_gradient.dapo, clip_high=rate), samples=depth or 8)
    return replace(built, curriculum=partial(curriculum.sec, temperature=1.0)) if loud else built

NEUTRAL = dict(rate=0.2)
'''


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "curious.py"
    path.write_text(OWN.format(status="claimed"), encoding="utf-8")
    return str(path)


def refused(*args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        catalog.build(*args, **kwargs)
    return str(error.value)


def test_reading_a_recipe_does_not_run_it(own: str) -> None:
    info = catalog.find(own)
    assert not Path(own).with_suffix(".imported").exists()
    assert (info.name, info.claim, info.parent, info.status) == ("curious", "Curiosity pays.", "dapo", "claimed")
    assert (info.paper, info.differs) == ("arXiv 0000.00000 section 2", "only in name")
    catalog.build(own)
    assert Path(own).with_suffix(".imported").exists()


def test_a_status_comes_with_the_command_that_showed_it(tmp_path: Path) -> None:
    path = tmp_path / "shown.py"
    path.write_text(OWN.format(status="refuted here: sharpen run shown --seed 3"), encoding="utf-8")
    assert (catalog.read(path).status, catalog.read(path).evidence) == ("refuted here", "sharpen run shown --seed 3")
    path.write_text(OWN.format(status="proved"), encoding="utf-8")
    with pytest.raises(UserError, match="proved.*reproduced"):
        catalog.read(path)


@pytest.mark.parametrize(
    ("functions", "lines", "tier"),
    [(0, 30, "setting"), (0, 31, "piece"), (1, 4, "piece"), (1, 61, "loop"), (2, 6, "loop"), (2, 121, "oversize")],
)
def test_the_tier_follows_from_new_functions_and_lines(functions: int, lines: int, tier: str) -> None:
    body = ["def recipe():", "    return 1", *(line for i in range(functions) for line in (f"def f{i}():", "    return 1"))]
    body += ["x = 1"] * (lines - len(body))
    free = ['"""Claim."""', "# a comment", "", "def check():", *["    assert True"] * 200]
    assert catalog._tier(ast.parse("\n".join([*free[:3], *body, *free[3:]]))) == tier


def test_every_recipe_that_ships_is_found_and_says_what_it_claims() -> None:
    found = {r.name: r for r in catalog.recipes()}
    assert {"quickstart", "grpo", "rft", "sft", "rloo", "reinforce", "dapo"} <= set(found)
    assert len(found) == len(catalog.recipes()), "two recipes share a name"
    for info in found.values():
        assert info.claim and info.paper and info.differs and info.tier != "oversize", info.path
        assert info.parent is None or info.parent in found, info.path
        assert (info.status == "claimed") == (not info.evidence), info.path
        assert str(catalog.build(info.name)) == str(catalog.load(info).recipe())


def test_settings_reach_knobs_numbers_slots_and_their_arguments(own: str) -> None:
    built = catalog.build(own, ["rate=0.3", "depth=4", "lr=1e-5", "budget=40steps", "guard=ratchet", "guard.tolerance=0.2"])
    assert built.objective.keywords == {"clip_high": 0.3}
    assert (built.samples, built.lr, built.budget) == (4, 1e-5, "40steps")
    assert describe(built.guard) == "ratchet(tolerance=0.2)"
    assert catalog.build(own, ["curriculum.alpha=0.7", "curriculum=sec"]).curriculum.keywords == {
        "alpha": 0.7
    }  # in whatever order
    assert catalog.build(own, ["loud=true", "curriculum.alpha=0.7"]).curriculum.keywords == {"temperature": 1.0, "alpha": 0.7}
    assert catalog.build(own, ["penalty=0"]).select is not catalog.build(own).select  # the parent's, through **knobs
    assert str(catalog.build(own, model="micro", tasks="chain_sum/2", budget="2h")) == str(
        catalog.build(own, ["student=micro", "tasks=chain_sum/2", "budget=2h"])
    )


def test_a_model_in_a_directory_counts_as_trained_unless_told_otherwise(own: str, tmp_path: Path) -> None:
    assert catalog.build(own, ["warmup_steps=5"], model=str(tmp_path)).warmup_steps == 5
    assert catalog.build(own, model=str(tmp_path)).warmup_steps == 0
    assert catalog.build("quickstart", model=str(tmp_path)).lr == 1e-5
    assert catalog.build("quickstart", ["lr=2e-5"], model=str(tmp_path)).lr == 2e-5
    assert catalog.build("quickstart", model="tiny").warmup_steps == catalog.build("quickstart").warmup_steps


def test_a_directory_says_how_long_answers_are_and_what_ends_them(tmp_path: Path) -> None:
    asking.write(Asking(max_tokens=40, sampling=Sampling(stop=("\n\n", "Q:, "))), tmp_path)
    assert catalog.build("grpo", model=str(tmp_path)).stop == ("\n\n", "Q:, ")
    assert catalog.build("grpo", ["stop=END"], model=str(tmp_path)).stop == ("END",)
    assert {s.recipe.stop for s in catalog.build("tulu", model=str(tmp_path)).stages} == {("\n\n", "Q:, ")}
    assert catalog.build("grpo", model=str(tmp_path)).max_tokens == 40


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("lerning_rate=1", "no setting 'lerning_rate'"),
        ("prompt=3", "Did you mean 'prompts'?"),
        ("curriculum=sce", "Did you mean 'sec'?"),
        ("objective.clip_hihg=1", "Did you mean 'clip_high'?"),
        ("objectiv.clip_high=1", "Did you mean 'objective.clip_high'?"),
        ("guard.tolerance=1", "always has no argument 'tolerance'"),
        ("curriculum.history=1", "has no argument 'history'"),  # the loop passes it
        ("objective=coefficients", "no such function"),  # it is public, and no objective
        ("prompts=many", "a whole number"),
        ("prompts=2.5", "a whole number"),
        ("prompts=0", "at least 1"),
        ("samples=-1", "at least 1"),
        ("lr=-1e-5", "at least 0"),
        ("lr=nan", "a number"),
        ("lr=inf", "finite"),
        ("temperature=0", "more than 0"),
        ("objective.clip_high=nan", "a number"),
        ("objective.per_token=perhaps", "true or false"),
        ("precision=fp8", "bf16"),
        ("budget=0steps", "budget"),
        ("budget=40", "budget"),
        ("lr", "key=value"),
        ("=3", "key=value"),
        ("where=x", "would do nothing"),
        ("names=a,b", "would do nothing"),
        ("depth=0", "would do nothing"),
        ("warmup_lr=1e-3", "there is no warm-up"),
    ],
)
def test_a_wrong_setting_is_refused_in_words(own: str, setting: str, says: str) -> None:
    message = refused(own, ["warmup_steps=0", setting])
    assert says in message


def test_settings_that_contradict_each_other_are_refused(own: str) -> None:
    assert "set twice" in refused(own, ["lr=1", "lr=2"])
    assert "given twice" in refused(own, ["budget=3steps"], budget="4steps")
    assert "would do nothing" in refused(own, ["rate=0.4", "objective=grpo"])  # the knob's slot is replaced


def test_unknown_or_broken_recipes_are_refused(tmp_path: Path) -> None:
    assert "Did you mean 'quickstart'?" in refused("quikstart")
    assert "cannot be read" in refused(str(tmp_path / "missing.py"))
    broken = tmp_path / "broken.py"
    for text, says in [("def recipe(:", "not Python"), ("x = 1", "function `recipe`"), ("def recipe():\n    return 3", "int")]:
        broken.write_text(text)
        assert says in refused(str(broken))


def test_two_files_of_one_name_are_two_recipes(own: str, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "curious.py"
    other.parent.mkdir()
    other.write_text(OWN.format(status="claimed").replace("rate: float = 0.5", "rate: float = 0.6"))
    assert catalog.build(own).objective.keywords != catalog.build(str(other)).objective.keywords


def test_validate_refuses_what_no_slot_can_hold() -> None:
    good = catalog.build("grpo")
    validation.validate(good)
    for slot, value, says in [
        ("objective", lambda: None, "named function"),
        ("objective", 3, "named function"),
        ("objective", partial(policy_gradient.dapo, clip_higher=1), "cannot be called"),
        ("curriculum", curriculum.interval, "cannot be called"),
        ("lr", math.nan, "finite"),
        ("prompts", True, "a whole number"),
    ]:
        with pytest.raises(UserError, match=says):
            validation.validate(dataclasses.replace(good, **{slot: value}))


def test_public_names_are_sorted_and_resolve() -> None:
    assert sharpen.__all__ == sorted(set(sharpen.__all__))
    for name in sharpen.__all__:
        assert not name.startswith("_")
        assert getattr(sharpen, name).__module__.startswith("sharpen.") and name in dir(sharpen)
    with pytest.raises(AttributeError, match="no attribute 'grop'"):
        sharpen.grop  # noqa: B018
    assert "sharpen.nothing" not in sys.modules


def test_what_is_imported_is_declared_and_pinned() -> None:
    root = Path(__file__).parents[2]
    imported = set()
    for path in (root / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            imported |= {name.partition(".")[0] for name in names}
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {(r := Requirement(text)).name: r for text in project["dependencies"]}
    extras = {(r := Requirement(text)).name: r for listed in project["optional-dependencies"].values() for text in listed}
    foreign = imported - sys.stdlib_module_names - {"sharpen"}
    for package, module in {"mlflow-skinny": "mlflow", "openenv-core": "openenv", "vl-convert-python": "vl-convert"}.items():
        extras[module] = extras[package]  # what it is imported as
    assert {name.replace("-", "_") for name in declared} == foreign - {name.replace("-", "_") for name in extras}
    pins = [line.split("==") for line in (root / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {canonicalize_name(name): version for name, version in pins}
    del extras["triton"]  # each torch names the one that it was built with
    for requirement in [*declared.values(), *extras.values()]:
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement
    assert not any("+" in version for version in pinned.values())  # a local build would install on one machine only


def test_the_recipe_of_the_page_on_writing_them_builds(tmp_path: Path) -> None:
    """And leaves out what it says it leaves out."""
    page = (Path(__file__).parents[2] / "docs" / "writing-recipes.md").read_text(encoding="utf-8")
    path = tmp_path / "mine.py"
    path.write_text(page.split("```python mine.py\n")[1].split("```")[0], encoding="utf-8")
    built = catalog.build(str(path))
    assert built.select.__name__ in path.read_text() and built.objective is catalog.build("grpo").objective


def asks(samples, bonus: float = 0.5, *, progress: float):
    return samples, bonus, progress


def test_a_slot_is_given_what_it_asks_for_by_name_and_that_is_no_setting():
    assert recipe.call(partial(asks, bonus=2.0), [1], progress=0.25, other=3) == ([1], 2.0, 0.25)
    assert recipe.call(partial(asks, progress=0.75), [1], progress=0.25) == ([1], 0.5, 0.75)
    assert set(catalog.arguments("select", asks)) == {"bonus"}
    with pytest.raises(UserError, match="asks for progress, and the loop offers that slot nothing"):
        recipe.call(asks, [1])
