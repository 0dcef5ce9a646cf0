"""The widget in Chromium, against a real backend: from the opened record to the rating in the database.

Zoho is stood in for (standins/, zoho.py); the packed widget, the browser, the backend and PostgreSQL are real.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect
from sqlalchemy import text

from db.session import connect
from tests.e2e.live_stack import LiveStack, live_stack
from tests.widget.conftest import OpenWidget
from tests.widget.helpdesk_page import OTHER_SITE
from tests.widget.zoho import AGENT, Zoho

expect.set_options(timeout=20_000)
METRICS = ("content", "grammar", "structure", "style")
Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def rows(stack: LiveStack) -> Iterator[Rows]:
    """Ask the database of the stack."""
    engine = connect(stack.database_url)

    def ask(sql: str, **values: Any) -> list[dict[str, Any]]:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    yield ask
    engine.dispose()


@pytest.fixture
def record() -> str:
    """The id of a record that no other test uses."""
    return str(uuid4().int)[:18]


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


def uses_of(rows: Rows, record: str) -> list[dict[str, Any]]:
    return rows(
        """SELECT usage.* FROM usage JOIN answer ON answer.id = usage.answer_id
           JOIN suggestion ON suggestion.id = answer.suggestion_id JOIN ticket ON ticket.id = suggestion.ticket_id
           WHERE ticket.external_id = :record ORDER BY usage.created_at""",
        record=record,
    )


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
    used = [(one["action"], one["source"], one["edit_share"]) for one in uses_of(rows, record)]
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
    edited, *inserted = uses_of(rows, record)
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


def test_it_works_where_the_browser_denies_storage_and_locks(
    open_widget: OpenWidget, zoho: Zoho, rows: Rows, record: str
) -> None:
    zoho.records[record] = crm_case(record)
    page = open_widget(zoho, "crm", record, origin=OTHER_SITE)
    wait_for_answers(page)
    denied = page.frames[1].evaluate("() => navigator.locks.request('x', () => '').then(() => false, () => true)")
    assert denied, "this browser gives a frame of another site its storage, so this test tests nothing"
    zoho.outage = "request_lost"
    score(page, "A", 4, clicks=2)
    expect(widget(page).get_by_text("Keep this page open")).to_be_visible()
    zoho.outage = "none"
    expect(widget(page).get_by_text("Saved.")).to_be_visible()
    assert len(ratings_of(rows, record)) == 1


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
    assert [one["action"] for one in uses_of(rows, record)] == ["copied"]


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
    assert [one["action"] for one in uses_of(rows, record)] == ["sent"]


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


def test_the_key_is_nowhere_in_the_browser(open_widget: OpenWidget, zoho: Zoho, record: str) -> None:
    zoho.records[record] = crm_case(record)
    seen: list[str] = []
    page = open_widget(zoho, "crm", record)
    page.on("request", lambda request: seen.append(str(request.all_headers()) + (request.post_data or "")))
    page.reload()
    wait_for_answers(page)
    score(page, "A", 4)
    expect(widget(page).get_by_text("Saved.")).to_be_visible()
    storage = page.frames[1].evaluate("JSON.stringify({...localStorage}) + document.cookie")
    assert len(seen) > 5
    assert zoho.api_key not in "".join(seen) + storage + "".join(frame.content() for frame in page.frames)


EVIL = """<script>window.hit=1</script><img src=x onerror="window.hit=1"><svg/onload=window.hit=1>
[click](javascript:window.hit=1) </div><iframe srcdoc="<script>parent.hit=1</script>"></iframe> {{7*7}} ${7*7}"""


@pytest.fixture(scope="module")
def evil_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """A backend whose models answer with markup, or fail with it in the message."""
    folder = tmp_path_factory.mktemp("evil")
    scripts = [f"text = '''{EVIL}\nDear {{name}}, {{order_id}}'''", f"fail_after = 0\nerror = '''{EVIL}'''"]
    lineup = 'name = "evil"\ntitle = "Evil"\n'
    for number, script in enumerate(scripts):
        lineup += f'[[candidates]]\nkey = "c{number}"\nname = "Candidate <b>{number}</b>"\nengine = "scripted"\n'
        lineup += f"script = {json.dumps(script)}\n"  # a JSON string is a TOML string
    (folder / "evil.toml").write_text(lineup)
    with live_stack(folder / "evil.toml") as running:
        yield running


@pytest.mark.parametrize("host", ["crm", "desk"])
def test_markup_shows_as_text(open_widget: OpenWidget, evil_stack: LiveStack, record: str, host: str) -> None:
    zoho = Zoho(evil_stack.backend_url, evil_stack.api_key)
    if host == "crm":
        zoho.records[record] = crm_case(record, Subject=EVIL, Description=EVIL)
    else:
        zoho.records[record] = {"id": record, "subject": EVIL, "contactName": "Maria Lopez"}
        zoho.threads[record] = [{"id": "1", "direction": "in", "createdTime": "1", "plainText": EVIL}]
    page = open_widget(zoho, host, record)
    wait_for_answers(page, 2)
    frame = page.frames[1]
    texts = []
    for slot in "AB":
        tab(page, slot).click()
        texts.append(widget(page).locator("#panel").inner_text())
    squeezed = re.sub(r"\s+", " ", " ".join(texts))
    assert re.sub(r"\s+", " ", EVIL) in squeezed
    assert "Dear Maria Lopez, {order_id}" in squeezed
    widget(page).locator(".ticket summary").click()
    expect(widget(page).locator(".ticket .text")).to_contain_text("<script>window.hit=1</script>")
    assert frame.evaluate("document.querySelectorAll('#widget :is(script, img, svg, iframe, a)').length") == 0
    assert frame.evaluate("window.hit") is None
    assert page.evaluate("window.hit") is None
    assert len(page.frames) == 2
