"""The threads that work beside a child: what it reports goes to MongoDB, what it uses is looked at."""

from collections.abc import Callable, Sequence

from store.runs import Run
from store.settings import Settings
from store.store import Store
from worker.disk_watch import DiskWatch
from worker.gpus import Gpu
from worker.keeper import Call
from worker.pacing import Pacing
from worker.rundir import RunDir
from worker.sampler import Sampler
from worker.server_clock import ServerClock
from worker.shipper import Shipper
from worker.station import OwnScript


class Beside:
    """Shipper, sampler and the watch over the disk."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        run: Run,
        folder: RunDir,
        gpus: Sequence[Gpu],
        clock: ServerClock,
        tell: Callable[[Call], None],
        pacing: Pacing,
        *,
        own: OwnScript | None = None,
    ) -> None:
        self.shipper = Shipper(
            store,
            run,
            folder,
            pause_s=settings.ship_s,
            keep=settings.keep_checkpoints,
            clock=clock,
            superseded=lambda: tell(Call.SUPERSEDED),
            pacing=pacing,
        )
        self.sampler = Sampler(store, settings, run, folder.path, gpus, own.root if own is not None else None)
        self._disk = DiskWatch(folder.path, lambda: tell(Call.DISK_FULL)) if own is None else None

    def start(self) -> None:
        """Once the child runs."""
        self.shipper.start()
        self.sampler.start()
        if self._disk is not None:
            self._disk.start()

    def stop_looking(self) -> None:
        """The child has ended; what it left is still to be shipped: `shipper.finish`."""
        if self._disk is not None:
            self._disk.stop()
        self.sampler.stop()
