"""Rating with the keyboard alone."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.console_steps import ask, checked, expect_revealed, sign_in, wait_for_answers
from tests.e2e.test_rating_in_the_browser import TICKET

NewPage = Callable[..., Page]


class Keys:
    """A keyboard that counts what is pressed."""

    def __init__(self, page: Page) -> None:
        self._keyboard = page.keyboard
        self.pressed = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self._keyboard.press(key)
            self.pressed += key.count("+") + 1


def asked(new_page: NewPage, name: str) -> Page:
    page = new_page()
    sign_in(page, name)
    ask(page, TICKET)
    wait_for_answers(page)
    return page


def test_twelve_scores_and_submit_take_at_most_sixteen_key_presses(new_page: NewPage) -> None:
    page = asked(new_page, "Keyboard Rater")
    keys = Keys(page)
    keys.press(*"545332112345", "Enter")
    expect_revealed(page)
    assert checked(page) == list("545332112345")
    assert keys.pressed <= 16, keys.pressed


def test_keys_go_on_working_after_a_click_on_the_margin(new_page: NewPage) -> None:
    page = asked(new_page, "Keyboard Rater 6")
    page.mouse.click(12, 500)
    assert page.evaluate("document.activeElement.id") == "stMain", "what Streamlit gives the focus to"
    page.keyboard.press("4")
    assert checked(page) == ["4"]


def test_comment_undo_arrows_and_change_without_the_mouse(new_page: NewPage) -> None:
    page = asked(new_page, "Keyboard Rater 2")
    keys = Keys(page)
    keys.press("5", "4", "1", "Control+z")  # the third was a slip
    assert checked(page) == ["5", "4"]
    keys.press("3", "3")  # answer A is scored; B's content is next
    keys.press("m")
    page.keyboard.type("Clear and polite, 10 of 10")
    keys.press("Escape")
    assert checked(page) == ["5", "4", "3", "3"], "digits in a comment are no scores"
    keys.press("Shift+ArrowRight", "ArrowDown", "2")  # answer C's grammar
    of_c = page.get_by_role("article", name="Answer C").get_by_role("radiogroup", name="Grammar")
    assert [radio.get_attribute("value") for radio in of_c.get_by_role("radio", checked=True).all()] == ["2"]
    keys.press("ArrowUp", "Backspace")  # from C's structure back to its grammar
    assert checked(page) == ["5", "4", "3", "3"]
    keys.press(*"22222222")
    keys.press("Control+Enter")
    expect_revealed(page)
    comment = page.get_by_role("article", name="Answer B").get_by_label("Comment", exact=True)
    expect(comment).to_have_value("Clear and polite, 10 of 10")
    keys.press("e", "1", "Enter")
    expect_revealed(page)
    assert checked(page)[0] == "1"
    keys.press("n")
    expect(page.get_by_label("Ticket", exact=True)).to_be_visible()


def test_a_ticket_is_skipped_and_an_answer_flagged_with_the_keyboard(new_page: NewPage) -> None:
    page = asked(new_page, "Skipping Rater")
    page.keyboard.press("f")
    page.keyboard.press("Space")
    of_a = page.get_by_role("article", name="Answer A")
    expect(of_a.get_by_text("flagged")).to_be_visible()
    page.reload()
    wait_for_answers(page)
    expect(of_a.get_by_text("flagged")).to_be_visible()
    page.keyboard.press("s")
    expect(page.get_by_role("dialog", name="Why do you skip this ticket?")).to_be_visible()
    page.keyboard.press("Enter")  # the first reason has the focus
    expect(page.get_by_text("skipped", exact=True)).to_be_visible()
    page.get_by_role("link", name=TICKET).click()
    page.get_by_role("button", name="Take back the skip").click()
    expect(page.get_by_role("button", name="Skip", exact=True)).to_be_visible()


def test_the_keys_are_shown_on_a_question_mark(new_page: NewPage) -> None:
    page = asked(new_page, "Curious Rater")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("5")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    assert checked(page) == []


def test_enter_with_missing_scores_says_so_and_goes_to_the_first(new_page: NewPage) -> None:
    page = asked(new_page, "Hasty Rater")
    for key in ("5", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_text("11 still to score")).to_be_visible()
    page.keyboard.press("1")
    assert checked(page) == ["5", "1"]
