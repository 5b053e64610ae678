"""The pages in a real browser: reports of a good, a bad and a terrible night, and a code's story, by real runs.

No console error, nothing loaded, no overflow on a telephone, no fault of accessibility (axe-core), whole on paper.
"""

from __future__ import annotations

import pytest
import three_nights
from conftest import codes, open_night

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: make .venv/.tools")

PAGES = ("good", "bad", "terrible", "story")
VERDICTS = {
    "good": "All is confirmed. Exit code 0.",
    "bad": "Finished, but some rows are not confirmed. Exit code 3.",
    "terrible": "Stopped before its end. Exit code 10.",
}
COMMANDS = {
    "good": [],
    "bad": ["syncer plan --job default --results rejected n3.csv", "syncer audit show GONE00000"],
    "terrible": ["syncer resume --job default"],  # once: it sends what a failed task left, too
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    with open_night(folder, codes=codes(three_nights.CODES)) as here:
        for scene in (three_nights.good, three_nights.bad, three_nights.terrible):
            scene(here)
        assert here.run("audit", "show", "--where", "case_no=C-0001", "--out", "story.html").code == 0
    return folder


@pytest.fixture
def opened(pages, tab):
    """Open a page as it is seen."""

    def open_page(name, **seen):
        page = tab(**seen)
        page.goto((pages / f"{name}.html").as_uri())
        return page

    return open_page


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1000, "light")])
def test_a_page_is_clean_in_every_light_and_width(opened, name, width, scheme):
    page = opened(name, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.said == []
    assert len(page.asked) == 1
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 10
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]] == []


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_comes_first_then_what_needs_a_person_with_the_command_for_it(opened, name):
    page = opened(name)
    texts = page.locator("main h2, main .verdict p, main .needs code").all_inner_texts()
    assert texts[0] == VERDICTS[name]
    assert texts[2] == "What needs a person"
    commands = page.locator(".needs code").all_inner_texts()
    assert commands == COMMANDS[name]


@pytest.mark.parametrize("name", VERDICTS)
def test_every_picture_says_in_words_what_it_shows_and_stands_by_its_numbers(opened, name):
    page = opened(name)
    pictures = page.locator("svg")
    assert pictures.count() == 3
    for n in range(3):
        assert pictures.nth(n).get_attribute("role") == "img"
        assert any(sign.isdigit() for sign in pictures.nth(n).get_attribute("aria-label"))
    page.get_by_text("The numbers behind it").click()
    assert page.get_by_role("region", name="Update calls over time").is_visible()


def test_the_numbers_of_a_bad_night_are_the_runs(opened):
    page = opened("bad")
    changes = page.get_by_role("region", name="Changes of run 3").inner_text()
    for change in ('"DE" → "FR"\t1,799', '"DE" → "IT"\t900', '"FR" → "IT"\t100', 'not known → "IT"\t14'):
        assert change in changes
    outcomes = page.get_by_role("region", name="Outcomes by field of run 3").inner_text()
    assert "market\t2,799\t14" in outcomes


def test_what_is_not_through_is_told_with_its_age_and_what_helps(opened):
    left = opened("terrible").get_by_role("region", name="What is not through").inner_text()
    assert "default, run 4" in left
    assert "syncer resume --job default" in left


def test_a_page_of_several_codes_begins_with_what_each_holds_and_leads_to_its_story(opened):
    page = opened("story")
    assert page.locator("table").first.locator("tbody tr").count() == 24
    page.get_by_role("link", name="extended_id K000047").click()
    assert page.locator("section:target h2").inner_text() == "extended_id K000047"


@pytest.mark.parametrize("name", PAGES)
def test_on_paper_nothing_is_cut_off_or_folded_away(opened, name):
    page = opened(name, width=718, scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    if name != "story":
        assert page.get_by_role("region", name="Update calls over time").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
