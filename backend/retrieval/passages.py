"""Cuts articles into passages: short enough that three of them leave room for the ticket."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from db.queries_retrieval import NewPassage
from replybench.errors import ConfigError, InvalidInput

#: Characters; about 170 tokens.
LONGEST = 700
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")


def read_articles(folder: Path) -> Iterator[NewPassage]:
    """Yield the passages of a prepared folder's articles.

    Raises:
        ConfigError: there are no prepared articles.
        InvalidInput: a line cannot be read.
    """
    path = folder / "articles.jsonl"
    if not path.is_file():
        raise ConfigError(f"{path} is missing. Make the folder with: replybench prepare --in RAW --out {folder}")
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            article = json.loads(line)
            id_, title, language, text = (str(article[key]) for key in ("id", "title", "language", "text"))
        except (ValueError, KeyError, TypeError):
            raise InvalidInput(f"{path}, line {number}, is not a prepared article.") from None
        for position, passage in enumerate(cut(text)):
            yield NewPassage(id_, position, title, article.get("url"), language, passage)


def cut(text: str, longest: int = LONGEST) -> list[str]:
    """Return the text's paragraphs, joined as long as they fit into `longest` characters; none is lost."""
    passages: list[str] = []
    for piece in _pieces(text, longest):
        if passages and len(passages[-1]) + len(piece) + 1 <= longest:
            passages[-1] += f"\n{piece}"
        else:
            passages.append(piece)
    return passages


def _pieces(text: str, longest: int) -> Iterator[str]:
    """Yield paragraphs; one that is too long by sentences, a sentence that is too long by force."""
    for paragraph in filter(None, (line.strip() for line in text.splitlines())):
        if len(paragraph) <= longest:
            yield paragraph
            continue
        for sentence in _SENTENCE_END.split(paragraph):
            for start in range(0, len(sentence), longest):
                yield sentence[start : start + longest]
