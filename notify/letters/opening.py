"""Subject, title, tone and the first sentences of each kind of message. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from notify.letters.letter import Tone
from notify.letters.naming import after, cause, finding_words, place_words, result, retry_words, run_name
from notify.story import Standing, Story
from notify.words import attempt_of, cause_words, count, duration, host_of, moment, number, wrapped
from store.findings import Severity
from store.notices import Notice
from store.occasions import Occasion
from store.runs import Attempt, short
from store.schedulers import Scheduler
from store.states import Reason, State

LONGEST_SUBJECT = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """`head` and `said` make the subject `[labq] HEAD SAID`; the title is SAID alone, as a sentence."""

    tone: Tone
    head: str
    said: str
    lead: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """One line."""
        return wrapped(f"[labq] {self.head} {self.said}", LONGEST_SUBJECT)

    @property
    def title(self) -> str:
        """With a capital."""
        return self.said[:1].upper() + self.said[1:]


def opening(notice: Notice, story: Story) -> Opening:
    """How the message begins."""
    return _OPENINGS[notice.about](notice, story)


# ── runs ──
def _finished(notice: Notice, story: Story) -> Opening:
    told = result(story.standing)
    return Opening(
        tone=Tone.GOOD,
        head=run_name(notice, story),
        said="finished" + (f": {told}" if told else after(notice, story)),
        lead=_sentences(_against(story.standing), _spent(notice, story)),
    )


def _failed(notice: Notice, story: Story) -> Opening:
    follows = retry_words(story)
    return Opening(
        tone=Tone.BAD,
        head=run_name(notice, story),
        said=_ended("failed", notice, story) + (f" ({follows})" if follows else ""),
        lead=_sentences(_why(story), _what_follows(story), _spent(notice, story)),
    )


def _cancelled(notice: Notice, story: Story) -> Opening:
    because = story.run.ending.message if story.run and story.run.ending else ""
    return Opening(
        tone=Tone.CALM,
        head=run_name(notice, story),
        said=f"cancelled{after(notice, story)}",
        lead=_sentences(
            f"It was stopped: {because}" if because else "", _against(story.standing), _spent(notice, story)
        ),
    )


def _interrupted(notice: Notice, story: Story) -> Opening:
    follows = retry_words(story)
    return Opening(
        tone=Tone.WARNING,
        head=run_name(notice, story),
        said=_ended("interrupted", notice, story) + (f" ({follows})" if follows else ""),
        lead=_sentences(_why(story), _what_follows(story), _spent(notice, story)),
    )


def _resumed(notice: Notice, story: Story) -> Opening:
    told = attempt_of(story.run, notice.attempt) if story.run else None
    step = told.resumed_from_step if told else None
    where = "from the beginning" if step is None else f"from step {step:,}"
    on = f" on {host_of(told)}" if told else ""
    before = _before(notice, story)
    return Opening(
        tone=Tone.CALM,
        head=run_name(notice, story),
        said=f"running again {where}{on} (attempt {notice.attempt})",
        lead=_sentences(f"Attempt {before.number} ended: {_end_of(before)}." if before else "", _standing_now(story)),
    )


def _stuck(notice: Notice, story: Story) -> Opening:
    return _of_finding(notice, story, "seems stuck", Tone.WARNING)


def _diverged(notice: Notice, story: Story) -> Opening:
    return _of_finding(notice, story, "diverges", Tone.BAD)


def _plateau(notice: Notice, story: Story) -> Opening:
    return _of_finding(notice, story, "no longer improves", Tone.WARNING)


def _finding(notice: Notice, story: Story) -> Opening:
    finding = notice.finding
    words = finding_words(finding) if finding else "something was found"
    return _of_finding(notice, story, words[:1].lower() + words[1:] if words[1:2].islower() else words, Tone.WARNING)


def _of_finding(notice: Notice, story: Story, said: str, tone: Tone) -> Opening:
    finding = notice.finding
    evidence = wrapped(finding.evidence, 90).rstrip(".") if finding else ""
    mild = finding is not None and finding.severity is Severity.NOTE
    severe = finding is not None and finding.severity is Severity.SEVERE
    return Opening(
        tone=Tone.CALM if mild else Tone.BAD if severe else tone,
        head=run_name(notice, story),
        said=f"{said}: {evidence}" if evidence else said,
        lead=_sentences(_running(story), _standing_now(story)),
    )


def _best_so_far(notice: Notice, story: Story) -> Opening:
    told = story.standing
    before = ""
    if told is not None and told.best_value is not None:
        before = f" (before: {number(told.best_value)} of {told.best_label})"
    value = f": {told.metric} {number(told.value)}{before}" if told else ""
    return Opening(
        tone=Tone.GOOD,
        head=run_name(notice, story),
        said=f"best so far{value}",
        lead=_sentences(_running(story), _spent(notice, story)),
    )


def _every(notice: Notice, story: Story) -> Opening:
    if story.run is None:
        return _sweep_so_far(notice, story)
    run = story.run
    done = f"{run.progress.fraction:.0%} done" if run.progress else f"{run.state.value}{after(notice, story)}"
    told = story.standing
    value = f", {told.metric} {number(told.value)}" if told and told.value is not None else ""
    return Opening(
        tone=Tone.CALM,
        head=run_name(notice, story),
        said=f"{done}{value}",
        lead=_sentences(_running(story), _against(told), _spent(notice, story)),
    )


# ── experiments, workers, many things ──
def _sweep_finished(notice: Notice, story: Story) -> Opening:
    sweep = story.sweep
    bad = sweep.counts.get(State.FAILED, 0) if sweep else 0
    return Opening(
        tone=Tone.WARNING if bad else Tone.GOOD,
        head=notice.experiment,
        said=f"sweep finished: {_sweep_result(story)}",
        lead=_sentences(_sweep_counts(story), _sweep_time(story)),
    )


def _sweep_so_far(notice: Notice, story: Story) -> Opening:
    return Opening(
        tone=Tone.CALM,
        head=notice.experiment or "labq",
        said=f"so far: {_sweep_result(story)}",
        lead=_sentences(_sweep_counts(story)),
    )


def _worker_lost(notice: Notice, story: Story) -> Opening:
    worker = story.worker
    host = f" on {worker.host}" if worker else ""
    seen_at = worker.seen_at if worker else None
    seen = f"It was last seen {duration((story.now - seen_at).total_seconds())} ago. " if seen_at else ""
    held = story.held or ((story.run,) if story.run else ())
    runs = (
        f"{count(len(held), 'run')} that it held will go on elsewhere as soon as the lease is over."
        if held
        else "It held no run."
    )
    return Opening(
        tone=Tone.WARNING,
        head="",
        said=f"worker {notice.worker or '?'} lost{host}",
        lead=_sentences(f"{seen}{runs}"),
    )


def _disk_low(notice: Notice, story: Story) -> Opening:
    where = story.samples[-1].host if story.samples else story.worker.host if story.worker else notice.worker
    if notice.finding:
        said, lead = notice.finding.evidence, notice.finding.advice
    else:
        said, lead = (
            "little space is left",
            "Make room, or runs there will end as disk-full; their checkpoints are safe.",
        )
    return Opening(
        tone=Tone.WARNING,
        head=run_name(notice, story) if story.run else (where or "labq"),
        said=f"disk low{f' on {where}' if where and story.run else ''}: {wrapped(said, 90).rstrip('.')}",
        lead=_sentences(lead),
    )


def _digest(notice: Notice, _story: Story) -> Opening:
    total = len(notice.parts) + notice.more
    kinds = {about: sum(part.about is about for part in notice.parts) for about in Occasion}
    words = ", ".join(f"{times:,} {about.value}" for about, times in kinds.items() if times)
    more = f"The first {len(notice.parts)} are listed; {notice.more:,} more are like these." if notice.more else ""
    experiments = {part.experiment for part in notice.parts if part.experiment}
    head = notice.experiment or (next(iter(experiments)) if len(experiments) == 1 else "digest")
    return Opening(
        tone=Tone.WARNING if kinds[Occasion.FAILED] else Tone.CALM,
        head=head,
        said=f"{count(total, 'message')}: {words}" if words else count(total, "message"),
        lead=_sentences(more),
    )


def _test(notice: Notice, story: Story) -> Opening:
    return Opening(
        tone=Tone.GOOD,
        head="test:",
        said="mail from labq reaches you",
        lead=(
            "Whoever set up labq sent this to see whether messages arrive. There is nothing to do.",
            f"It was made for {', '.join(notice.to)} at {moment(notice.created_at or story.now)}.",
        ),
    )


_OPENINGS: dict[Occasion, Callable[[Notice, Story], Opening]] = {
    Occasion.FINISHED: _finished,
    Occasion.FAILED: _failed,
    Occasion.CANCELLED: _cancelled,
    Occasion.INTERRUPTED: _interrupted,
    Occasion.RESUMED: _resumed,
    Occasion.STUCK: _stuck,
    Occasion.DIVERGED: _diverged,
    Occasion.PLATEAU: _plateau,
    Occasion.FINDING: _finding,
    Occasion.BEST_SO_FAR: _best_so_far,
    Occasion.EVERY: _every,
    Occasion.SWEEP_FINISHED: _sweep_finished,
    Occasion.WORKER_LOST: _worker_lost,
    Occasion.DISK_LOW: _disk_low,
    Occasion.DIGEST: _digest,
    Occasion.TEST: _test,
}


# ── sentences ──
def _sentences(*said: str) -> tuple[str, ...]:
    """With a capital and an end."""
    lines = (" ".join(one.split()) for one in said)
    return tuple(line[:1].upper() + line[1:] + ("" if line[-1] in ".!?…" else ".") for line in lines if line)


def _ended(verb: str, notice: Notice, story: Story) -> str:
    """`failed: out of memory after 2 h`; a long cause comes last."""
    assert story.run is not None
    run = story.run
    is_long = run.ending is not None and run.ending.reason is Reason.ERROR and run.ending.message
    if is_long:
        return f"{verb}{after(notice, story)}: {cause(run)}"
    return f"{verb}: {cause(run)}{after(notice, story)}"


def _why(story: Story) -> str:
    ending = story.run.ending if story.run else None
    if ending is None or not ending.message or ending.reason is Reason.ERROR:
        return ""
    return wrapped(ending.message, 200)


def _what_follows(story: Story) -> str:
    told, run = story.retrying, story.run
    if told is None or run is None:
        return ""
    point = f"from its checkpoint at step {run.checkpoint.step:,}" if run.checkpoint else "from the beginning"
    if told.went_on:
        return "It has been started again since then."
    if run.resources.on is Scheduler.SCRIPT:
        return f"It goes on {point} when its script is run again: labq exec --resume {short(run.id)} -- COMMAND"
    if told.again:
        pause_s = (told.at - story.now).total_seconds() if told.at is not None else 0.0
        when = f"in {duration(pause_s)}" if pause_s >= 1 else "as soon as a worker is free"
        return f"It will go on {point} {when}; nothing needs to be done."
    reason = run.ending.reason if run.ending else run.reason
    if reason is not None and reason not in run.retry.on:
        return f'It will not be retried: "{reason}" is not among [retry] on. It can go on {point}.'
    tries = count(told.allowed, "retry", "retries")
    return f"It will not be retried: {tries} in a row brought it no further. It can go on {point}."


def _against(told: Standing | None) -> str:
    if told is None or told.value is None or told.best_value is None:
        return ""
    place = place_words(told)
    if not place:
        return ""
    if told.rank == 1:
        return f"It is the {place} runs in {told.metric}; the next, {told.best_label}, has {number(told.best_value)}."
    so_far = "" if told.is_final else " so far"
    return f"The best of {told.among}{so_far} is {told.best_label} with {number(told.best_value)}."


def _spent(notice: Notice, story: Story) -> str:
    run = story.run
    told = attempt_of(run, notice.attempt) if run else None
    if run is None or told is None:
        return ""
    seconds = ((told.ended_at or story.now) - told.started_at).total_seconds()
    verb = "took" if told.ended_at else "has taken"
    tries = f", attempt {told.number}" if told.number > 1 else ""
    return f"This {verb} {duration(seconds)} on {host_of(told)}{tries}."


def _running(story: Story) -> str:
    run = story.run
    if run is None or run.state is not State.RUNNING:
        return ""
    return f"It is still running{f', {run.progress.fraction:.0%} done' if run.progress else ''}."


def _standing_now(story: Story) -> str:
    told = result(story.standing)
    return f"So far: {told}." if told else ""


def _before(notice: Notice, story: Story) -> Attempt | None:
    return attempt_of(story.run, notice.attempt - 1) if story.run else None


def _end_of(attempt: Attempt) -> str:
    ending = attempt.ending
    if ending is None or ending.reason is None:
        return "the run was enqueued again"
    words = cause_words(ending.reason)
    return f"{words} ({wrapped(ending.message, 90)})" if ending.message else words


def _sweep_result(story: Story) -> str:
    sweep = story.sweep
    if sweep is None:
        return "nothing is known of its runs"
    if not sweep.ranked:
        return f"{count(sweep.total, 'run')}, no result"
    best = sweep.ranked[0]
    finished = sweep.counts.get(State.FINISHED, 0)
    return (
        f"best {sweep.metric} {number(best.value)} ({best.label}), {finished:,} of {count(sweep.total, 'run')} finished"
    )


def _sweep_counts(story: Story) -> str:
    sweep = story.sweep
    if sweep is None:
        return ""
    order = (State.FINISHED, State.FAILED, State.CANCELLED, State.RUNNING, State.QUEUED, State.PAUSED)
    words = [f"{sweep.counts[state]:,} {state.value}" for state in order if sweep.counts.get(state)]
    seen = f" Pictures and tables are of the first {sweep.read:,}." if sweep.read < sweep.total else ""
    return f"{count(sweep.total, 'run')}: {', '.join(words)}.{seen}" if words else ""


def _sweep_time(story: Story) -> str:
    sweep = story.sweep
    if sweep is None or sweep.started_at is None or sweep.ended_at is None:
        return ""
    return (
        f"From the first start to the last end it took {duration((sweep.ended_at - sweep.started_at).total_seconds())}."
    )
