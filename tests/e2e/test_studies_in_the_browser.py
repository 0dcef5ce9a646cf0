"""A lead runs a study in the browser, and two raters work its queue off with the keyboard alone."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.console_steps import answers, expect_revealed, sign_in, wait_for_answers
from tests.e2e.test_rating_in_the_browser import suggestion_in

NewPage = Callable[..., Page]
CSV = """subject,text,id
Locked out,I forgot my password.,q-1
Refund,How do I get my money back?,q-2
,When do you open?,q-3
"""


def work_off(page: Page, tickets: int) -> set[str]:
    """Rate the queue to its end: N, twelve digits, Enter, N …; return which suggestions came."""
    came = set()
    expect(page.get_by_text(re.compile(rf"^{tickets} tickets? (is|are) left for you"))).to_be_visible(timeout=30_000)
    page.keyboard.press("n")
    for number in range(tickets):
        wait_for_answers(page)
        came.add(suggestion_in(page))
        for key in (*"545433221435", "Enter"):
            page.keyboard.press(key)
        expect_revealed(page)
        left = tickets - number - 1
        expect(page.get_by_text(re.compile(rf"^{left} tickets? (is|are) left for you"))).to_be_visible()
        page.keyboard.press("n")
        if left:
            expect(page.get_by_text("Now you see who wrote which answer")).to_be_hidden()
    expect(page.get_by_text("Nothing is left for you in the queue")).to_be_visible()
    return came


def test_a_lead_makes_a_study_and_two_raters_work_it_off(new_page: NewPage) -> None:
    lead = new_page("/studies")
    lead.get_by_role("button", name="New study").click(timeout=30_000)
    dialog = lead.get_by_role("dialog")
    dialog.get_by_label("Title").fill("Tone of voice")
    dialog.get_by_role("textbox", name="Instructions").fill("Judge the tone as a new customer would.")
    dialog.get_by_role("button", name="Make the study").click()
    expect(lead.get_by_text("'Tone of voice' is a draft. Add tickets, then open it.")).to_be_visible()

    lead.locator("input[type=file]").set_input_files(
        {"name": "wrong.csv", "mimeType": "text/csv", "buffer": b"text,id\nfine,1\n,2\n"}
    )
    expect(lead.get_by_text(re.compile("line 3: 'text' is wrong"))).to_be_visible()
    lead.locator("input[type=file]").set_input_files(
        {"name": "tickets.csv", "mimeType": "text/csv", "buffer": CSV.encode()}
    )
    lead.get_by_role("button", name="Add 3 tickets").click()
    expect(lead.get_by_text("3 tickets added, 0 were there already.")).to_be_visible()
    expect(lead.get_by_text("3 tickets: 3 answered, nobody has rated yet")).to_be_visible(timeout=60_000)
    lead.get_by_role("button", name="Open the study").click()
    expect(lead.get_by_text("'Tone of voice' is open")).to_be_visible()

    seen = []
    for name in ("Queue Olena", "Queue Marek"):
        page = new_page()
        sign_in(page, name)
        seen.append(work_off(page, 3))
    assert seen[0] == seen[1]
    assert len(seen[0]) == 3
    expect(lead.get_by_text("3 tickets: 3 rated by as many as wanted")).to_be_visible(timeout=20_000)
    expect(lead.get_by_text("100% of the queue is done").first).to_be_visible()
    expect(lead.locator(".js-plotly-plot")).to_have_count(2)

    page.get_by_role("link", name="Refund").click()
    wait_for_answers_again(page)
    expect(page.get_by_text("Judge the tone as a new customer would.")).to_be_visible()
    lead.get_by_role("button", name="Close the study").click()
    expect(lead.get_by_text("'Tone of voice' is closed. Its ratings and results stay.")).to_be_visible()


def wait_for_answers_again(page: Page) -> None:
    expect(answers(page)).to_have_count(3)
    expect_revealed(page)


def test_a_ticket_is_asked_again_and_the_earlier_answers_are_a_click_away(new_page: NewPage) -> None:
    page = new_page()
    sign_in(page, "Asking Twice")
    page.get_by_label("Ticket", exact=True).fill("How do I change my address?")
    page.get_by_role("button", name="Ask for answers").click()
    wait_for_answers(page)
    first = suggestion_in(page)
    page.get_by_role("button", name="Ask the ticket again").click()
    page.wait_for_url(lambda url: "suggestion=" in url and first not in url)
    wait_for_answers(page)
    expect(page.get_by_role("button", name="Submit")).to_be_visible()
    page.wait_for_timeout(1_000)  # the form is at rest: nothing is drawn anew
    page.get_by_text("Other answers to this ticket (1)").click()
    page.get_by_role("link", name=re.compile("lineup scripted")).click()
    page.wait_for_url(re.compile(first))
    wait_for_answers(page)
