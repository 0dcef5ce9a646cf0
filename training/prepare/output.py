"""What `prepare` writes: the study's text files, JSONL, a `datasets` folder, the report."""

import json
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from training.dataset import ARTICLES_FILE, REPORT_FILE, THREADS_FILE, Article, Thread, canonical
from training.prepare.report import Figures, draw, readable

WORK_FILE = "work.jsonl"
DROPPED_FILE = "dropped.jsonl"
DATASET_FOLDER = "dataset"
#: A folder with this file was written by `prepare` and may be replaced by it.
MARK = REPORT_FILE

_LATIN = str.maketrans(
    {
        **dict(zip("абвгґдезиіїйклмнопрстуфь", [*"abvhgdezyi", "i", *"iklmnoprstuf", ""], strict=True)),
        "є": "ie",
        "ж": "zh",
        "х": "kh",
        "ц": "ts",
        "ч": "ch",
        "ш": "sh",
        "щ": "shch",
        "ю": "iu",
        "я": "ia",
        "ł": "l",
    }
)


def slug(text: str, limit: int = 80) -> str:
    """Return a file name for a title: small Latin letters, digits and hyphens; never empty."""
    latin = unicodedata.normalize("NFKD", text.casefold().translate(_LATIN)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", latin).strip("-")[:limit].rstrip("-") or "untitled"


def write_articles(folder: Path, articles: Iterable[Article]) -> None:
    """Write `articles.jsonl` and `articles/<category>/<slug>.txt`."""
    names = _Names()
    with (folder / ARTICLES_FILE).open("wb") as rows:
        for article in articles:
            rows.write(canonical(article))
            category = folder / "articles" / slug(article.category or "general")
            category.mkdir(parents=True, exist_ok=True)
            path = names.free(category, slug(article.title))
            path.write_text(article.study_text(), encoding="utf-8")


class ThreadWriter:
    """Writes `threads.jsonl` and `threads/<id>.txt`, one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """`folder` exists; the files are made in it."""
        self._folder = folder / "threads"
        self._folder.mkdir()
        self._names = _Names()
        self._rows: IO[bytes] = (folder / THREADS_FILE).open("wb")

    def write(self, thread: Thread) -> None:
        """Write one thread."""
        self._rows.write(canonical(thread))
        safe = thread.id if re.fullmatch(r"[\w.-]{1,100}", thread.id) and thread.id[0] != "." else slug(thread.id)
        self._names.free(self._folder, safe).write_text(thread.study_text(), encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._rows.close()


def write_dropped(folder: Path, reasons: Iterable[tuple[str, str, str | None]]) -> None:
    """Write which tickets went and why; `of` names the one that stayed in the place of a duplicate."""
    with (folder / DROPPED_FILE).open("w", encoding="utf-8") as lines:
        for name, reason, of in sorted(reasons, key=lambda row: (row[0], row[1], row[2] or "")):
            lines.write(json.dumps({"id": name, "reason": reason, "of": of}) + "\n")


def write_dataset(folder: Path) -> None:
    """Write `dataset/`: a `datasets.DatasetDict` with the splits train (articles, threads) and heldout (threads)."""
    import datasets

    datasets.disable_progress_bars()
    cache = folder / ".cache"
    splits = {split: _split(folder, split, cache, datasets) for split in ("train", "heldout")}
    datasets.DatasetDict(splits).save_to_disk(str(folder / DATASET_FOLDER))
    for info in (folder / DATASET_FOLDER).glob("*/dataset_info.json"):
        kept = {
            key: value
            for key, value in json.loads(info.read_text()).items()
            if key in {"citation", "description", "features", "homepage", "license"}
        }
        info.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
    del splits
    shutil.rmtree(cache, ignore_errors=True)


def _split(folder: Path, split: str, cache: Path, datasets: Any) -> Any:
    features = _features(datasets)
    if next(_dataset_rows(str(folder), split), None) is None:  # `from_generator` cannot make an empty one
        empty = datasets.Dataset.from_dict({name: [] for name in features}, features=features)
        empty._fingerprint = f"replybench-{split}"
        return empty
    return datasets.Dataset.from_generator(
        _dataset_rows,
        features=features,
        gen_kwargs={"folder": str(folder), "split": split},
        cache_dir=str(cache),
        # without it the name of the folder would become a part of what is written
        fingerprint=f"replybench-{split}",
    )


def write_report(folder: Path, figures: Figures) -> None:
    """Write the pictures, `REPORT.md`, and last `report.json`, which marks the folder as complete."""
    draw(folder, figures)
    (folder / "REPORT.md").write_text(readable(figures), encoding="utf-8")
    report = json.dumps(figures.as_dict(), ensure_ascii=False, indent=2, sort_keys=True)
    (folder / REPORT_FILE).write_text(report + "\n", encoding="utf-8")


class _Names:
    """Gives file names that are free, also where the file system knows no capital letters."""

    def __init__(self) -> None:
        self._taken: set[tuple[Path, str]] = set()

    def free(self, folder: Path, name: str) -> Path:
        number, candidate = 1, name
        while (folder, candidate.casefold()) in self._taken:
            number += 1
            candidate = f"{name}-{number}"
        self._taken.add((folder, candidate.casefold()))
        return folder / f"{candidate}.txt"


def _features(datasets: Any) -> Any:
    string = datasets.Value("string")
    names = ("kind", "id", "title", "category", "text", "language", "subject", "outcome", "outcome_rule", "group")
    turns = datasets.List({"role": string, "text": string})
    return datasets.Features({**dict.fromkeys(names, string), "turns": turns})


def _dataset_rows(folder: str, split: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one split; articles are for training only. Columns that a kind has not are null."""
    if split == "train":
        with (Path(folder) / ARTICLES_FILE).open("rb") as lines:
            for line in lines:
                row = json.loads(line)
                empty = dict.fromkeys(("subject", "outcome", "outcome_rule", "group"))
                yield {"kind": "article", **row, **empty, "turns": []}
    with (Path(folder) / THREADS_FILE).open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            if row.pop("split") == split:
                yield {"kind": "thread", **row, "title": None, "text": None}
