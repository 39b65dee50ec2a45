"""Threads against batches, as in the parallel-RNN report: `python -P -m trainer --bench`, and `labq bench`.

For each number of threads and sentences per batch, in both ways of training in parallel: how long a language model
takes for 5,000 sentences, its loss after them, and how long until the loss was below 6.5 twice in a row. The loss is
that of 200 held-back sentences, looked at after every so many sentences; the clock stands still meanwhile.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from trainer.config import LanguageModelConfig, Parallel, Precision

if TYPE_CHECKING:
    from trainer.models import Model

BATCHES = (1, 2, 5, 10)
_LOOKS, _HELD_BACK = 10, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure."""

    threads: tuple[int, ...]
    batches: tuple[int, ...]
    sentences: int
    target: float
    longest: int  # times the sentences that a combination may see on its way to the target


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One combination."""

    parallel: str
    threads: int
    batch_size: int
    seconds: float  # for the sentences asked for
    loss: float  # after them, per word of the held-back sentences
    speedup: float | None  # against one thread of the same kind and batch
    more_loss: float | None  # 0.04: 4 % more than with that one thread
    seconds_to_target: float | None  # None: not reached


def main(arguments: list[str]) -> int:
    """Returns the exit code; ends the process with 2 at a wrong argument."""
    asked = _parsed(arguments)
    config, plan = _config(asked), _plan(asked)
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    from trainer.jit import keep_compiled_kernels_for

    keep_compiled_kernels_for(config.dtype.value)
    rows = []
    for row in sweep(config, plan):
        rows.append(row)
        if not asked.json:
            print((_HEAD + "\n" if len(rows) == 1 else "") + _line(row), flush=True)
    if asked.json:
        print(json.dumps({"plan": asdict(plan), "dtype": config.dtype.value, "rows": [asdict(row) for row in rows]}))
    return 0


def sweep(config: LanguageModelConfig, plan: Plan) -> Iterator[Row]:
    """A row for every combination, one thread first. Raises UserMistake when the text is too short."""
    for parallel in Parallel:
        for batch_size in plan.batches:
            one: Row | None = None
            for threads in plan.threads:
                here = replace(config, parallel=parallel, threads=threads, batch_size=batch_size)
                row = _measured(here, plan)
                one = row if threads == 1 else one
                yield row if one is None else _compared(row, one)


def _compared(row: Row, one: Row) -> Row:
    return replace(row, speedup=one.seconds / row.seconds, more_loss=row.loss / one.loss - 1)


def _measured(config: LanguageModelConfig, plan: Plan) -> Row:
    """Train until the sentences are done and the target is reached, or given up."""
    run = _Run(config, plan)
    seconds = loss = math.nan
    below, to_target = 0, None
    for look in range(_LOOKS * plan.longest):
        now = run.next_look()
        below = below + 1 if now < plan.target else 0
        if look == _LOOKS - 1:
            seconds, loss = run.seconds, now
        if below >= 2 and to_target is None:
            to_target = run.seconds
        if look >= _LOOKS - 1 and (to_target is not None or not math.isfinite(now)):
            break
    return Row(
        parallel=config.parallel.value, threads=config.threads, batch_size=config.batch_size, seconds=seconds,
        loss=loss, speedup=None, more_loss=None, seconds_to_target=to_target,
    )  # fmt: skip


class _Run:
    """One training from the initial weights, cut where the loss is looked at."""

    def __init__(self, config: LanguageModelConfig, plan: Plan) -> None:
        from trainer.models import load_model
        from trainer.server import trainer_of

        self.config, self.model = config, load_model(config)
        self.train = trainer_of(config, self.model)
        self.weights = self.model.initial_weights()
        self.memory = self.model.layout.zeros(config.memory_slots)
        self.sentences, self.seen, self.seconds = min(plan.sentences, self.model.n_train), 0, 0.0
        _warm(self)

    def next_look(self) -> float:
        """Train a tenth of the sentences on, and return the loss of the held-back ones."""
        step = max(1, self.sentences // _LOOKS)
        self.updates(step)
        self.seen += step
        return _validation_loss(self.model, self.weights)

    def updates(self, n_sequences: int) -> None:
        """The next sentences of the endless order: epoch after epoch."""
        import numpy as np

        from trainer.order import epoch_order
        from trainer.schedule import rule

        epoch, first = divmod(self.seen, self.sentences)
        order = epoch_order(self.model.n_train, self.config.seed, epoch)[: self.sentences][first : first + n_sequences]
        numbers = rule(self.config, self.config.learning_rate, epoch, self.seen // self.config.batch_size)
        began = time.perf_counter()
        self.train(order, epoch, self.weights, self.memory, numbers, np.zeros(4))
        self.seconds += time.perf_counter() - began


def _warm(run: _Run) -> None:
    """Compile, start threads and fill caches, at weights that are then drawn anew."""
    run.updates(2 * run.config.batch_size * run.config.threads)
    _validation_loss(run.model, run.weights)
    run.weights, run.memory = run.model.initial_weights(), run.model.layout.zeros(run.config.memory_slots)
    run.seconds = 0.0


def _validation_loss(model: Model, weights: Any) -> float:
    import numpy as np

    sums = np.zeros(model.validation_size)
    model.evaluate(0, min(model.n_valid, _HELD_BACK), weights, sums)
    return float(sums[0] / sums[1])


_HEAD = "parallel     threads  batch  seconds    loss  speedup  more loss  seconds to target"


def _line(row: Row) -> str:
    speedup = "" if row.speedup is None else f"{row.speedup:.2f}x"
    more = "" if row.more_loss is None else f"{100 * row.more_loss:+.1f} %"
    target = "not reached" if row.seconds_to_target is None else f"{row.seconds_to_target:.2f}"
    return (
        f"{row.parallel:<12} {row.threads:>7} {row.batch_size:>6} {row.seconds:>8.2f} {row.loss:>7.4f} "
        f"{speedup:>8} {more:>10} {target:>18}"
    )


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="labq bench", description="Threads x batch sweep of the language model.")
    parser.add_argument("--quick", action="store_true", help="500 sentences, batches 1 and 10")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--threads", type=_counts, metavar="N,N,…", help="default: 1,2,4,8,… as far as there are CPUs")
    parser.add_argument("--batches", type=_counts, metavar="N,N,…", help="sentences per batch; default: 1,2,5,10")
    parser.add_argument("--sentences", type=_count, metavar="N", help="default: 5000")
    parser.add_argument(
        "--target", type=_real, default=6.5, metavar="LOSS", help="loss to be reached twice in a row (6.5)"
    )
    parser.add_argument("--text", metavar="FILE", help="one sentence a line; default: Python's own documentation")
    parser.add_argument("--dtype", choices=[kind.value for kind in Precision], default="float32")
    parser.add_argument("--learning-rate", type=_real, default=0.005, metavar="RATE", help="(0.005)")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: a whole number >= 1")
    return int(text)


def _real(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: a number > 0")
    return value


def _counts(text: str) -> tuple[int, ...]:
    return tuple(sorted({_count(part) for part in text.split(",")}))


def _plan(asked: argparse.Namespace) -> Plan:
    return Plan(
        threads=asked.threads or tuple(_powers_of_two(_cpus())),
        batches=asked.batches or ((1, 10) if asked.quick else BATCHES),
        sentences=asked.sentences or (500 if asked.quick else 5000),
        target=asked.target,
        longest=1 if asked.quick else 3,
    )


def _powers_of_two(most: int) -> Iterator[int]:
    n = 1
    while n <= most:
        yield n
        n *= 2


def _cpus() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _config(asked: argparse.Namespace) -> LanguageModelConfig:
    """Raises UserMistake."""
    from trainer.validation import load_config

    data: dict[str, Any] = {"source": "pydoc"} if asked.text is None else {"train": asked.text}
    config = load_config(
        {"model": "language-model", "dtype": asked.dtype, "learning_rate": asked.learning_rate, "data": data}
    )
    assert isinstance(config, LanguageModelConfig)
    return config
