"""`labq notify`, `labq plot`."""

import argparse
import json
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

from store.connect import connect
from store.errors import ExitCode, StoreUnavailable, UserError
from store.logbook import open_logbook, say, warn
from store.metrics import Series
from store.runs import Run, short
from store.settings import Settings, load
from store.store import Store

LAST_PATIENCE_S = 30.0
"""How long a notifier that leaves waits for MongoDB, to record what it has delivered; systemd kills after 90 s."""


class _Leave:
    """SIGTERM or Ctrl-C ends the notifier between two messages, never within one."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def pause(self, pause_s: float) -> None:
        """That long, or until asked to leave."""
        deadline = time.monotonic() + pause_s
        while not self.asked and (left_s := deadline - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.1))

    def _ask(self, _number: int, _frame: object) -> None:
        self.asked = True


def notify(options: argparse.Namespace) -> int:
    """Send what is owed, until SIGTERM or Ctrl-C. MongoDB away: wait for it."""
    open_logbook()
    settings = load().settings
    if options.test is not None:
        from notify.trying import send_test

        return send_test(options, settings)
    leave = _Leave()
    sent = _serve(settings, leave, once=options.once)
    if options.json:
        print(json.dumps({"sent": sent}))
    return ExitCode.OK


def _serve(settings: Settings, leave: "_Leave", *, once: bool) -> int:
    from notify.looking.looker import Looker
    from notify.notifier import Notifier, make_sender
    from notify.rules.round import RulesRound

    sender, looker = make_sender(settings), Looker(settings, f"{socket.gethostname()}-notifier")
    sent, away = 0, False
    store: Store | None = None
    notifier: Notifier | None = None
    rules: RulesRound | None = None
    say("notifier")
    try:
        while not leave.asked:
            try:
                store = store or connect(settings)
                rules = rules or RulesRound(store, settings, f"{socket.gethostname()}-{os.getpid()}")
                notifier = notifier or Notifier(store, sender, settings, leaving=lambda: leave.asked)
                looker.turn(store, settings.notify_poll_s)
                rules.once(alone=once)
                sent += notifier.send_all()
                if away:
                    say("mongodb-is-back")
                away = False
            except StoreUnavailable as error:
                if once:
                    raise
                if not away:
                    warn("mongodb-away", error=error)
                away = True
            if once:
                break
            leave.pause(settings.notify_poll_s)
    finally:
        if notifier is not None:
            notifier.leave(LAST_PATIENCE_S)
        if store is not None:
            store.close()
    say("notifier-left", sent=sent)
    return sent


def plot(options: argparse.Namespace) -> int:
    """A PNG beside you, and the same in the terminal."""
    from notify.curve import png, terminal

    store = connect(load().settings)
    try:
        run = store.run(options.run)
        series = _chosen(store, run, options.metric)
    finally:
        store.close()
    target = Path(options.output or f"{short(run.id)}.png")
    _write(target, png(series, f"{run.experiment} {short(run.id)}"))
    if options.json:
        print(json.dumps({"run": run.id, "png": str(target), "metrics": [one.name for one in series]}))
        return ExitCode.OK
    print(terminal(series, min(shutil.get_terminal_size().columns, 120)))
    print(f"wrote {target}", file=sys.stderr)
    return ExitCode.OK


def _chosen(store: Store, run: Run, wanted: list[str]) -> list[Series]:
    names = store.series_names(run.id)
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise UserError(f"run {run.id} has no metric {unknown[0]!r}; it has: {', '.join(names) or 'none'}")
    if not names:
        raise UserError(f"run {run.id} has reported no metric yet; it is {run.state}")
    return [store.series(run.id, name) for name in wanted or names]


def _write(target: Path, data: bytes) -> None:
    try:
        target.write_bytes(data)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}; choose another place: -o FILE.png") from error
