"""The filled-in copies of a run's templates, in its run directory: never where the template lies."""

from queueing.templates import render
from store.runs import Run
from store.store import Store
from worker.rundir import RunDir


def write_copies(store: Store, run: Run, folder: RunDir) -> None:
    """Raises ValueError when a text or a parameter is missing, OSError, StoreUnavailable."""
    if not run.task.files:
        return
    folder.files.mkdir(mode=0o700, exist_ok=True)
    for file in run.task.files:
        text = store.blob(file.blob)
        if text is None:
            raise ValueError(f"the text of the template for {file.name} is not in MongoDB (blob {file.blob})")
        copy = folder.files / file.name
        copy.write_bytes(render(text, run.params, run.repeat).encode())
        copy.chmod(0o700 if file.executable else 0o600)


def placeholders(run: Run, folder: RunDir) -> dict[str, str]:
    """What `{template}` and `{files}` stand for."""
    if not run.task.files:
        return {}
    return {"template": str(folder.files / run.task.files[0].name), "files": str(folder.files)}
