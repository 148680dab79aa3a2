"""docs/methods.md names what there is: every recipe and file in it exists, and its counts are those of its rows."""

import re
from collections import Counter
from pathlib import Path

from sharpen.recipes import catalog

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "methods.md"
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
KINDS = ("recipe", "piece", "evaluator", "not yet")


def rows():
    return [r for r in ROW.findall(PAGE.read_text("utf-8")) if r[0] not in ("method", "---")]


def kind(where):
    return next(k for k in KINDS if where.startswith(k))


def test_what_it_names_is_there():
    known = {info.name for info in catalog.recipes()}
    for method, _, where in rows():
        links = re.findall(r"\[(.+?)\]\((.+?)\)", where)
        assert bool(links) == (where != "not yet"), method
        for name, target in links:
            page, _, anchor = target.partition("#")
            if anchor:
                assert page == "recipes.md" and anchor == name and name in known, f"{method}: there is no recipe {name}"
            else:
                assert (PAGE.parent / target).exists(), f"{method}: there is no {target}"


def test_it_counts_its_rows():
    count = Counter(kind(where) for _, _, where in rows())
    (said,) = re.findall(
        r"^(\d+) methods: (\d+) recipes, (\d+) pieces, (\d+) evaluators, (\d+) not yet\.$", PAGE.read_text(), re.M
    )
    assert [int(n) for n in said] == [len(rows()), *(count[k] for k in KINDS)]
    names = [method for method, _, _ in rows()]
    assert len(set(names)) == len(names)


def test_a_recipe_of_a_work_on_the_page_is_named_there():
    """A recipe that came, and whose method still says "not yet", would be noticed by nobody."""
    open_works = {work.replace("\\", "").casefold(): method for method, work, where in rows() if where == "not yet"}
    for info in catalog.recipes():
        claimed = [method for work, method in open_works.items() if len(work) > 12 and work in info.paper.casefold()]
        assert not claimed, f"{info.name} is of {claimed[0]}: name it in docs/methods.md"
