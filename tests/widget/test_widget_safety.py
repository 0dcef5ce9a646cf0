"""Texts of customers and models are hostile, browsers are strict, and the key is nobody's business."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.live_stack import LiveStack, live_stack
from tests.widget.conftest import OpenWidget
from tests.widget.helpdesk_page import OTHER_SITE
from tests.widget.steps import Rows, crm_case, ratings_of, score, tab, wait_for_answers, widget
from tests.widget.zoho import Zoho


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
