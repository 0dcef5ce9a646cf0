"""The one base of every error that a user may see.

A domain error carries a sentence for the person who meets it, and the HTTP status that one handler in
`backend.errors` turns it into. Its text never holds a ticket's, an answer's or a person's words.
"""

from typing import ClassVar


class ReplybenchError(Exception):
    """Base of all domain errors.

    Class attributes:
        status_code: the HTTP status of the response that tells of it.
        code: a stable machine-readable name, in snake_case.
    """

    status_code: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str) -> None:
        """`message` says what happened and what to do; it is shown as it is."""
        super().__init__(message)
        self.message = message
        #: Set by a client when the error came over HTTP: what to quote when asking for help.
        self.request_id: str | None = None


class InvalidInput(ReplybenchError):
    """The caller sent something that cannot be used as it is."""

    status_code = 422
    code = "invalid_input"


class NotFound(ReplybenchError):
    """The thing asked for is not there (or not for this caller, which looks the same on purpose)."""

    status_code = 404
    code = "not_found"


class Conflict(ReplybenchError):
    """The request is fine, but not in the present state of the thing."""

    status_code = 409
    code = "conflict"


class NotAllowed(ReplybenchError):
    """The caller is known but may not do this."""

    status_code = 403
    code = "not_allowed"


class NotSignedIn(ReplybenchError):
    """The caller sent no valid key."""

    status_code = 401
    code = "not_signed_in"


class Busy(ReplybenchError):
    """No place is free just now; `retry_after_s` says when to try again."""

    status_code = 429
    code = "busy"

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        """`retry_after_s` (seconds) becomes the Retry-After header."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(ReplybenchError):
    """A part that this needs (database, model, provider) is away."""

    status_code = 503
    code = "unavailable"


class ConfigError(ReplybenchError):
    """A setting, lineup or recipe is wrong; the message names the file, the key and what would be right."""

    code = "config_error"
