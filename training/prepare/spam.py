"""Advertising and fraud that the helpdesk did not mark: several signs together, never one alone."""

import re
from collections.abc import Sequence

from replybench.prompts import Turn

#: Each group counts once. A customer may well use one of these phrases; an advertiser uses many.
_SIGNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # to whom one writes who knows nobody
        r"\bdear (?:sir|madam|purchasing|website|business|site|web ?master|shop|customer|friend|winner)\b"
        r"|\bhello (?:friend|website owner|dear)\b"
        r"|\b(?:website|business|site) owner\b|шановний власник\w*|власник\w* сайту",
        # who one is
        r"\b(?:we are|i am|we're) (?:an? )?(?:professional|leading|experienced"
        r"|trusted) (?:\w+ )?(?:manufacturer|supplier|agency|company|factory)"
        r"|\bwe (?:offer|sell|provide|supply|help businesses)\b|\bour (?:team of|experts|seo)\b"
        r"|\bi was surfing\b|\bwe checked your (?:web ?site|site|domain)\b"
        r"|ми пропонуємо|наша агенція|комерційна пропозиція",
        # what is sold
        r"\b(?:seo|back ?links?|guest post|dofollow|page (?:1|one) of google|search ranking|traffic to your"
        r"|organic traffic|email leads|mailing list)\b"
        r"|\b(?:moq|free sample|factory price|wholesale|bulk (?:order|gift)|best price|resell|quotation|\d+ ?pcs)\b"
        r"|просування сайт\w*|розкрутк\w+ сайт\w*|база (?:контактів|email)",
        # what is promised
        r"\b(?:casino|lottery|jackpot|you (?:have )?won|bitcoin|crypto|forex|loan|inheritance"
        r"|investment opportunity|make money|earn \d+)\b"
        r"|\b\d{2,3}\s?% (?:off|discount|cheaper)\b|казино|виграли|заробіток|кредит без|інвестиц\w+ пропозиц\w+",
        # how one is pressed
        r"\b(?:order now|act (?:now|within)|offer (?:ends|expires)|limited (?:time|offer)|today only"
        r"|only this week|interested\?|click here|see offer"
        r"|reply (?:with )?your (?:whatsapp|phone|number)|money back guarantee|100% guarantee|final notice"
        r"|unsubscribe)\b|[!]{3,}|діє лише сьогодні|замовляйте зараз",
    )
)
_NAMED_SO = re.compile(
    r"\b(?:this is|looks like|seems to be) (?:advertising|an advert\w*|spam|a scam|unsolicited)\b"
    r"|\bmarked? (?:this |it )?as spam\b"
    r"|\bunsolicited (?:offer|advert\w*)\b|це (?:реклама|спам)",
    re.IGNORECASE,
)
#: Groups of signs that make a message spam.
ENOUGH = 3


def is_spam(subject: str, turns: Sequence[Turn]) -> bool:
    """Return whether a ticket is advertising: its first message has several signs of it, or an agent called it so."""
    opening = next((turn.text for turn in turns if turn.role == "customer"), "")
    text = f"{subject}\n{opening}"
    signs = sum(bool(sign.search(text)) for sign in _SIGNS)
    answers = [turn.text for turn in turns if turn.role == "agent"]
    if answers and len(answers) == 1 and _NAMED_SO.search(answers[0]):
        return True
    return signs >= ENOUGH
