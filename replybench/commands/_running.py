"""How the operator's commands reach the running backend."""

from typing import Any

import httpx

from replybench.errors import ConfigError, ReplybenchError, Unavailable

_SWITCH_S = 900.0


class _Told(ReplybenchError):
    """What the backend said."""


def call(method: str, path: str, *, url: str | None, api_key: str | None, body: dict[str, Any] | None = None) -> Any:
    """Return the running backend's JSON.

    Args:
        url: its address; the local stack's if None.

    Raises:
        ConfigError: no backend is known.
        Unavailable: it does not answer.
        ReplybenchError: what it refused, in its words.
    """
    if url is None:
        from replybench.stack import running_stack

        stack = running_stack()
        if stack is None:
            raise ConfigError("Nothing runs from this folder. Start it with 'replybench demo', or give --url.")
        url, api_key = stack.backend_url, api_key or stack.api_key
    try:
        response = httpx.request(
            method, f"{url}{path}", json=body, headers={"Authorization": f"Bearer {api_key}"}, timeout=_SWITCH_S
        )
    except httpx.HTTPError as error:
        raise Unavailable(f"The backend at {url} does not answer ({type(error).__name__}).") from error
    if response.is_success:
        return response.json()
    try:
        message = str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = f"The backend answered with status {response.status_code}."
    raise _Told(message)
