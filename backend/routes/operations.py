"""For those who run it: the state of operations, and metrics for Prometheus."""

from fastapi import APIRouter, Response

from backend.dependencies import DeskDep, SessionDep, SettingsDep
from backend.services import operations
from replybench.operations_contract import OperationsPublic

router = APIRouter(tags=["operations"])


@router.get("/api/operations")
def state(desk: DeskDep, session: SessionDep, settings: SettingsDep) -> OperationsPublic:
    """Return which candidates are up, how fast they were in the last 24 hours, and how long the queue is."""
    return operations.operations(session, desk, settings.max_waiting)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(desk: DeskDep) -> Response:
    """Return this process's metrics in Prometheus's text format."""
    return Response(operations.exposition(desk), media_type="text/plain; version=0.0.4; charset=utf-8")
