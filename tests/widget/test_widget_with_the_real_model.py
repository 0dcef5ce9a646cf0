"""The widget beside the demo's models: answers that are really written, seen growing, scored blind, then named."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.live_stack import DEMO, LiveStack, live_stack
from tests.widget.conftest import OpenWidget
from tests.widget.steps import crm_case, score, tab, widget
from tests.widget.zoho import Zoho

PATIENCE_MS = 120_000


@pytest.fixture
def stack() -> Iterator[LiveStack]:
    with live_stack(DEMO) as running:
        yield running


def test_open_a_case_watch_the_answers_grow_and_score_them(open_widget: OpenWidget, zoho: Zoho) -> None:
    record = "4150868000003194003"
    zoho.records[record] = crm_case(record)
    page = open_widget(zoho, "crm", record)
    shown = widget(page).locator(".reply > div.text")
    expect(shown).not_to_be_empty(timeout=PATIENCE_MS)
    lengths = set()
    while widget(page).locator(".tabs .busy").count():
        lengths.add(len(shown.inner_text()))
        page.wait_for_timeout(200)
    assert len(lengths) > 1, "the answer came all at once"
    for value, slot in enumerate("ABC", start=2):
        tab(page, slot).click()
        assert len(shown.inner_text()) > 20
        assert "SmolLM2" not in widget(page).locator("body").inner_text()
        score(page, slot, value)
        expect(widget(page).get_by_text("Saved.")).to_be_visible(timeout=PATIENCE_MS)
    for slot in "ABC":
        tab(page, slot).click()
        expect(widget(page).locator(".author")).to_contain_text("SmolLM2")
