"""One notice of each kind about the study, with its story."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from notify.gather import gather
from notify.made_up import lab, study
from notify.story import Story
from store.findings import Finding
from store.notices import Notice, Part
from store.occasions import Occasion
from store.runs import Run

RULE = "the test that somebody asked for (labq notify --test)"


def one_of_each(to: tuple[str, ...], stamp: str = "test", at: datetime = study.END) -> list[tuple[Notice, Story]]:
    """In the order in which occasions are named. `stamp` makes the ids new, so that no mailbox takes them for known.

    `at`: when they came to be owed.
    """
    notices = [replace(_notice(about, to, stamp), created_at=at) for about in Occasion]
    return [(notice, gather(lab_of(notice.about), notice)) for notice in notices]


def lab_of(about: Occasion) -> lab.PaperLab:
    """In which state the study is when such a thing happens."""
    done = _DONE.get(about, study.RUNS)
    instead: dict[Occasion, Callable[[int], Run]] = {
        Occasion.INTERRUPTED: study.retried, Occasion.RESUMED: study.resumed,
    }  # fmt: skip
    known: list[tuple[int, Finding]] = [(study.OVER_FITTED, lab.OVER_FITTING), (study.CRASHED, lab.MEMORY)]
    known += [(study.DIVERGED, lab.NOT_FINITE)] if done > study.DIVERGED else []
    return lab.PaperLab(done=done, instead=[instead[about](done)] if about in instead else [], findings=known)


def _notice(about: Occasion, to: tuple[str, ...], stamp: str) -> Notice:
    run = _RUNS.get(about)
    return Notice(
        id=f"labq-{stamp}-{about.value}",
        about=about,
        to=to,
        run=study.run_id(run) if run is not None else "",
        attempt=2 if about is Occasion.RESUMED else 1 if run is not None else 0,
        experiment="" if about in (Occasion.WORKER_LOST, Occasion.TEST) else study.NAME,
        worker=lab.LOST_WORKER if about in (Occasion.WORKER_LOST, Occasion.DISK_LOW) else "",
        metric="val_loss" if about is Occasion.BEST_SO_FAR else "",
        finding=_FINDINGS.get(about),
        parts=_parts() if about is Occasion.DIGEST else (),
        more=37 if about is Occasion.DIGEST else 0,
        rule=RULE,
        with_history=about is Occasion.FINISHED,
    )


_DONE = {
    **dict.fromkeys((Occasion.INTERRUPTED, Occasion.RESUMED, Occasion.STUCK, Occasion.PLATEAU, Occasion.EVERY), 20),
    **dict.fromkeys((Occasion.WORKER_LOST, Occasion.DISK_LOW), 20),
    Occasion.DIVERGED: study.DIVERGED,
    Occasion.BEST_SO_FAR: study.BEST,
}
_RUNS = {
    Occasion.FINISHED: study.BEST,
    Occasion.FAILED: study.CRASHED,
    Occasion.CANCELLED: study.STOPPED,
    Occasion.INTERRUPTED: study.CRASHED,
    Occasion.RESUMED: 20,
    Occasion.STUCK: 20,
    Occasion.DIVERGED: study.DIVERGED,
    Occasion.PLATEAU: 21,
    Occasion.FINDING: study.OVER_FITTED,
    Occasion.BEST_SO_FAR: study.BEST,
    Occasion.EVERY: 21,
}
_FINDINGS = {
    Occasion.STUCK: lab.STUCK,
    Occasion.DIVERGED: lab.NOT_FINITE,
    Occasion.PLATEAU: lab.PLATEAU,
    Occasion.FINDING: lab.OVER_FITTING,
    Occasion.DISK_LOW: lab.DISK,
}


def _parts() -> tuple[Part, ...]:
    told = (
        (Occasion.FINISHED, 0, "val_loss 0.196"),
        (Occasion.FINISHED, 1, "val_loss 0.199"),
        (Occasion.FAILED, study.CRASHED, "out of memory after 52 min; not retried"),
        (Occasion.BEST_SO_FAR, study.BEST, "val_loss 0.181"),
        (Occasion.FINISHED, study.BEST, "val_loss 0.181 (best of 13 so far)"),
        (Occasion.DIVERGED, study.DIVERGED, lab.NOT_FINITE.evidence),
        (Occasion.FAILED, study.FULL, "disk full after 54 min; not retried"),
        (Occasion.CANCELLED, study.STOPPED, "median: val_loss 0.236 at step 100 is worse than the median 0.214"),
    )
    return tuple(
        Part(
            about=about,
            at=study.BEGIN + timedelta(minutes=52 + 28 * index),
            run=study.run_id(index),
            attempt=1,
            experiment=study.NAME,
            text=text,
        )
        for about, index, text in told
    )
