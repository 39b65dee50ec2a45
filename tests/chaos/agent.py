"""The agent that strikes: it follows the plan and puts back in order what it has disturbed."""

import heapq
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil
from fleet import SERVERS, Fleet, Slot
from lines import Flow
from plan import Action, Fault, Target

from store.states import ENDED, State

PATIENCE_S = 8.0
"""How long the agent waits for somebody to hit. A blow that finds nobody is missed."""

_TICK_S = 0.02
_ASK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A fault that was carried out."""

    fault: Fault
    after_s: float
    who: str
    run: str = ""

    def __str__(self) -> str:
        run = f" run={self.run}" if self.run else ""
        held = f"{self.fault.hold_s:.2f} s"
        return f"{self.after_s:.2f} s: #{self.fault.number} {self.fault.kind} {self.who} for {held}{run}"


class Agent:
    """Strikes one fault after the other, as the work goes on."""

    def __init__(self, fleet: Fleet, faults: tuple[Fault, ...], done: Callable[[], float | None]) -> None:
        self._fleet, self._done = fleet, done
        self._faults = list(faults)
        self.strikes: list[Strike] = []
        self.missed: list[Fault] = []
        self._undo: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._began = time.monotonic()
        self._share = 0.0
        self._ask_at = 0.0
        self._waiting_since: float | None = None

    def run(self, deadline: float) -> bool:
        """Until all work is done and everything is put back; False when that is not so at the deadline."""
        self._began = time.monotonic()
        while time.monotonic() < deadline:
            self._put_back()
            self._fleet.look_after()
            self._ask()
            if self._share >= 1.0 and not self._undo:
                self.missed += self._faults
                return True
            if self._faults and self._share >= self._faults[0].at:
                self._strike_next()
            time.sleep(_TICK_S)
        for _, _, undo in sorted(self._undo):
            undo()
        return False

    def _ask(self) -> None:
        """How much is done. A MongoDB that we have taken away need not be asked."""
        if time.monotonic() < self._ask_at or not self._fleet.is_up(Target.MONGOD):
            return
        share = self._done()
        self._share = self._share if share is None else share
        self._ask_at = time.monotonic() + _ASK_S

    def _strike_next(self) -> None:
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        struck = self._strike(self._faults[0])
        if struck or now > self._waiting_since + PATIENCE_S:
            fault = self._faults.pop(0)
            self._waiting_since = None
            if not struck:
                self.missed.append(fault)

    def _put_back(self) -> None:
        while self._undo and self._undo[0][0] <= time.monotonic():
            heapq.heappop(self._undo)[2]()

    def _later(self, fault: Fault, undo: Callable[[], None]) -> None:
        heapq.heappush(self._undo, (time.monotonic() + fault.hold_s, next(self._order), undo))

    def _note(self, fault: Fault, who: str, run: str = "") -> None:
        self.strikes.append(Strike(fault=fault, after_s=time.monotonic() - self._began, who=who, run=run))

    # ── blows; each tells whether it found somebody ──
    def _strike(self, fault: Fault) -> bool:
        if fault.target is Target.LINE:
            return self._cut(fault)
        found = self._fleet.victims(fault.target)
        if fault.action is Action.RESTART and fault.target is Target.WORKER:
            found = [group for group in found if self._fleet.slot_of(group[0])]
        if not found:
            return False
        group = found[int(fault.pick * len(found))]
        self._note(fault, "+".join(str(process.pid) for process in group), _run_of(group))
        if fault.target in SERVERS:
            self._hit_server(fault, group[0])
        elif fault.action is Action.FREEZE:
            self._freeze(fault, group)
        else:
            self._end(fault, group)
        return True

    def _cut(self, fault: Fault) -> bool:
        slot = self._fleet.slots[int(fault.pick * len(self._fleet.slots))]
        self._fleet.turn(slot, Flow.CUT if fault.action is Action.CUT else Flow.HOLE)
        self._later(fault, lambda: self._fleet.turn(slot, Flow.OPEN))
        self._note(fault, slot.name)
        return True

    def _freeze(self, fault: Fault, group: list[psutil.Process]) -> None:
        for process in group:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                self._later(fault, _resuming(process))

    def _end(self, fault: Fault, group: list[psutil.Process]) -> None:
        """Kill, or ask to leave. The slot of the one that ends is filled again later."""
        for slot in _slots(self._fleet, group):
            self._fleet.hit(slot, fault.hold_s)
        for process in group:
            with suppress(psutil.NoSuchProcess):
                process.terminate() if fault.action is Action.RESTART else process.kill()

    def _hit_server(self, fault: Fault, process: psutil.Process) -> None:
        if fault.action is Action.FLUSH:
            self._fleet.flush_redis()
            return
        if fault.action is Action.FREEZE:
            self._fleet.freeze(fault.target)
            process.suspend()
            self._later(fault, _resuming(process))
            self._later(fault, lambda: self._fleet.thaw(fault.target))
            return
        if fault.action is Action.RESTART:
            process.terminate()
        else:
            process.kill()
        if fault.action is Action.WIPE:
            process.wait(5)
            self._fleet.wipe_redis()
        self._fleet.bring_back(fault.target, 0.0 if fault.action is Action.RESTART else fault.hold_s)


def share_done(states: list[tuple[State, float]]) -> float:
    """From 0 to 1: what the runs have reported of their way; an ended one is done, whatever it reported."""
    if not states:
        return 0.0
    return sum(1.0 if state in ENDED else min(done, 0.999) for state, done in states) / len(states)


def _slots(fleet: Fleet, group: list[psutil.Process]) -> list[Slot]:
    return [slot for slot in map(fleet.slot_of, group) if slot is not None]


def _resuming(process: psutil.Process) -> Callable[[], None]:
    def resume() -> None:
        with suppress(psutil.NoSuchProcess):
            process.resume()

    return resume


def _run_of(group: list[psutil.Process]) -> str:
    """The run and attempt that the victims hold, from the environment of a child below them."""
    with suppress(psutil.Error):
        for process in [*group, *group[0].children(recursive=True)]:
            env = process.environ()
            if "LABQ_RUN" in env:
                return f"{env['LABQ_RUN']}-{env['LABQ_ATTEMPT']}"
    return ""
