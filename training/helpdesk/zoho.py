"""A client of the Zoho Desk API, version 1, that is careful with other people's limits.

It renews its token, waits when it is told to, tries again what failed for a moment, and never has more than a few
requests under way. It stops, and says so, before the day's credits are gone.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from replybench.errors import ConfigError, NotAllowed, NotFound, Unavailable
from training.helpdesk.settings import ZohoSettings

#: Seconds before its end at which a token is renewed, tries of one request, and the longest wait that is waited out.
TOKEN_MARGIN_S = 60
TRIES = 6
LONGEST_WAIT_S = 120.0
#: Credits (X-Rate-Limit-Remaining-v3) that are left to the organisation's other programs.
CREDITS_LEFT = 500

Sleep = Callable[[float], Awaitable[None]]


class OutOfCredits(Unavailable):
    """The day's credits, or the ones that this run may spend, are used up; what was fetched is kept."""

    code = "out_of_credits"


@dataclass(slots=True)
class Spending:
    """What a run may spend: `most` requests in all (None: no limit of ours), leaving `reserve` credits to others."""

    most: int | None = None
    reserve: int = CREDITS_LEFT
    requests: int = 0
    remaining: int | None = None

    def take(self) -> None:
        """Count a request, or raise OutOfCredits if it would be one too many."""
        if self.most is not None and self.requests >= self.most:
            raise OutOfCredits(
                f"Stopped after {self.requests} requests, as many as this run may make. What was fetched is kept; run "
                "the same command again to go on."
            )
        if self.remaining is not None and self.remaining <= self.reserve:
            raise OutOfCredits(
                f"Only {self.remaining} API credits are left today, and {self.reserve} are left to your other "
                f"programs. "
                "What was fetched is kept; run the same command again tomorrow."
            )
        self.requests += 1


@dataclass(slots=True)
class ZohoDesk:
    """The API of one organisation. Use it as an async context manager."""

    settings: ZohoSettings
    spending: Spending = field(default_factory=Spending)
    sleep: Sleep = asyncio.sleep
    transport: httpx.AsyncBaseTransport | None = None
    _client: httpx.AsyncClient = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)
    _token: str | None = field(default=None, init=False)
    _token_until: float = field(default=0.0, init=False)
    _token_lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def __post_init__(self) -> None:
        """Make the connection pool; nothing is sent yet."""
        self._slots = asyncio.Semaphore(self.settings.concurrency)
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(30.0, connect=10.0), transport=self.transport)

    async def __aenter__(self) -> "ZohoDesk":
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def pages(self, path: str, *, first: int, limit: int, **query: str) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the pages of a list: `from` begins at `first`; an empty answer (204) or a short page ends it."""
        at = first
        while True:
            body = await self.get(path, **{"from": str(at), "limit": str(limit), **query})
            rows = body.get("data", []) if body else []
            if rows:
                yield rows
            if len(rows) < limit:
                return
            at += len(rows)

    async def get(self, path: str, **query: str) -> dict[str, Any] | None:
        """Return the JSON of one address under /api/v1, or None for 204.

        Raises:
            OutOfCredits: see `Spending`; also where Zoho's own wait is longer than we wait.
            NotAllowed: the token's scope does not reach that far.
            NotFound: it does not exist (any more).
            Unavailable: Zoho does not answer, after several tries.
        """
        async with self._slots:
            return await self._tried(path, query)

    async def _tried(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        renewed = False
        problem = "it did not answer"
        for attempt in range(TRIES):
            self.spending.take()
            try:
                response = await self._client.get(
                    f"{self.settings.desk}/api/v1{path}", params=query, headers=await self._headers()
                )
            except httpx.TransportError as error:
                problem = f"the connection failed ({type(error).__name__})"
                await self.sleep(_backoff(attempt))
                continue
            self._note(response)
            if response.status_code == 401 and not renewed:
                renewed, self._token = True, None
                continue
            if response.status_code == 429:
                problem = "it asked us to slow down"
                await self._slow_down(response, attempt)
                continue
            if response.status_code >= 500:
                problem = f"it answered {response.status_code}"
                await self.sleep(_backoff(attempt))
                continue
            return _body(response, path)
        raise Unavailable(
            f"Zoho Desk could not be read: {problem}, {TRIES} times ({path}). What was fetched is kept; run the same "
            "command again to go on."
        )

    def _note(self, response: httpx.Response) -> None:
        remaining = response.headers.get("X-Rate-Limit-Remaining-v3", "")
        if remaining.isdigit():
            self.spending.remaining = int(remaining)

    async def _slow_down(self, response: httpx.Response, attempt: int) -> None:
        """Wait as long as Zoho says (credits), or a growing while (too many at once)."""
        told = response.headers.get("Retry-After", "")
        if not told.isdigit():
            await self.sleep(_backoff(attempt))
            return
        wait = float(told)
        if wait > LONGEST_WAIT_S:
            raise OutOfCredits(
                f"Zoho Desk has no API credits left for {wait / 60:.0f} minutes. What was fetched is kept; run "
                f"the same "
                "command again then."
            )
        await self.sleep(wait)

    async def _headers(self) -> dict[str, str]:
        async with self._token_lock:
            if self._token is None or time.monotonic() > self._token_until:
                await self._renew()
            return {"Authorization": f"Zoho-oauthtoken {self._token}", "orgId": self.settings.org_id}

    async def _renew(self) -> None:
        """Fetch an access token with the refresh token. Neither is ever shown."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self.settings.client_id,
            "client_secret": self.settings.client_secret.get_secret_value(),
            "refresh_token": self.settings.refresh_token.get_secret_value(),
        }
        for attempt in range(TRIES):
            try:
                response = await self._client.post(f"{self.settings.accounts}/oauth/v2/token", data=form)
            except httpx.TransportError:
                await self.sleep(_backoff(attempt))
                continue
            if response.status_code >= 500 or response.status_code == 429:
                await self.sleep(_backoff(attempt))
                continue
            body = response.json() if response.content else {}
            if "access_token" not in body:  # Zoho answers 200 with {"error": "invalid_code"}
                raise ConfigError(
                    f"Zoho refused the refresh token ({body.get('error', response.status_code)}). Check "
                    f"ZOHO_CLIENT_ID, "
                    "ZOHO_CLIENT_SECRET and ZOHO_REFRESH_TOKEN, and that ZOHO_DATA_CENTRE is the one of your account."
                )
            self._token = str(body["access_token"])
            self._token_until = time.monotonic() + float(body.get("expires_in", 3600)) - TOKEN_MARGIN_S
            return
        raise Unavailable(f"{self.settings.accounts} could not be reached for a token. Try again later.")


def _backoff(attempt: int) -> float:
    """Return seconds to wait before the next try: 0.5, 1, 2 … 16, a little different each time."""
    return float(min(16.0, 0.5 * 2**attempt) * random.uniform(0.75, 1.25))  # noqa: S311 — jitter, no secret


def _body(response: httpx.Response, path: str) -> dict[str, Any] | None:
    if response.status_code == 204:
        return None
    if response.status_code in {401, 403}:
        raise NotAllowed(
            f"Zoho Desk does not let this token read {path}. The Self Client needs the scopes Desk.tickets.READ, "
            "Desk.articles.READ, Desk.contacts.READ and Desk.basic.READ, and ZOHO_ORG_ID must be your organisation's."
        )
    if response.status_code == 404:
        raise NotFound(f"Zoho Desk has nothing at {path}.")
    if response.status_code >= 400:
        raise Unavailable(f"Zoho Desk refused {path} with status {response.status_code}.")
    try:
        body: dict[str, Any] = response.json()
    except ValueError as error:
        raise Unavailable(f"Zoho Desk's answer to {path} was cut off or is no JSON. Run the command again.") from error
    return body
