"""The `replybench` command. Each command is a module of `replybench.commands`, imported when it is called.

Importing lazily keeps `replybench --help` instant and lets the console's image run without torch.
"""

import difflib
import importlib
import importlib.util
import sys

import typer

from replybench import __version__
from replybench.errors import ReplybenchError

#: command name → (module under replybench.commands, one line of help). A module has `app: typer.Typer`
#: (for a command with sub-commands) or `command` (a function that Typer can run).
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Start everything on this machine: database, backend, console."),
    "serve": ("serve", "Start the backend alone."),
    "console": ("console", "Start the console alone."),
    "ask": ("ask", "Ask the running stack and print the answers as they come."),
    "db": ("database", "Migrate the database, or start the embedded one."),
    "model": ("model", "Fetch, verify and convert the embedded model."),
    "models": ("models", "Show what is loaded, what it takes, and what answers whom."),
    "lineup": ("lineup", "Show the lineups, and change to another without stopping."),
    "articles": ("articles", "Load or show the help centre for grounded candidates."),
    "export": ("export", "Export the help centre and the ticket history from the helpdesk."),
    "prepare": ("prepare", "Clean, redact, label and split an export."),
    "redact": ("redact", "Replace personal data in {id,text} lines by placeholders."),
    "train": ("train", "Fine-tune an adapter by a recipe."),
    "runs": ("runs", "List the training runs."),
    "register": ("register", "Make a run's adapter a candidate of a lineup."),
    "push": ("push", "Push a run's adapter and card to the Hugging Face Hub."),
    "preferences": ("preferences", "Turn ratings into training pairs."),
    "challenge": ("challenge", "Queue the same tickets blind with the old and the new adapter."),
    "promote": ("promote", "Put a run's adapter in the old one's place, if the verdict favours it."),
    "queue": ("queue", "Fill a study's queue of tickets, and see how far it is."),
    "report": ("report", "Write a study's results as HTML, XLSX or JSON."),
    "import": ("import_", "Import ratings that were collected elsewhere."),
    "keys": ("keys", "Make, list and revoke the keys of API clients."),
    "backup": ("backup", "Write everything that the database holds to a file."),
    "restore": ("restore", "Bring a backup back, checked, into an empty database."),
    "purge": ("purge", "Remove old texts and keep the figures."),
    "forget": ("forget", "Erase a person."),
    "audit": ("audit", "Show who changed a rating, a study, a key."),
}


def main(argv: list[str] | None = None) -> None:
    """Run one command; a domain error ends it with its sentence and exit status 1, no traceback."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(overview())
        return
    name = arguments[0]
    if name == "--version":
        sys.stdout.write(f"replybench {__version__}\n")
        return
    if name not in available():
        near = difflib.get_close_matches(name, available(), n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        sys.stderr.write(f"replybench: there is no command '{name}'.{hint} See replybench --help.\n")
        sys.exit(2)
    try:
        load(name)(args=arguments[1:], prog_name=f"replybench {name}")
    except ReplybenchError as error:
        sys.stderr.write(f"replybench: {error.message}\n")
        sys.exit(1)


def available() -> list[str]:
    """Return the names of the commands that this installation has, in the order of the work."""
    return [
        name
        for name, (module, _) in COMMANDS.items()
        if importlib.util.find_spec(f"replybench.commands.{module}") is not None
    ]


def load(name: str) -> typer.Typer:
    """Import one command's module and return its Typer application."""
    module = importlib.import_module(f"replybench.commands.{COMMANDS[name][0]}")
    if hasattr(module, "app"):
        app: typer.Typer = module.app
        return app
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(module.command)
    return app


def overview() -> str:
    """Return the list of commands, made without importing any of them."""
    lines = [f"  {name:<12} {COMMANDS[name][1]}" for name in available()]
    return "\n".join(
        [
            "Usage: replybench COMMAND [OPTIONS]",
            "",
            "Commands:",
            *lines,
            "",
            "replybench COMMAND --help tells more.",
            "",
        ]
    )
