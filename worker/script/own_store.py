"""The store as the supervisor of somebody's own script has it: it may come later, and goes away without harm.

Not joined: MongoDB was away when the programme began. Everything is spooled in the run directory; when MongoDB is back
the run is recorded, claimed and begun, as if a moment ago. Cut off: the run was given up as lost meanwhile, which its
attempt takes back. Adrift: somebody else has it, or it is gone; the programme trains on all the same.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from store.errors import LabqError, StoreUnavailable, Superseded
from store.logbook import say, warn
from store.runs import Checkpoint, Run, Task
from store.samples import Peaks, Sample
from store.spans import Pace
from store.states import Reason, State
from store.store import Decision, Settlement, Store

T = TypeVar("T")
_PAUSE_S = 1.0


class OwnStore:
    """Whatever is not written out below goes to the store itself. Where it is of our run, it is fenced here."""

    def __init__(
        self,
        run: Run,
        task: Task,
        *,
        join: Callable[[], Store],
        store: Store | None,
        lease_s: float,
        facts: dict[str, Any],
        was_interrupted: Callable[[], bool],
    ) -> None:
        """`join`: connects, and claims the run for its first attempt. `was_interrupted`: by a Ctrl-C."""
        self._run, self._task, self._join, self._store = run, task, join, store
        self._lease_s, self._facts, self._was_interrupted = lease_s, facts, was_interrupted
        self._worker = run.history[-1].worker
        self._begun: dict[str, Any] | None = None
        self._ask_at = 0.0
        self._away = StoreUnavailable("MongoDB is away")
        self._lock = threading.Lock()
        self.is_adrift = False

    @property
    def is_joined(self) -> bool:
        """Whether the run is recorded."""
        return self._store is not None

    # ── what the supervisor asks before the programme runs ──
    def peaks(self, experiment: str) -> Peaks:
        """Nothing is known while MongoDB is away."""
        try:
            return self._joined().peaks(experiment)
        except StoreUnavailable:
            return Peaks()

    def paces(self, experiment: str) -> tuple[Pace, ...]:
        """The same."""
        try:
            return self._joined().paces(experiment)
        except StoreUnavailable:
            return ()

    def begin(self, run_id: str, attempt: int, checkpoint: Checkpoint | None, facts: dict[str, Any]) -> Run:
        """At once, also without MongoDB."""
        facts = {**facts, **self._facts}
        if self._store is None:
            self._begun = facts
            history = (*self._run.history[:-1], replace(self._run.history[-1], facts=facts))
            return replace(self._run, task=self._task, history=history)
        run = self._fenced(lambda store: store.begin(run_id, attempt, checkpoint, facts))
        return replace(run, task=self._task)

    # ── what is ours ──
    def add_sample(self, sample: Sample, peaks: Peaks, keep_s: float) -> None:
        """Looks are no history: while MongoDB is away they are lost, and a script's log is no place to say so."""
        with suppress(StoreUnavailable):
            self._fenced(lambda store: store.add_sample(sample, peaks, keep_s))

    def settle(self, run_id: str, attempt: int, decide: Decision, *, only_expired: bool = False) -> Run:
        """A Ctrl-C is a person's word: the run does not wait to go on."""
        if run_id != self._run.id or only_expired:
            return self._joined().settle(run_id, attempt, decide, only_expired=only_expired)

        def decided(run: Run) -> Settlement:
            made = decide(run) if callable(decide) else decide
            if made.state is State.QUEUED and self._was_interrupted():
                return replace(made, state=State.CANCELLED, reason=Reason.STOPPED, backoff_s=0.0)
            return made

        return self._fenced(lambda store: store.settle(run_id, attempt, decided))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*given: Any, **named: Any) -> Any:
            def ask(store: Store) -> Any:
                return getattr(store, name)(*given, **named)

            subject = given[0] if given else None
            is_ours = subject == self._run.id or getattr(subject, "run", None) == self._run.id
            return self._fenced(ask) if is_ours and name in _FENCED else ask(self._joined())

        return call

    def _fenced(self, ask: Callable[[Store], T]) -> T:
        store = self._joined()
        try:
            return ask(store)
        except Superseded as error:
            if not store.rejoin(self._run.id, self._run.attempt, self._worker, self._lease_s):
                self.is_adrift = True
                self._away = StoreUnavailable(f"run {self._run.id} has moved on without this attempt")
                warn("adrift", run=self._run.id, attempt=self._run.attempt, error=error)
                raise self._away from error
        say("rejoined", run=self._run.id, attempt=self._run.attempt)
        return ask(store)

    def _joined(self) -> Store:
        with self._lock:
            if self.is_adrift or (self._store is None and time.monotonic() < self._ask_at):
                raise self._away
            return self._store or self._joining()

    def _joining(self) -> Store:
        try:
            store = self._join()
            if self._begun is not None:
                store.begin(self._run.id, self._run.attempt, None, self._begun)
        except LabqError as error:
            self._ask_at = time.monotonic() + _PAUSE_S
            self._away = StoreUnavailable(str(error))
            raise self._away from error
        self._store = store
        say("recorded", run=self._run.id, attempt=self._run.attempt)
        return store


_FENCED = frozenset({"renew", "note_facts", "ship", "publish_checkpoint", "add_artifact"})
