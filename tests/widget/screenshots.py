"""Take the widget's pictures for docs/ZOHO.md anew: python -m tests.widget.screenshots"""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.live_stack import DEMO, ROOT, launch, live_stack
from tests.widget.helpdesk_page import Helpdesk, unpack
from tests.widget.packing import pack
from tests.widget.zoho import BACKEND, Zoho

IMAGES = ROOT / "docs" / "images"
METRICS = {"content": 3, "grammar": 5, "structure": 4, "style": 4}
PATIENCE_MS = 180_000
RECORD = "4150868000003194003"
CASE = {
    "id": RECORD,
    "Subject": "Locked out",
    "Description": "I forgot my password, how do I get back into my campaign?",
    "Related_To": {"id": "500", "name": "Maria Lopez"},
}


def settled(page: Page) -> None:
    """Wait until all answers are complete."""
    expect(page.frame_locator("#widget").get_by_role("tab")).to_have_count(3, timeout=PATIENCE_MS)
    expect(page.frame_locator("#widget").locator(".tabs .busy")).to_have_count(0, timeout=PATIENCE_MS)


def picture(page: Page, name: str) -> None:
    """Save the widget at its full height."""
    height = page.frames[1].evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": page.viewport_size["width"], "height": height})  # type: ignore[index]
    page.screenshot(path=IMAGES / f"widget-{name}.png")


def score(page: Page, slot: str) -> None:
    """Score the answer in `slot` and wait until it is stored."""
    widget = page.frame_locator("#widget")
    widget.get_by_role("tab", name=f"Answer {slot}").click()
    for metric, value in METRICS.items():
        widget.locator(f'input[name="{slot}-{metric}"][value="{value}"]').check()
    widget.get_by_role("button", name="Save scores").click()
    widget.get_by_text("Saved.").wait_for()


def take(browser: Browser, crm: Helpdesk, desk: Helpdesk) -> None:
    """Take all pictures."""
    narrow = crm.open(browser.new_context(viewport={"width": 300, "height": 700}), RECORD)
    settled(narrow)
    for metric, value in (("content", 2), ("grammar", 5)):
        narrow.frame_locator("#widget").locator(f'input[name="A-{metric}"][value="{value}"]').check()
    picture(narrow, "crm-300")

    wide = crm.open(browser.new_context(viewport={"width": 600, "height": 700}), RECORD)
    settled(wide)
    for slot in "ABC":
        score(wide, slot)
    wide.frame_locator("#widget").get_by_role("tab", name="Answer A").click()
    wide.frame_locator("#widget").locator(".author").wait_for()
    picture(wide, "crm-600")

    ticket = desk.open(browser.new_context(viewport={"width": 300, "height": 700}), RECORD)
    settled(ticket)
    ticket.frame_locator("#widget").get_by_role("button", name="УКР").click()
    ticket.frame_locator("#widget").get_by_text("Оцініть відповідь A").wait_for()
    picture(ticket, "desk-300-uk")


def main() -> None:
    """Run the demo's backend and take the pictures of the packed widget."""
    with tempfile.TemporaryDirectory(prefix="replybench-widget-") as name, sync_playwright() as playwright:
        folder = Path(name)
        done = pack(folder, REPLYBENCH_URL=BACKEND)
        if done.returncode:
            raise SystemExit(done.stderr)
        with live_stack(DEMO) as stack:
            zoho = Zoho(stack.backend_url, stack.api_key)
            zoho.records[RECORD] = {**CASE, "subject": CASE["Subject"], "contactName": "Maria Lopez"}
            message = {"id": "1", "direction": "in", "createdTime": "1", "plainText": str(CASE["Description"])}
            zoho.threads[RECORD] = [message]
            browser = launch(playwright)
            crm, desk = (Helpdesk(host, zoho, unpack(folder / "dist", host, folder)) for host in ("crm", "desk"))
            take(browser, crm, desk)
            browser.close()


if __name__ == "__main__":
    main()
