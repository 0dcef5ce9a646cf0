"""Where containers find secrets: files named like the settings, in one folder."""

from pathlib import Path

_CONTAINERS_KEEP_THEM_IN = Path("/run/secrets")


def secrets_dir() -> Path | None:
    """Return the folder of secret files, or None where there is none."""
    return _CONTAINERS_KEEP_THEM_IN if _CONTAINERS_KEEP_THEM_IN.is_dir() else None
