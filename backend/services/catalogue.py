"""What clients need to know before they ask."""

from pydantic import ValidationError

from backend.services.roster import Roster
from backend.services.views import candidate_public
from replybench.contract import (
    ExampleList,
    ExampleTicket,
    LineupPublic,
    MetricPublic,
    RubricPublic,
)
from replybench.errors import ConfigError
from replybench.lineups import Lineup
from replybench.rubric import Language, rubric


def rubric_public(language: Language) -> RubricPublic:
    """Return the rubric in one language."""
    rules = rubric()
    metrics = []
    for metric in rules.metrics:
        words = metric.text(language)
        metrics.append(MetricPublic(key=metric.key, weight=metric.weight, **words.model_dump()))
    return RubricPublic(language=language, metrics=metrics, **rules.model_dump(exclude={"metrics"}))


def lineup_public(roster: Roster) -> LineupPublic:
    """Return who can answer now."""
    return LineupPublic(
        name=roster.lineup.name,
        title=roster.lineup.title,
        description=roster.lineup.description,
        candidates=[candidate_public(seat.snapshot) for seat in roster.seats],
    )


def examples(lineup: Lineup) -> ExampleList:
    """Return the lineup's tickets to try; none if it names no file.

    Raises:
        ConfigError: the file is missing or one of its lines is not {subject, text}.
    """
    if lineup.examples is None:
        return ExampleList(tickets=[])
    try:
        lines = lineup.examples.read_text("utf-8").splitlines()
        return ExampleList(tickets=[ExampleTicket.model_validate_json(line) for line in lines if line.strip()])
    except (OSError, ValidationError) as error:
        raise ConfigError(f"The example tickets in {lineup.examples} cannot be read.") from error
