"""Every endpoint of the OpenAPI, without a key, with a revoked key, with the wrong scope, with too low a role."""

import re
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine

from backend.security import keys
from backend.security.permissions import RULES, SCOPES, Role, Rule, Scope, as_markdown, check_complete
from db.session import session_scope
from replybench.errors import ConfigError
from tests.operations.conftest import FIRST_KEY, bearer, made_key


def endpoints(app: FastAPI) -> list[tuple[str, str, Rule]]:
    return [
        (method.upper(), re.sub(r"\{\w+\}", str(uuid4()), path), RULES[method.upper(), path])
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]


async def status(client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]) -> int:
    return (
        await client.request(method, path, headers=headers, json={} if method in {"POST", "PUT"} else None)
    ).status_code


async def test_nobody_gets_in_without_a_valid_key(app: FastAPI, client: httpx.AsyncClient, db_engine: Engine) -> None:
    revoked = made_key(db_engine, "admin")
    with session_scope(db_engine) as session:
        keys.revoke(session, "made")
    walked = 0
    for method, path, rule in endpoints(app):
        for headers in (
            {},
            bearer(revoked, "Olena"),
            bearer("rb_never-made", "Olena"),
            {"Authorization": "Basic eA=="},
        ):
            got = await status(client, method, path, headers)
            assert (got == 401) == rule.needs_key, (method, path, headers, got)
            walked += 1
    assert walked >= 4 * 15


async def test_every_scope_opens_what_the_table_says_and_nothing_else(
    app: FastAPI, client: httpx.AsyncClient, db_engine: Engine
) -> None:
    for scope in SCOPES:
        key = made_key(db_engine, scope, name=scope)
        for method, path, rule in endpoints(app):
            # A key that acts for people and names no role is a manager's.
            may = rule.scope is None or scope in {rule.scope, Scope.ADMIN}
            got = await status(client, method, path, bearer(key, "Olena"))
            assert (got == 403) == (rule.needs_key and not may), (scope, method, path, got)
            assert got < 500 or path == "/readyz", (scope, method, path, got)


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_is_a_ceiling_whatever_the_key_may(role: Role, app: FastAPI, client: httpx.AsyncClient) -> None:
    for method, path, rule in endpoints(app):
        got = await status(client, method, path, bearer(FIRST_KEY, "Olena", X_Role=role.name.lower()))
        assert (got == 403) == (rule.needs_key and role < rule.role), (role, method, path, got)


async def test_the_console_key_without_a_role_is_a_manager(client: httpx.AsyncClient, db_engine: Engine) -> None:
    key = made_key(db_engine, "suggest", "rate", "results", "operate", "act_as")
    assert await status(client, "GET", "/api/results", bearer(key, "Olena")) == 403
    assert await status(client, "GET", "/api/results", bearer(key, "Olena", X_Role="lead")) == 200
    assert await status(client, "GET", "/api/results", bearer(key, "Olena", X_Role="queen")) == 422


async def test_a_widget_key_reads_no_results_and_cannot_make_itself_a_lead(
    client: httpx.AsyncClient, db_engine: Engine
) -> None:
    key = made_key(db_engine, "suggest", "rate")
    for path in ("/api/results", "/api/training/runs", "/api/operations", "/metrics"):
        assert await status(client, "GET", path, bearer(key, "Olena")) in {403, 404}, path
    assert await status(client, "GET", "/api/results", bearer(key, "Olena")) == 403
    refused = await client.get("/api/suggestions", headers=bearer(key, "Olena", X_Role="admin"))
    assert refused.status_code == 403
    assert "act_as" in refused.json()["message"]
    refused = await client.get("/api/suggestions", headers=bearer(key, "Olena", X_Rater_Id="somebody-else"))
    assert refused.status_code == 403


async def asked(client: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, object]:
    response = await client.post("/api/suggestions", json={"text": "How do I get my money back?"}, headers=headers)
    assert response.status_code == 202, response.text
    suggestion: dict[str, object] = response.json()
    await client.get(f"/api/suggestions/{suggestion['id']}/events", headers=headers)
    whole: dict[str, object] = (await client.get(f"/api/suggestions/{suggestion['id']}", headers=headers)).json()
    return whole


SCORES = {"scores": {"content": 4, "grammar": 5, "structure": 3, "style": 2}, "comment": "only for my lead"}


async def test_a_manager_sees_neither_others_ratings_nor_names(client: httpx.AsyncClient, db_engine: Engine) -> None:
    key = made_key(db_engine, "suggest", "rate", "results", "act_as")
    olena, marek = (bearer(key, name, X_Role="manager") for name in ("Olena", "Marek"))
    suggestion = await asked(client, olena)
    answers = suggestion["answers"]
    assert isinstance(answers, list)
    for answer in answers:
        stored = await client.put(f"/api/answers/{answer['id']}/rating", json=SCORES, headers=olena)
        assert stored.status_code == 200
    own = (await client.get(f"/api/suggestions/{suggestion['id']}", headers=olena)).json()
    assert own["is_revealed"], "the one who rated everything is told the names"
    seen = await client.get(f"/api/suggestions/{suggestion['id']}", headers=marek)
    assert "only for my lead" not in seen.text
    assert "Script one" not in seen.text
    assert all(a["rating"] is None and a["candidate"] is None for a in seen.json()["answers"])
    chosen = await client.post("/api/suggestions", json={"text": "x", "candidates": ["one"]}, headers=marek)
    assert chosen.status_code == 403, "who chooses the candidate knows who answers"
    lead = bearer(key, "Ira", X_Role="lead")
    chosen = await client.post("/api/suggestions", json={"text": "x", "candidates": ["one"]}, headers=lead)
    assert chosen.status_code == 202


async def test_a_key_that_may_not_act_for_others_cannot_borrow_their_names(
    client: httpx.AsyncClient, db_engine: Engine
) -> None:
    console = made_key(db_engine, "suggest", "rate", "act_as", name="console")
    widget = made_key(db_engine, "suggest", "rate", name="widget")
    suggestion = await asked(client, bearer(console, "Olena"))
    assert (await client.get("/api/suggestions", headers=bearer(console, "olena"))).json()["suggestions"]
    assert not (await client.get("/api/suggestions", headers=bearer(widget, "Olena"))).json()["suggestions"]
    answers = suggestion["answers"]
    assert isinstance(answers, list)
    for answer in answers:
        await client.put(f"/api/answers/{answer['id']}/rating", json=SCORES, headers=bearer(console, "Olena"))
    seen = (await client.get(f"/api/suggestions/{suggestion['id']}", headers=bearer(widget, "Olena"))).json()
    assert not seen["is_revealed"]


async def test_two_people_of_one_name_are_told_apart_by_the_identity_providers_id(
    client: httpx.AsyncClient, db_engine: Engine
) -> None:
    key = made_key(db_engine, "suggest", "rate", "act_as")
    await asked(client, bearer(key, "Olena", X_Rater_Id="https://idp|1"))
    first = await client.get("/api/suggestions", headers=bearer(key, "Olena", X_Rater_Id="https://idp|1"))
    second = await client.get("/api/suggestions", headers=bearer(key, "Olena", X_Rater_Id="https://idp|2"))
    assert len(first.json()["suggestions"]) == 1
    assert len(second.json()["suggestions"]) == 0


def test_an_endpoint_that_nobody_decided_about_stops_the_start() -> None:
    router = APIRouter()
    router.get("/api/forgotten")(lambda: None)
    application = FastAPI()
    application.include_router(router)
    paths = application.openapi()["paths"]
    with pytest.raises(ConfigError, match="GET /api/forgotten"):
        check_complete([(method.upper(), path) for path, methods in paths.items() for method in methods])


def test_the_document_shows_the_table_that_is_enforced() -> None:
    document = (Path(__file__).parents[2] / "docs" / "PERMISSIONS.md").read_text("utf-8")
    assert as_markdown() in document, "run: python -m backend.security.permissions > docs/PERMISSIONS.md"
