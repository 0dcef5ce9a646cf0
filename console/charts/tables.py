"""Results as tables: for downloads (CSV, XLSX), for reports, and beside the charts. Figures are not rounded."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO

from console.charts import verdict
from console.charts.words import Words, names
from replybench.results_contract import Interval, ResultsPublic

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with one header row. `key` names its file."""

    key: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def inert(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip()[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def as_csv(table: Table) -> str:
    """Return a table as CSV (UTF-8, comma, header)."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([inert(cell) for cell in table.header])
    writer.writerows([["" if cell is None else inert(cell) for cell in row] for row in table.rows])
    return out.getvalue()


def tables(results: ResultsPublic, words: Words) -> list[Table]:
    """Return all tables that have something in them."""
    makers: list[Callable[[ResultsPublic, Words], Table]] = [
        scores,
        metrics,
        differences,
        friedman,
        sensitivity,
        agreement,
        raters,
        slots,
        trend,
        todo,
        printed,
    ]
    return [table for make in makers if (table := make(results, words)).rows]


def _ends(interval: Interval | None) -> tuple[float | None, float | None, str | None]:
    return (interval.lower, interval.upper, interval.method) if interval else (None, None, None)


def scores(results: ResultsPublic, words: Words) -> Table:
    """Return each candidate's weighted score and shares."""
    _ = words.gettext
    name = names(results)
    return Table(
        "scores",
        _("Weighted score"),
        [
            _("Candidate"), _("Weighted score"), _("Lower"), _("Upper"), _("Tickets"), _("Ratings"),
            _("Negative share"), _("Positive share"), _("Snapshots"), _("Note"),
        ],
        [
            [
                name[c.id], c.weighted, *_ends(c.interval)[:2], c.tickets or None, c.ratings, c.negative, c.positive,
                c.snapshots, words.reason(c.reason),
            ]
            for c in results.candidates
        ],
    )  # fmt: skip


def metrics(results: ResultsPublic, words: Words) -> Table:
    """Return counts, means and contributions per candidate and metric."""
    _ = words.gettext
    name = names(results)
    counts = [_("Score {score}").format(score=score) for score in range(results.lowest, results.highest + 1)]
    return Table(
        "metrics",
        _("Scores per metric"),
        [
            _("Metric"), _("Weight"), _("Candidate"), *counts, _("Mean"), _("Lower"), _("Upper"),
            _("Mean of all scores"), _("Contribution"), _("Negative share"), _("Tickets"),
        ],
        [
            [
                words.metric(weight.key), weight.weight, name[c.id], *m.counts, m.mean, *_ends(m.interval)[:2],
                m.mean_of_scores, m.contribution, m.negative, m.tickets,
            ]
            for weight in results.metrics
            for c in results.candidates
            for m in c.metrics
            if m.metric == weight.key
        ],
    )  # fmt: skip


def differences(results: ResultsPublic, words: Words) -> Table:
    """Return every pair's differences, with interval and test."""
    _ = words.gettext
    name = names(results)
    rows: list[list[Cell]] = []
    for pair in results.pairs:
        for d in (pair.weighted, *pair.metrics):
            always = pair.always if not d.metric else None
            rows.append(
                [
                    name[pair.first], name[pair.second], words.metric(d.metric), d.mean, *_ends(d.interval),
                    always.lower if always else None, always.upper if always else None, d.p, d.p_holm,
                    d.tickets, d.wins, d.ties, d.losses, words.reason(d.reason),
                ]
            )  # fmt: skip
    return Table(
        "differences",
        _("Differences, paired by ticket"),
        [
            _("First"), _("Second"), _("Metric"), _("First minus second"), _("Lower"), _("Upper"), _("Method"),
            _("Lower at every look"), _("Upper at every look"), _("Wilcoxon p"), _("p, Holm"), _("Tickets"),
            _("First better"), _("Level"), _("Second better"), _("Note"),
        ],
        rows,
    )  # fmt: skip


def friedman(results: ResultsPublic, words: Words) -> Table:
    """Return the tests of whether the candidates differ at all."""
    _ = words.gettext
    return Table(
        "friedman",
        _("Do the candidates differ at all? (Friedman)"),
        [_("Metric"), _("Statistic"), _("Degrees of freedom"), "p", _("Tickets"), _("Note")],
        [
            [words.metric(f.metric), f.statistic, f.degrees, f.p, f.tickets, words.reason(f.reason)]
            for f in results.friedman
        ],
    )


def sensitivity(results: ResultsPublic, words: Words) -> Table:
    """Return who leads for which weights."""
    _ = words.gettext
    name = names(results)
    return Table(
        "sensitivity",
        _("Who leads for which weight"),
        [_("Metric"), _("Weight now"), _("From"), _("To"), _("Leader")],
        [
            [words.metric(entry.metric), entry.weight, span.lower, span.upper, name[span.leader]]
            for entry in results.sensitivity
            for span in entry.spans
        ],
    )


def agreement(results: ResultsPublic, words: Words) -> Table:
    """Return Krippendorff's alpha per metric."""
    _ = words.gettext
    return Table(
        "agreement",
        _("Agreement of raters"),
        [_("Metric"), _("Ordinal alpha"), _("Lower"), _("Upper"), _("Answers"), _("Scores"), _("Note")],
        [
            [words.metric(a.metric), a.alpha, *_ends(a.interval)[:2], a.answers, a.scores, words.reason(a.reason)]
            for a in results.agreement
        ],
    )


def raters(results: ResultsPublic, words: Words) -> Table:
    """Return what can be told of each rater."""
    _ = words.gettext
    return Table(
        "raters",
        _("Raters"),
        [
            _("Rater"), _("Ratings"), _("Mean"), _("Severity"), _("Lower"), _("Upper"), _("Spread"),
            _("Answers shared"), _("Seconds per rating"), _("Note"),
        ],
        [
            [
                r.name, r.ratings, r.mean, r.severity, *_ends(r.interval)[:2], r.spread, r.shared, r.seconds,
                words.reason(r.reason),
            ]
            for r in results.raters
        ],
    )  # fmt: skip


def slots(results: ResultsPublic, words: Words) -> Table:
    """Return whether the place on the screen matters."""
    _ = words.gettext
    return Table(
        "slots",
        _("Place on the screen"),
        [_("Place"), _("Effect"), _("Lower"), _("Upper"), _("Ratings"), _("Note")],
        [[s.slot, s.effect, *_ends(s.interval)[:2], s.ratings, words.reason(s.reason)] for s in results.slots],
    )


def trend(results: ResultsPublic, words: Words) -> Table:
    """Return each day's mean and the mean up to it."""
    _ = words.gettext
    name = names(results)
    return Table(
        "trend",
        _("Weighted score over time"),
        [_("Day"), _("Candidate"), _("Mean of the day"), _("Mean up to the day"), _("Ratings")],
        [[words.day(p.day), name[p.candidate], p.mean, p.so_far, p.ratings] for p in results.trend],
    )


def todo(results: ResultsPublic, words: Words) -> Table:
    """Return the categories on which the leader failed."""
    _ = words.gettext
    return Table(
        "todo",
        _("Where the leader fails"),
        [_("Category"), _("Tickets failed"), _("Tickets")],
        [[item.category or _("No category"), item.failed, item.tickets] for item in results.todo.items],
    )


def printed(results: ResultsPublic, words: Words) -> Table:
    """Return a published study's printed figures beside what its counts give."""
    _ = words.gettext
    name = names(results)
    kinds = {
        "mean": _("Mean"),
        "weighted_mean": _("Weight × mean"),
        "negative": _("Negative, %"),
        "positive": _("Positive, %"),
    }
    return Table(
        "printed",
        _("Printed and computed"),
        [_("Figure"), _("Metric"), _("Candidate"), _("Printed"), _("From the counts"), _("Agrees"), _("Why not")],
        [
            [
                kinds[f.kind], words.metric(f.metric) if f.metric else "", name[f.candidate], f.printed, f.computed,
                _("yes") if f.agrees else _("no"),
                "" if f.agrees else verdict.disagreement(f.kind, f.scores, f.stated_scores, words),
            ]
            for f in results.printed
        ],
    )  # fmt: skip
