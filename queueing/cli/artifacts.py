"""`labq artifacts RUN`."""

import argparse
from pathlib import Path

from queueing.cli.context import opened_store, print_json
from queueing.units import format_size
from store.errors import ExitCode, UserError


def artifacts(options: argparse.Namespace) -> int:
    """List the files a run kept, or fetch them."""
    with opened_store() as store:
        run = store.run(options.run)
        kept = store.artifacts(run.id)
        if options.output:
            folder = _made(Path(options.output))
            for artifact in kept:
                store.fetch_artifact(artifact, folder)
    if options.json:
        print_json(kept)
        return ExitCode.OK
    for artifact in kept:
        print(f"{artifact.name}  {format_size(artifact.size_bytes)}  attempt {artifact.attempt}")
    if not kept:
        print("no files were kept")
    return ExitCode.OK


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}") from error
    return folder
