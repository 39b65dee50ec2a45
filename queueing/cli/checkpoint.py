"""`labq checkpoint RUN`."""

import argparse
from pathlib import Path

from queueing.cli.context import opened_store, print_json
from queueing.units import format_size
from store.errors import ExitCode, UserError
from store.runs import Checkpoint, Run, short
from store.store import Store


def checkpoint(options: argparse.Namespace) -> int:
    """Fetch the newest checkpoint of a run, or the best one, under the name that its script gave it."""
    with opened_store() as store:
        found = chosen_checkpoint(store, store.run(options.run), best=options.best)
        path = fetched(store, found, Path(options.output))
    if options.json:
        print_json({"path": path, "step": found.step, "best": found.best, "size_bytes": found.size_bytes})
    else:
        print(f"{path}  step {found.step}, {format_size(found.size_bytes)}")
    return ExitCode.OK


def chosen_checkpoint(store: Store, run: Run, *, best: bool) -> Checkpoint:
    """The newest stored checkpoint, or the newest that was called the best. Raises UserError when there is none."""
    stored = store.checkpoints(run.id)
    if best:
        stored = [one for one in stored if one.best]
    if not stored:
        kind = "best checkpoint: its script calls none so" if best else "checkpoint yet"
        raise UserError(f"run {short(run.id)} has no {kind}")
    return stored[0]


def fetched(store: Store, checkpoint: Checkpoint, folder: Path) -> Path:
    """The checkpoint as a file or folder inside `folder`, which is made. Raises UserError, CheckpointDamaged."""
    if (folder / checkpoint.name).exists():
        raise UserError(f"{folder / checkpoint.name} is there already; move it away or choose another folder with -o")
    try:
        return store.fetch_checkpoint(checkpoint, folder)
    except OSError as error:
        raise UserError(f"{folder}: the checkpoint cannot be written: {error.strerror}") from error
