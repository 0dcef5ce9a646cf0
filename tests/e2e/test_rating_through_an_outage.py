"""The backend dies while a rater works: nothing is lost, nothing is stored twice."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.console_steps import answers, ask, checked, expect_revealed, score_all, sign_in, wait_for_answers
from tests.e2e.live_stack import LiveStack
from tests.e2e.test_rating_in_the_browser import TICKET, ratings_of, suggestion_in

NewPage = Callable[..., Page]


def test_killed_in_mid_rating_the_scores_are_stored_once(new_page: NewPage, stack: LiveStack) -> None:
    page = new_page()
    sign_in(page, "Outage Rater")
    ask(page, TICKET, subject="Outage")
    wait_for_answers(page)
    suggestion_id = suggestion_in(page)
    score_all(page, {"A": (5, 4, 3, 2), "B": (1, 2, 3, 4), "C": (5, 5, 5, 5)})
    stack.kill_backend()
    try:
        page.get_by_role("button", name="Submit").click()
        expect(page.get_by_text("does not answer")).to_be_visible()
        assert checked(page) == list("543212345555")
        page.reload()
        expect(page.get_by_text("comes back by itself")).to_be_visible()
    finally:
        stack.restart_backend()
    wait_for_answers(page)
    assert checked(page) == list("543212345555")
    page.get_by_role("button", name="Submit").click()
    expect_revealed(page)
    assert len(ratings_of(stack, suggestion_id)) == 3


def test_killed_while_answers_are_written_the_ticket_stays_and_can_be_asked_again(
    new_page: NewPage, stack: LiveStack
) -> None:
    page = new_page()
    sign_in(page, "Patient Rater")
    ask(page, TICKET, subject="Interrupted")
    expect(page.get_by_text("writing", exact=True).first).to_be_visible()
    stack.kill_backend()
    try:
        expect(page.get_by_text("does not answer")).to_be_visible()
        expect(page.get_by_text(TICKET)).to_be_visible()
    finally:
        stack.restart_backend()
    again = page.get_by_role("button", name="Ask again")
    expect(again.first).to_be_visible(timeout=30_000)
    while again.count():
        before = again.count()
        again.first.click()
        expect(again).to_have_count(before - 1, timeout=30_000)
    wait_for_answers(page)
    expect(answers(page)).to_have_count(3)
    score_all(page, dict.fromkeys("ABC", (4, 4, 4, 4)))
    page.get_by_role("button", name="Submit").click()
    expect_revealed(page)
