"""What clients need to know before they ask: rubric, lineup, example tickets."""

from fastapi import APIRouter

from backend.dependencies import DeskDep
from backend.services import catalogue
from replybench.contract import ExampleList, LineupPublic, RubricPublic
from replybench.rubric import Language

router = APIRouter(tags=["catalogue"])


@router.get("/api/rubric")
def rubric(language: Language = "en") -> RubricPublic:
    """Return the metrics, their weights and their scale texts."""
    return catalogue.rubric_public(language)


@router.get("/api/lineup")
def lineup(desk: DeskDep) -> LineupPublic:
    """Return who can answer now."""
    return catalogue.lineup_public(desk.roster)


@router.get("/api/example-tickets")
def example_tickets(desk: DeskDep) -> ExampleList:
    """Return tickets to try."""
    return catalogue.examples(desk.roster.lineup)
