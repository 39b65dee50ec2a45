"""TensorBoard's event files: one folder for each run, scalars with their steps and times, hyper-parameters.

The format, as tensorboardX writes it: records with a masked CRC-32C around protocol buffers `Event`
(tensorflow/core/util/event.proto). TensorBoard keeps scalars in 32 bits.
"""

import errno
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from queueing.exports.chosen import version
from queueing.space.names import flat
from store.errors import EngineMissing, UserError
from store.runs import Run
from store.store import Store

_EVENTS = "events.out.tfevents.labq"
_MARK = ".labq"


def write(run: Run, store: Store, folder: Path) -> bool:
    """Write the run's events into FOLDER/EXPERIMENT/RUN; False when they are there already. Raises UserError.

    The folder takes its place when it is whole: nobody sees half of it, and of two exports at once the last one stays.
    """
    target, mark = folder / run.experiment / run.id, version(run)
    if _marked(target) == mark:
        return False
    hidden = target.with_name(f".{run.id}.{os.getpid()}")
    try:
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir(parents=True)
        _write_events(run, store, hidden / f"{_EVENTS}.{run.attempt}")
        (hidden / _MARK).write_text(mark, encoding="utf-8")
        _replace(hidden, target)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise UserError(f"{target} cannot be written: {error.strerror}; choose another folder") from error
    return True


def _marked(target: Path) -> str | None:
    try:
        return (target / _MARK).read_text(encoding="utf-8")
    except OSError:
        return None


def _replace(hidden: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    try:
        hidden.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(hidden)  # another export has put the same there at this moment


def _write_events(run: Run, store: Store, file: Path) -> None:
    try:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter
    except ImportError as error:
        raise EngineMissing(
            f"TensorBoard's files need tensorboardX: pip install 'labq[tensorboard]' ({error})"
        ) from error
    writer = RecordWriter(str(file))
    try:
        began = run.started_at.timestamp() if run.started_at else 0.0
        writer.write(Event(wall_time=began, file_version="brain.Event:2").SerializeToString())
        for summary in _hyper_parameters(run):
            writer.write(Event(wall_time=began, summary=summary).SerializeToString())
        for event in _scalars(run, store):
            writer.write(event.SerializeToString())
    finally:
        writer.close()


def _scalars(run: Run, store: Store) -> Iterator[Any]:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary

    for name in store.series_names(run.id):
        curve = store.curve(run.id, name)
        rows = zip(curve.steps.tolist(), curve.times.tolist(), curve.values.tolist(), strict=True)
        for step, time, value in rows:
            yield Event(wall_time=time, step=step, summary=Summary(value=[Summary.Value(tag=name, simple_value=value)]))


def _hyper_parameters(run: Run) -> tuple[Any, ...]:
    """What the tab HPARAMS shows: the parameters, and the last value of each metric."""
    from tensorboardX.summary import hparams

    last = {name: summary.last for name, summary in run.summary.items() if math.isfinite(summary.last)}
    summaries: tuple[Any, ...] = hparams(_simple(flat(run.params)), last)
    return summaries


def _simple(params: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, truths and texts; everything else as a text."""
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in params.items()
    }
