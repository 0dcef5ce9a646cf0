"""Takes the pictures of the documents: `make screenshots`. Each page, at 1440 and 400 pixels, into docs/images/."""

import argparse
import random
import sys
import time
from pathlib import Path

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from console.backend_client import BackendClient
from console.settings import ConsoleSettings
from replybench.contract import AnswerPublic, RatingWrite, SuggestionCreate
from replybench.rubric import rubric
from tests.e2e.console_steps import ask, expect_revealed, score_all, sign_in, wait_for_answers
from tests.e2e.live_stack import DEMO, ROOT, LiveStack, launch, live_stack

IMAGES = ROOT / "docs" / "images"
SIZES = {1440: 900, 400: 860}
RATERS = ("Olena Koval", "Marek Nowak", "Ivan Bondar")


def main() -> None:
    """Start a stack of its own, fill it with made-up ratings, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lineup", type=Path, default=DEMO)
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--tickets", type=int, default=12, help="how many tickets are rated before the pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        live_stack(options.lineup) as stack,
        sync_playwright() as playwright,
    ):
        fill(stack, options.tickets)
        browser = launch(playwright)
        for width, height in SIZES.items():
            for scheme in ("light", "dark") if width == 1440 else ("light",):
                Camera(browser, stack, options.out, width, height, scheme).take_all()
        browser.close()


def fill(stack: LiveStack, tickets: int) -> None:
    """Have tickets answered, and rated by made-up raters whose scores depend on the candidate, with chance in them."""
    client = BackendClient(ConsoleSettings(backend_url=stack.backend_url, api_key=stack.api_key, backend_timeout_s=30))
    chance = random.Random(7)
    examples = client.example_tickets()
    for number in range(tickets):
        rater = RATERS[number % len(RATERS)]
        example = examples[number % len(examples)]
        suggestion = client.ask(rater, SuggestionCreate(subject=example.subject, text=example.text))
        while not (suggestion := client.suggestion(rater, suggestion.id)).is_complete:
            time.sleep(0.3)
        for answer in suggestion.answers:
            if answer.text:
                client.rate(rater, answer.id, made_up(answer, chance))
        sys.stdout.write(f"rated {number + 1} of {tickets}\n")


def made_up(answer: AnswerPublic, chance: random.Random) -> RatingWrite:
    """Return scores that favour some candidates: told apart by nothing but the length of what they wrote."""
    middle = 2.4 + (len(answer.text) % 7) / 3
    scores = {key: min(5, max(1, round(chance.gauss(middle, 0.8)))) for key in rubric().keys}
    return RatingWrite(scores=scores, seconds=round(chance.uniform(20, 90), 1))


class Camera:
    """One browser session, one size, one theme."""

    def __init__(self, browser: Browser, stack: LiveStack, out: Path, width: int, height: int, scheme: str) -> None:
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB", timezone_id="Europe/Kyiv"
        )
        self.stack, self.out = stack, out
        self.ending = f"{width}{'-dark' if scheme == 'dark' else ''}.png"

    def take_all(self) -> None:
        """Go through the console as a rater would."""
        page = self.context.new_page()
        page.goto(self.stack.console_url)
        expect(page.get_by_label("Your name")).to_be_visible(timeout=30_000)
        self.take(page, "welcome")
        sign_in(page, RATERS[0])
        expect(page.get_by_label("Ticket", exact=True)).to_be_visible()
        self.take(page, "new-ticket")
        ask(page, "I forgot my password, how do I get back into my campaign?", subject="Locked out")
        wait_for_answers(page, timeout_s=120)
        score_all(page, {"A": (4, 5, 4, 4), "B": (2, 3, 3, 3)})
        page.keyboard.press("4")
        self.take(page, "rate")
        score_all(page, {"C": (4, 4, 3, 4)})
        page.get_by_role("button", name="Submit").click()
        expect_revealed(page)
        self.take(page, "revealed")
        for path in self.other_pages():
            page.goto(f"{self.stack.console_url}/{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=30_000)
            self.take(page, path, whole=True)
        self.context.close()

    def other_pages(self) -> list[str]:
        """Return the addresses of the pages that this installation has besides Rate."""
        folder = ROOT / "console" / "app_pages"
        return [
            name for name in ("results", "training", "operations", "guidelines") if (folder / f"{name}.py").exists()
        ]

    def take(self, page: Page, name: str, *, whole: bool = False) -> None:
        """Save one picture, once the page is at rest."""
        self.settle(page)
        if whole:
            self.grow(page)
            self.settle(page)
        page.screenshot(path=self.out / f"{name}-{self.ending}")

    def settle(self, page: Page) -> None:
        """Wait until the script has ended and nothing is a placeholder any more."""
        page.locator("[data-test-script-state='notRunning']").wait_for(timeout=60_000)
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=60_000)
        page.wait_for_timeout(1500)

    def grow(self, page: Page) -> None:
        """Make the window as tall as what it shows: Streamlit scrolls inside the page, not the page itself."""
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        width = page.viewport_size["width"] if page.viewport_size else 1440
        page.set_viewport_size({"width": width, "height": min(int(height), 6000)})


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, httpx.HTTPError) as error:
        sys.exit(f"No pictures: {error}")
