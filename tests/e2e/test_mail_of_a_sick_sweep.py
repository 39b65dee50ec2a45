"""A sweep with healthy, diverging, crashing, stuck and memory-hungry runs; a mail server that fails now and then; a
notifier that is killed three times: each owed mail arrives, with the right picture and the right diagnosis.
"""

import io
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import HERE, Lab, until
from PIL import Image

from notify.pictures.palette import RUN
from store.findings import Disease
from store.notices import NoticeState
from store.occasions import Occasion
from store.runs import Run
from store.states import Reason, State
from store.store import RunQuery

sys.path.insert(0, str(HERE.parent / "integration"))
from smtp_server import MailServer

WARD = """
name = "ward"
command = [{python}, {script}]
[params]
steps = 160
[resources]
memory = "400MB"
[retry]
max = 0
[notify]
to = ["me@lab.example"]
on = ["finished", "failed", "cancelled", "diverged", "stuck", "sweep-finished"]
[[diagnosis]]
on = "stuck"
do = "stop"
[sweep.params]
kind = ["healthy", "diverging", "crashing", "stuck", "hungry"]
"""
OWED = {
    ("healthy", Occasion.FINISHED),
    ("diverging", Occasion.DIVERGED),
    ("diverging", Occasion.FINISHED),
    ("crashing", Occasion.FAILED),
    ("hungry", Occasion.FAILED),
    ("stuck", Occasion.STUCK),
    ("stuck", Occasion.CANCELLED),
    ("", Occasion.SWEEP_FINISHED),
}
KILLED_AFTER = (1, 3, 6)
"""How many messages the server has taken when the notifier is killed."""


class Moody(MailServer):
    """Of four messages it puts one off and takes one without an answer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.asked += 1
        self.mode = {1: "defer", 3: "drop"}.get(self.asked % 4, "ok")
        return await super().handle_DATA(server, session, envelope)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Moody]:
    with Moody(tmp_path) as started:
        yield started


class Notifiers:
    """One at a time, killed again and again."""

    def __init__(self, lab: Lab, server: Moody) -> None:
        self._lab = lab
        self._env = {
            "LABQ_SMTP_HOST": "127.0.0.1", "LABQ_SMTP_PORT": str(server.port), "LABQ_SMTP_TLS": "none",
            "LABQ_MAIL_FROM": "labq@lab.example", "LABQ_SMTP_TIMEOUT_S": "5",
        }  # fmt: skip
        self._server, self.kills = server, 0
        self._process = self._start()

    def kill_when_due(self) -> None:
        if self.kills < len(KILLED_AFTER) and len(self._server.messages) >= KILLED_AFTER[self.kills]:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self.kills += 1
            self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return self._lab.start("notify", **self._env)


@pytest.mark.timeout(900)
def test_each_owed_mail_of_a_sick_sweep_arrives_with_the_right_picture_and_diagnosis(lab: Lab, server: Moody) -> None:
    script = json.dumps(str(HERE / "sick.py"))
    file = lab.write("ward.toml", WARD.format(python=json.dumps(sys.executable), script=script))
    notifiers = Notifiers(lab, server)
    for _ in range(2):
        lab.worker(LABQ_DIAGNOSE_S="3", LABQ_SAMPLE_S="1")
    lab.labq("enqueue", str(file))

    def all_told() -> bool:
        notifiers.kill_when_due()
        notices = lab.store.notices()
        return len(notices) >= len(OWED) and all(notice.state is NoticeState.SENT for notice in notices)

    until(all_told, 780.0, "all mails sent")
    runs = {run.params["kind"]: run for run in lab.store.runs(RunQuery(experiment="ward"))}
    kinds = {run.id: kind for kind, run in runs.items()}
    notices = lab.store.notices()
    assert {(kinds.get(notice.run, ""), notice.about) for notice in notices} == OWED
    assert len(notices) == len(OWED)
    assert notifiers.kills == len(KILLED_AFTER)

    arrived = Counter(str(message["Message-ID"]) for message in server.messages)
    assert set(arrived) == {notice.message_id for notice in notices}
    mails = {
        (kinds.get(notice.run, ""), notice.about): next(
            message for message in server.messages if message["Message-ID"] == notice.message_id
        )
        for notice in notices
    }
    check_endings(runs)
    check_diagnoses(lab, runs)
    check_words(mails)
    check_pictures(mails)


def check_endings(runs: dict[str, Run]) -> None:
    assert {kind: (run.state, run.reason) for kind, run in runs.items()} == {
        "healthy": (State.FINISHED, None),
        "diverging": (State.FINISHED, None),
        "crashing": (State.FAILED, Reason.ERROR),
        "stuck": (State.CANCELLED, Reason.STOPPED),
        "hungry": (State.FAILED, Reason.OUT_OF_MEMORY),
    }


def check_diagnoses(lab: Lab, runs: dict[str, Run]) -> None:
    known = lab.store.diagnoses([run.id for run in runs.values()])
    found = {
        kind: {finding.disease for finding in known[run.id].findings} if run.id in known else set()
        for kind, run in runs.items()
    }
    assert found["healthy"] == set()
    assert found["crashing"] == set()
    assert Disease.DIVERGENCE in found["diverging"]
    assert found["diverging"] <= {Disease.DIVERGENCE, Disease.NOT_FINITE, Disease.RATE_TOO_HIGH}
    assert found["stuck"] == {Disease.STUCK}
    assert found["hungry"] <= {Disease.MEMORY_GROWTH}


def check_words(mails: dict[tuple[str, Occasion], EmailMessage]) -> None:
    def text(kind: str, about: Occasion) -> str:
        body = mails[kind, about].get_body(("plain",))
        assert body is not None
        return str(mails[kind, about]["Subject"]) + "\n" + body.get_content()

    assert "finished: val_loss 0.3" in text("healthy", Occasion.FINISHED)
    assert "KeyError: 'no such column: humidity'" in text("crashing", Occasion.FAILED)
    assert "about to look up a key" in text("crashing", Occasion.FAILED)
    assert "\x1b" not in text("crashing", Occasion.FAILED)
    assert "labq requeue" in text("crashing", Occasion.FAILED)
    assert "memory" in text("hungry", Occasion.FAILED).splitlines()[0]
    assert "nothing reported for" in text("stuck", Occasion.STUCK)
    assert "waiting for a lock that nobody gives back" in text("stuck", Occasion.CANCELLED) + text(
        "stuck", Occasion.STUCK
    )
    report = text("", Occasion.SWEEP_FINISHED)
    missing = [words for words in ("healthy", "KeyError", "out of memory") if words not in report]
    assert not missing, report


def check_pictures(mails: dict[tuple[str, Occasion], EmailMessage]) -> None:
    """The line of the run's validation loss lies where its numbers are: it falls, or falls and rises."""
    for kind, about in (("healthy", Occasion.FINISHED), ("crashing", Occasion.FAILED), ("hungry", Occasion.FAILED)):
        left, middle, right = heights(mails[kind, about])
        assert left < middle < right, f"{kind}: a loss that falls goes down on the picture"
    left, middle, right = heights(mails["diverging", Occasion.FINISHED])
    assert right < middle, "a loss that rises goes up"
    assert picture(mails["", Occasion.SWEEP_FINISHED], "sweep@labq").shape[2] == 3, "a sweep's report has a picture"
    assert picture(mails["hungry", Occasion.FAILED], "resources@labq").shape[2] == 3, "what it took before its death"


def picture(mail: EmailMessage, cid: str) -> np.ndarray[Any, Any]:
    """Its pixels, (height, width, 3)."""
    (part,) = (part for part in mail.walk() if part["Content-ID"] == f"<{cid}>")
    return np.asarray(Image.open(io.BytesIO(part.get_payload(decode=True))).convert("RGB")).astype(int)


def heights(mail: EmailMessage) -> tuple[float, float, float]:
    """How far down the pixels of the run's own colour lie at the left end, in the middle, at the right end."""
    wanted = np.array([int(RUN[place : place + 2], 16) for place in (1, 3, 5)])
    mask = np.abs(picture(mail, "curve@labq") - wanted).max(axis=2) <= 24
    mask[: mask.shape[0] // 8] = False  # the legend
    columns = np.flatnonzero(mask.sum(axis=0) > 0)
    assert len(columns) > 100, "there is a line"
    ends = np.quantile(columns, [0.02, 0.4, 0.98]).astype(int)
    found = [float(np.flatnonzero(mask[:, max(end - 3, 0) : end + 4].any(axis=1)).mean()) for end in ends]
    return found[0], found[1], found[2]
