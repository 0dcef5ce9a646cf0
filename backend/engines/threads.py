"""How many processor threads local models use, and how those of PyTorch wait for each other."""

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def wait_politely() -> None:
    """Let idle threads sleep, not spin. To be called before PyTorch is imported; later it does nothing.

    OpenMP's threads by default spin while they wait for the slowest of them. As soon as anything else wants the
    processor (the database, the console, a browser on the same two cores), the spinning takes the very time that
    the slowest one needs: one small multiplication on two busy cores was seen to take 30 ms instead of 0.2 ms.
    Whoever starts the process may still choose otherwise.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def processor_threads(wanted: int | None = None) -> int:
    """Return how many threads to use: as many as asked for, else as many cores as this process may use.

    In a container that is less than the machine has (the cores it is bound to, and its share of their time); with a
    thread for each of the machine's, all would wait for those that have no core at the moment.
    """
    if wanted:
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text("ascii").split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no such system, or "max": no limit
        return cores
