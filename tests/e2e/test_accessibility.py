"""axe-core finds nothing serious on any page, in light and dark, wide and narrow."""

from collections.abc import Callable
from pkgutil import iter_modules

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # ships no types
from playwright.sync_api import Page, expect

from console import app_pages
from tests.e2e.console_steps import ask, expect_revealed, score_all, sign_in, wait_for_answers
from tests.e2e.test_rating_in_the_browser import TICKET

NewPage = Callable[..., Page]
#: What is not ours to mend: Streamlit's own frame. Each entry says what and why.
KNOWN: dict[str, str] = {}


def expect_accessible(page: Page, where: str) -> None:
    page.locator("[data-test-script-state='notRunning']").wait_for()
    page.wait_for_timeout(800)  # Streamlit fades what a rerun replaces; half-faded text has no contrast
    found = Axe().run(page).response["violations"]
    grave = [
        f"{where}: {violation['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for violation in found
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
        if violation["id"] not in KNOWN
    ]
    assert not grave, "\n".join(grave)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 400)])
def test_every_state_of_the_rate_page(new_page: NewPage, scheme: str, width: int) -> None:
    page = new_page(scheme=scheme, width=width)
    expect(page.get_by_label("Your name")).to_be_visible()
    expect_accessible(page, "welcome")
    sign_in(page, f"Axe {scheme} {width}")
    expect(page.get_by_label("Ticket", exact=True)).to_be_visible()
    expect_accessible(page, "new ticket")
    ask(page, TICKET)
    wait_for_answers(page)
    expect_accessible(page, "scoring")
    page.keyboard.press("?")
    expect_accessible(page, "keys")
    page.keyboard.press("Escape")
    page.get_by_text("Comment, corrected answer, flag").first.click()
    score_all(page, dict.fromkeys("ABC", (3, 4, 5, 4)))
    expect_accessible(page, "scored")
    page.get_by_role("button", name="Submit").click()
    expect_revealed(page)
    expect_accessible(page, "revealed")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", sorted({module.name for module in iter_modules(app_pages.__path__)} - {"rate"}))
def test_the_other_pages(new_page: NewPage, path: str, scheme: str) -> None:
    page = new_page(f"/{path}", scheme=scheme)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect_accessible(page, path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_for_a_new_study(new_page: NewPage, scheme: str) -> None:
    page = new_page("/studies", scheme=scheme)
    page.get_by_role("button", name="New study").click()
    expect(page.get_by_role("dialog").get_by_label("Title")).to_be_visible()
    expect_accessible(page, "new study")
