"""What a mail says, and how output is cleaned for it."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from notify.clean import clean, last_lines
from notify.compose import as_email, compose
from notify.curve import panels, png, terminal
from notify.pauses import retry_pause
from store.metrics import Series
from store.notices import Notice
from store.runs import Attempt, Ending, MetricSummary, Run, Task
from store.states import Reason, State

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FINISHED = Run(
    id="3f9k2m7qabcd",
    key="k",
    experiment="weather",
    params={"lr": 0.01, "act": "<tanh>"},
    task=Task(command=("true",), workdir="/"),
    queued_at=NOW,
    started_at=NOW,
    ended_at=NOW + timedelta(minutes=3, seconds=5),
    state=State.FINISHED,
    attempt=2,
    summary={
        "loss": MetricSummary(last=0.5, last_step=9, count=10, min=0.4, min_step=8, max=2.0, max_step=0),
        "val_loss": MetricSummary(last=0.211, last_step=9, count=1, min=0.211, min_step=9, max=0.211, max_step=9),
    },
    history=(Attempt(number=1, worker="gpu1-1", started_at=NOW, facts={"host": "gpu1"}),),
    provenance={"git": {"commit": "0123456789abcdef", "branch": "main", "dirty": True}},
)
ENDING = Ending(reason=Reason.ERROR, exit_code=1, message="ValueError: <bad>")
FAILED = replace(FINISHED, state=State.FAILED, reason=Reason.ERROR, ending=ENDING)


def notice(about: State) -> Notice:
    return Notice(id=f"{FINISHED.id}-2-{about}", run=FINISHED.id, attempt=2, about=about, to=("me@lab.example",))


def test_the_subject_says_it_all() -> None:
    assert (
        compose(notice(State.FINISHED), FINISHED, b"", b"").subject
        == "[labq] weather 3f9k2m7q finished: val_loss 0.211"
    )
    assert (
        compose(notice(State.FAILED), FAILED, b"", b"").subject
        == "[labq] weather 3f9k2m7q failed (error): ValueError: <bad>"
    )


def test_a_crash_report_holds_cause_output_and_the_way_on() -> None:
    output = b"".join(b"line %d\n" % i for i in range(100)) + b"\x1b[31mboom\x1b[0m\n"
    letter = compose(notice(State.FAILED), FAILED, output, b"")
    facts = dict(letter.facts)
    assert facts["Cause"] == "ValueError: <bad>"
    assert facts["Exit code"] == "1"
    assert facts["Commit"] == "0123456789ab on main (dirty)"
    assert facts["Took"] == "3 min 5 s"
    assert letter.output.splitlines()[0] == "line 61"
    assert letter.output.splitlines()[-1] == "boom"
    assert ("Resume from the beginning", "labq requeue 3f9k2m7q") in letter.commands


def test_text_and_html_say_the_same_and_the_curve_is_inline() -> None:
    letter = compose(notice(State.FAILED), FAILED, b"1 < 2\n", b"\x89PNG...")
    mail = as_email(letter, notice(State.FAILED), "labq@host", NOW)
    read = email.message_from_bytes(mail.as_bytes(), policy=email.policy.default)
    text = read.get_body(("plain",))
    html = read.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "ValueError: <bad>" in text.get_content()
    assert "1 < 2" in text.get_content()
    assert "ValueError: &lt;bad&gt;" in html.get_content()
    assert 'src="cid:curve@labq"' in html.get_content()
    (picture,) = [part for part in read.walk() if part.get_content_type() == "image/png"]
    assert picture["Content-ID"] == "<curve@labq>"
    assert picture.get_content_disposition() == "inline"
    assert read["Message-ID"] == "<3f9k2m7qabcd-2-failed@labq>"


def test_no_header_can_be_smuggled_in() -> None:
    evil = replace(FAILED, ending=replace(ENDING, message="x\r\nBcc: all@lab.example"))
    letter = compose(notice(State.FAILED), evil, b"", b"")
    mail = as_email(letter, notice(State.FAILED), "labq@host", NOW)
    assert mail["Bcc"] is None
    with pytest.raises(ValueError, match=r"newline|linefeed"):
        as_email(letter, replace(notice(State.FAILED), to=("a@b\nBcc: c@d",)), "labq@host", NOW)


def test_output_is_cleaned_of_colours_and_redrawn_lines() -> None:
    assert clean(b"\x1b[1mbold\x1b[0m\n 10%\r 50%\r100%\r\ndone\x07\n") == "bold\n100%\ndone\n"
    assert clean(b"caf\xc3\xa9 \xff") == "café �"
    assert last_lines(b"a\nb\nc\n\n", 2) == "b\nc"


def test_training_and_validation_share_a_picture() -> None:
    assert panels(["val_loss", "lr", "loss", "train_loss", "acc"]) == [
        ["loss", "train_loss", "val_loss"],
        ["acc"],
        ["lr"],
    ]


def test_curves_are_drawn_even_when_values_are_not_finite() -> None:
    nan = float("nan")
    series = [Series(name="loss", steps=(0, 1, 2), times=(0.0,) * 3, values=(1.0, nan, float("inf")))]
    assert png(series, "x").startswith(b"\x89PNG")
    assert "loss" in terminal(series, 60, 10)
    assert png([], "nothing").startswith(b"\x89PNG")
    assert terminal([Series(name="a", steps=(0,), times=(0.0,), values=(nan,))], 60, 10)


def test_the_pause_between_tries_grows_to_a_quarter_of_an_hour() -> None:
    assert [retry_pause(n) for n in (1, 2, 3, 20, 10**6)] == [5.0, 10.0, 20.0, 900.0, 900.0]
