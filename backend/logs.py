"""Structured logs: one JSON object a line, with the request's id. Texts of tickets and answers never get here.

Modules log events and ids, not messages with values in them; what an exception says is left out (it may quote
a parameter of a query), its type and place are kept.
"""

import logging
import sys
import traceback
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

#: Set by the middleware, read by every log line and error of the request.
REQUEST_ID = "request_id"


def configure(level: str) -> None:
    """Send our own logs and the libraries' warnings to standard error as JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_words,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _ToStandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [*(other for other in root.handlers if not isinstance(other, _ToStandardError)), handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("replybench").setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True


class _ToStandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at that moment, not to what it was at the start."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute there
        """Standard error."""
        return sys.stderr


def log() -> structlog.stdlib.BoundLogger:
    """Return the logger of the backend."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("replybench")
    return logger


def _exception_without_words(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and the lines of code that it passed."""
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else (given[1] if isinstance(given, tuple) else sys.exc_info()[1])
    if error is not None:
        event["error"] = type(error).__name__
        event["at"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-6:]
        ]
    return event
