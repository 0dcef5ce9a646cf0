"""Takes the pictures of the documents: `make screenshots`. Each page, at 1440 and 400 pixels, into docs/images/.

The answers are the demo's own models'. The raters and their scores are made up, by chance alone: what the pictures of
the results show is no finding. The training curves are those of the demo's two adapters.
"""

import argparse
import html
import io
import json
import random
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from console.backend_client import BackendClient
from console.settings import ConsoleSettings
from db import queries_training
from db.models import TrainingRun
from db.session import connect, session_scope
from replybench.contract import AnswerPublic, FlagKind, RatingWrite, SkipReason
from replybench.errors import ReplybenchError
from replybench.queue_contract import QueueTicket, StudyProgress
from replybench.rubric import rubric
from replybench.ticket_files import batches, read_path
from tests.e2e.console_steps import ask, expect_revealed, score_all, sign_in, wait_for_answers
from tests.e2e.live_stack import DEMO, ROOT, LiveStack, launch, live_stack

IMAGES = ROOT / "docs" / "images"
SIZES = {1440: 900, 400: 860}
#: Who rates how many of the queue's tickets before the pictures.
RATERS = {"Olena Koval": 15, "Marek Nowak": 11, "Ivan Bondar": 6}
STUDY = "articles-or-threads"
INSTRUCTIONS = (
    "Judge as a customer of Merripot who reads the answer once. Facts that the help centre does not have are wrong."
)
#: Pages whose dark look is shown as well.
DARK = {"rate", "results"}


def main() -> None:
    """Start a stack of its own, fill it with made-up ratings, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lineup", type=Path, default=DEMO)
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--tickets", type=int, default=18, help="how many tickets are in the queue")
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
    """Run a study: tickets in a queue, answered, and rated in part by made-up raters."""
    client = BackendClient(ConsoleSettings(backend_url=stack.backend_url, api_key=stack.api_key, backend_timeout_s=30))
    at = f"/api/studies/{STUDY}"
    body = {
        "name": STUDY,
        "title": "Articles and threads, or threads alone?",
        "instructions": INSTRUCTIONS,
        "overlap": 2,
    }
    client.send("POST", "/api/studies", json=body)
    client.send("PATCH", at, json={"is_open": True})
    for batch in batches(own_tickets(tickets)):
        given = [ticket.model_dump(mode="json", exclude_none=True) for ticket in batch]
        client.send("POST", f"{at}/tickets", json={"tickets": given})
    while True:
        queue = StudyProgress.model_validate_json(client.send("GET", f"{at}/progress").content).queue
        sys.stdout.write(f"answered {queue.answered} of {queue.tickets}\n")
        if queue.answered + queue.failed >= queue.tickets - 2:  # two are left, to be seen in the picture
            break
        time.sleep(5)
    chance = random.Random(7)
    for rater, count in RATERS.items():
        rate_some(client, rater, count, chance)
    curves(stack)


def own_tickets(count: int) -> list[QueueTicket]:
    """Return the lineup's examples, and openings of tickets of the demo's helpdesk."""
    found = read_path(ROOT / "demo" / "example-tickets.jsonl")
    for line in (ROOT / "demo" / "helpdesk" / "tickets-2.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        words = html.unescape(re.sub(r"<[^>]+>", " ", row["turns"][0].get("html") or row["turns"][0].get("text") or ""))
        if words.strip():
            found.append(QueueTicket(subject=row["subject"] or "", text=" ".join(words.split()), id=row["id"]))
    return found[:count]


def rate_some(client: BackendClient, rater: str, count: int, chance: random.Random) -> None:
    """Rate the rater's next tickets; one is skipped, and one answer flagged."""
    for number in range(count):
        given = client.next_ticket(rater).suggestion_id
        if given is None:
            return
        answers = client.suggestion(rater, given).answers
        if number == 4 and rater != "Ivan Bondar":
            client.skip(rater, given, SkipReason.EXPERTISE)
            continue
        if number == 2:
            client.flag(rater, answers[0].id, FlagKind.HARMFUL, is_set=True)
        for answer in answers:
            client.rate(rater, answer.id, made_up(answer, chance))


def made_up(answer: AnswerPublic, chance: random.Random) -> RatingWrite:
    """Return scores by chance, around a middle that depends on nothing but the length of what was written."""
    middle = 2.4 + (len(answer.text) % 7) / 3
    scores = {key: min(5, max(1, round(chance.gauss(middle, 0.8)))) for key in rubric().keys}
    return RatingWrite(scores=scores, seconds=round(chance.uniform(20, 90), 1))


def curves(stack: LiveStack) -> None:
    """Store the runs that made the demo's adapters, from the losses beside them."""
    engine = connect(stack.database_url)
    with session_scope(engine) as session:
        for folder in sorted((ROOT / "demo" / "adapters").iterdir()):
            steps: dict[int, dict[str, float]] = {}
            for line in map(json.loads, (folder / "losses.jsonl").read_text("utf-8").splitlines()):
                steps.setdefault(line["step"], {}).update(line["values"])
            ended = datetime.now(UTC)
            seconds = sum(values.get("seconds", 0.0) for values in steps.values())
            run = TrainingRun(
                name=f"demo-{folder.name}",
                base="SmolLM2-135M-Instruct",
                method="lora",
                recipe={"kind": "sft"},
                status="finished",
                total_steps=max(steps),
                started_at=ended - timedelta(seconds=seconds),
                finished_at=ended,
            )
            queries_training.put_metrics(session, queries_training.put_run(session, run), steps.items())
    engine.dispose()


class Camera:
    """One browser session, one size, one theme."""

    def __init__(self, browser: Browser, stack: LiveStack, out: Path, width: int, height: int, scheme: str) -> None:
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]  # light or dark
            locale="en-GB",
            timezone_id="Europe/Kyiv",
        )
        self.stack, self.out, self.scheme, self.height = stack, out, scheme, height
        self.ending = f"{width}{'-dark' if scheme == 'dark' else ''}.png"

    def take_all(self) -> None:
        """Go through the console as a rater and as a lead would."""
        page = self.context.new_page()
        page.goto(self.stack.console_url)
        expect(page.get_by_label("Your name")).to_be_visible(timeout=30_000)
        sign_in(page, "Ivan Bondar")
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
        for path in ("results", "studies", "training", "operations", "guidelines"):
            page.goto(f"{self.stack.console_url}/{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=30_000)
            self.take(page, path, whole=True)
        self.context.close()

    def take(self, page: Page, name: str, *, whole: bool = False) -> None:
        """Save one picture, once the page is at rest."""
        if self.scheme == "dark" and name not in DARK:
            return
        self.settle(page)
        if whole:
            self.grow(page)
            self.settle(page)
        save(page.screenshot(), self.out / f"{name}-{self.ending}")
        self.resize(page, self.height)

    def settle(self, page: Page) -> None:
        """Wait until the script has ended and nothing is a placeholder any more."""
        page.locator("[data-test-script-state='notRunning']").wait_for(timeout=60_000)
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=60_000)
        page.wait_for_timeout(1500)

    def grow(self, page: Page) -> None:
        """Make the window as tall as what it shows: Streamlit scrolls inside the page, not the page itself."""
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        self.resize(page, min(int(height), 4000))

    def resize(self, page: Page, height: int) -> None:
        """Give the window another height."""
        width = page.viewport_size["width"] if page.viewport_size else 1440
        page.set_viewport_size({"width": width, "height": height})


def save(picture: bytes, path: Path) -> None:
    """Write a picture with at most 256 colours: to the eye the same, and a third of the bytes."""
    colours: Any = Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    colours.save(path, optimize=True)


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, httpx.HTTPError, ReplybenchError) as error:
        sys.exit(f"No pictures: {error}")
