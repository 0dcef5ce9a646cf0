"""Whether a ticket ended well: by the helpdesk's mark, the customer's rating, or the customer's closing words.

The rules on closing words are deliberately careful: what they do not recognise is `unknown`, which training can leave
out, whereas a wrong mark would teach the wrong thing. A complaint beats thanks ("thank you for the sympathy, but …").
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from replybench.prompts import Turn
from training.dataset import Outcome
from training.helpdesk.raw import RawTicket


class Verdict(NamedTuple):
    """An outcome and the name of the rule that decided it."""

    outcome: Outcome
    rule: str


#: No rule applied.
UNDECIDED = Verdict("unknown", "none")


def _rule(name: str, *patterns: str) -> tuple[str, re.Pattern[str]]:
    return name, re.compile("|".join(patterns), re.IGNORECASE)


#: Closing words that tell of failure, the plainest first.
FAILURE = (
    _rule(
        "words:leaving",
        r"\b(?:give|giving|gave) (?:it )?up\b",
        r"\bforget (?:it|about it)\b",
        r"\b(?:never|not|won'?t|will not|shall not|don'?t|nobody will) (?:ever )?(?:again|use|using|be using"
        r"|touch|order|recommend|come back|come again)\b",
        r"\bnever again\b",
        r"\b(?:go|going|went|move|moving|switch|switching|look|start) (?:\w+ )?(?:to (?:a|the|your"
        r"|another) (?:competitor|competition|provider)|with a competitor|elsewhere)",
        r"\b(?:somewhere|something|someone) else\b(?! i can)",
        r"\banother (?:service|provider|company|site|app|platform)\b",
        r"\b(?:i'?m|we'?re|i am|we are) (?:done|out|leaving|finished) with\b|\bi'?m out\b",
        r"\b(?:cancelled|cancell?ing|cancel) (?:my|our|the|to the) (?:subscription|account|plan|trial|end)",
        r"\buninstall(?:ed|ing)?\b",
        r"\b(?:in|with) (?:canvas|\w+) app instead\b|\bshall go\b|\bin cash\b|\bbiscuit tin\b|\bin person\b(?=\W*$)",
        r"\bcontact(?:ing)? (?:my|the) (?:bank|lawyer)|\b(?:going|go) to my bank\b|\bchargeback\b",
        r"\bconsider the matter closed\b|\bmoment is gone\b|\bnot be using\b",
        r"більше (?:не|ніколи)|ніколи (?:більше|не)|піду до (?:інших|конкурент)|перейду (?:на|до)|скасову[юєв]"
        r"|обійдем\w+|"
        r"відмовля[юєв]|інш(?:ий|ого|им|ому) (?:сервіс|постачальник)|забудьте|зроблю (?:сам|сама|деінде)",
    ),
    _rule(
        "words:complaint",
        r"\b(?:useless|ridiculous|unacceptable|not acceptable|unbelievable|outrageous|dishonest"
        r"|disgrace(?:ful)?|terrible|awful|appalling)\b",
        r"\b(?:silly|stupid|absurd|ridiculous) rule\b",
        r"\b(?:deeply |very |really |so |extremely )?(?:disappointed|disappointing|dissatisfied)\b",
        r"\b(?:very|really|extremely) poor\b|\bpoor service\b|\b(?:worst|joke of a)\b|\bwaste of (?:time|money)\b",
        r"\bnot happy\b|\bi(?: still)? hate\b|\bexpected better\b|\bruined\b|\bembarrass(?:ed|ing)\b"
        r"|\bthat'?s a shame\b",
        r"\bdoes(?:n'?t| not) help(?: me| us)?\b|\bno (?:use|help)\b|\bnot (?:helpful|usable|good enough)\b"
        r"|\bdidn'?t help\b",
        r"\b(?:so|then) (?:the )?[\w ]{1,30} mean nothing\b|\bno paypal no\b|\bpaypal or nothing\b",
        r"не допомогло|не вирішен\w+|жахлив\w+|обурлив\w+|розчарован\w+|неприйнятн\w+|марна трата|ганьба"
        r"|безглузд\w+|задорого",
    ),
    _rule(
        "words:still_broken",
        r"\b(?:still|again) (?:not|no|doesn'?t|does not|isn'?t|can'?t|cannot|won'?t|broken|fails?|failing"
        r"|the same|same)\b",
        r"\bsame (?:error|problem|thing|issue|result)\b|\b(?:did|does|do)(?:n'?t| not) (?:work|solve|fix"
        r"|change anything)\b",
        r"\bnothing (?:has )?(?:changed|happens|happened|works|worked)\b|\bno (?:luck|change|difference"
        r"|success)\b|\bnot (?:working|solved|fixed)\b",
        r"\bstill (?:happening|waiting|stuck|having)\b|\bno,? it (?:does|did) not\b",
        r"(?:досі|все одно|й досі|знову) (?:не|та сама|те саме)|не (?:працює|вийшло|спрацювало|зникл\w+"
        r"|вдалося)|нічого не (?:змінилося|відбулося)|"
        r"та сама (?:помилка|проблема)",
    ),
)

#: Closing words that tell of success.
SUCCESS = (
    _rule(
        "words:solved",
        r"\b(?:it|that|this|now|all|everything|thing|works?|worked|one|trick|button"
        r"|domain) (?:all )?(?:now )?(?:works?|worked|did it|does it|did the trick|solved it|fixed it|was it"
        r"|helped|goes|opens?)\b",
        r"\b(?:works|working|worked|sorted|solved|fixed|resolved)\b(?! (?:for|on) (?:everyone|others))",
        r"\b(?:all|is|was|got|now|been|that'?s) (?:good|done|fine|sorted|solved|fixed|resolved|there|set"
        r"|in order|back|correct|clear|visible)\b(?! but)",
        r"\b(?:logged|signed) in\b(?!\W+but)|\b(?:that'?s|thats) what we (?:do|did|will do)\b|\bsmart\b(?=\W*that)",
        r"\b(?:found|got|received|downloaded|upgraded|did|done|reset|removed|fixed|changed|saved|arrived"
        r"|accepted|exported|gone) "
        r"(?:it|them|in|the|this|everything|all|and|through|on|here|that|today|yesterday|confirmation|green)\b",
        r"^\W*(?:perfect|done|found|fixed|gone|solved|sorted|green|works|worked|excellent|brilliant|wonderful"
        r"|great)\b[!., ]",
        r"^\W*(?:yes|yep|yeah|так)\b[!., ]+(?:it|that|they|there|this|all|now|уже|вже|все)\b",
        r"\b(?:has|have|is|are|it'?s|money'?s|book is|came|was) (?:arrived|back|here|through|in|open|opened"
        r"|accepted|approved|delivered|smooth|gorgeous|lovely|paid|there|home|today)\b",
        r"\bi'?m in\b|\bthat'?s it\b|\bcase closed\b|\bno (?:further )?(?:help|refund|guide|summary) (?:needed"
        r"|required)\b|\bit is done\b",
        r"спрацювало|все (?:працює|вийшло|добре|гаразд|супер|є)|вже працює|запрацювало|вирішено"
        r"|проблему вирішено|(?<!не )вийшло|"
        r"(?<!не )допомогло|знайшл[аи]|знайшов|увійшл[аи]|увійшов|виправи(?:в|ла)|отрима(?:в|ла)|прийняло|готово",
    ),
    _rule(
        "words:delighted",
        r"\b(?:you'?re|you are|absolute) (?:the best|a star|amazing|very kind|a lifesaver|legend|a legend"
        r"|wonderful)\b|\blife ?saver\b|\babsolute legend\b",
        r"\b(?:saved (?:me|my|us)|made (?:my|me|an? \w+ \w+ very happy)|what a relief|relieved|thank goodness"
        r"|how kind|great (?:work|help|service|support)|"
        r"keep it up|very smooth|nice one|love it|lovely|delighted|very proud|everyone (?:likes|clapped)"
        r"|much obliged)\b",
        r"чудов\w+ (?:сервіс|підтримк)|ви (?:найкращ\w+|врятували)|заспокоїли|неймовірно",
    ),
    _rule(
        "words:thanks",
        r"\b(?:thanks|thank you|thank u|thankyou|thx|cheers|merci|grazie|gracias|danke|dzi[eę]ki|obrigad[oa]|ta"
        r"|ty|baie dankie|mahalo)\b",
        r"дякую|спасибі|вдячн\w+|дяки",
    ),
)
#: Thanks that open a new question are no end.
_ASKS = re.compile(r"\?\s*(?:\S+\s*){0,4}$")
_BUT = re.compile(r"\b(?:but|however|although|unfortunately)\b|(?<!\w)(?:але|проте|однак|на жаль)(?!\w)", re.IGNORECASE)


def judge(ticket: RawTicket, turns: Sequence[Turn]) -> Verdict:
    """Return the outcome of a ticket and the rule that decided it.

    Args:
        ticket: carries the helpdesk's own mark and the customer's rating.
        turns: cleaned, but with their sign-offs, where thanks often stand.
    """
    if ticket.outcome:
        return Verdict(ticket.outcome, "helpdesk:mark")
    if ticket.rating == "good":
        return Verdict("success", "helpdesk:rating")
    if ticket.rating == "bad":
        return Verdict("failure", "helpdesk:rating")
    return by_words(turns)


def by_words(turns: Sequence[Turn]) -> Verdict:
    """Return what the customer's last words after an agent's answer tell.

    If an agent wrote once more after them, only plain success counts: a complaint may have been put right.
    """
    last = max((index for index, turn in enumerate(turns) if turn.role == "customer"), default=-1)
    if not any(turn.role == "agent" for turn in turns[: max(last, 0)]):
        return UNDECIDED
    text = " ".join(turns[last].text.replace("’", "'").split())
    is_last_word = last == len(turns) - 1
    for name, pattern in FAILURE:
        if pattern.search(text):
            return Verdict("failure", name) if is_last_word else UNDECIDED
    if not is_last_word and "?" in text:
        return UNDECIDED
    for name, pattern in SUCCESS:
        if pattern.search(text) and not (name == "words:thanks" and (_ASKS.search(text) or _BUT.search(text))):
            return Verdict("success", name)
    return UNDECIDED
