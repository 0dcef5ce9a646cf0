"""`replybench lineup`: which lineups there are, and changing to one while the backend runs."""

from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Show the lineups, and change to another without stopping.",
)
Url = Annotated[str | None, typer.Option(help="Address of the backend; the local stack's if not given.")]
ApiKey = Annotated[str | None, typer.Option(envvar="API_KEY", help="The backend's API key.")]


@app.command("list")
def list_(url: Url = None, api_key: ApiKey = None) -> None:
    """Name the lineups that lie beside the current one."""
    from replybench.commands._running import call
    from replybench.serving_contract import LineupNames

    found = LineupNames.model_validate(call("GET", "/api/lineups", url=url, api_key=api_key))
    print(f"In use: {found.current}")
    print("\n".join(found.names))


@app.command()
def use(
    name: Annotated[str, typer.Argument(help="File name in the folder of lineups, without .toml.")],
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Change to another lineup: the new one is loaded first, and what the old one has begun, it finishes.

    It holds until the backend is restarted; to keep it, set LINEUP.
    """
    from replybench.commands._running import call
    from replybench.contract import LineupPublic

    found = LineupPublic.model_validate(call("POST", "/api/lineups/use", url=url, api_key=api_key, body={"name": name}))
    print(f"In use: {found.name} ({', '.join(candidate.key for candidate in found.candidates)})")


@app.command()
def reload(url: Url = None, api_key: ApiKey = None) -> None:
    """Read the current lineup's file again (as SIGHUP does)."""
    from replybench.commands._running import call
    from replybench.contract import LineupPublic

    found = LineupPublic.model_validate(call("POST", "/api/lineups/use", url=url, api_key=api_key, body={}))
    print(f"In use: {found.name} ({', '.join(candidate.key for candidate in found.candidates)})")
