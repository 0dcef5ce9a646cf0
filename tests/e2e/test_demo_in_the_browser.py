"""The whole job on the demo's own lineup: a real base, its two trained adapters, one general model."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from replybench.lineups import load_lineup
from tests.e2e.console_steps import answers, ask, expect_revealed, score_all, sign_in, wait_for_answers
from tests.e2e.live_stack import DEMO, LiveStack, live_stack, pages_of
from tests.e2e.test_rating_in_the_browser import TICKET, ratings_of, ratings_shown, suggestion_in


@pytest.fixture(scope="module")
def demo() -> Iterator[LiveStack]:
    with live_stack(DEMO) as running:
        yield running


def test_the_demo_answers_is_rated_and_its_results_change_elsewhere(browser: Browser, demo: LiveStack) -> None:
    with pages_of(browser, demo) as new_page:
        results, page = new_page("/results"), new_page()
        sign_in(page, "Olena Koval")
        ask(page, TICKET, subject="Locked out")
        wait_for_answers(page, timeout_s=150)
        texts = [answer.locator(".text").inner_text().strip() for answer in answers(page).all()]
        assert all(texts), "an answer is empty"
        assert len(set(texts)) == 3, "two candidates wrote the same"
        score_all(page, {"A": (5, 4, 4, 4), "B": (3, 4, 3, 3), "C": (2, 3, 2, 2)})
        assert ratings_shown(results) == 0
        page.get_by_role("button", name="Submit").click()
        expect_revealed(page)
        names = {answer.locator(".who").inner_text() for answer in answers(page).all()}
        assert names == {candidate.name for candidate in load_lineup(DEMO).resolved(()).candidates}
        expect(results.get_by_text(re.compile(r"\b3 ratings\b")).first).to_be_visible(timeout=15_000)
        expect(results.locator(".js-plotly-plot").first).to_be_visible(timeout=20_000)
        assert len(ratings_of(demo, suggestion_in(page))) == 3
