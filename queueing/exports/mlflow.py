"""MLflow's tracking store: an experiment of the same name, a run for each run, with the whole history of each metric.

A run that was exported before is found by its tag `labq.run`: unchanged, it is left alone, else it is replaced. A run
is written in many steps, so one that is not whole yet has no tag `labq.version`. MLflow's databases hold infinities as
the greatest number there is.
"""

import logging
import os
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from queueing.exports.chosen import version
from queueing.space.names import flat
from store.errors import EngineMissing, LabqError, UserError
from store.runs import Run
from store.states import State
from store.store import Store

_METRICS_AT_ONCE = 1000
_PARAMS_AT_ONCE = 100
_LONGEST_PARAM = 6000
_LONGEST_TAG = 5000
_STATUS = {State.FINISHED: "FINISHED", State.FAILED: "FAILED", State.CANCELLED: "KILLED"}


class Tracking:
    """One tracking server or store. Raises UserError when its address is none, or it does not answer."""

    def __init__(self, uri: str) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise EngineMissing(f"MLflow's store needs mlflow: pip install 'labq[mlflow]' ({error})") from error
        for talkative in ("mlflow", "alembic"):
            logging.getLogger(talkative).setLevel(logging.WARNING)
        self._uri = uri
        self._experiments: dict[str, str] = {}
        self._client: Any = self._asked(lambda: MlflowClient(tracking_uri=uri))

    def put(self, run: Run, store: Store) -> bool:
        """Export the run; False when it is there already."""
        return bool(self._asked(lambda: self._put(run, store)))

    def _put(self, run: Run, store: Store) -> bool:
        experiment = self._experiment(run.experiment)
        mark = version(run)
        before = self._client.search_runs([experiment], filter_string=f"tags.`labq.run` = '{run.id}'")
        if any(one.data.tags.get("labq.version") == mark for one in before):
            return False
        made = self._write(run, store, experiment)
        self._client.set_tag(made, "labq.version", mark)
        for old in before:
            self._client.delete_run(old.info.run_id)
        return True

    def _write(self, run: Run, store: Store, experiment: str) -> str:
        from mlflow.entities import Param

        began = _ms(run.started_at.timestamp()) if run.started_at else 0
        made: str = self._client.create_run(experiment, start_time=began, run_name=run.id, tags=_tags(run)).info.run_id
        params = [Param(_key(name), str(value)[:_LONGEST_PARAM]) for name, value in flat(run.params).items()]
        for start in range(0, len(params), _PARAMS_AT_ONCE):
            self._client.log_batch(made, params=params[start : start + _PARAMS_AT_ONCE])
        for name in store.series_names(run.id):
            points = _points(run, store, name)
            while some := list(islice(points, _METRICS_AT_ONCE)):
                self._client.log_batch(made, metrics=some)
        if run.state in _STATUS and run.ended_at is not None:
            self._client.set_terminated(made, _STATUS[run.state], _ms(run.ended_at.timestamp()))
        return made

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name)
            if found is not None and found.lifecycle_stage == "deleted":
                self._client.restore_experiment(found.experiment_id)
            self._experiments[name] = found.experiment_id if found else self._client.create_experiment(name)
        return self._experiments[name]

    def _asked(self, ask: Any) -> Any:
        """MLflow's many kinds of errors, those of its HTTP and SQL libraries among them, as one of ours."""
        try:
            return ask()
        except LabqError:
            raise
        except Exception as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise UserError(f"MLflow at {self._uri}: {said[0][:300]}") from error


def _points(run: Run, store: Store, name: str) -> Iterator[Any]:
    from mlflow.entities import Metric

    curve = store.curve(run.id, name)
    for step, time, value in zip(curve.steps.tolist(), curve.times.tolist(), curve.values.tolist(), strict=True):
        yield Metric(_key(name), value, _ms(time), step)


def _tags(run: Run) -> dict[str, str]:
    tags = {
        "labq.run": run.id,
        "labq.state": run.state.value,
        "labq.attempts": str(run.attempt),
        "mlflow.user": run.owner,
    }
    if run.tags:
        tags["labq.tags"] = ",".join(run.tags)
    commit = (run.provenance.get("git") or {}).get("commit")
    if commit:
        tags["mlflow.source.git.commit"] = str(commit)
    return {name: text[:_LONGEST_TAG] for name, text in tags.items()}


def _key(name: str) -> str:
    """MLflow's keys: letters, digits, `_`, `-`, `.`, `/`, blank, `:`; no path that leads upwards."""
    return re.sub(r"[^\w\-. /:]", "_", name, flags=re.ASCII).replace("..", "_").strip("/")[:250] or "_"


def _ms(time: float) -> int:
    return int(time * 1000)
