"""`prepare`: a raw folder in, a prepared data set out, all of it or nothing.

The output is built in a hidden folder beside the place where it goes and takes that place in one step at the end, so
a run that is killed, or finds the disk full, leaves the earlier output as it was; the next run starts clean and ends
with the same bytes. Nothing written depends on time, machine or order of processes.
"""

import errno
import fcntl
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from replybench.errors import ConfigError, Conflict, ReplybenchError, Unavailable
from replybench.redaction import NameMode
from training.dataset import Article, Split, Thread, digest, fingerprint_of
from training.helpdesk.mapping import Mapping
from training.helpdesk.raw import RawArticle, read_articles, read_tickets, ticket_files
from training.prepare import output
from training.prepare.cleaning import Dropped, Settings, Tools, clean_article, public_words
from training.prepare.duplicates import Decision, Entry, decide
from training.prepare.links import LinkBook
from training.prepare.report import Figures
from training.prepare.workers import clean_all

#: Called with (what is done, done, of how many) as the work goes.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose."""

    names: NameMode = "auto"
    heldout_percent: int = 15
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    include_internal: bool = False
    mapping: Mapping | None = None


class _Kept(NamedTuple):
    """Where a cleaned thread waits in the work file, and what decides whether it stays."""

    offset: int
    length: int
    entry: Entry


def prepare(source: Path, target: Path, options: Options, progress: Progress = lambda *_: None) -> Figures:
    """Clean, redact, label, deduplicate and split the export in `source`; write it to `target`.

    Raises:
        ConfigError: a folder or file is missing, or `target` holds something else.
        InvalidInput: a line of the export cannot be read.
        Unavailable: the disk is full, or a worker died.
        Conflict: another run writes to the same place.
    """
    if not source.is_dir():
        raise ConfigError(f"The raw folder {source} does not exist. Make it with `replybench export`.")
    ticket_files(source)
    with _place(target) as folder:
        settings, articles, figures = _articles(source, options)
        output.write_articles(folder, articles)
        total = _count_lines(source)
        kept, reasons = _clean(source, folder, settings, options, figures, total, progress)
        progress("Comparing questions", 0, 1)
        decisions = decide([item.entry for item in kept])
        progress("Writing", 0, 1)
        digests = _write_threads(folder, kept, decisions, options.heldout_percent, figures, reasons)
        figures.fingerprint = fingerprint_of([*map(digest, articles), *digests])
        output.write_dropped(folder, reasons)
        output.write_dataset(folder)
        output.write_report(folder, figures)
        progress("Writing", 1, 1)
    return figures


def settings_of(source: Path, options: Options) -> tuple[Settings, list[RawArticle]]:
    """Return what cleaning needs to know of a raw folder, and its articles."""
    raw = list(read_articles(source, options.mapping))
    book = LinkBook.of(raw)
    bare = Settings(book, names="patterns", include_internal=options.include_internal)
    tools = Tools.of(bare)
    texts = [
        clean.text for clean in (clean_article(article, tools) for article in raw) if not isinstance(clean, Dropped)
    ]
    keep = public_words(f"{article.title}\n{text}" for article, text in zip(raw, texts, strict=False))
    brands = {domain.partition(".")[0] for domain in book.domains}
    return Settings(book, keep | brands, options.names, options.include_internal), raw


def split_of(group: str, heldout_percent: int) -> Split:
    """Return the side of a group of threads: by its hash, so that it never changes when other tickets come."""
    share = int.from_bytes(hashlib.sha256(f"replybench-split:{group}".encode()).digest()[:8]) / 2**64
    return "heldout" if share * 100 < heldout_percent else "train"


def _articles(source: Path, options: Options) -> tuple[Settings, list[Article], Figures]:
    settings, raw = settings_of(source, options)
    tools = Tools.of(settings)
    figures = Figures(name_mode=tools.redactor.mode, heldout_percent=options.heldout_percent)
    latest: dict[str, RawArticle] = {}
    for article in raw:  # of an article exported twice the newer one stays
        old = latest.get(article.id)
        if old is not None:
            figures.articles_dropped["repeated_id"] += 1
        if old is None or (article.updated_at or "") > (old.updated_at or ""):
            latest[article.id] = article
    articles = []
    for article in latest.values():
        clean = clean_article(article, tools)
        if isinstance(clean, Dropped):
            figures.articles_dropped[clean.reason] += 1
            continue
        title = " ".join(article.title.split())
        row = Article(id=article.id, title=title, category=article.category, text=clean.text, language=clean.language)
        articles.append(row)
        figures.add_article(row, clean.taken)
    return settings, articles, figures


def _clean(
    source: Path,
    folder: Path,
    settings: Settings,
    options: Options,
    figures: Figures,
    total: int,
    progress: Progress,
) -> tuple[list[_Kept], list[tuple[str, str, str | None]]]:
    """Clean every ticket into the work file. Returns where each waits, and (id, reason, of) of those that go."""
    best: dict[str, _Kept] = {}
    reasons: list[tuple[str, str, str | None]] = []
    done = 0
    with (folder / output.WORK_FILE).open("wb") as work:
        for result in clean_all(read_tickets(source, options.mapping), settings, options.workers):
            done += 1
            progress("Cleaning tickets", done, total)
            if result.thread is None or result.fingerprint is None:
                reasons.append((result.id, str(result.reason), None))
                continue
            figures.taken.update(result.taken)
            line = result.thread.model_dump_json().encode()
            kept = _Kept(work.tell(), len(line), Entry(result.id, result.fingerprint, result.weight))
            work.write(line)
            old = best.get(result.id)
            if old is not None:
                reasons.append((result.id, "repeated_id", result.id))
            if old is None or kept.entry.weight > old.entry.weight:
                best[result.id] = kept
    figures.tickets_read = done
    return list(best.values()), reasons


def _write_threads(
    folder: Path,
    kept: list[_Kept],
    decisions: dict[str, Decision],
    heldout_percent: int,
    figures: Figures,
    reasons: list[tuple[str, str, str | None]],
) -> Iterator[bytes]:
    """Write the threads that stay, in the order of the export; yield their digests."""
    digests = []
    with (folder / output.WORK_FILE).open("rb") as work, output.ThreadWriter(folder) as writer:
        for item in kept:
            decision = decisions[item.entry.id]
            if decision.reason:
                reasons.append((item.entry.id, decision.reason, decision.of))
                continue
            work.seek(item.offset)
            thread = Thread.model_validate_json(work.read(item.length))
            split = split_of(decision.group, heldout_percent)
            thread = thread.model_copy(update={"group": decision.group, "split": split})
            writer.write(thread)
            figures.add_thread(thread)
            digests.append(digest(thread))
    (folder / output.WORK_FILE).unlink()
    figures.threads_dropped = Counter(reason for _, reason, _ in reasons)
    return iter(digests)


def _count_lines(source: Path) -> int:
    count = 0
    for path in ticket_files(source):
        with path.open("rb") as lines:
            count += sum(1 for line in lines if line.strip())
    return count


@contextmanager
def _place(target: Path) -> Iterator[Path]:
    """Yield a new folder that takes the place of `target` when all went well, and vanishes when not."""
    target = target.absolute()
    if target.exists() and (not target.is_dir() or (any(target.iterdir()) and not (target / output.MARK).is_file())):
        raise ConfigError(f"{target} holds something that `prepare` did not write. Choose another --out.")
    partial, old = target.with_name(f".{target.name}.partial"), target.with_name(f".{target.name}.old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target.with_name(f".{target.name}.lock")):
            if old.exists() and not target.exists():  # killed between the two renames below
                old.rename(target)
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
            partial.mkdir()
            try:
                yield partial
                if target.exists():
                    target.rename(old)
                partial.rename(target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
                if old.exists() and not target.exists():
                    old.rename(target)
                shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _told(error, target) from error


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"Another `prepare` is writing to this folder ({path.parent}). Wait for it, or stop it."
            ) from None
        yield  # the file stays: removing it would let a third run lock a file that the second no longer sees


def _told(error: OSError, target: Path) -> ReplybenchError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        free = shutil.disk_usage(target.parent).free // 2**20
        return Unavailable(
            f"The disk is full ({free} MB are left at {target.parent}). Nothing was changed; make room, or choose "
            "another --out, and run again."
        )
    return Unavailable(f"Writing to {target} failed: {error.strerror}. Nothing was changed.")
