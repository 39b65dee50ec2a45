"""`labq notify`."""

import argparse
import json
import os
import signal
import socket
import time

from store.connect import connect
from store.errors import ExitCode, StoreUnavailable
from store.logbook import open_logbook, say, warn
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
