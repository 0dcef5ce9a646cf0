"""`replybench preferences`: a study's ratings become training pairs and labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer


def command(
    study: Annotated[str, typer.Option(help="The study whose ratings are used.")],
    out: Annotated[Path, typer.Option(help="Where pairs.jsonl, labels.jsonl and report.json go.")] = Path(
        "data/preferences"
    ),
    threads: Annotated[
        Path | None, typer.Option(help="A prepared folder: its threads' success and failure become labels too.")
    ] = None,
    min_margin: Annotated[float, typer.Option(help="Least difference of weighted scores for a pair.", min=0)] = 0.5,
    min_agreement: Annotated[float, typer.Option(help="Least share of raters who agree.", min=0, max=1)] = 0.75,
    min_positive: Annotated[
        float, typer.Option(help="Least share of positive scores of a good answer.", min=0.5, max=1)
    ] = 0.75,
    names: Annotated[str, typer.Option(help="How names are found: auto, model or patterns.")] = "auto",
) -> None:
    """Write pairs (better against worse, corrected against original) and labels (good, bad) from ratings."""
    from db.session import connect
    from replybench.errors import ConfigError
    from replybench.redaction import Redactor
    from training.preferences.pairs import Rules
    from training.preferences.studies import export_preferences
    from training.settings import TrainingSettings

    url = TrainingSettings().database()
    if url is None:
        raise ConfigError("No database: set DATABASE_URL, or start the demo first.")
    redactor = Redactor(names=names)  # type: ignore[arg-type]  # the redactor checks it
    rules = Rules(min_margin=min_margin, min_agreement=min_agreement, min_positive=min_positive)

    def redact(texts: Sequence[str]) -> list[str]:
        return [found.text for found in redactor.redact_ticket(list(texts))]

    report = export_preferences(connect(url, pool_size=1), study, out, rules, redact, threads=threads)
    typer.echo(f"{report['ratings']} ratings of {report['tickets']} tickets → {out}")
    typer.echo(f"  pairs   {_counts(report['pairs'])}")
    typer.echo(f"  labels  {_counts(report['labels'])}")
    for reason, count in report["left_out"].items():
        typer.echo(f"  left out  {count:4}  {reason}")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
