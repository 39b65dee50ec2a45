"""`python -P -m trainer`: train, check parameters, or explain them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from trainer.errors import UserMistake
from trainer.validation import check, load_config

if TYPE_CHECKING:
    from trainer.arrays import Named
    from trainer.config import Config
    from trainer.models import Model
    from trainer.state import TrainingState

_WRONG_USE = 2
# Further programmes, imported when asked for; each takes its arguments and returns an exit code.
_MODES = {
    "--warm": "trainer.warming:main",
    "--sample": "trainer.sampling:main",
    "--export": "trainer.export:main",
    "--bench": "trainer.benchmark:main",
}


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    if arguments in (["--help"], ["-h"]):
        from trainer.describe import help_text

        print(help_text())
        return 0
    if arguments == ["--check"]:
        return check_lines()
    if arguments and arguments[0] in _MODES:
        return _mode(arguments[0], arguments[1:])
    if arguments:
        print(f"trainer: unknown argument {arguments[0]}; see python -P -m trainer --help", file=sys.stderr)
        return _WRONG_USE
    return _told(train)


def _mode(name: str, arguments: list[str]) -> int:
    module, _, function = _MODES[name].partition(":")
    return _told(lambda: int(getattr(import_module(module), function)(arguments)))


def _told(act: Callable[[], int]) -> int:
    """A user's mistake is said in full, without a traceback."""
    try:
        return act()
    except UserMistake as mistake:
        print("\n".join(f"trainer: {line}" for line in str(mistake).splitlines()), file=sys.stderr)
        return _WRONG_USE


def check_lines() -> int:
    """One JSON list of problems on stdout for every JSON object of parameters on stdin."""
    for line in sys.stdin:
        if line.strip():
            print(json.dumps(_check_line(line), ensure_ascii=False), flush=True)
    return 0


def _check_line(line: str) -> list[str]:
    try:
        params = json.loads(line)
    except ValueError as problem:
        return [f"the line is not JSON: {problem}"]
    return check(params)


def train() -> int:
    """One run, from its parameters file to its last checkpoint. Raises UserMistake."""
    import labq

    labq.should_stop()  # from here on SIGTERM waits for the next question instead of ending the process
    config = load_config(labq.params())
    # One thread computes: a pool of idle ones would take time from the other runs of the machine.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    from trainer.jit import keep_compiled_kernels_for

    keep_compiled_kernels_for(config.dtype.value)
    from trainer.models import load_model

    model = load_model(config)
    if not labq.should_stop():
        _train(config, model)
    return 0


def _train(config: Config, model: Model) -> None:
    from trainer.loop import Loop, initial_state
    from trainer.origin import kept_with_weights
    from trainer.report import LabqReporter

    state, came_from = initial_state(config, model), kept_with_weights(config, model)
    _resume(state, came_from)
    Loop(config, model, state, LabqReporter(config, came_from)).run()


def _resume(state: TrainingState, came_from: Named) -> None:
    import labq

    at = labq.resume()
    if at is None:
        return
    from trainer.origin import check_origin

    arrays = at.arrays()
    check_origin(arrays, came_from)
    state.restore(arrays)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
