"""Makes a candidate fit for the fast engine: merged weights in 8 bits, kept in the cache, and proved to be as good.

An export is refused unless its held-out loss is within 1% of what transformers gives in float32 for that very
adapter. The loss is that of the engine which will serve it, its own arithmetic and caches included.
"""

import hashlib
import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backend.engines.proof import PROBE_NAME, Scored, enough, fast_loss, probe, reference_loss
from backend.engines.threads import processor_threads, wait_politely
from replybench.embedded_model import EMBEDDED, GGUF_SHA256, ensure_embedded_model
from replybench.errors import ConfigError
from replybench.lineups import Candidate

Progress = Callable[[str], None]

#: The export may differ from the reference by this share of its loss.
TOLERANCE = 0.01
#: Raised when what is exported changes, so that older exports are made anew.
_LAYOUT = 1
_REPORT = "export.json"


class ExportRefused(ConfigError):
    """The candidate cannot be served by the fast engine; the message says why."""

    code = "export_refused"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export is and how it was proved.

    Attributes:
        reference_loss: mean loss per target token, transformers in float32, adapter not merged.
        fast_loss: the same of the export, in the engine.
        texts: what the loss was taken on.
        target_tokens: how many tokens that was.
        seconds: how long the export took.
    """

    folder: str
    reference_loss: float
    fast_loss: float
    texts: str
    target_tokens: int
    seconds: float

    @property
    def difference(self) -> float:
        """The export's loss above the reference's, as a share of it."""
        return self.fast_loss / self.reference_loss - 1


@dataclass(frozen=True, slots=True)
class Exported:
    """An export at hand. `context`: how many tokens the base reads and writes in all."""

    folder: Path
    tokenizer: Any
    context: int


class ExportProcess:
    """A process in which exports are made: PyTorch is imported once for all of them, and its memory goes with it.

    It is started by the first export; used as a context manager, it is gone at the end.
    """

    def __init__(self, threads: int | None = None) -> None:
        """`threads`: processor threads; all that this process may use if not given."""
        self._threads = threads
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown()

    def export(self, candidate: Candidate, cache_dir: Path) -> ExportReport:
        """Do `export_candidate` there.

        Raises:
            ExportRefused, ConfigError: as `export_candidate`; also if the process dies of it (memory, native code).
        """
        if self._pool is None:
            wait_politely()  # inherited
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        try:
            return self._pool.submit(_export, candidate, cache_dir, self._threads).result()
        except BrokenProcessPool as error:
            self._pool = None
            raise ExportRefused(
                f"candidate '{candidate.key}': the process that exports it ended before it was done; it may have run "
                'out of memory. Free some, or set engine = "transformers".'
            ) from error


def _export(candidate: Candidate, cache_dir: Path, threads: int | None) -> ExportReport:
    with _turn(cache_dir):  # while it waited for its turn, another process may have made it
        made = read_report(candidate, cache_dir)
        return made or _make(candidate, cache_dir, None, PROBE_NAME, threads, lambda _: None)


def ensure_exported(
    candidate: Candidate, cache_dir: Path, progress: Progress, process: ExportProcess | None = None
) -> Exported:
    """Return the candidate's export, making it if it is not in the cache.

    Args:
        process: where it is made; one of its own if not given.

    Raises:
        ExportRefused: the model cannot be exported, or its export is not as good.
        ConfigError: base or adapter cannot be loaded.
    """
    from transformers import AutoConfig, AutoTokenizer

    base = _base(candidate, cache_dir, progress)
    if read_report(candidate, cache_dir) is None:
        progress(f"Exporting '{candidate.key}' for the fast engine (once; half a minute for a small model)")
        with ExitStack() as own:
            report = (process or own.enter_context(ExportProcess())).export(candidate, cache_dir)
        progress(f"'{candidate.key}' is exported: held-out loss {report.fast_loss:.4f}, {told(report)}")
    options = {"revision": candidate.revision} if candidate.base != EMBEDDED else {}
    tokenizer = AutoTokenizer.from_pretrained(base, **options)
    config = AutoConfig.from_pretrained(base, **options)
    return Exported(export_folder(candidate, cache_dir), tokenizer, int(config.max_position_embeddings))


def told(report: ExportReport) -> str:
    """Return how far the export is from the reference, in words."""
    return f"{report.difference:+.2%} against transformers in float32 ({report.target_tokens} tokens of {report.texts})"


def export_folder(candidate: Candidate, cache_dir: Path) -> Path:
    """Return where the candidate's export lies: the same base, adapter and layout give the same place."""
    digest = hashlib.sha256(f"{_LAYOUT}\n{_base_mark(candidate)}\n".encode())
    digest.update(_adapter_bytes(candidate.adapter))
    return cache_dir / "fast" / digest.hexdigest()[:24]


def read_report(candidate: Candidate, cache_dir: Path) -> ExportReport | None:
    """Return the report of the candidate's export, or None if there is no complete one."""
    try:
        return ExportReport(**json.loads((export_folder(candidate, cache_dir) / _REPORT).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def export_candidate(
    candidate: Candidate,
    cache_dir: Path,
    *,
    held_out: Sequence[Scored] | None = None,
    texts: str = "its held-out split",
    threads: int | None = None,
    progress: Progress = lambda _: None,
) -> ExportReport:
    """Export a candidate and prove the export.

    Args:
        held_out: (token ids, labels) of texts that the adapter was not trained on, the loss being taken where a
            label is not negative; the first few thousand targets are enough. If not given: threads of a made-up
            company that no adapter has seen.
        texts: what `held_out` is, for the report.
        threads: processor threads; all that this process may use if not given.

    Raises:
        ExportRefused: the model's kind is not known to the engine, or the loss differs by more than 1%. Nothing
            of it is kept then.
        ConfigError: base or adapter cannot be loaded.
    """
    with _turn(cache_dir):
        return _make(candidate, cache_dir, held_out, texts if held_out is not None else PROBE_NAME, threads, progress)


@contextmanager
def _turn(cache_dir: Path) -> Iterator[None]:
    """Let one process at a time export into this cache; clean up after one that was killed in it."""
    import fcntl  # not on Windows, where nothing else of the stack runs either

    exports = cache_dir / "fast"
    exports.mkdir(parents=True, exist_ok=True)
    with (cache_dir / "fast.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in exports.glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _make(
    candidate: Candidate,
    cache_dir: Path,
    held_out: Sequence[Scored] | None,
    texts: str,
    threads: int | None,
    progress: Progress,
) -> ExportReport:
    began = time.monotonic()
    folder = export_folder(candidate, cache_dir)
    model, tokenizer = _load(candidate, cache_dir, progress)
    held_out = enough(probe(tokenizer) if held_out is None else held_out)
    progress("Taking the reference loss")
    reference, count = reference_loss(model, held_out)
    if candidate.adapter:
        model = model.merge_and_unload()
    progress("Writing 8-bit weights")
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as work:
        made = Path(work) / "export"
        made.mkdir()
        _convert(model, made)
        del model
        progress("Comparing")
        fast = fast_loss(candidate.key, made, held_out, processor_threads(threads))
        if not math.isfinite(fast) or abs(fast / reference - 1) > TOLERANCE:
            raise ExportRefused(
                f"candidate '{candidate.key}': the export's held-out loss is {fast:.4f} and transformers' is "
                f'{reference:.4f}, which differ by more than {TOLERANCE:.0%}. Set engine = "transformers".'
            )
        report = ExportReport(str(folder), reference, fast, texts, count, round(time.monotonic() - began, 1))
        (made / _REPORT).write_text(json.dumps(asdict(report), indent=2), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return report


def _base_mark(candidate: Candidate) -> str:
    """Return what changes when the base does; weights of many gigabytes are known by size and time."""
    if candidate.base == EMBEDDED:
        return GGUF_SHA256
    folder = Path(str(candidate.base))
    if not folder.is_dir():
        return f"{candidate.base}@{candidate.revision}"
    files = sorted(path for path in folder.iterdir() if path.suffix in {".json", ".safetensors", ".bin"})
    return "\n".join([str(folder), *(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)])


def _adapter_bytes(adapter: str | None) -> bytes:
    if adapter is None:
        return b"none"
    folder = Path(adapter)
    if not folder.is_dir():
        return adapter.encode()
    names = ("adapter_config.json", "adapter_model.safetensors")
    return b"".join(hashlib.sha256((folder / name).read_bytes()).digest() for name in names if (folder / name).exists())


def _base(candidate: Candidate, cache_dir: Path, progress: Progress) -> str:
    if candidate.base == EMBEDDED:
        return str(ensure_embedded_model(cache_dir, progress))
    return str(candidate.base)


def _load(candidate: Candidate, cache_dir: Path, progress: Progress) -> tuple[Any, Any]:
    """Return (model in float32 with its adapter on it, tokenizer)."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from backend.engines.gguf_file import why_not

    base = _base(candidate, cache_dir, progress)
    options = {"revision": candidate.revision} if candidate.base != EMBEDDED else {}
    try:
        reason = why_not(AutoConfig.from_pretrained(base, **options))
        if reason:
            raise ExportRefused(
                f"candidate '{candidate.key}': the fast engine cannot serve its base: {reason}. "
                'Set engine = "transformers".'
            )
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, **options)
        tokenizer = AutoTokenizer.from_pretrained(base, **options)
        if candidate.adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, candidate.adapter)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ConfigError(
            f"candidate '{candidate.key}': its base or adapter could not be loaded ({type(error).__name__}). "
            "Check 'base' and 'adapter' in the lineup."
        ) from error
    return model.eval(), tokenizer


def _convert(model: Any, folder: Path) -> None:
    """Let OpenVINO GenAI read the merged weights from a GGUF file and save its own form of them into `folder`."""
    import openvino_genai  # type: ignore[import-untyped,unused-ignore]  # it has stubs for half of itself

    from backend.engines.gguf_file import write_gguf

    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        path = Path(work) / "model.gguf"
        write_gguf(model, path)
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.num_kv_blocks = 1
        no_tokenizer = openvino_genai.Tokenizer(str(folder))
        openvino_genai.ContinuousBatchingPipeline(str(path), no_tokenizer, scheduler, "CPU", enable_save_ov_model=True)
        for suffix in ("xml", "bin"):
            (Path(work) / f"openvino_model.{suffix}").rename(folder / f"openvino_model.{suffix}")
