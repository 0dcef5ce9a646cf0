"""`replybench models`: what is loaded, what it takes, and what answers whom."""

from typing import Annotated

import typer


def command(
    url: Annotated[str | None, typer.Option(help="Address of the backend; the local stack's if not given.")] = None,
    api_key: Annotated[str | None, typer.Option(envvar="API_KEY", help="The backend's API key.")] = None,
) -> None:
    """Show the bases and servers of the running backend, their memory, adapters and candidates."""
    from rich.console import Console
    from rich.table import Table

    from replybench.commands._running import call
    from replybench.serving_contract import EngineList

    loaded = EngineList.model_validate(call("GET", "/api/engines", url=url, api_key=api_key))
    table = Table(title=f"Lineup '{loaded.lineup}'", title_justify="left", box=None, pad_edge=False)
    for heading in ("base or server", "device", "MiB", "on it (MiB)", "answers for", "waiting"):
        table.add_column(heading, overflow="fold")
    for engine in loaded.engines:
        memory = "–" if engine.memory_mib is None else f"{engine.memory_mib:.0f}"
        adapters = "\n".join(f"{name} ({mib:.1f})" for name, mib in engine.adapters.items()) or "–"
        keys = "\n".join(engine.candidates)
        table.add_row(engine.title, engine.device, memory, adapters, keys, str(engine.waiting))
    Console(soft_wrap=True).print(table)
