"""How much one key may ask: so many requests a minute, so many at once. Each process counts its own."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from replybench.errors import Busy


@dataclass
class _Account:
    """`tokens` requests can be made now; one more comes every 60/rate seconds, up to what a tenth of a minute gives."""

    tokens: float
    at: float
    under_way: int = 0


class Limiter:
    """Counts by the key's name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._lock = threading.Lock()

    @contextmanager
    def admitted(self, name: str, rate_per_minute: int, max_concurrent: int) -> Iterator[None]:
        """Let one request through while the block runs.

        Raises:
            Busy: too many in the last seconds, or too many under way; says when to come again.
        """
        with self._lock:
            account = self._take(name, rate_per_minute, max_concurrent)
        try:
            yield
        finally:
            with self._lock:
                account.under_way -= 1

    def _take(self, name: str, rate_per_minute: int, max_concurrent: int) -> _Account:
        now, burst = self._clock(), max(1.0, rate_per_minute / 10)
        account = self._accounts.setdefault(name, _Account(burst, now))
        account.tokens = min(burst, account.tokens + (now - account.at) * rate_per_minute / 60)
        account.at = now
        if account.under_way >= max_concurrent:
            raise Busy(
                f"This key has {max_concurrent} requests under way, which is its limit. Let some end first.",
                retry_after_s=1,
            )
        if account.tokens < 1:
            wait = ceil((1 - account.tokens) * 60 / rate_per_minute)
            raise Busy(
                f"This key may make {rate_per_minute} requests a minute. Try again in {wait} s.", retry_after_s=wait
            )
        account.tokens -= 1
        account.under_way += 1
        return account
