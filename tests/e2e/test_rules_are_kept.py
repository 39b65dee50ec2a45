"""Notifiers that are killed while runs end: everything is told, nothing twice, whoever dies and however many there are."""

import json
import random
import signal
import time
from collections import Counter

import pytest
from lab import Lab, until

from store.notices import NoticeState
from store.occasions import Occasion
from store.rules import Rate, Rule, RuleBook, Scope, When
from store.runs import Ending, Notify, Run, Task
from store.states import Reason, State
from store.store import Settlement
from store.workers import Worker

WORKER = Worker(name="w", host="h", pid=1, memory_bytes=1 << 40)
MANY = Rate(count=10**6, per_s=3600.0)
FINISHED = Settlement(state=State.FINISHED, ending=Ending(exit_code=0))
LOST = Settlement(state=State.QUEUED, reason=Reason.LOST, ending=Ending(reason=Reason.LOST), setbacks=1)


def enqueue(lab: Lab, experiment: str, count: int) -> list[str]:
    now, task = lab.store.now(), Task(command=("true",), workdir="/")
    runs = [
        Run(
            id=f"{experiment}{number:04}", key=f"{experiment}{number}", experiment=experiment, params={}, task=task,
            queued_at=now, owner="ann", notify=Notify(to=("me@lab.example",)), index=number,
        )
        for number in range(count)
    ]  # fmt: skip
    return lab.store.add_runs(runs)


def live(lab: Lab, experiment: str) -> None:
    """One attempt of the next run."""
    run = lab.store.claim(WORKER, 60)
    assert run is not None
    assert run.experiment == experiment
    lab.store.begin(run.id, run.attempt, None, {})
    again = run.attempt == 1 and run.index % 5 == 0
    lab.store.settle(run.id, run.attempt, LOST if again else FINISHED)


@pytest.mark.timeout(280)
def test_killed_notifiers_tell_everything_once(lab: Lab) -> None:
    """Three notifiers; one of them is killed with -9 again and again, at any moment, and started anew."""
    count = 60
    digest = Rule(name="digest", on=("interrupted",), to=("digest@lab.example",), when=When.SWEEP, at_most=MANY)
    over = Rule(name="over", on=("sweep-finished",), to=("over@lab.example",))
    few = Rule(name="few", on=("resumed",), to=("few@lab.example",), at_most=Rate(count=5, per_s=3600.0))
    lab.store.set_rules(RuleBook(scope=Scope.EVERYBODY, rules=(digest, over, few)))
    draw, quick = random.Random(7), {"LABQ_NOTIFY_POLL_S": "0.05", "LABQ_REPAIR_S": "0.2"}
    ids = enqueue(lab, "told", count)
    notifiers = [lab.start("notify", **quick) for _ in range(3)]
    ends = count + len([number for number in range(count) if number % 5 == 0])
    kills = 0
    for number in range(ends):
        live(lab, "told")
        if number % 6 == 5:
            time.sleep(draw.uniform(0.0, 0.3))
            victim = notifiers.pop(0)
            victim.kill()
            victim.wait()
            kills += 1
            notifiers.append(lab.start("notify", **quick))
    until(lambda: not lab.store.owed(1), 60, what="the end of what is owed")
    until(lambda: of(lab, Occasion.SWEEP_FINISHED), 60, what="the end of the sweep")
    waiting = (NoticeState.OWED,)
    until(lambda: not [one for one in lab.store.notices() if one.state in waiting], 100, what="all mails")
    for notifier in notifiers:
        notifier.send_signal(signal.SIGTERM)
        assert notifier.wait(20) == 0
    notices = lab.store.notices()
    assert kills >= 10
    endings = Counter(one.run for one in notices if one.about is Occasion.FINISHED)
    assert endings == Counter(ids)
    interrupted = [one for one in notices if one.to == ("digest@lab.example",)]
    parts = Counter(part.run for one in interrupted for part in one.parts)
    assert parts == Counter(ids[::5])
    assert len(of(lab, Occasion.SWEEP_FINISHED)) == 1
    told_few = [one for one in notices if one.to == ("few@lab.example",)]
    assert sum(one.about is Occasion.RESUMED for one in told_few) == 5
    assert sum(len(one.parts) for one in told_few) == len(ids[::5]) - 5
    mails = {path.stem for path in (lab.home / "mail").glob("*.eml")}
    sent = [one for one in notices if one.state is NoticeState.SENT]
    assert {one.message_id.strip("<>").split("@")[0] for one in sent} == mails


def of(lab: Lab, about: Occasion) -> list[object]:
    return [one for one in lab.store.notices() if one.about is about]


def test_rules_and_silence_by_hand(lab: Lab) -> None:
    rules = lab.write("rules.toml", 'to = "you@lab.example"\n[[rule]]\non = ["failed"]\nif = "loss < 0.5"\n')
    said = lab.labq("rules", "check", str(rules)).stdout
    assert "you@lab.example when failed, if loss < 0.5" in said
    lab.labq("rules", "set", str(rules), "--everybody")
    listed = json.loads(lab.labq("rules", "--json").stdout)
    assert [book["scope"] for book in listed["rules"]] == ["everybody"]
    run = lab.enqueue_steps("silent", steps=3)
    assert (
        "me@lab.example when finished or failed"
        in lab.labq("enqueue", "--dry-run", str(lab.home / "silent.toml")).stdout
    )
    assert "experiment silent, until" in lab.labq("mute", "silent", "--for", "2d").stdout
    lab.worker("--burst").wait(60)
    lab.wait_until_ended(run)
    lab.labq("notify", "--once")
    shown = lab.labq("show", run.id).stdout
    assert "finished to me@lab.example: muted" in shown
    assert "experiment silent, until" in shown
    assert "muted: experiment silent" in lab.labq("rules").stdout
    lab.labq("unmute", "silent")
    assert "was not muted" in lab.labq("unmute", "silent").stdout
    assert "no rules for everybody any more" in lab.labq("rules", "remove", "--everybody").stdout
    for wrong in (
        ["rules", "set"], ["rules", "list", "x.toml"], ["rules", "check", "nowhere.toml"], ["mute", "nobody-knows"],
        ["mute", "silent", "--for", "soon"], ["rules", "--everybody"], ["rules", "forget"],
    ):  # fmt: skip
        done = lab.labq(*wrong, ok=False)
        assert done.returncode == 2, wrong
        assert "Traceback" not in done.stderr
