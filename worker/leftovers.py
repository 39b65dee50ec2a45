"""What dead processes left on this machine: for `labq doctor`, which else knows the servers alone."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from queueing.checks import Check
from queueing.cli.doctor import examine_lab
from store.damage import Damage, Fault
from store.settings import Settings, load
from worker.gpu_slots import forget_slot, left_slots
from worker.rundir import abandoned, sweep


def doctor(options: argparse.Namespace) -> int:
    """`labq doctor`: the lab, and this machine."""
    settings = load().settings
    return examine_lab(options, settings, here(settings))


def here(settings: Settings) -> list[Check]:
    """The checks of this machine."""
    return [SlotCheck(folder=settings.slots_dir), RunDirCheck(folder=settings.runs_dir)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCheck:
    """GPU slots. The kernel has freed them already; what is written there is of a process that died."""

    folder: Path
    damage: Damage = Damage.STALE_SLOT

    def find(self) -> Iterator[Fault]:
        """Those that nobody holds, and nobody gave back."""
        for path, text in left_slots(self.folder):
            yield Fault(damage=self.damage, place=str(path), id=text[:200], text="its holder died")

    def mend(self, fault: Fault) -> bool:
        """Remove the file."""
        return forget_slot(Path(fault.place))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDirCheck:
    """Run directories whose supervisor died, which the next worker of this machine would sweep."""

    folder: Path
    damage: Damage = Damage.ABANDONED_RUN_DIR

    def find(self) -> Iterator[Fault]:
        """Those whose lock nobody holds."""
        for path in abandoned(self.folder):
            yield Fault(damage=self.damage, place=str(self.folder), id=path.name, text="its supervisor died")

    def mend(self, fault: Fault) -> bool:
        """Sweep as a worker does: what still runs in its name ends first."""
        sweep(self.folder)
        return not (self.folder / fault.id).exists()
