"""What a mail says: a pure function of stored data."""

from dataclasses import dataclass, replace
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

from notify.clean import last_lines
from notify.words import metric_line, params_line, took
from store.notices import Notice
from store.occasions import Occasion
from store.runs import Run, short
from store.states import State

LOG_LINES = 40
CURVE_CID = "curve@labq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The content of one message. `curve_png` is empty when there is nothing to draw."""

    subject: str
    facts: tuple[tuple[str, str], ...]
    metrics: tuple[tuple[str, str], ...]
    output: str
    commands: tuple[tuple[str, str], ...]
    curve_png: bytes


def compose(notice: Notice, run: Run, output: bytes, curve_png: bytes) -> Letter:
    """The letter about this ending of the run, which may have been requeued since."""
    run = _as_it_was(notice, run)
    failed = notice.about is Occasion.FAILED
    return Letter(
        subject=_subject(notice, run),
        facts=tuple(_facts(notice, run)),
        metrics=tuple((name, metric_line(summary)) for name, summary in sorted(run.summary.items())),
        output=last_lines(output, LOG_LINES) if failed else "",
        commands=tuple(_commands(notice, run)),
        curve_png=curve_png,
    )


def as_email(letter: Letter, notice: Notice, sender: str, sent_at: datetime) -> EmailMessage:
    """Text and HTML parts that say the same, the curve inline. Raises ValueError for a header that cannot be."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(letter.subject.split())
    mail["From"] = sender
    mail["To"] = ", ".join(notice.to)
    mail["Date"] = format_datetime(sent_at)
    mail["Message-ID"] = notice.message_id
    mail["References"] = f"<{notice.run}@labq>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(as_text(letter))
    mail.add_alternative(as_html(letter), subtype="html")
    if letter.curve_png:
        html_part = mail.get_payload()[1]  # type: ignore[index]
        html_part.add_related(  # type: ignore[union-attr]
            letter.curve_png, "image", "png", cid=f"<{CURVE_CID}>", filename="curve.png", disposition="inline"
        )
    return mail


def as_text(letter: Letter) -> str:
    """For a terminal mail reader."""
    parts = [letter.subject, "", *_columns(letter.facts)]
    if letter.metrics:
        parts += ["", "Metrics", *_columns(letter.metrics)]
    if letter.output:
        parts += ["", f"Last lines of the output ({LOG_LINES} at most)", "", letter.output]
    parts += ["", *_columns(letter.commands)]
    return "\n".join(parts) + "\n"


def as_html(letter: Letter) -> str:
    """For everybody else: plain tables, no style sheet that a mail client would drop."""
    parts = [f"<h3>{escape(letter.subject)}</h3>", _table(letter.facts)]
    if letter.curve_png:
        parts.append(f'<p><img src="cid:{CURVE_CID}" alt="curve"></p>')
    if letter.metrics:
        parts += ["<h4>Metrics</h4>", _table(letter.metrics)]
    if letter.output:
        parts += ["<h4>Last lines of the output</h4>", f"<pre>{escape(letter.output)}</pre>"]
    parts.append(_table(letter.commands, code=True))
    return "<html><body>" + "\n".join(parts) + "</body></html>"


def _as_it_was(notice: Notice, run: Run) -> Run:
    told = next((attempt for attempt in run.history if attempt.number == notice.attempt), None)
    if told is None or told.ending is None:
        return run
    return replace(
        run,
        state=State(notice.about),
        attempt=told.number,
        reason=told.ending.reason or run.reason,
        ending=told.ending,
        ended_at=told.ended_at,
    )


def _subject(notice: Notice, run: Run) -> str:
    head = f"[labq] {run.experiment} {short(run.id)} {notice.about}"
    if notice.about is Occasion.FAILED:
        said = f": {run.ending.message}" if run.ending and run.ending.message else ""
        return f"{head} ({run.reason}){said}"[:180]
    best = next((name for name in sorted(run.summary) if name.startswith(("val", "test"))), None)
    best = best or next(iter(sorted(run.summary)), None)
    return f"{head}: {best} {run.summary[best].last:.4g}" if best else head


def _facts(notice: Notice, run: Run) -> list[tuple[str, str]]:
    ending = run.ending
    facts = [("Run", run.id), ("Experiment", run.experiment), ("Result", _result(run))]
    if ending is not None and ending.signal is not None:
        facts.append(("Signal", str(ending.signal)))
    elif ending is not None and ending.exit_code is not None:
        facts.append(("Exit code", str(ending.exit_code)))
    if notice.about is Occasion.FAILED and ending is not None and ending.message:
        facts.append(("Cause", ending.message))
    facts += [("Parameters", params_line(run)), ("Took", took(run)), ("Attempts", str(run.attempt))]
    hosts = list(dict.fromkeys(str(attempt.facts.get("host", attempt.worker)) for attempt in run.history))
    facts.append(("Host", ", ".join(hosts)))
    git = run.provenance.get("git")
    if git and git.get("commit"):
        facts.append(("Commit", f"{git['commit'][:12]} on {git['branch']}{' (dirty)' if git['dirty'] else ''}"))
    if run.checkpoint is not None:
        facts.append(("Checkpoint", f"step {run.checkpoint.step}"))
    return facts


def _result(run: Run) -> str:
    return f"{run.state}: {run.reason}" if run.reason else run.state.value


def _commands(notice: Notice, run: Run) -> list[tuple[str, str]]:
    commands = [("Look", f"labq show {short(run.id)}"), ("Output", f"labq logs {short(run.id)}")]
    if notice.about is Occasion.FINISHED:
        return [*commands, ("Curve", f"labq plot {short(run.id)}")]
    where = f"from step {run.checkpoint.step}" if run.checkpoint else "from the beginning"
    return [*commands, (f"Resume {where}", f"labq requeue {short(run.id)}")]


def _columns(rows: tuple[tuple[str, str], ...]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {text}" for name, text in rows]


def _table(rows: tuple[tuple[str, str], ...], *, code: bool = False) -> str:
    def cell(text: str) -> str:
        return f"<code>{escape(text)}</code>" if code else escape(text)

    lines = (f"<tr><td><b>{escape(name)}</b></td><td>{cell(text)}</td></tr>" for name, text in rows)
    return "<table>" + "".join(lines) + "</table>"
