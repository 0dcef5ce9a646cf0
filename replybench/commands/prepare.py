"""`replybench prepare`: from a raw export to a clean, private, labelled data set."""

import time
from pathlib import Path
from typing import Annotated

import typer


def command(
    source: Annotated[Path, typer.Option("--in", help="Raw folder: articles.jsonl and tickets.jsonl.")] = Path(
        "data/raw"
    ),
    out: Annotated[Path, typer.Option(help="Where the data set goes; replaced as a whole.")] = Path("data/clean"),
    mapping: Annotated[Path | None, typer.Option(help="TOML file that names the fields of other raw data.")] = None,
    names: Annotated[str, typer.Option(help="How names are found: auto, model or patterns.")] = "auto",
    heldout: Annotated[int, typer.Option(help="Percent of the threads that training never sees.", min=0, max=90)] = 15,
    workers: Annotated[int, typer.Option(help="Processes; 0 means one per core.", min=0)] = 0,
    internal: Annotated[bool, typer.Option(help="Keep articles that only agents may read.")] = False,
    explain: Annotated[
        str | None, typer.Option(help="Show step by step what happens to this ticket or article.")
    ] = None,
) -> None:
    """Clean, redact, label and split an export. Nothing is written if it does not end well."""
    from replybench.errors import InvalidInput
    from replybench.redaction import presidio
    from training.helpdesk.mapping import load_mapping
    from training.prepare import pipeline

    if names not in {"auto", "model", "patterns"}:
        raise InvalidInput(f"--names is auto, model or patterns, not '{names}'.")
    options = pipeline.Options(
        names=names,  # type: ignore[arg-type]  # checked above
        heldout_percent=heldout,
        include_internal=internal,
        mapping=load_mapping(mapping) if mapping else None,
        **({"workers": workers} if workers else {}),
    )
    presidio.load_alone()
    if explain:
        from training.prepare.explain import explain as explained

        typer.echo(explained(explain, source, out, options))
        return
    _run(source, out, options)


def _run(source: Path, out: Path, options: "pipeline.Options") -> None:  # type: ignore[name-defined]  # noqa: F821 — imported lazily, above
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from training.prepare.pipeline import prepare

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task("Reading", total=None)
        figures = prepare(
            source, out, options, lambda what, done, of: bar.update(task, description=what, completed=done, total=of)
        )
    seconds = time.monotonic() - began
    report = figures.as_dict()
    rate = figures.tickets_read / seconds if seconds else 0.0
    typer.echo(
        f"{figures.articles} articles and {figures.threads} threads in {out}; fingerprint {figures.fingerprint[:12]}…"
    )
    typer.echo(f"  outcomes   {_told(report['threads']['by_outcome'])}")
    typer.echo(f"  split      {_told(report['threads']['by_split'])}")
    typer.echo(
        f"  dropped    {_told({**report['threads']['dropped']})}; articles: {_told(report['articles']['dropped'])}"
    )
    typer.echo(f"  replaced   {_told(report['redactions'])}")
    typer.echo(
        f"  {figures.tickets_read} tickets in {seconds:.0f} s, {rate:.1f} a second. {out / 'REPORT.md'} tells more."
    )
    if figures.name_mode == "patterns":
        from replybench.redaction import Redactor

        typer.echo(f"Note: {Redactor('patterns').notice}", err=True)


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1])) or "none"
