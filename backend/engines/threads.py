"""How the processor threads of PyTorch wait for each other."""

import os


def wait_politely() -> None:
    """Let idle threads sleep, not spin. To be called before PyTorch is imported; later it does nothing.

    OpenMP's threads by default spin while they wait for the slowest of them. As soon as anything else wants the
    processor (the database, the console, a browser on the same two cores), the spinning takes the very time that
    the slowest one needs: one small multiplication on two busy cores was seen to take 30 ms instead of 0.2 ms.
    Whoever starts the process may still choose otherwise.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
