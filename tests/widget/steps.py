"""What an agent does in the widget, and what the database then holds."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import FrameLocator, Locator, Page, expect

expect.set_options(timeout=20_000)
METRICS = ("content", "grammar", "structure", "style")
Rows = Callable[..., list[dict[str, Any]]]


def crm_case(record: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": record,
        "Subject": "Locked out",
        "Description": "I forgot my password, how do I get back into my campaign?",
        "Related_To": {"id": "500", "name": "Maria Lopez"},
        **changes,
    }


def widget(page: Page) -> FrameLocator:
    return page.frame_locator("#widget")


def tab(page: Page, slot: str) -> Locator:
    return widget(page).get_by_role("tab", name=f"Answer {slot}")


def score(page: Page, slot: str, value: int, *, clicks: int = 1) -> None:
    """Score the answer that is shown with the same value on each metric, and save with `clicks` fast clicks."""
    for metric in METRICS:
        widget(page).locator(f'input[name="{slot}-{metric}"][value="{value}"]').check()
    widget(page).get_by_role("button", name="Save scores").click(click_count=clicks)


def wait_for_answers(page: Page, count: int = 3) -> None:
    expect(widget(page).get_by_role("tab")).to_have_count(count)
    expect(widget(page).locator(".tabs .busy")).to_have_count(0)


def ratings_of(rows: Rows, record: str) -> list[dict[str, Any]]:
    return rows(
        """SELECT rating.*, ticket.source, rater.name AS rater FROM rating
           JOIN rater ON rater.id = rating.rater_id JOIN answer ON answer.id = rating.answer_id
           JOIN suggestion ON suggestion.id = answer.suggestion_id JOIN ticket ON ticket.id = suggestion.ticket_id
           WHERE ticket.external_id = :record ORDER BY rating.slot""",
        record=record,
    )


def uses_of(page: Page, rows: Rows, record: str, count: int) -> list[dict[str, Any]]:
    """Return what was stored of use, oldest first, once there are `count`: it is sent behind the agent's back."""
    sql = """SELECT usage.* FROM usage JOIN answer ON answer.id = usage.answer_id
             JOIN suggestion ON suggestion.id = answer.suggestion_id JOIN ticket ON ticket.id = suggestion.ticket_id
             WHERE ticket.external_id = :record ORDER BY usage.created_at"""
    for _ in range(100):
        if len(rows(sql, record=record)) >= count:
            break
        page.wait_for_timeout(200)
    return rows(sql, record=record)
