"""The widget in Chromium, against a real backend: from the opened record to the rating in the database.

Zoho is stood in for (standins/, zoho.py); the packed widget, the browser, the backend and PostgreSQL are real.
"""

import pytest
from playwright.sync_api import expect

from tests.e2e.live_stack import LiveStack
from tests.widget.conftest import OpenWidget
from tests.widget.steps import METRICS, Rows, crm_case, ratings_of, score, tab, uses_of, wait_for_answers, widget
from tests.widget.zoho import AGENT, Zoho


def test_crm_from_the_open_case_to_ratings_that_are_stored_once(
    open_widget: OpenWidget, zoho: Zoho, rows: Rows, record: str
) -> None:
    zoho.records[record] = crm_case(record)
    page = open_widget(zoho, "crm", record)
    wait_for_answers(page)
    answer = widget(page).locator(".reply > div.text").inner_text()
    widget(page).get_by_role("button", name="Fill Solution").click()
    expect(widget(page).get_by_text("Written into Solution.")).to_be_visible()
    assert zoho.solutions == [(record, answer)]

    score(page, "A", 4, clicks=2)
    expect(widget(page).get_by_text("Saved.")).to_be_visible()
    tab(page, "B").click()
    zoho.outage = "reply_lost"  # the nastiest cut: stored, and nobody knows
    score(page, "B", 2, clicks=2)
    expect(widget(page).get_by_text("Waiting to be sent: 1")).to_be_visible()
    expect(widget(page).get_by_text("it goes out when the service is back")).to_be_visible()
    zoho.outage = "none"
    expect(widget(page).get_by_text("Waiting to be sent")).to_have_count(0)
    tab(page, "C").click()
    expect(widget(page).locator(".author")).to_be_hidden()
    zoho.outage = "request_lost"
    score(page, "C", 5)
    expect(widget(page).get_by_text("Waiting to be sent: 1")).to_be_visible()
    zoho.outage = "none"
    expect(widget(page).locator(".author")).to_contain_text("Script", timeout=30_000)
    expect(widget(page).get_by_text("3 of 3 scored")).to_be_visible()

    stored = ratings_of(rows, record)
    assert [(one["slot"], one["scores"]["content"], one["source"], one["rater"]) for one in stored] == [
        ("A", 4, "zoho_crm", AGENT), ("B", 2, "zoho_crm", AGENT), ("C", 5, "zoho_crm", AGENT),
    ]  # fmt: skip
    assert all(one["seconds"] is not None for one in stored)
    assert rows("SELECT * FROM rating_revision WHERE rating_id = ANY(:ids)", ids=[one["id"] for one in stored]) == []
    used = [(one["action"], one["source"], one["edit_share"]) for one in uses_of(page, rows, record, 1)]
    assert used == [("inserted", "zoho_crm", 0)]


def test_desk_from_the_open_ticket_to_a_reply_and_a_rating(
    open_widget: OpenWidget, zoho: Zoho, rows: Rows, record: str
) -> None:
    zoho.records[record] = {
        "id": record,
        "subject": "Payout",
        "description": "<p>Old</p>",
        "contactName": "Maria Lopez",
    }
    zoho.threads[record] = [
        {"id": "2", "direction": "out", "createdTime": "2026-01-02", "plainText": "Which pot is it?"},
        {"id": "3", "direction": "in", "createdTime": "2026-01-03", "plainText": "The farewell pot of Friday."},
        {"id": "1", "direction": "in", "createdTime": "2026-01-01", "content": "<div>Where is the money?</div>"},
    ]
    page = open_widget(zoho, "desk", record)
    wait_for_answers(page)
    [ticket] = rows("SELECT * FROM ticket WHERE external_id = :record", record=record)
    assert (ticket["source"], ticket["text"]) == ("zoho_desk", "The farewell pot of Friday.")
    assert [turn["text"] for turn in ticket["earlier"]] == ["Where is the money?", "Which pot is it?"]

    widget(page).get_by_role("button", name="Edit").click()
    editor = widget(page).locator("textarea.text")
    editor.fill("Dear Maria,\n<b>it is on its way</b>.")
    widget(page).get_by_role("button", name="Done").click()
    widget(page).get_by_role("button", name="Insert into reply").dblclick()
    expect(widget(page).get_by_text("Inserted into the reply.")).to_be_visible()
    assert set(zoho.inserted) == {(record, "Dear Maria,<br>&lt;b&gt;it is on its way&lt;/b&gt;.")}
    score(page, "A", 3, clicks=2)
    expect(widget(page).get_by_text("Saved.")).to_be_visible()
    [rating] = ratings_of(rows, record)
    assert (rating["source"], rating["slot"], set(rating["scores"].values())) == ("zoho_desk", "A", {3})
    edited, *inserted = uses_of(page, rows, record, 2)
    assert edited["action"] == "edited"
    assert 0 < edited["edit_share"] <= 1
    assert {(one["action"], one["edit_share"]) for one in inserted} == {("inserted", edited["edit_share"])}


def test_what_was_scored_survives_a_dead_backend_and_a_reload(
    open_widget: OpenWidget, zoho: Zoho, rows: Rows, record: str, stack: LiveStack
) -> None:
    zoho.records[record] = crm_case(record)
    page = open_widget(zoho, "crm", record)
    wait_for_answers(page)
    stack.kill_backend()
    try:
        score(page, "A", 5)
        expect(widget(page).get_by_text("Waiting to be sent: 1")).to_be_visible()
        page.reload()
        expect(widget(page).get_by_text("The service cannot be reached")).to_be_visible()
        expect(widget(page).get_by_text("Waiting to be sent: 1")).to_be_visible()
    finally:
        stack.restart_backend()
    expect(widget(page).get_by_text("Waiting to be sent")).to_have_count(0, timeout=60_000)
    wait_for_answers(page)
    expect(widget(page).locator("input:checked")).to_have_count(4)
    assert [one["scores"]["style"] for one in ratings_of(rows, record)] == [5]
    assert len(rows("SELECT id FROM ticket WHERE external_id = :record", record=record)) == 1


def test_two_tabs_on_one_record_ask_the_models_once(
    open_widget: OpenWidget, zoho: Zoho, rows: Rows, record: str
) -> None:
    zoho.records[record] = crm_case(record)
    first = open_widget(zoho, "crm", record)
    second = open_widget(zoho, "crm", record, beside=first)
    for page in (first, second):
        wait_for_answers(page)
    assert len(rows("SELECT id FROM ticket WHERE external_id = :record", record=record)) == 1
    texts = [widget(page).locator(".reply > div.text").inner_text() for page in (first, second)]
    assert texts[0] == texts[1]


def test_answers_never_show_on_another_record(open_widget: OpenWidget, zoho: Zoho, rows: Rows, record: str) -> None:
    other = record[::-1].lstrip("0")
    zoho.records[record] = crm_case(record)
    zoho.records[other] = crm_case(other, Subject="Another case", Description="A question of its own")
    page = open_widget(zoho, "crm", record)
    expect(widget(page).locator(".tabs .busy")).not_to_have_count(0)  # still being written
    page.evaluate("id => window.openRecord(id)", other)
    expect(widget(page).locator(".ticket strong")).to_have_text("Another case")
    wait_for_answers(page)
    expect(widget(page).locator(".ticket .text")).to_have_text("A question of its own")
    score(page, "A", 4)
    expect(widget(page).get_by_text("Saved.")).to_be_visible()
    assert ratings_of(rows, record) == []
    assert len(ratings_of(rows, other)) == 1
    widget(page).get_by_role("button", name="Fill Solution").click()
    expect(widget(page).get_by_text("Written into Solution.")).to_be_visible()
    assert [one for one, _ in zoho.solutions] == [other]


def test_the_answer_can_be_copied_inside_a_foreign_frame(
    open_widget: OpenWidget, zoho: Zoho, rows: Rows, record: str
) -> None:
    zoho.records[record] = crm_case(record)
    page = open_widget(zoho, "crm", record)
    page.context.grant_permissions(["clipboard-read"], origin="https://crm.zoho.com")
    wait_for_answers(page)
    widget(page).get_by_role("button", name="Copy").click()
    expect(widget(page).get_by_text("Copied.")).to_be_visible()
    page.bring_to_front()
    assert page.evaluate("() => { window.focus(); return navigator.clipboard.readText() }") == (
        widget(page).locator(".reply > div.text").inner_text()
    )
    assert [one["action"] for one in uses_of(page, rows, record, 1)] == ["copied"]


def test_mail_goes_out_after_a_question_with_the_address(
    open_widget: OpenWidget, zoho: Zoho, rows: Rows, record: str
) -> None:
    zoho.records[record] = crm_case(record)
    page = open_widget(zoho, "crm", record)
    wait_for_answers(page)
    widget(page).get_by_role("button", name="Send as e-mail").click()
    expect(widget(page).get_by_text("Send to maria@example.org?")).to_be_visible()
    assert zoho.mails == []
    widget(page).get_by_role("button", name="Send", exact=True).dblclick()
    expect(widget(page).get_by_text("Sent to maria@example.org.")).to_be_visible()
    [mail] = zoho.mails
    assert (mail["subject"], mail["mail_format"]) == ("Re: Locked out", "text")
    assert [one["action"] for one in uses_of(page, rows, record, 1)] == ["sent"]


@pytest.mark.parametrize("width", [300, 600])
def test_it_fits(open_widget: OpenWidget, zoho: Zoho, record: str, width: int) -> None:
    zoho.records[record] = crm_case(record, Description="A-very-long-word-without-any-break" * 12)
    page = open_widget(zoho, "crm", record, width=width)
    wait_for_answers(page)
    for summary in widget(page).locator("summary").all():
        summary.click()
    widget(page).get_by_role("button", name="УКР").click()
    expect(widget(page).get_by_text("Оцініть відповідь A")).to_be_visible()
    frame = page.frames[1]
    assert frame.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    outside = (
        "e => { const box = e.getBoundingClientRect(); return box.width > 0 && box.right > window.innerWidth + 0.5 }"
    )
    assert not frame.evaluate(f"[...document.querySelectorAll('button, input, textarea')].some({outside})")


def test_it_can_be_used_with_the_keyboard_alone(open_widget: OpenWidget, zoho: Zoho, rows: Rows, record: str) -> None:
    zoho.records[record] = crm_case(record)
    page = open_widget(zoho, "crm", record)
    wait_for_answers(page)
    tab(page, "A").focus()
    page.keyboard.press("ArrowRight")
    expect(tab(page, "B")).to_be_focused()
    expect(tab(page, "B")).to_have_attribute("aria-selected", "true")
    for metric in METRICS:
        widget(page).locator(f'input[name="B-{metric}"]').first.focus()
        page.keyboard.press("ArrowRight")  # from nothing or 1 to 2
    page.keyboard.press("Enter")
    expect(widget(page).get_by_text("Saved.")).to_be_visible()
    assert [(one["slot"], one["scores"]["style"]) for one in ratings_of(rows, record)] == [("B", 2)]
