"""Why a run ended, with what it said last and what its machine saw. Pure."""

import re
import signal
from collections.abc import Iterable

from notify.letters.letter import Block, Facts, Output
from notify.story import Story
from notify.words import attempt_of, cause_words, moment, size
from store.notices import Notice
from store.runs import Run

LOG_LINES, LONGEST_LINE, MOST_LETTERS = 40, 220, 8000
_START = "Traceback (most recent call last):"
_BETWEEN = re.compile(r"^(?:During handling of the above|The above exception was)", re.MULTILINE)


def crash(notice: Notice, story: Story) -> Iterable[Block]:
    """The classified cause in facts."""
    run = story.run
    if run is None or run.ending is None:
        return
    ending, told = run.ending, attempt_of(run, notice.attempt)
    rows = [("Cause", cause_words(ending.reason or run.reason))]
    if ending.message:
        rows.append(("Message", _one_line(ending.message)))
    if ending.signal is not None:
        rows.append(("Signal", f"{ending.signal} ({_signal_name(ending.signal)})"))
    if ending.exit_code is not None:
        rows.append(("Exit code", str(ending.exit_code)))
    peak = ending.peak_memory_bytes or (told.peaks.memory_bytes if told else 0)
    if peak:
        limit = run.resources.memory_bytes
        rows.append(("Peak memory", size(peak) + (f" of {size(limit)} allowed" if limit else "")))
    if told is not None and told.peaks.gpu_memory_bytes:
        rows.append(("Peak GPU memory", size(told.peaks.gpu_memory_bytes)))
    if told is not None and told.ended_at is not None:
        rows.append(("Ended", moment(told.ended_at)))
    rows.append(("Goes on from", _from_where(run)))
    yield Facts(title="What happened", rows=tuple(rows))


def last_words(_notice: Notice, story: Story) -> Iterable[Block]:
    """The last lines, and the traceback where it begins before them."""
    lines = last_lines(story.output)
    trace = traceback_in(story.output)
    if trace and trace.splitlines()[0] not in lines:
        yield Output(title="Traceback", text=_bounded(trace.splitlines()))
    if lines:
        yield Output(
            title=f"Last {len(lines)} lines of the output" if len(lines) > 1 else "Output", text=_bounded(lines)
        )


def last_lines(output: str, lines: int = LOG_LINES) -> list[str]:
    """Of the cleaned output; empty lines at the end do not count."""
    text = output.rstrip()
    return text.split("\n")[-lines:] if text else []


def traceback_in(output: str) -> str:
    """The last Python traceback, with those that it came of."""
    start = output.rfind(_START)
    if start < 0:
        return ""
    while _BETWEEN.search(output[max(0, start - 200) : start]):
        earlier = output.rfind(_START, 0, start)
        if earlier < 0:
            break
        start = earlier
    lines = output[start:].splitlines()
    last = max(place for place, line in enumerate(lines) if line.startswith(_START))
    for place in range(last + 1, len(lines)):
        if lines[place] and not lines[place][0].isspace():
            return "\n".join(lines[: place + 1])
    return "\n".join(lines)


def _bounded(lines: list[str]) -> str:
    """No line and no text is too long for a message; what is cut is the beginning."""
    shortened = [line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…" for line in lines]
    text = "\n".join(shortened)
    return text if len(text) <= MOST_LETTERS else f"…{text[-MOST_LETTERS:]}"


def _from_where(run: Run) -> str:
    return (
        f"its checkpoint at step {run.checkpoint.step:,}" if run.checkpoint else "the beginning: it has no checkpoint"
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 400 else f"{line[:399]}…"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
