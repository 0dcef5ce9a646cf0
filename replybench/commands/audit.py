"""`replybench audit`: who changed what."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer


def command(
    since: Annotated[str | None, typer.Option(help="An age, such as 30d or 4w.")] = None,
    entity: Annotated[str | None, typer.Option(help="rating, study, api_key, ticket, rater or database.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 200,
) -> None:
    """Show who changed a rating, a study, a key, or removed texts: one line each, oldest first."""
    from backend.services.keeping import span
    from db import queries_operations
    from replybench.commands._operations import operator_session

    begin = datetime.now(UTC) - span(since) if since else None
    with operator_session() as session:
        for event in queries_operations.events(session, since=begin, entity=entity, limit=limit):
            detail = json.dumps(event.detail, ensure_ascii=False, sort_keys=True)
            print(f"{event.at:%Y-%m-%d %H:%M:%S} {event.actor}  {event.action}  {event.entity_id}  {detail}")
