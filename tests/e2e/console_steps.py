"""What a person does in the console, as steps of the browser tests."""

import re

from playwright.sync_api import Locator, Page, expect


def sign_in(page: Page, name: str, *, label: str = "Your name", button: str = "Continue") -> None:
    page.get_by_label(label).fill(name)
    page.get_by_role("button", name=button).click()


def ask(page: Page, text: str, subject: str = "") -> None:
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Ticket", exact=True).fill(text)
    page.get_by_role("button", name="Ask for answers").click()


def answers(page: Page) -> Locator:
    return page.get_by_role("article")


def wait_for_answers(page: Page, count: int = 3, *, timeout_s: float = 60) -> None:
    expect(answers(page)).to_have_count(count, timeout=timeout_s * 1000)
    expect(page.get_by_role("radiogroup")).to_have_count(4 * count, timeout=timeout_s * 1000)
    expect(page.get_by_text(re.compile(r"^\d+ of \d+ scored$"))).to_be_visible()


def score(page: Page, slot: str, metric: str, value: int) -> None:
    """One click."""
    group = page.get_by_role("article", name=f"Answer {slot}").get_by_role("radiogroup", name=re.compile(metric))
    group.get_by_role("radio", name=re.compile(f"^{value}:")).check()


def score_all(page: Page, values: dict[str, tuple[int, int, int, int]]) -> None:
    for slot, scores in values.items():
        for metric, value in zip(("Content", "Grammar", "Structure", "Style"), scores, strict=True):
            score(page, slot, metric, value)


def checked(page: Page) -> list[str]:
    """The values of all chosen scores, in the order of the screen."""
    return [radio.get_attribute("value") or "" for radio in page.get_by_role("radio", checked=True).all()]


def expect_revealed(page: Page) -> None:
    expect(page.get_by_text("Now you see who wrote which answer")).to_be_visible(timeout=20_000)
