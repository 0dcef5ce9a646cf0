"""What is loaded, and changing it while the service runs."""

from fastapi import APIRouter

from backend.dependencies import DeskDep, SwitchDep
from backend.services import catalogue, switching
from replybench.contract import LineupPublic
from replybench.serving_contract import EngineList, EnginePublic, LineupNames, LineupUse

router = APIRouter(tags=["lineups"])


@router.get("/api/engines")
def engines(desk: DeskDep) -> EngineList:
    """Return what is loaded in this process, what it takes, and what answers whom."""
    infos = switching.engines(desk.roster)
    return EngineList(
        lineup=desk.roster.lineup.name,
        engines=[EnginePublic.model_validate(info, from_attributes=True) for info in infos],
    )


@router.get("/api/lineups")
def lineups(desk: DeskDep, switch: SwitchDep) -> LineupNames:
    """Return the lineups that can be used."""
    return LineupNames(current=desk.roster.lineup.name, names=switch.names())


@router.post("/api/lineups/use")
async def use(body: LineupUse, switch: SwitchDep) -> LineupPublic:
    """Change to another lineup; returns when the new one answers. What the old one has begun, it finishes."""
    return catalogue.lineup_public(await switch.use(body.name))
