"""What follows from happenings, collected until it is written at once. Pure but for what it collects."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from notify.rules.deciding import Decision, Way, Window, decide
from notify.rules.happenings import Happening
from notify.rules.holding import Holding
from store.notices import Notice, NoticeState, Part
from store.occasions import Occasion
from store.rules import SIMPLE, Mute, Scope, When
from store.telling import Gathering, Remembered, Telling

Asked = tuple[Happening, Holding, tuple[str, ...]]
"""What happened, a rule that asks for it, and whom it tells."""


def rate_id(holding: Holding) -> str:
    """Under which name it is remembered how many messages a rule has sent."""
    return f"rate/{holding.key}"


class Draft:
    """One `Telling` in the making."""

    def __init__(self, now: datetime, mutes: Sequence[Mute], remembered: Mapping[str, Remembered]) -> None:
        self._now = now
        self._muted = {mute.id for mute in mutes}
        self._remembered = remembered
        self._changed: dict[str, Remembered] = {}
        self._notices: dict[str, Notice] = {}
        self._digests: dict[str, tuple[Notice, list[Part]]] = {}

    def add(self, asked: Iterable[Asked]) -> None:
        """Decide on each, in this order."""
        for happening, holding, to in asked:
            window = self._window(holding)
            decision = decide(
                holding.rule, happening.about, happening.at, happening.experiment, window, self._now,
                muted=self._is_muted(happening),
            )  # fmt: skip
            self._carry_out(decision, happening, holding, to)
            if decision.window != window:
                one = self.memory(rate_id(holding))
                self.remember(replace(one, since=decision.window.since, count=decision.window.count))

    def memory(self, name: str) -> Remembered:
        """What is remembered under a name, with what this draft has changed."""
        return self._changed.get(name) or self._remembered.get(name) or Remembered(id=name)

    def remember(self, one: Remembered) -> None:
        """To be kept with the rest."""
        self._changed[one.id] = one

    def telling(self, events: Sequence[str] = (), sweeps: Sequence[str] = ()) -> Telling:
        """All of it."""
        gatherings = [Gathering(digest=digest, parts=tuple(parts)) for digest, parts in self._digests.values()]
        return Telling(
            events=tuple(events),
            notices=tuple(self._notices.values()),
            gatherings=tuple(gatherings),
            remembered=tuple(self._changed.values()),
            sweeps=tuple(sweeps),
        )

    def _window(self, holding: Holding) -> Window:
        one = self.memory(rate_id(holding))
        return Window(since=one.since, count=one.count)

    def _is_muted(self, happening: Happening) -> bool:
        return not self._muted.isdisjoint({f"run:{happening.run_id}", f"experiment:{happening.experiment}"})

    def _carry_out(self, decision: Decision, happening: Happening, holding: Holding, to: tuple[str, ...]) -> None:
        if decision.way is Way.GATHER:
            digest = _digest(decision, happening, holding, to)
            _, parts = self._digests.setdefault(digest.digest, (digest, []))
            parts.append(happening.part)
            return
        notice = _notice(happening, holding, to)
        if decision.way is Way.MUTE:
            notice = replace(notice, state=NoticeState.MUTED)
        elif decision.at is not None and decision.at > self._now:
            notice = replace(notice, not_before=decision.at)
        self._notices.setdefault(notice.id, notice)


def _notice(happening: Happening, holding: Holding, to: tuple[str, ...]) -> Notice:
    """Its id is that of earlier versions where the simple form asks; other rules may tell others of the same."""
    other = "" if holding.rule.name == SIMPLE else f"-{_digits(holding.key)}"
    return Notice(
        id=_clean(happening.key) + other,
        about=happening.about,
        to=to,
        run=happening.run_id,
        attempt=happening.attempt,
        experiment=happening.experiment,
        worker=happening.worker,
        metric=happening.metric,
        finding=happening.finding,
        rule=holding.label,
        with_history=holding.rule.with_history,
        created_at=happening.at,
    )


def _digest(decision: Decision, happening: Happening, holding: Holding, to: tuple[str, ...]) -> Notice:
    """One for the rule, the occasion to send it and the recipients; what opens it gives it an id of its own."""
    key = f"{holding.key}/{decision.digest}/{','.join(to)}"
    of_experiment = holding.scope is Scope.EXPERIMENT or holding.rule.when is When.SWEEP
    return Notice(
        id=f"digest-{_digits(f'{key}/{happening.key}', 16)}",
        about=Occasion.DIGEST,
        to=to,
        experiment=happening.experiment if of_experiment else "",
        rule=holding.label,
        with_history=holding.rule.with_history,
        not_before=decision.at,
        digest=key,
    )


def _digits(text: str, count: int = 8) -> str:
    return sha256(text.encode()).hexdigest()[:count]


def _clean(key: str) -> str:
    """As a Message-ID and a file name allow it; what had to be changed or cut is still told apart."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", key)
    return key if plain == key and len(key) <= 120 else f"{plain[:120]}-{_digits(key)}"
