"""Sign-in by OpenID Connect, through Streamlit's own `st.login`; without a provider, local mode.

The provider is named in a file in Streamlit's form (`[auth]`), given by OIDC_FILE, so that its secrets stay in a
file. A person's role comes from a claim, or from the lists of leads and admins; whoever is in neither is a manager.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

import streamlit as st

from console import state
from console.i18n import _
from console.person import Person, Role
from console.settings import ConsoleSettings, console_settings
from replybench.errors import ConfigError

_RANKS: tuple[Role, ...] = ("manager", "lead", "admin")
#: Pages that show others' ratings, or who wrote what; the backend refuses them to managers as well.
FOR_LEADS = frozenset({"results", "studies", "training", "operations"})


def check_address(host: str, settings: ConsoleSettings) -> None:
    """Raise ConfigError if the console, without a provider, would listen where others can reach it."""
    if settings.oidc_file is not None:
        if not settings.oidc_file.is_file():
            raise ConfigError(f"OIDC_FILE names {settings.oidc_file}, and there is no such file.")
        return
    if not settings.trust_network and not _is_loopback(host):
        raise ConfigError(
            f"Without an identity provider anybody who reaches the console is whoever they say, so it does not listen "
            f"on {host}. Set OIDC_FILE (see docs/OPERATIONS.md), or take --host 127.0.0.1; TRUST_NETWORK=true says "
            "that everybody who can reach it may be anybody."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_local() -> bool:
    """Whether there is no provider, and people are who they say."""
    return console_settings().oidc_file is None


def gate() -> None:
    """Let people in who have signed in; show everybody else the door, and end the run."""
    if is_local():
        return
    if not st.user.is_logged_in:
        st.subheader(_("Welcome to Replybench"))
        st.write(_("Sign in with your company's account."))
        st.button(_("Sign in"), on_click=st.login)
        st.stop()
    claims = st.user.to_dict()
    st.session_state[state.RATER_KEY] = person_of(claims, console_settings())


def may_see(page: str) -> bool:
    """Whether the page is for the person at this browser."""
    rater = st.session_state.get(state.RATER_KEY)
    return is_local() or page not in FOR_LEADS or (isinstance(rater, Person) and rater.role != "manager")


def may_change_lineup() -> bool:
    """Whether the person at this browser is an admin, or the console is in local mode."""
    rater = st.session_state.get(state.RATER_KEY)
    return is_local() or (isinstance(rater, Person) and rater.role == "admin")


def person_of(claims: Mapping[str, Any], settings: ConsoleSettings) -> Person:
    """Return whom an ID token speaks of. `iss` and `sub` together are who it is, and stay when a name changes.

    Raises:
        ConfigError: the token names nobody.
    """
    subject = claims.get("sub")
    if not subject:
        raise ConfigError("The identity provider's token has no 'sub'. Its client must be one of OpenID Connect.")
    email = str(claims.get("email") or "")
    name = next((str(claims[key]) for key in ("name", "preferred_username", "email") if claims.get(key)), str(subject))
    return Person.known(
        " ".join(name.split())[:100],
        identity=f"{claims.get('iss', '')}|{subject}",
        role=_role(claims, email if claims.get("email_verified", True) else "", settings),
    )


def _role(claims: Mapping[str, Any], email: str, settings: ConsoleSettings) -> Role:
    named = claimed(claims, settings.role_claim)
    found: set[Role] = {role for role in _RANKS if role in named}
    email = email.casefold()
    if email and email in {entry.casefold() for entry in settings.leads}:
        found.add("lead")
    if email and email in {entry.casefold() for entry in settings.admins}:
        found.add("admin")
    return max(found, key=_RANKS.index, default="manager")


def claimed(claims: Mapping[str, Any], path: str) -> set[str]:
    """Return the values of a claim, which may be a list or a text, and lie deeper (``realm_access.roles``)."""
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    values = value if isinstance(value, list | tuple) else [value]
    return {str(item).casefold() for item in values if item is not None}
