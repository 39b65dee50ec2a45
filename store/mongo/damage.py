"""Which finder and which hand belongs to which damage."""

from collections.abc import Iterator

from store.damage import Damage, Fault
from store.mongo.client import driver_errors, guarded
from store.mongo.leftovers import Leftovers


class Damaged(Leftovers):
    """Finding is reading; mending looks again, so that what has mended itself, or lives again, is left alone."""

    def faults(self, damage: Damage, *, stale_s: float, deep: bool = False) -> Iterator[Fault]:
        """What is wrong of this kind, read in pieces."""
        with driver_errors():
            yield from self._found(damage, stale_s, deep)

    def _found(self, damage: Damage, stale_s: float, deep: bool) -> Iterator[Fault]:
        match damage:
            case Damage.BROKEN_POINTER:
                return self._broken_pointers(deep)
            case Damage.UNLISTED_CHECKPOINT:
                return self._unlisted_checkpoints()
            case Damage.DAMAGED_CHECKPOINT:
                return self._damaged_checkpoints(deep)
            case Damage.HISTORY_WITHOUT_RUN:
                return self._histories()
            case Damage.ABANDONED_UPLOAD:
                return self._abandoned_uploads()
            case Damage.ORPHANED_FILE:
                return self._orphaned_files()
            case Damage.ORPHANED_CHUNKS:
                return self._orphaned_chunks()
            case Damage.STALE_WORKER:
                return self._stale_workers(stale_s)
            case Damage.STALE_LOCK:
                return self._stale_locks()
            case Damage.STALE_NOTICE:
                return self._stale_notices()
        return iter(())

    @guarded
    def mend(self, fault: Fault, *, stale_s: float) -> bool:
        """False when there was nothing to mend any more."""
        match fault.damage:
            case Damage.BROKEN_POINTER:
                return self._mend_pointer(fault)
            case Damage.UNLISTED_CHECKPOINT:
                return self._mend_list(fault)
            case Damage.DAMAGED_CHECKPOINT:
                return self._mend_checkpoint(fault)
            case Damage.HISTORY_WITHOUT_RUN:
                return self._mend_history(fault)
            case Damage.ABANDONED_UPLOAD:
                return self._mend_upload(fault)
            case Damage.ORPHANED_FILE:
                return self._mend_file(fault)
            case Damage.ORPHANED_CHUNKS:
                return self._mend_chunks(fault)
            case Damage.STALE_WORKER:
                return self._mend_worker(fault, stale_s)
            case Damage.STALE_LOCK:
                return self._mend_lock(fault)
            case Damage.STALE_NOTICE:
                return self._mend_notice(fault)
        return False
