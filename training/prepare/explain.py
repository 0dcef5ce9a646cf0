"""`replybench prepare --explain`: what happens to one ticket or article, step by step, without its personal data."""

import json
from pathlib import Path

from replybench.errors import NotFound
from training.dataset import THREADS_FILE, Article, Thread
from training.helpdesk.raw import RawArticle, RawTicket, read_tickets
from training.prepare import output
from training.prepare.cleaning import Dropped, Tools, Trace, clean_article, clean_ticket
from training.prepare.pipeline import Options, settings_of
from training.prepare.workers import clean_one


def explain(name: str, source: Path, target: Path, options: Options) -> str:
    """Return the way of the ticket or article with id `name` through the steps.

    What was removed is counted and never shown; what stays is shown after redaction.

    Raises:
        NotFound: the raw folder has neither a ticket nor an article of this id.
    """
    settings, articles = settings_of(source, options)
    tools = Tools.of(settings)
    parts = [_article(article, tools) for article in articles if article.id == name]
    parts += [_ticket(ticket, tools) for ticket in read_tickets(source, options.mapping) if ticket.id == name]
    if not parts:
        raise NotFound(f"{source} has no ticket and no article with the id {name!r}.")
    if len(parts) > 1:
        parts.insert(0, f"{name} is in the export {len(parts)} times; the fuller one is kept (repeated_id).\n")
    return "\n".join([*parts, _among_others(name, target)])


def _ticket(ticket: RawTicket, tools: Tools) -> str:
    trace: list[Trace] = []
    draft = clean_ticket(ticket, tools, trace)
    lines = [f"Ticket {ticket.id}: {len(ticket.turns)} turns"]
    for row in trace:
        what = ", ".join(f"{kind} {count}" for kind, count in sorted(row.taken.items()))
        change = (
            f"{row.before:>7,} → {row.after:>6,} characters"
            if row.before != row.after
            else f"{row.after:>7,} characters" + " " * 9
        )
        lines.append(f"  {row.step:<12} {change}  {f'DROPPED: {row.dropped}' if row.dropped else what}".rstrip())
    if isinstance(draft, Dropped):
        return "\n".join(lines)
    lines.append(f"  outcome {draft.outcome.outcome} by {draft.outcome.rule}; language {draft.language}")
    thread = clean_one(ticket, tools).thread
    assert thread is not None  # noqa: S101 — it was cleaned a line above
    return "\n".join([*lines, "", thread.study_text()])


def _article(article: RawArticle, tools: Tools) -> str:
    clean = clean_article(article, tools)
    head = f"Article {article.id}: {len(article.html or article.text or ''):,} characters of source"
    if isinstance(clean, Dropped):
        return f"{head}\n  DROPPED: {clean.reason}"
    what = ", ".join(f"{kind} {count}" for kind, count in sorted((clean.taken + clean.redactions).items())) or "nothing"
    row = Article(
        id=article.id, title=article.title, category=article.category, text=clean.text, language=clean.language
    )
    return f"{head}\n  taken out or replaced: {what}; language {clean.language}\n\n{row.study_text()}"


def _among_others(name: str, target: Path) -> str:
    """Return what the last preparation decided by comparing this ticket with the others."""
    dropped = target / output.DROPPED_FILE
    if not dropped.is_file():
        return f"(Not compared with other tickets: {target} has no prepared data yet.)"
    lines = []
    for line in dropped.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["id"] == name:
            of = f" of {row['of']}" if row["of"] and row["of"] != name else ""
            lines.append(f"In {target}: dropped as {row['reason']}{of}.")
    with (target / THREADS_FILE).open("rb") as rows:
        for row in rows:
            thread = Thread.model_validate_json(row)
            if thread.id == name:
                lines.append(f"In {target}: kept, split {thread.split}, in the group of {thread.group}.")
    return "\n".join(lines)
