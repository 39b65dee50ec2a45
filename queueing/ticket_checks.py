"""What can be wrong between Redis and the store. A ticket has no authority, so all of it costs waiting, never a run."""

from collections.abc import Iterator
from dataclasses import dataclass

from queueing.checks import Lab
from queueing.doorbell import ticket_id
from queueing.people import is_meant
from queueing.repair import RING_AT_MOST
from store.damage import Damage, Fault
from store.runs import Run
from store.store import RunQuery
from store.workers import Worker, fits, is_refused


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTicketCheck:
    """Tickets of runs that are not there. (Those of runs that somebody took already are no damage.)"""

    lab: Lab
    damage: Damage = Damage.TICKET_WITHOUT_RUN

    def find(self) -> Iterator[Fault]:
        """The ticket first, then the run: an enqueue writes them the other way round."""
        for page in self.lab.doorbell.tickets():
            ids = tuple({_run_of(ticket) for _, ticket in page})
            there = {run.id for run in self.lab.store.runs(RunQuery(ids=ids))}
            for queue, ticket in page:
                if _run_of(ticket) not in there:
                    text = f"no run {_run_of(ticket)[:40]}"
                    yield Fault(damage=self.damage, place=queue, id=ticket, text=text)

    def mend(self, fault: Fault) -> bool:
        """Forget it, unless the run has come back."""
        if self.lab.store.runs(RunQuery(ids=(_run_of(fault.id),))):
            return False
        return self.lab.doorbell.drop(fault.place, fault.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckTicketCheck:
    """Tickets that a worker had popped when it died."""

    lab: Lab
    damage: Damage = Damage.STUCK_TICKET

    def find(self) -> Iterator[Fault]:
        """Whatever is on the way now; what is there at two looks is stuck."""
        for queue, ticket in self.lab.doorbell.popped():
            yield Fault(damage=self.damage, place=queue, id=ticket, text="popped, and never answered")

    def mend(self, fault: Fault) -> bool:
        """Forget it; the repair loop rings again."""
        return self.lab.doorbell.drop(fault.place, fault.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrungCheck:
    """Queued runs without a ticket although an idle worker could take them.

    Runs that ask for GPUs are left out: whether one is free is known to its machine alone.
    """

    lab: Lab
    damage: Damage = Damage.RUN_WITHOUT_TICKET

    def find(self) -> Iterator[Fault]:
        """Among the runs that are next."""
        leaving = self.lab.store.drains()
        living = self.lab.store.workers(self.lab.settings.living_s)
        staying = [worker for worker in living if not any(is_meant(worker, order) for order in leaving)]
        idle = [worker for worker in staying if worker.run is None]
        ringable = self.lab.store.ringable(RING_AT_MOST) if idle else []
        waiting = {run: ticket_id(run, attempt) for run, attempt, _ in ringable}
        if not waiting:
            return
        rung = {ticket for page in self.lab.doorbell.tickets() for _, ticket in page}
        unrung = tuple(run for run, ticket in waiting.items() if ticket not in rung)
        for run in self.lab.store.runs(RunQuery(ids=unrung)) if unrung else []:
            if not run.resources.gpus and self._could_run(run, idle):
                text = f"queue {run.queue}, attempt {run.attempt}"
                yield Fault(damage=self.damage, place=run.queue, id=waiting[run.id], text=text)

    def mend(self, fault: Fault) -> bool:
        """Ring. What Redis remembers of a lost ticket goes first."""
        run, _, attempt = fault.id.rpartition("-")
        self.lab.doorbell.drop(fault.place, fault.id)
        self.lab.doorbell.ring([(run, int(attempt), fault.place)])
        return True

    def _could_run(self, run: Run, idle: list[Worker]) -> bool:
        now = self.lab.store.now()
        return any(fits(run, worker) and not is_refused(run, worker, now) for worker in idle)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationCheck:
    """Workers that RQ lists and that do not live. A busy one is not heard of by RQ for hours, so the store is asked."""

    lab: Lab
    damage: Damage = Damage.STALE_REGISTRATION

    def find(self) -> Iterator[Fault]:
        """RQ's name of a worker is ours and a random ending."""
        expired = self.lab.doorbell.expired_registrations()
        living = {worker.name for worker in self.lab.store.workers(self.lab.stale_s)} if expired else set()
        for queue, name in expired:
            if name.rpartition("-")[0] not in living:
                yield Fault(damage=self.damage, place=queue, id=name, text="registered with RQ, not heard of")

    def mend(self, fault: Fault) -> bool:
        """Off RQ's lists."""
        return self.lab.doorbell.unregister(fault.place, fault.id)


def _run_of(ticket: str) -> str:
    return ticket.rpartition("-")[0]
