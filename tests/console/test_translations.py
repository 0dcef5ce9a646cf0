"""Every sentence of the console is there in every language, whole and with its placeholders."""

import re

import pytest

from console.i18n import LANGUAGES, catalogue, ngettext
from console.locales import marked, read, sentences

OTHERS = [language for language in LANGUAGES if language != "en"]


@pytest.mark.parametrize("language", OTHERS)
def test_no_sentence_is_missing_or_left_over(language: str) -> None:
    there = {message.id: message for message in read(language) if message.id}
    wanted = {message.id for message in sentences() if message.id}
    missing = [wish for wish in wanted if wish not in there or not there[wish].string or there[wish].fuzzy]
    assert not missing, f"translate these in console/locales (python -m console.locales adds them): {missing}"
    assert not set(there) - wanted, "run python -m console.locales: these are gone from the code"


@pytest.mark.parametrize("language", OTHERS)
def test_placeholders_survive_translation(language: str) -> None:
    for message in read(language):
        forms = message.string if isinstance(message.string, (list, tuple)) else [message.string]
        sources = message.id if isinstance(message.id, (list, tuple)) else [message.id]
        for form in forms if message.id and message.string else []:
            assert set(re.findall(r"\{\w*\}", form or "")) == set(re.findall(r"\{\w*\}", sources[-1] or "")), message.id


def test_ukrainian_is_taken_from_the_catalogue() -> None:
    assert catalogue("uk").gettext("Submit") == "Надіслати"
    assert catalogue("en").gettext("Submit") == "Submit"
    assert catalogue("uk").gettext("No such sentence") == "No such sentence"


def test_a_count_is_put_into_its_form() -> None:
    assert ngettext("{count} thing", "{count} things", 3) == "3 things"
    assert ngettext("{count} thing", "{count} things", 1) == "1 thing"


def test_marked_sentences_are_found_in_f_strings_and_must_be_whole() -> None:
    found = set(marked("x = f\"{_('Inside')}\"\ny = ngettext('{count} a', '{count} b', n)"))
    assert found == {"Inside", ("{count} a", "{count} b")}
    with pytest.raises(ValueError, match="line 1"):
        list(marked("_('half' + other)"))
