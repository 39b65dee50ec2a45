"""The round that acts on findings, as workers take part in it: what goes wrong there keeps no run from going on."""

from queueing.doorbell import Doorbell
from queueing.remedies.round import treat_runs
from store.errors import LabqError
from store.logbook import warn
from store.settings import Settings
from store.store import Store


def treat(store: Store, doorbell: Doorbell, settings: Settings, worker: str) -> None:
    """One round."""
    try:
        treat_runs(store, doorbell, settings, worker)
    except LabqError as error:
        warn("treating-failed", error=error)
    except Exception as error:  # noqa: BLE001
        warn("treating-stumbled", error=repr(error))
