"""`replybench model`: fetch, verify and convert the embedded model."""

from pathlib import Path
from typing import Annotated

import typer

from replybench.embedded_model import DEFAULT_CACHE, ensure_embedded_model


def command(
    cache: Annotated[Path, typer.Option(envvar="MODEL_CACHE_DIR", help="Folder that keeps the model.")] = DEFAULT_CACHE,
) -> None:
    """Make the embedded model ready to load; at once if it is already."""
    print(ensure_embedded_model(cache, lambda line: print(line, flush=True)))
