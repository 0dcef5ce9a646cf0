"""The processes that train together under a launcher (`accelerate launch`, `torchrun`); without one there is one."""

from typing import Any


def state() -> Any:  # accelerate's PartialState, which has no types
    """Return what accelerate knows of them, and let them find each other at the first call.

    Asked without `cpu`, accelerate takes processes on CPUs for one each.
    """
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped]  # ships no types

    return PartialState(cpu=not torch.cuda.is_available())


def count() -> int:
    """Return how many there are."""
    return int(state().num_processes)


def is_first() -> bool:
    """Whether this one writes: one of them does."""
    return bool(state().is_main_process)


def wait_for_all() -> None:
    """Wait until all are here."""
    state().wait_for_everyone()
