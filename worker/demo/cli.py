"""`labq demo`."""

import argparse
import json
import signal
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from store.errors import ExitCode, UserError
from worker.demo.stage import Stage
from worker.demo.story import Report, tell_story
from worker.demo.telling import Teller


def demo(options: argparse.Namespace) -> int:
    """Exit code 0 only if everything went as told."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_interrupt)
    tell = Teller(as_json=options.json)
    keep = _made(Path(options.keep).absolute()) if options.keep else None
    with Stage() as stage:
        report = tell_story(stage, tell, keep)
        tell.step("Stopping everything and removing the temporary folder")
    tell.say(_moral(report))
    if options.json:
        print(json.dumps(asdict(report)))
    return ExitCode.OK if went_well(report) else ExitCode.FAILED


def _made(folder: Path) -> Path:
    """Before anything else: a minute later would be late to find that it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--keep {folder}: cannot be made: {error.strerror}") from error
    return folder


def went_well(report: Report) -> bool:
    """All runs finished, the killed one was resumed and made no difference, every mail was sent."""
    return report.finished == report.runs and report.resumed == 1 and report.identical and report.mails == 4


def _moral(report: Report) -> str:
    return (
        f"\n{report.finished} of {report.runs} runs finished, {report.killed} was killed, {report.resumed} resumed, "
        f"{report.mails} mails; {report.seconds:g} s. Next: labq up, labq worker, labq enqueue YOUR.toml"
    )


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    """A polite end by any signal takes the same way out as Ctrl-C: through the stage's exit."""
    raise KeyboardInterrupt
