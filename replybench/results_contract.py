"""The shapes of GET /api/results: everything that the charts, tables and reports show.

A figure that cannot be told is null, and a `Reason` beside it says why; nothing is ever NaN. Scores are on the study's
own scale. "Mean" is the mean over tickets of the ticket's mean over raters, unless it says otherwise.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """A result: computed, then only read."""

    model_config = ConfigDict(frozen=True)


class Reason(StrEnum):
    """Why a figure cannot be told."""

    NO_RATINGS = "no_ratings"
    ONE_TICKET = "one_ticket"
    ONE_CANDIDATE = "one_candidate"
    TWO_CANDIDATES = "two_candidates"
    NO_COMMON_TICKET = "no_common_ticket"
    ALL_TIES = "all_ties"
    MISSING_SCORES = "missing_scores"
    ONE_RATER = "one_rater"
    NO_VARIATION = "no_variation"
    COUNTS_ONLY = "counts_only"
    ONE_SLOT = "one_slot"


class Interval(Frozen):
    """A confidence interval. `method`: ``bca``, ``percentile`` (bootstrap), ``t``, or ``betting`` (at every look)."""

    lower: float
    upper: float
    level: float
    method: Literal["bca", "percentile", "t", "betting"]


class Size(Frozen):
    """How much stands behind a figure. A rating is one rater's scores of one answer."""

    tickets: int
    ratings: int
    raters: int


class StudyRef(Frozen):
    """The study that the results are of. `counts_only`: its counts were published, not its tickets."""

    name: str
    title: str
    description: str
    is_read_only: bool
    counts_only: bool


class Filters(Frozen):
    """What was asked for. `candidates` are ids; days are UTC, both included."""

    candidates: list[str] = []
    rater: UUID | None = None
    source: str | None = None
    language: str | None = None
    first_day: date | None = None
    last_day: date | None = None


class Choice(Frozen):
    """A value that a filter can take, and what to show for it."""

    value: str
    label: str
    ratings: int


class Choices(Frozen):
    """What can be filtered by, over the whole study."""

    candidates: list[Choice] = []
    raters: list[Choice] = []
    sources: list[Choice] = []
    languages: list[Choice] = []
    first_day: date | None = None
    last_day: date | None = None


class MetricWeight(Frozen):
    """A metric with the weight that these results use, and the study's own."""

    key: str
    weight: float
    own_weight: float


class MetricResult(Frozen):
    """One candidate on one metric.

    `counts[i]` is how often score lowest + i was given; `mean_of_scores` is the plain mean over these;
    `contribution` is weight times mean; `negative` the share of scores below the study's `positive_from`.
    """

    metric: str
    counts: list[int]
    tickets: int
    mean: float | None
    interval: Interval | None
    mean_of_scores: float | None
    contribution: float | None
    negative: float | None


class CandidateResult(Frozen):
    """One candidate. `snapshots` above one: its adapter, prompt or settings changed during the study.

    `weighted` is the sum over metrics of weight times mean; its interval and `weighted_tickets` are those of the
    tickets that have every metric. `negative` and `positive` are pooled over all scores of all metrics.
    """

    id: str
    key: str
    name: str
    snapshots: int
    tickets: int
    ratings: int
    metrics: list[MetricResult]
    weighted: float | None
    weighted_tickets: int
    interval: Interval | None
    negative: float | None
    positive: float | None
    reason: Reason | None


class Difference(Frozen):
    """First candidate minus second on one metric ('' is the weighted score), paired by ticket.

    `p` is Wilcoxon's signed-rank test (Pratt); `p_holm` is corrected over the pairs of this metric.
    """

    metric: str
    tickets: int
    mean: float | None
    interval: Interval | None
    p: float | None
    p_holm: float | None
    wins: int
    ties: int
    losses: int
    reason: Reason | None


class PairResult(Frozen):
    """Two candidates on the tickets that both have. `always` is the interval that holds however often one looks.

    `more_tickets` is how many more it takes at this difference and spread until `always` leaves out zero.
    """

    first: str
    second: str
    weighted: Difference
    metrics: list[Difference]
    always: Interval | None
    more_tickets: int | None


class Friedman(Frozen):
    """Friedman's test over the tickets that have every candidate: do they differ at all? `metric` '' is weighted."""

    metric: str
    tickets: int
    statistic: float | None
    degrees: int | None
    p: float | None
    reason: Reason | None


class Verdict(Frozen):
    """Whether the leading candidate is better than all others, at an error rate of 5% under continuous looking.

    `closest` is the candidate that stands nearest to being the better one; difference, interval and tickets are the
    leader's against it. `more_tickets` null with status `open`: no number can be told.
    """

    status: Literal["decided", "open", "unknown"]
    leader: str | None
    closest: str | None
    difference: float | None
    interval: Interval | None
    tickets: int
    more_tickets: int | None
    compared: int
    reason: Reason | None


class Span(Frozen):
    """Weights of a metric, from … to (the others keep their proportions), for which `leader` leads."""

    lower: float
    upper: float
    leader: str


class Sensitivity(Frozen):
    """How the leader depends on the weight of one metric."""

    metric: str
    weight: float
    spans: list[Span]


class Agreement(Frozen):
    """Krippendorff's ordinal alpha on one metric, over answers that several raters scored."""

    metric: str
    alpha: float | None
    interval: Interval | None
    answers: int
    scores: int
    reason: Reason | None


class RaterResult(Frozen):
    """One rater. `severity` is how far above (+, lenient) or below (-, severe) the other raters of the same answers;
    `spread` the standard deviation of that (small: consistent); both over `shared` answers. `seconds` is the
    geometric mean of the time per rating."""

    id: str
    name: str
    ratings: int
    mean: float | None
    shared: int
    severity: float | None
    interval: Interval | None
    spread: float | None
    seconds: float | None
    reason: Reason | None


class SlotResult(Frozen):
    """How far answers shown in this place score above the same rater's mean for the ticket, candidates balanced."""

    slot: str
    ratings: int
    effect: float | None
    interval: Interval | None
    reason: Reason | None


class TrendPoint(Frozen):
    """One day (UTC) of one candidate: mean of that day's weighted scores, and of all up to that day."""

    day: date
    candidate: str
    ratings: int
    mean: float
    so_far: float


class TodoItem(Frozen):
    """A category of tickets: on how many the leader failed on the key metric."""

    category: str
    tickets: int
    failed: int


class Todo(Frozen):
    """The help centre's to-do list: where the candidate (the leader) failed on `metric`."""

    candidate: str | None
    metric: str | None
    items: list[TodoItem]


class PrintedFigure(Frozen):
    """A figure as the study printed it, beside what its own counts give."""

    kind: Literal["mean", "weighted_mean", "negative", "positive"]
    candidate: str
    metric: str | None
    printed: float
    computed: float
    agrees: bool
    scores: int
    stated_scores: int


class ResultsPublic(Frozen):
    """GET /api/results."""

    study: StudyRef
    version: str
    lowest: int
    highest: int
    positive_from: int
    metrics: list[MetricWeight]
    filters: Filters
    choices: Choices
    size: Size
    candidates: list[CandidateResult]
    pairs: list[PairResult]
    friedman: list[Friedman]
    verdict: Verdict
    sensitivity: list[Sensitivity]
    agreement: list[Agreement]
    raters: list[RaterResult]
    slots: list[SlotResult]
    trend: list[TrendPoint]
    todo: Todo
    printed: list[PrintedFigure]


class RatedAnswer(Frozen):
    """An answer behind a figure. Texts are plain text, personal data already replaced."""

    answer_id: UUID
    ticket_id: UUID
    subject: str
    question: str
    category: str | None
    source: str
    candidate: str
    answer: str
    rater: str
    scores: dict[str, int]
    comment: str
    rated_at: datetime


class RatedAnswers(Frozen):
    """GET /api/results/answers: newest first. `next_offset` is null on the last page."""

    answers: list[RatedAnswer]
    next_offset: int | None = Field(default=None)
