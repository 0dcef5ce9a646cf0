"""Several bases in one process: their weights are read side by side where memory allows, and put together in turn.

Transformers changes its own classes and PyTorch's default dtype while it makes a model (no weight is initialised, none
is tied): a second one that is made meanwhile in another thread may be left with untied weights or another's dtype, and
so may every later one. So that part is done by one thread at a time. What takes long with large models, reading files,
the operating system does for all of them at once.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from replybench.lineups import Candidate

#: A part of what is free stays so, for what answering needs.
_SHARE = 0.9
#: What of 16-bit weights is left in fewer bits, scales included.
_PACKED = {"nf4": 0.3, "int8": 0.55}


class Room:
    """Lets loads begin together while memory suffices for all of them; else one waits for the others."""

    def __init__(self, free_bytes: Callable[[], int]) -> None:
        """`free_bytes`: how much memory is left at the moment."""
        self._free_bytes = free_bytes
        self._wanted: list[int | None] = []
        self._changed = threading.Condition()

    @contextmanager
    def of(self, wanted: int | None) -> Iterator[None]:
        """Wait until there is room; hold it while the block runs.

        Args:
            wanted: bytes of memory; None where nobody knows, which means alone.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._fits(wanted))
            self._wanted.append(wanted)
        try:
            yield
        finally:
            with self._changed:
                self._wanted.remove(wanted)
                self._changed.notify_all()

    def _fits(self, wanted: int | None) -> bool:
        if not self._wanted:  # alone, it is tried whatever it needs
            return True
        known = [size for size in (*self._wanted, wanted) if size is not None]
        return len(known) == len(self._wanted) + 1 and sum(known) <= self._free_bytes() * _SHARE


def _free_bytes() -> int:
    return int(psutil.virtual_memory().available)


def _free_gpu_bytes() -> int:
    import torch

    return int(torch.cuda.mem_get_info()[0])


#: Where a model is loaded to → the room that is there.
MEMORY = {"cpu": Room(_free_bytes), "cuda": Room(_free_gpu_bytes)}
#: Held while Transformers or PEFT make a model.
MAKING = threading.Lock()


def weight_files(base: str, revision: str | None) -> list[Path] | None:
    """Return the files with a base's weights, or None if they are not on this machine yet."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    folder = Path(base)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(base, revision=revision, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError, ValueError):
            return None
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin")) or None


def bytes_to_load(files: Sequence[Path] | None, candidate: Candidate) -> int | None:
    """Return how much memory a base takes; files are taken to hold 16 bits a weight, as those of large models do."""
    if files is None:
        return None
    wider = 2.0 if candidate.dtype == "float32" else 1.0
    return int(sum(file.stat().st_size for file in files) * _PACKED.get(candidate.quantisation, wider))


def read_ahead(files: Sequence[Path]) -> None:
    """Ask the operating system to have these files in memory soon; where it cannot, they are read when needed."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(handle)
