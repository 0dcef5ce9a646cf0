"""GET /api/results and what belongs to it."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from backend.dependencies import DeskDep
from backend.results import service
from backend.results.board import Board
from replybench.results_contract import ResultsPublic

router = APIRouter(prefix="/api/results", tags=["results"])


def _board(request: Request, desk: DeskDep) -> Board:
    """Return this application's board; the first request makes it."""
    board: Board | None = getattr(request.app.state, "results_board", None)
    if board is None:
        board = request.app.state.results_board = Board(desk.database)
    return board


def _query(
    study: str | None = None,
    candidate: Annotated[list[str], Query(max_length=16)] = [],  # noqa: B006  # FastAPI copies it
    rater: UUID | None = None,
    source: str | None = None,
    language: str | None = None,
    first_day: Annotated[date | None, Query(alias="from")] = None,
    last_day: Annotated[date | None, Query(alias="to")] = None,
    weights: str = "",
) -> service.Query:
    candidates = tuple(sorted({ref for value in candidate for ref in value.split(",") if ref}))
    return service.Query(study, candidates, rater, source, language, first_day, last_day, service.weights_from(weights))


BoardDep = Annotated[Board, Depends(_board)]
QueryDep = Annotated[service.Query, Depends(_query)]


@router.get("", response_model=ResultsPublic, responses={304: {"description": "Not changed since If-None-Match."}})
def results(board: BoardDep, query: QueryDep, if_none_match: Annotated[str, Header()] = "") -> Response:
    """Return everything that the charts and reports show of a study; with If-None-Match, only if it has changed."""
    served = board.serve(query)
    headers = {"ETag": served.etag, "Cache-Control": "no-cache"}
    if served.etag in {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(served.body, media_type="application/json", headers=headers)
