"""How runs, endings and results are called in a sentence. Pure."""

from notify.story import Standing, Story
from notify.words import cause_words, duration, number, ordinal, took_s, wrapped
from store.findings import Disease, Finding
from store.notices import Notice
from store.runs import Run, short
from store.schedulers import Scheduler
from store.states import Reason

_LONGEST_CAUSE = 90


def run_name(notice: Notice, story: Story) -> str:
    """`weather-rnn #12`"""
    experiment = story.run.experiment if story.run else notice.experiment
    label = story.label or short(notice.run)
    return f"{experiment} {label}".strip()


def result(told: Standing | None) -> str:
    """`val_loss 0.211 (best of 32)`, or nothing."""
    if told is None or told.value is None:
        return ""
    place = place_words(told)
    return f"{told.metric} {number(told.value)}" + (f" ({place})" if place else "")


def place_words(told: Standing) -> str:
    """`best of 32`, `5th of 32; best 0.209`, `best of 12 so far`; nothing where there is nobody else."""
    if told.rank is None or told.among < 2:
        return ""
    so_far = "" if told.is_final else " so far"
    if told.rank == 1:
        return f"best of {told.among}{so_far}"
    best = f"; best {number(told.best_value)}" if told.best_value is not None else ""
    return f"{ordinal(told.rank)} of {told.among}{so_far}{best}"


def cause(run: Run) -> str:
    """`out of memory`; of an error the message itself."""
    ending = run.ending
    reason = (ending.reason if ending else None) or run.reason
    if reason is Reason.ERROR and ending is not None and ending.message:
        return wrapped(ending.message, _LONGEST_CAUSE)
    if reason is Reason.ERROR and ending is not None and ending.exit_code is not None:
        return f"exit code {ending.exit_code}"
    if reason is Reason.KILLED and ending is not None and ending.signal is not None:
        return f"killed by signal {ending.signal}"
    return cause_words(reason)


def after(notice: Notice, story: Story) -> str:
    """` after 2 h`, or nothing where nobody knows."""
    if story.run is None:
        return ""
    seconds = took_s(story.run, notice.attempt or story.run.attempt, story.now)
    return "" if seconds is None else f" after {duration(seconds)}"


def retry_words(story: Story) -> str:
    """`retry 2 of 3 in 30 s`, `not retried`, `running again as attempt 3`; nothing where there is no question."""
    told = story.retrying
    if told is None or story.run is None:
        return ""
    if told.went_on:
        return "running again"
    if story.run.resources.on is Scheduler.SCRIPT:
        return "waits for its script" if told.again else ""
    if not told.again:
        return "not retried"
    if not told.setback:
        return "goes on as soon as a worker is free"
    pause_s = (told.at - story.now).total_seconds() if told.at is not None else 0.0
    when = f" in {duration(pause_s)}" if pause_s >= 1 else ""
    return f"retry {told.setback} of {told.allowed}{when}"


def disease_words(disease: Disease) -> str:
    """`Over-fitting`, `GPU is idle`"""
    special = {
        Disease.NOT_FINITE: "Not a number",
        Disease.IDLE_GPU: "The GPU is idle",
        Disease.SLOW: "Slow",
        Disease.STUCK: "Stuck",
        Disease.MEMORY_GROWTH: "Memory grows",
        Disease.DISK_FILLING: "The disk fills up",
        Disease.GROWING_WEIGHTS: "Weights grow",
    }
    return special.get(disease, disease.value.replace("-", " ").capitalize().replace("Over fitting", "Over-fitting"))


def finding_words(finding: Finding) -> str:
    """`Over-fitting (val_loss)`"""
    words = disease_words(finding.disease)
    return f"{words} ({finding.about})" if finding.about and finding.about not in words.lower() else words
