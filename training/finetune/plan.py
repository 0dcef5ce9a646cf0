"""Which rows make which step, decided before a run starts.

A plan is one list of row numbers, read in order. So a resumed run only skips what it has done, several processes
take turns on the same list, and both see exactly the batches of an undisturbed run on one process.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from training.finetune.recipe import Batch, Length

#: Rows are grouped by length within so many steps' worth of shuffled rows: enough that padding nearly
#: disappears, few enough that each step still is a random sample.
_STEPS_PER_POOL = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """The order of a run.

    Attributes:
        order: row numbers; `rows` of them make a step.
        rows: rows of a step.
        rows_per_epoch: how many different rows there are.
    """

    order: list[int]
    rows: int
    rows_per_epoch: int

    @property
    def steps(self) -> int:
        """How many steps the run has."""
        return len(self.order) // self.rows

    def epoch_at(self, step: int) -> float:
        """Return how often the data has been seen after `step` steps."""
        return step * self.rows / self.rows_per_epoch

    def sums(self, values: Sequence[int]) -> list[int]:
        """Return per step the sum of `values` (one for each row) over its rows."""
        return [
            sum(values[row] for row in self.order[start : start + self.rows])
            for start in range(0, len(self.order), self.rows)
        ]


def make_plan(lengths: Sequence[int], batch: Batch, length: Length, seed: int) -> Plan:
    """Decide the order of rows.

    Args:
        lengths: tokens of each row, at least one row.
        batch: how many rows make a step and a micro-batch.
        length: how long to train.
        seed: the same seed gives the same plan.
    """
    steps = max(1, round(length.epochs * len(lengths) / batch.rows))
    if length.max_steps is not None:
        steps = min(steps, length.max_steps)
    needed = steps * batch.rows
    shuffler = random.Random(seed)  # noqa: S311  # an order, not a secret
    order: list[int] = []
    while len(order) < needed:
        epoch = list(range(len(lengths)))
        shuffler.shuffle(epoch)
        order += epoch
    order = order[:needed]
    if batch.group_by_length:
        order = _grouped(order, lengths, batch, shuffler)
    return Plan(order, batch.rows, len(lengths))


def _grouped(order: list[int], lengths: Sequence[int], batch: Batch, shuffler: random.Random) -> list[int]:
    """Bring rows of like length into the same micro-batch, and the micro-batches into random order again."""
    pool = batch.rows * _STEPS_PER_POOL
    grouped: list[int] = []
    for start in range(0, len(order), pool):
        part = sorted(order[start : start + pool], key=lambda row: lengths[row], reverse=True)
        micro = [part[at : at + batch.rows_at_once] for at in range(0, len(part), batch.rows_at_once)]
        shuffler.shuffle(micro)
        grouped += [row for rows in micro for row in rows]
    return grouped
