"""The console in Ukrainian, from the first page to the reveal; the choice is remembered."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.console_steps import checked, sign_in

NewPage = Callable[..., Page]
ENGLISH = re.compile(r"\b(the|answer|score|ticket|submit|your|waiting|done)\b", re.IGNORECASE)


def own_words(page: Page) -> str:
    """What the console itself says, without the ticket, the answers and the candidates' names."""
    return str(
        page.evaluate(
            """() => {
              const skip = new Set(['text', 'who', 'note']);
              const walk = (node) => {
                if (node.nodeType === Node.TEXT_NODE) return node.textContent;
                if (node.tagName === 'STYLE' || [...(node.classList ?? [])].some((name) => skip.has(name))) return '';
                return [...(node.shadowRoot ?? node).childNodes].map(walk).join(' ');
              };
              return walk(document.querySelector('[data-testid=stMain]'));
            }"""
        )
    )


def test_a_ticket_is_rated_in_ukrainian(new_page: NewPage) -> None:
    page = new_page(locale="uk-UA")  # the browser's language is taken at the first visit
    sign_in(page, "Оксана Мельник", label="Ваше ім'я", button="Продовжити")
    page.get_by_label("Звернення", exact=True).fill("Я забула пароль. Як мені повернутися до своєї кампанії?")
    page.get_by_role("button", name="Отримати відповіді").click()
    expect(page.get_by_role("radiogroup")).to_have_count(12, timeout=60_000)
    expect(page.get_by_role("radiogroup", name=re.compile("Зміст"))).to_have_count(3)
    page.keyboard.press("4")
    expect(page.get_by_text("Зміст і відповідність завданню: 4")).to_be_hidden()  # focus has gone on to the next metric
    page.get_by_role("radio", name=re.compile("^4: Добре відповідає завданню")).first.hover(force=True)
    expect(page.get_by_text("Добре відповідає завданню, незначні неточності або пропуски")).to_be_visible()
    for key in "54343221543":
        page.keyboard.press(key)
    assert not ENGLISH.search(own_words(page)), own_words(page)
    page.get_by_role("button", name="Надіслати").click()
    expect(page.get_by_text("Тепер видно, хто написав яку відповідь")).to_be_visible()
    assert len(checked(page)) == 12
    expect(page.get_by_text(re.compile(r"Зважена оцінка\s*\d,\d\d")).first).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "uk"


def test_the_language_is_chosen_in_the_page_and_remembered(new_page: NewPage) -> None:
    page = new_page()
    sign_in(page, "Bilingual Rater")
    page.get_by_role("button", name=re.compile("English")).click()
    page.get_by_text("Українська", exact=True).click()
    expect(page.get_by_role("button", name="Отримати відповіді")).to_be_visible()
    page.wait_for_function("document.documentElement.lang === 'uk'")  # set with the cookie that remembers it
    page.reload()
    expect(page.get_by_role("button", name="Отримати відповіді")).to_be_visible()
    expect(page.get_by_role("heading", name="Оцінювання", level=1)).to_be_visible()
    page.get_by_role("link", name="Настанови").click()
    expect(page.get_by_role("heading", name="Граматика та орфографія")).to_be_visible()
