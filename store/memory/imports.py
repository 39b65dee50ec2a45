"""Runs that were carried out elsewhere."""

from store.errors import Superseded
from store.imports import ATTEMPT, unfinished
from store.memory.shared import Shared
from store.metrics import LogChunk, Shipment
from store.query import param_paths
from store.runs import Run


class Imports(Shared):
    """Beginning, filling and ending an imported run."""

    def begin_import(self, run: Run, by: str, *, again: bool = False) -> bool:
        """The run is there, empty; False when it is there whole."""
        with self._lock:
            if run.id in self._runs and run.id not in self._importing and not again:
                return False
            self._param_names[run.experiment] |= param_paths(run.params)
            self._points.pop(run.id, None)
            self._output.pop((run.id, ATTEMPT), None)
            self._artifacts = {key: one for key, one in self._artifacts.items() if key[0] != run.id}
            self._put(unfinished(run))
            self._importing[run.id] = by
            return True

    def import_part(self, run_id: str, by: str, shipment: Shipment) -> None:
        """Points and output."""
        with self._lock:
            self._check_importing(run_id, by)
            for segment in shipment.segments:
                self._points[run_id] += [(ATTEMPT, point) for point in segment.points()]
            if shipment.output:
                chunk = LogChunk(attempt=ATTEMPT, offset=shipment.output_from, data=shipment.output)
                self._output[run_id, ATTEMPT].append(chunk)

    def end_import(self, run: Run, by: str) -> None:
        """All of it is there."""
        with self._lock:
            self._check_importing(run.id, by)
            del self._importing[run.id]
            self._metric_names[run.experiment] |= set(run.summary)
            self._put(run)

    def _check_importing(self, run_id: str, by: str) -> None:
        if self._importing.get(run_id) != by:
            raise Superseded(f"run {run_id}: another import has begun it anew")
