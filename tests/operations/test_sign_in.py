"""Who somebody is and what they may, from an ID token; and where the console may listen without one."""

import pickle
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.backend_client import BackendClient
from console.person import Person
from console.settings import ConsoleSettings
from console.sign_in import check_address, claimed, person_of
from replybench.errors import ConfigError

TOKEN = {"iss": "https://id.example", "sub": "42", "name": "Olena  Koval", "email": "Olena@Example.org"}


def settings(**values: Any) -> ConsoleSettings:
    return ConsoleSettings(_env_file=None, **values)


@pytest.mark.parametrize(
    ("claims", "values", "role"),
    [
        ({}, {}, "manager"),
        ({"roles": ["lead"]}, {}, "lead"),
        ({"roles": "ADMIN"}, {}, "admin"),
        ({"roles": ["manager", "admin", "lead"]}, {}, "admin"),
        ({"roles": ["leader", "administrator"]}, {}, "manager"),
        ({"realm_access": {"roles": ["lead"]}}, {"role_claim": "realm_access.roles"}, "lead"),
        ({}, {"leads": ("olena@example.org",)}, "lead"),
        ({}, {"admins": ("OLENA@example.org",)}, "admin"),
        ({"email_verified": False}, {"admins": ("olena@example.org",)}, "manager"),
        ({"email": None}, {"admins": ("",)}, "manager"),
    ],
)
def test_a_role_comes_from_a_claim_or_a_list(claims: dict[str, object], values: dict[str, object], role: str) -> None:
    person = person_of({**TOKEN, **claims}, settings(**values))
    assert (str(person), person.role, person.id) == ("Olena Koval", role, "https://id.example|42")


def test_a_token_of_nobody_is_refused_and_a_nameless_one_still_has_a_name() -> None:
    with pytest.raises(ConfigError, match="sub"):
        person_of({"name": "Olena"}, settings())
    assert person_of({"sub": "42"}, settings()) == Person.known("42", identity="|42", role="manager")
    assert claimed({"roles": {"lead": True}}, "roles.lead.more") == set()


def test_two_people_of_one_name_are_two() -> None:
    one, other = (Person.known("Olena", identity=identity, role="manager") for identity in ("a", "b"))
    assert one != other
    assert one != "Olena"
    assert len({one, other, "Olena"}) == 3
    again = pickle.loads(pickle.dumps(one))  # noqa: S301  # our own
    assert (again, again.id, again.role) == (one, "a", "manager")


def test_the_client_says_who_acts_also_where_a_call_does_not_name_them() -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, json={})

    olena = Person.known("Олена", identity="https://id.example|4 2", role="lead")
    present: list[str | None] = [olena, "Marek", None]
    client = BackendClient(settings(api_key="k"), httpx.MockTransport(answer), present=lambda: present.pop(0))
    for _ in range(3):
        client.fetch("/api/results", {})
    assert seen[0]["X-Rater"] == "%D0%9E%D0%BB%D0%B5%D0%BD%D0%B0"
    assert (seen[0]["X-Role"], seen[0]["X-Rater-Id"]) == ("lead", "https://id.example|4%202")
    assert (seen[1]["X-Rater"], seen[1].get("X-Role")) == ("Marek", None)
    assert "X-Rater" not in seen[2]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_without_a_provider_loopback_is_fine(host: str) -> None:
    check_address(host, settings())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "replybench.example"])  # noqa: S104  # is refused
def test_without_a_provider_nothing_else_is(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="OIDC_FILE"):
        check_address(host, settings())
    check_address(host, settings(trust_network=True))
    with pytest.raises(ConfigError, match="no such file"):
        check_address(host, settings(oidc_file=tmp_path / "oidc.toml"))
    (tmp_path / "oidc.toml").touch()
    check_address(host, settings(oidc_file=tmp_path / "oidc.toml"))
