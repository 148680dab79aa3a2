"""The gallery says what the recipes' files say, and docs/recipes.md is it."""

from dataclasses import replace
from pathlib import Path

from sharpen.recipes import catalog, gallery

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


def test_the_page_is_up_to_date():
    made = gallery.markdown(catalog.recipes())
    assert PAGE.read_text("utf-8") == made, "make it again: sharpen list --markdown > docs/recipes.md"


def test_every_recipe_is_there_with_what_stands_behind_its_status():
    page = PAGE.read_text("utf-8")
    for info in catalog.recipes():
        assert f"\n### {info.name}\n" in page and f"| [{info.name}](#{info.name}) | {info.family} |" in page
        assert (info.status == "claimed") == (not info.evidence), info.path
        for said in filter(None, (info.evidence, info.tried)):
            command, figures = gallery.parted(said)
            assert command and figures, f"{info.path}: no figures stand behind {said}"
            assert f" by `{command}`: {gallery.text(figures)}\n" in page
        assert f"\n- Checked: {gallery.text(info.check)}\n" in page, f"{info.path}: its check does not say what it asserts"


def test_command_and_figures():
    info = catalog.find("grpo")
    shown = replace(
        info, status="refuted here", evidence="sharpen compare grpo dapo --seeds 3 (-0.4 points (-2 to 1), p = 0.6)"
    )
    assert gallery.parted(shown.evidence) == ("sharpen compare grpo dapo --seeds 3", "-0.4 points (-2 to 1), p = 0.6")
    assert "**refuted here** by `sharpen compare grpo dapo --seeds 3`: -0.4 points (-2 to 1), p = 0.6" in gallery.entry(shown)
    assert gallery.parted("python x.py") == ("python x.py", "")
    assert gallery.parted("") == ("", "")
    tried = gallery.entry(replace(info, status="claimed", evidence="", tried="sharpen compare a b (no difference shown)"))
    assert "- Status: claimed\n- Tried by `sharpen compare a b`: no difference shown\n" in tried


def test_nothing_in_a_claim_is_taken_for_markup():
    odd = replace(catalog.find("grpo"), claim="a *b* <script> [c](d) | `x_[1]`", paper="arXiv 2402.03300, arXiv 12")
    assert r"| a \*b\* \<script\> \[c\](d) \| `x_[1]` |" in gallery.markdown([odd])
    assert "[arXiv 2402.03300](https://arxiv.org/abs/2402.03300), arXiv 12" in gallery.entry(odd)
