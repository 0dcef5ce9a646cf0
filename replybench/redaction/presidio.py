"""Microsoft Presidio's recognizers of numbers with a check: IBAN, cards, IP and crypto addresses, phones.

They are asked besides our own patterns, since each knows forms that the other does not: Presidio validates IBANs of all
countries, IPv6 addresses and phone numbers by region; ours take mistyped ones. Importing Presidio takes seconds (it
imports spaCy), so it is done at the first text that has enough digits to need it, or by `Redactor.warm`.
"""

import sys
import threading
from collections.abc import Iterator
from typing import Any

from replybench.redaction.entities import Entity, Kind

#: Countries whose national phone formats are tried, besides international numbers of all countries.
REGIONS = ("UA", "GB", "US", "PL", "DE", "FR")
_KINDS = {
    "IBAN_CODE": Kind.IBAN,
    "CREDIT_CARD": Kind.CARD,
    "IP_ADDRESS": Kind.IP,
    "PHONE_NUMBER": Kind.PHONE,
    "CRYPTO": Kind.IBAN,
}
_LOCK = threading.Lock()
_RECOGNIZERS: list[Any] = []


def recognizers() -> list[Any]:
    """Return Presidio's recognizers, made once per process."""
    with _LOCK:
        if not _RECOGNIZERS:
            from presidio_analyzer import predefined_recognizers as predefined

            _RECOGNIZERS.extend(
                [
                    predefined.IbanRecognizer(),
                    predefined.CreditCardRecognizer(),
                    predefined.IpRecognizer(),
                    predefined.CryptoRecognizer(),
                    predefined.PhoneRecognizer(supported_regions=REGIONS),
                ]
            )
        return _RECOGNIZERS


def load_alone() -> None:
    """Load Presidio without PyTorch and Transformers, which it imports and its recognizers of numbers never use.

    That takes 1 s instead of 5 and 320 MB less, but it hides the two from the whole process while it lasts: only for
    programs that do nothing else meanwhile. A no-op where one of them is loaded already.
    """
    hidden = [name for name in ("torch", "transformers") if name not in sys.modules]
    if len(hidden) < 2:
        return
    try:
        for name in hidden:
            sys.modules[name] = None  # type: ignore[assignment]  # how Python is told that an import shall fail
        recognizers()
    finally:
        for name in hidden:
            del sys.modules[name]


def find(text: str) -> Iterator[Entity]:
    """Yield what Presidio's recognizers find in `text`; nothing, and no import, if it has too few digits."""
    digits = sum(ch.isdigit() for ch in text)
    if digits < 7 and text.count("::") + (text.count(":") > 3) == 0:
        return
    for recognizer in recognizers():
        for result in recognizer.analyze(text, recognizer.supported_entities, None):
            kind = _KINDS[result.entity_type]
            value = text[result.start : result.end]
            if _is_personal(kind, value, result.score):
                yield Entity(result.start, result.end, kind)


def _is_personal(kind: Kind, value: str, score: float) -> bool:
    if kind is Kind.IP:  # "::" alone and times such as 10:15 are no one's address; dotted ones are our own pattern's
        return "." not in value and value.count(":") >= 3 and any(ch.isdigit() for ch in value)
    if kind is Kind.PHONE:  # a date or an amount is no phone number
        return sum(ch.isdigit() for ch in value) >= 9 and value.count(".") < 2
    return score >= 0.5
