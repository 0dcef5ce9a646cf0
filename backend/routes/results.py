"""GET /api/results and what belongs to it."""

from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from backend.dependencies import DeskDep, SessionDep
from backend.results import report, service
from backend.results.board import Board
from db.queries_results_answers import Behind
from replybench.results_contract import RatedAnswers, ResultsPublic

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


@router.get("/answers")
def answers(
    session: SessionDep,
    query: QueryDep,
    metric: str | None = None,
    lowest: int | None = None,
    highest: int | None = None,
    *,
    failed: bool = False,
    category: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> RatedAnswers:
    """Return the tickets and answers behind a figure: scored lowest … highest on a metric, or failed on it."""
    study = service.find_study(session, query.study)
    service.current_version(session, study)
    behind = Behind(metric, lowest, highest, failed, category)
    return service.answers(session, study, query, behind, limit=limit, offset=offset)


@router.get("/report", response_class=Response)
def report_file(board: BoardDep, query: QueryDep, form: Annotated[report.Format, Query(alias="format")]) -> Response:
    """Return the view as one file."""
    results = board.serve(query).results
    content = report.write(results, form, made_at=datetime.now(UTC))
    headers = {"Content-Disposition": f'attachment; filename="{report.file_name(results, form)}"'}
    return Response(content, media_type=report.MEDIA_TYPES[form], headers=headers)
