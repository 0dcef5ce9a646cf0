"""The results in sentences."""

from console.charts.words import Words, names
from replybench.results_contract import Reason, ResultsPublic, Sensitivity


def headline(results: ResultsPublic, words: Words) -> str:
    """Return the verdict in one sentence."""
    _ = words.gettext
    verdict, name = results.verdict, names(results)
    leader = name.get(verdict.leader or "", "")
    if verdict.status == "unknown":
        return _unknown(results, words, leader)
    if verdict.reason is Reason.ALL_TIES or verdict.difference is None or verdict.interval is None:
        return _("Not decided: on all {tickets} the candidates scored the same.").format(
            tickets=words.tickets(verdict.tickets)
        )
    fields = {
        "leader": leader,
        "other": name[verdict.closest or ""],
        "difference": words.number(abs(verdict.difference), 2),
        "interval": words.span(verdict.interval.lower, verdict.interval.upper),
        "tickets": words.tickets(verdict.tickets),
    }
    if verdict.status == "decided":
        return _("{leader} leads {other} by {difference} (95% interval {interval}) on {tickets}: decided.").format(
            **fields
        )
    if verdict.difference <= 0:
        start = _("{leader} and {other} stand level (95% interval {interval}) on {tickets}: not decided").format(
            **fields
        )
    else:
        start = _("{leader} leads {other} by {difference} (95% interval {interval}) on {tickets}: not decided").format(
            **fields
        )
    if verdict.more_tickets is None:
        return _("{start}; at this difference and spread no number of tickets up to 100 000 would decide it.").format(
            start=start
        )
    ngettext = words.ngettext
    more = ngettext("about {count} more ticket", "about {count} more tickets", _round(verdict.more_tickets))
    return _("{start}, {more} at this spread.").format(start=start, more=more)


def _unknown(results: ResultsPublic, words: Words, leader: str) -> str:
    _ = words.gettext
    verdict = results.verdict
    if verdict.reason is Reason.COUNTS_ONLY:
        best = max(results.candidates, key=lambda candidate: candidate.weighted or 0)
        return _("{leader} has the highest weighted score ({score}); whether by chance cannot be told.").format(
            leader=leader, score=words.value(best.weighted)
        )
    return _("No verdict yet.") + " " + words.reason(verdict.reason)


def _round(count: int) -> int:
    """Return a number of tickets as one would say it: 83 → 80, 1 234 → 1 200."""
    if count < 20:
        return count
    step = 10 ** (len(str(count)) - 2) if count >= 100 else 5
    return round(count / step) * step


def explanation(results: ResultsPublic, words: Words) -> str:
    """Return what the verdict means, for those who want to know."""
    _ = words.gettext
    if results.verdict.reason is Reason.COUNTS_ONLY:
        return words.reason(Reason.COUNTS_ONLY)
    return _(
        "The weighted score treats the steps of the scale as equally far apart, so look at the metrics beside it. "
        "Candidates are compared ticket by ticket; several raters of a ticket are averaged first. The interval is a "
        "confidence sequence: it may be looked at after every rating and still is wrong in at most 5% of studies, "
        "which is why it is wider than one made for a single look."
    )


def sensitivity(entry: Sensitivity, results: ResultsPublic, words: Words) -> str:
    """Return for which weights of a metric the leader changes."""
    _ = words.gettext
    name, metric = names(results), words.metric(entry.metric)
    if not entry.spans:
        return _("{metric}: no candidate can be ranked yet.").format(metric=metric)
    if len(entry.spans) == 1:
        return _("{metric}: {leader} leads at every weight.").format(metric=metric, leader=name[entry.spans[0].leader])
    parts = [
        _("{leader} from {lower} to {upper}").format(
            leader=name[span.leader], lower=words.percent(span.lower, 0), upper=words.percent(span.upper, 0)
        )
        for span in entry.spans
    ]
    return _("{metric} (now {weight}): {parts}.").format(
        metric=metric, weight=words.percent(entry.weight, 0), parts="; ".join(parts)
    )


def disagreement(kind: str, scores: int, stated: int, words: Words) -> str:
    """Return why a printed figure does not agree with the study's own counts."""
    _ = words.gettext
    if scores != stated:
        return _("The printed counts add up to {scores}, not to the {stated} stated.").format(
            scores=scores, stated=stated
        )
    if kind == "weighted_mean":
        return _("Made from the printed mean, which does not follow from the counts.")
    return _("The counts are complete, but their mean is another one.")


def differences(results: ResultsPublic, words: Words) -> str:
    """Return every pair's difference in words."""
    _ = words.gettext
    name, parts = names(results), []
    for pair in results.pairs:
        if pair.weighted.mean is None:
            parts.append(
                _("{first} and {second}: {reason}").format(
                    first=name[pair.first], second=name[pair.second], reason=words.reason(pair.weighted.reason)
                )
            )
            continue
        sentence = _(
            "{first} against {second}: {difference} on {tickets}, better on {wins}, level on {ties}, worse on {losses}."
        )
        parts.append(
            sentence.format(
                first=name[pair.first],
                second=name[pair.second],
                difference=words.signed(pair.weighted.mean),
                tickets=words.tickets(pair.weighted.tickets),
                wins=pair.weighted.wins,
                ties=pair.weighted.ties,
                losses=pair.weighted.losses,
            )
        )
    return " ".join(parts)


def friedman(results: ResultsPublic, words: Words) -> str:
    """Return whether the candidates differ at all, in words; '' where there is nothing to say."""
    _ = words.gettext
    found = next((entry for entry in results.friedman if not entry.metric), None)
    if found is None:
        return ""
    if found.statistic is None:
        return _("Friedman's test: {reason}").format(reason=words.reason(found.reason))
    return _(
        "Friedman's test of whether the candidates differ at all: χ² = {statistic}, {degrees} degrees of freedom, "
        "p {p}, on {tickets} that have every candidate."
    ).format(
        statistic=words.number(found.statistic, 2),
        degrees=found.degrees,
        p=words.p(found.p) if (found.p or 0) < 0.001 else f"= {words.p(found.p)}",
        tickets=words.tickets(found.tickets),
    )


def agreement(results: ResultsPublic, words: Words) -> str:
    """Return how far the raters agree, in words."""
    _ = words.gettext
    told = [entry for entry in results.agreement if entry.alpha is not None]
    if not told:
        reasons = [words.reason(entry.reason) for entry in results.agreement if entry.reason]
        return reasons[0] if reasons else ""
    figures = "; ".join(f"{words.metric(entry.metric)}: {words.value(entry.alpha)}" for entry in told)
    return _(
        "Krippendorff's ordinal alpha: 1 is full agreement, 0 is chance. From 0.8 figures are reliable, from 0.667 "
        "good for tentative conclusions. {figures}."
    ).format(figures=figures)


def severity(results: ResultsPublic, words: Words) -> str:
    """Return who is lenient and who is severe, in words."""
    _ = words.gettext
    told = [rater for rater in results.raters if rater.severity is not None]
    figures = "; ".join(f"{rater.name}: {words.signed(rater.severity)}" for rater in told)
    return _(
        "Weighted score above (+, lenient) or below (−, severe) the other raters of the same answers. {figures}."
    ).format(figures=figures)


def slots(results: ResultsPublic, words: Words) -> str:
    """Return whether a place on the screen scores higher, in words."""
    _ = words.gettext
    told = [slot for slot in results.slots if slot.effect is not None]
    biased = [s.slot for s in told if s.interval and (s.interval.lower > 0 or s.interval.upper < 0)]
    if biased:
        return _("Place {places} scores differently from the rest: look at how the order was shuffled.").format(
            places=", ".join(biased)
        )
    return _("No place scores differently from the others beyond chance (95% intervals for all places together).")


def todo(results: ResultsPublic, words: Words) -> str:
    """Return what the to-do list is, in words."""
    _ = words.gettext
    failed = sum(item.failed for item in results.todo.items)
    tickets = words.tickets(failed)
    return _(
        "On {tickets} the leader ({leader}) scored below {border} on {metric}: what the help centre should explain "
        "better, or the next training should see more of."
    ).format(
        tickets=tickets,
        leader=names(results).get(results.todo.candidate or "", ""),
        border=results.positive_from,
        metric=words.metric(results.todo.metric or ""),
    )
