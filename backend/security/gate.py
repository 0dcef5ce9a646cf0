"""The gate that every request with a key passes: who is it, may they, is there room for them."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from backend.security.keys import KeyFacts, Keyring
from backend.security.limits import Limiter
from backend.security.permissions import RULES, Role, Rule, Scope
from replybench.errors import InvalidInput, NotAllowed, NotSignedIn

_PERSON = re.compile(r"^[\x21-\x7e]{1,200}$")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a key, and the role of the person for whom it acts (the highest, where it acts for nobody)."""

    key: KeyFacts
    role: Role
    person: str | None

    @property
    def actor(self) -> str:
        """How the audit trail names it; a rater stands in the rating itself."""
        return f"key:{self.key.name}"

    def require(self, rule: Rule) -> None:
        """Raise NotAllowed unless key and role allow what `rule` asks."""
        if not rule.allows(self.key.scopes, Role.ADMIN):
            raise NotAllowed(f"This key may not do that: it lacks the scope '{rule.scope}'.")
        if not rule.allows(self.key.scopes, self.role):
            raise NotAllowed(f"That is for people with the role {rule.role.name.lower()}. Ask whoever runs Replybench.")

    def name_key(self, name: str) -> str:
        """Return what tells one person from another: the identity provider's id of them where it is known.

        People named by a key without `act_as` are that key's own: it cannot speak for anybody else's.
        """
        if self.person is not None:
            return f"id:{hashlib.sha256(self.person.encode()).hexdigest()}"
        return f"{self.key.namespace}{name.casefold()}"


def signed_in(
    request: Request,
    authorization: Annotated[str, Header()] = "",
    x_role: Annotated[str, Header()] = "",
    x_rater_id: Annotated[str, Header()] = "",
) -> Iterator[Caller]:
    """Let a request with a valid key through to what it may do, and count it until its response has ended.

    Raises:
        NotSignedIn: no key, an unknown or a revoked one.
        NotAllowed: the key or the role does not allow this.
        Busy: the key's limits are reached.
    """
    keyring: Keyring = request.app.state.keyring
    limiter: Limiter = request.app.state.limiter
    scheme, _, secret = authorization.partition(" ")
    facts = keyring.find(secret.strip()) if scheme.lower() == "bearer" and secret.strip() else None
    if facts is None:
        raise NotSignedIn("A valid API key is needed: send the header 'Authorization: Bearer …'.")
    with limiter.admitted(facts.name, facts.rate_per_minute, facts.max_concurrent):
        caller = Caller(facts, _role(facts, x_role), _person(facts, x_rater_id))
        caller.require(_rule_of(request))
        request.state.caller = caller
        yield caller


CallerDep = Annotated[Caller, Depends(signed_in)]


def _rule_of(request: Request) -> Rule:
    path = getattr(request.scope.get("route"), "path", "")
    method = "GET" if request.method == "HEAD" else request.method
    rule = RULES.get((method, path))
    if rule is None:
        raise NotAllowed("Nobody has decided who may use this address, so nobody may.")
    return rule


def _role(facts: KeyFacts, named: str) -> Role:
    if not named:
        # A client that acts for people and forgets to say in which role gets the least; an admin's own key is an admin.
        return Role.MANAGER if facts.may_act_as and Scope.ADMIN not in facts.scopes else Role.ADMIN
    if not facts.may_act_as:
        raise NotAllowed("This key may not say in which role a person acts: it lacks the scope 'act_as'.")
    role = Role.named(named)
    if role is None:
        raise InvalidInput("The header 'X-Role' must be manager, lead or admin.")
    return role


def _person(facts: KeyFacts, given: str) -> str | None:
    if not given:
        return None
    if not facts.may_act_as:
        raise NotAllowed("This key may not say which person acts: it lacks the scope 'act_as'.")
    if not _PERSON.match(given):
        raise InvalidInput("The header 'X-Rater-Id' must be printable ASCII of at most 200 characters.")
    return given
