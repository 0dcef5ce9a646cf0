"""Is the process alive, and can it answer?"""

from fastapi import APIRouter, Response

from backend.dependencies import DeskDep
from backend.services import health
from replybench.contract import Health

router = APIRouter(tags=["health"])


@router.get("/healthz")
def alive() -> Health:
    """Say that the process lives."""
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Health}})
def ready(desk: DeskDep, response: Response) -> Health:
    """Say whether tickets can be answered now, and if not, why."""
    state = health.readiness(desk)
    response.status_code = 200 if state.status == "ok" else 503
    return state
