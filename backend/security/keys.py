"""Keys of clients: made once, stored hashed, found again within microseconds, dead within seconds when revoked."""

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy
from pydantic import SecretStr
from sqlmodel import Session

from backend.security.permissions import SCOPES, Scope
from db import queries_operations
from db.models import ApiKey, now
from db.session import session_scope
from replybench.errors import Conflict, InvalidInput, NotFound

#: How long an answer of the database about a key is believed: so soon is a revoked key dead in every process.
BELIEVED_S = 2.0
_REMEMBERED = 4096
_PREFIX = "rb_"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What is known of a valid key. `namespace` keeps the people that it names apart from everybody else's."""

    name: str
    scopes: frozenset[Scope]
    rate_per_minute: int
    max_concurrent: int
    namespace: str = ""

    @property
    def may_act_as(self) -> bool:
        """Whether it is trusted to say who the person is."""
        return bool(self.scopes & {Scope.ACT_AS, Scope.ADMIN})


def digest(secret: str) -> str:
    """Return what is stored of a key. It holds 256 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(secret.encode("utf-8", errors="replace")).hexdigest()


def create(
    session: Session, name: str, scopes: Collection[str], rate_per_minute: int, max_concurrent: int
) -> tuple[ApiKey, str]:
    """Store a new key; return it with its secret, which is not kept anywhere.

    Raises:
        InvalidInput: no scope, or an unknown one.
        Conflict: the name is taken, by a revoked key too (the audit trail speaks of it).
    """
    known = [scope.value for scope in SCOPES]
    unknown = sorted(set(scopes) - set(known))
    if unknown or not scopes:
        wrong = f"There is no scope {', '.join(unknown)}. " if unknown else ""
        raise InvalidInput(f"{wrong}Give at least one --scope of: {', '.join(known)}.")
    if queries_operations.key_by_name(session, name) is not None:
        raise Conflict(f"There is a key '{name}' already. Choose another name.")
    secret = _PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        name=name,
        sha256=digest(secret),
        hint=secret[: len(_PREFIX) + 4],
        scopes=[scope for scope in known if scope in scopes],
        rate_per_minute=rate_per_minute,
        max_concurrent=max_concurrent,
    )
    session.add(key)
    session.flush()
    return key, secret


def revoke(session: Session, name: str) -> ApiKey:
    """End a key for good.

    Raises:
        NotFound: there is none of this name.
        Conflict: it is revoked already.
    """
    key = queries_operations.key_by_name(session, name)
    if key is None:
        raise NotFound(f"There is no key '{name}'. See: replybench keys list")
    if key.revoked_at is not None:
        raise Conflict(f"The key '{name}' was revoked on {key.revoked_at:%Y-%m-%d}.")
    key.revoked_at = now()
    session.add(key)
    session.flush()
    return key


class Keyring:
    """Finds keys. The key of the setting API_KEY is in it without the database, so that the first key can be made."""

    def __init__(
        self,
        database: sqlalchemy.Engine,
        first_key: SecretStr,
        *,
        rate_per_minute: int,
        max_concurrent: int,
        believed_s: float = BELIEVED_S,
    ) -> None:
        self._database = database
        self._first = first_key.get_secret_value().encode()
        self._first_facts = KeyFacts("API_KEY", frozenset({Scope.ADMIN}), rate_per_minute, max_concurrent)
        self._believed_s = believed_s
        self._known: OrderedDict[str, tuple[float, KeyFacts | None]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, secret: str) -> KeyFacts | None:
        """Return what is known of a key, or None if it is not valid (any more).

        Raises:
            Unavailable: the database cannot be asked.
        """
        if hmac.compare_digest(secret.encode("utf-8", errors="replace"), self._first):
            return self._first_facts
        hashed = digest(secret)
        with self._lock:
            until, facts = self._known.get(hashed, (0.0, None))
        if until > time.monotonic():
            return facts
        with session_scope(self._database) as session:
            key = queries_operations.use_key(session, hashed)
            facts = _facts(key) if key else None
        with self._lock:
            self._known[hashed] = (time.monotonic() + self._believed_s, facts)
            self._known.move_to_end(hashed)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return facts


def _facts(key: ApiKey) -> KeyFacts:
    scopes = frozenset(Scope(scope) for scope in key.scopes)
    trusted = scopes & {Scope.ACT_AS, Scope.ADMIN}
    return KeyFacts(key.name, scopes, key.rate_per_minute, key.max_concurrent, "" if trusted else f"key:{key.id}:")
