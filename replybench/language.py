"""The language of a text, as ISO 639-1: by its letters where they tell, else by py3langid's language model."""

import re
import threading
from functools import cache
from typing import Any

#: Languages that are considered. Short texts are easily mistaken for a rare language, so rare ones are left out.
LANGUAGES = (
    "en",
    "uk",
    "pl",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "cs",
    "sk",
    "ro",
    "hu",
    "sv",
    "no",
    "da",
    "fi",
    "tr",
    "lt",
    "ru",
    "el",
    "ja",
    "zh",
    "ko",
    "ar",
    "he",
)
UNKNOWN = "und"
_MIN_LETTERS = 12
_LOCK = threading.Lock()
_UKRAINIAN = re.compile(r"[іїєґ]", re.IGNORECASE)
_RUSSIAN = re.compile(r"[ыэъё]", re.IGNORECASE)
_NOISE = re.compile(r"\{\w+\}|https?://\S+|\S+@\S+|\b[A-Z0-9_-]*\d[\w-]*\b")


def detect(*texts: str) -> str:
    """Return the language of the first text that is long enough to tell, else of all together, else 'und'."""
    for text in (*texts, "\n".join(texts)):
        letters = _NOISE.sub(" ", text)
        if sum(ch.isalpha() for ch in letters) >= _MIN_LETTERS:
            return _classify(letters)
    return UNKNOWN


def _classify(text: str) -> str:
    cyrillic = len(re.findall(r"[а-яіїєґ]", text, re.IGNORECASE))
    if cyrillic * 2 > sum(ch.isalpha() for ch in text):
        russian, ukrainian = len(_RUSSIAN.findall(text)), len(_UKRAINIAN.findall(text))
        return "ru" if russian > ukrainian else "uk"
    with _LOCK:  # the identifier's own buffers are shared
        found: str = _identifier().classify(text)[0]
    return found


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier
