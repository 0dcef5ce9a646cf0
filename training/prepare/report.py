"""The figures of a preparation: the ones that the study gives for its company, counted for this one."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replybench.redaction.placeholders import PLACEHOLDER
from training.dataset import Article, Thread

#: Pieces that byte-pair tokenizers of the GPT-2 family cut text into first: a lower bound of their tokens.
_PIECE = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?[^\s\w]+|\s+(?!\S)|\s+")
#: Upper ends (words) of the columns in the picture of lengths.
_LENGTHS = (25, 50, 75, 100, 150, 200, 300, 400, 600, 1000)


@dataclass(slots=True)
class Figures:
    """Counts that grow as the work goes. Nothing here holds a text."""

    name_mode: str
    heldout_percent: int
    fingerprint: str = ""
    tickets_read: int = 0
    articles: int = 0
    article_characters: int = 0
    articles_by_category: Counter[str] = field(default_factory=Counter)
    articles_dropped: Counter[str] = field(default_factory=Counter)
    threads: int = 0
    thread_characters: int = 0
    turns: int = 0
    threads_by_outcome: Counter[str] = field(default_factory=Counter)
    threads_by_rule: Counter[str] = field(default_factory=Counter)
    threads_by_split: Counter[str] = field(default_factory=Counter)
    threads_by_length: Counter[int] = field(default_factory=Counter)
    threads_dropped: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    redactions: Counter[str] = field(default_factory=Counter)
    pieces: Counter[str] = field(default_factory=Counter)

    def add_article(self, article: Article, taken: Counter[str]) -> None:
        """Count an article that stays."""
        self.articles += 1
        self.article_characters += len(article.text)
        self.articles_by_category[article.category or "(none)"] += 1
        self.taken.update(taken)
        self._count(article.text, "articles")

    def add_thread(self, thread: Thread) -> None:
        """Count a thread that stays."""
        texts = [thread.subject, *(turn.text for turn in thread.turns)]
        self.threads += 1
        self.thread_characters += sum(map(len, texts))
        self.turns += len(thread.turns)
        self.threads_by_outcome[thread.outcome] += 1
        self.threads_by_rule[f"{thread.outcome} by {thread.outcome_rule}"] += 1
        self.threads_by_split[thread.split] += 1
        self.languages[thread.language] += 1
        words = sum(len(text.split()) for text in texts)
        self.threads_by_length[next((end for end in _LENGTHS if words <= end), _LENGTHS[-1] + 1)] += 1
        for text in texts:
            self._count(text, "threads")

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as they stand in report.json."""
        return {
            "format": 1,
            "fingerprint": self.fingerprint,
            "articles": {
                "kept": self.articles,
                "characters": self.article_characters,
                "by_category": dict(self.articles_by_category),
                "dropped": dict(self.articles_dropped),
            },
            "tickets_read": self.tickets_read,
            "threads": {
                "kept": self.threads,
                "characters": self.thread_characters,
                "turns": self.turns,
                "by_outcome": dict(self.threads_by_outcome),
                "by_rule": dict(self.threads_by_rule),
                "by_split": dict(self.threads_by_split),
                "by_language": dict(self.languages),
                "dropped": dict(self.threads_dropped),
            },
            "taken_out": dict(self.taken),
            "redactions": dict(self.redactions),
            "names_found_by": self.name_mode,
            "token_estimate": dict(self.pieces),
            "heldout_percent": self.heldout_percent,
        }

    def _count(self, text: str, kind: str) -> None:
        self.redactions.update(found.strip("{}").rstrip("_0123456789") for found in PLACEHOLDER.findall(text))
        self.pieces[kind] += sum(1 for _ in _PIECE.finditer(text))


def readable(figures: Figures) -> str:
    """Return REPORT.md."""
    threads = figures.threads
    lines = [
        "# What this data set holds",
        "",
        f"Fingerprint `{figures.fingerprint}`. It changes if a single character of the data does.",
        "",
        "| | count | characters | token estimate |",
        "|---|--:|--:|--:|",
        f"| articles | {figures.articles:,} | {figures.article_characters:,} | {figures.pieces['articles']:,} |",
        f"| threads | {threads:,} | {figures.thread_characters:,} | {figures.pieces['threads']:,} |",
        "",
        f"The {threads:,} threads have {figures.turns:,} turns and come from {figures.tickets_read:,} tickets. "
        "(The study of 2024 had 139 articles with 150,157 characters and 1,638 threads.) The token estimate counts the "
        "pieces that byte-pair tokenizers begin with; a model's own count is somewhat higher.",
        "",
        "![Threads by outcome and split; what was dropped](threads.png)",
        "",
        *_table("Threads by outcome", figures.threads_by_outcome, threads),
        *_table("Which rule decided", figures.threads_by_rule, threads),
        *_table("Threads by split", figures.threads_by_split, threads),
        *_table("Languages", figures.languages, threads),
        *_table("Tickets dropped", figures.threads_dropped, figures.tickets_read),
        *_table("Articles dropped", figures.articles_dropped, None),
        *_table("Articles by category", figures.articles_by_category, figures.articles),
        "![Length of the threads](lengths.png)",
        "",
        *_table("Taken out of the texts", figures.taken, None),
        *_table("Personal data replaced", figures.redactions, None),
        _names_sentence(figures.name_mode),
        "",
        f"About {figures.heldout_percent}% of the threads are held out, chosen by a hash, near duplicates "
        f"always together. "
        "Articles are for training only. What training takes of failures and unknowns, its recipe says.",
        "",
    ]
    return "\n".join(lines)


def draw(folder: Path, figures: Figures) -> None:
    """Write the two pictures, the same bytes for the same figures."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    picture = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = picture.subplots(1, 2)
    _bars(left, "Threads by outcome", figures.threads_by_outcome, "#3b6fb6")
    _bars(right, "Tickets dropped, by reason", figures.threads_dropped, "#b6653b")
    picture.savefig(folder / "threads.png", dpi=110, metadata={"Software": None})
    picture = Figure(figsize=(9, 3), layout="constrained")
    axes = picture.subplots()
    ends = [*_LENGTHS, _LENGTHS[-1] + 1]
    labels = [f"≤ {end:,}" for end in _LENGTHS] + [f"> {_LENGTHS[-1]:,}"]
    axes.bar(labels, [figures.threads_by_length[end] for end in ends], color="#3b6fb6")
    axes.set(title="Length of the threads", xlabel="words", ylabel="threads")
    axes.spines[["top", "right"]].set_visible(False)
    picture.savefig(folder / "lengths.png", dpi=110, metadata={"Software": None})


def _bars(axes: Any, title: str, counts: Counter[str], colour: str) -> None:
    rows = sorted(counts.items(), key=lambda item: (item[1], item[0])) or [("none", 0)]
    bars = axes.barh([name.replace("_", " ") for name, _ in rows], [count for _, count in rows], color=colour)
    axes.bar_label(bars, padding=3)
    axes.set_title(title)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def _table(title: str, counts: Counter[str], of: int | None) -> list[str]:
    if not counts:
        return []
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    share = " share |" if of else ""
    lines = [f"## {title}", "", f"| | count |{share}", f"|---|--:|{'--:|' if of else ''}"]
    for name, count in rows:
        tail = f" {100 * count / of:.1f}% |" if of else ""
        lines.append(f"| {name.replace('|', '/')} | {count:,} |{tail}")
    return [*lines, ""]


def _names_sentence(mode: str) -> str:
    if mode == "model":
        return "Names were found by patterns, by what the tickets tell of their people, and by the name model."
    return (
        "**Names were found by patterns only**, since the name model is not installed: names of people whom a "
        "ticket does "
        "not introduce may be left. See docs/DATA.md."
    )
