"""Studies and reported figures: one contract, two stores."""

import math
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from store.errors import IllegalTransition, NoSuchRun
from store.memory import MemoryStore
from store.runs import Ending, Run, Task
from store.states import State
from store.store import Settlement, Store
from store.studies import Study, StudyState, Trial, TrialState
from store.workers import Worker

AT = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = Worker(name="w1", host="here", pid=1, cpus=4, memory_bytes=8 << 30)
PATTERN = Run(
    id="", key="", experiment="s", params={"lr": 0.1}, task=Task(command=("true",), workdir="/"), queued_at=AT
)


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue("mongo_store") if request.param == "mongo" else MemoryStore()


def a_study(name: str = "s", **changes: Any) -> Study:
    return replace(Study(name=name, spec='{"metric": "val_loss"}', pattern=PATTERN, created_at=AT), **changes)


def a_trial(number: int = 0, **changes: Any) -> Trial:
    return replace(Trial(study="s", number=number, params={"a": {"lr": 0.1}}, runs=("r",), asked_at=AT), **changes)


class TestStudiesContract:
    def test_a_study_comes_back_as_it_went_in(self, store: Store) -> None:
        store.put_study(a_study())
        store.put_study(a_study(spec="{}", trouble="none"))
        assert store.study("s") == a_study(spec="{}", trouble="none")
        assert store.study("t") is None

    def test_studies_are_found_by_state(self, store: Store) -> None:
        for name in ("b", "a"):
            store.put_study(a_study(name))
        store.mark_study("a", state=StudyState.FINISHED, trouble="x")
        store.mark_study("a", trouble="")
        store.mark_study("nobody", state=StudyState.FINISHED)
        assert [study.name for study in store.studies()] == ["a", "b"]
        assert [study.name for study in store.studies(StudyState.ACTIVE, StudyState.ASKED)] == ["b"]
        assert store.study("a") == a_study("a", state=StudyState.FINISHED, trouble="")

    def test_a_number_is_taken_once_whoever_asks(self, store: Store) -> None:
        won: list[int] = []

        def insert(who: int) -> None:
            if store.add_trial(a_trial(params={"who": who})):
                won.append(who)

        threads = [threading.Thread(target=insert, args=(who,)) for who in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (trial,) = store.trials("s")
        assert won == [trial.params["who"]]

    def test_trials_come_by_number_those_before_the_study_first(self, store: Store) -> None:
        for number in (2, -1, 10, 0):
            assert store.add_trial(a_trial(number))
        assert store.add_trial(a_trial(study="t"))
        assert [trial.number for trial in store.trials("s")] == [-1, 0, 2, 10]
        assert [trial.number for trial in store.open_trials(["s", "t"])] == [-1, 0, 2, 10, 0]

    def test_an_ending_is_told_once(self, store: Store) -> None:
        store.add_trial(a_trial())
        told = a_trial(
            state=TrialState.PRUNED, values=(0.5,), points=((0, 1.5), (3, 0.5)), told="r/1", why="$slow", notes={"x": 1}
        )
        assert store.tell(told, "")
        assert not store.tell(replace(told, values=(9.0,)), "")
        (found,) = store.trials("s")
        assert found.told_at is not None
        assert found == replace(told, notes={}, told_at=found.told_at)
        assert store.open_trials(["s"]) == []
        assert store.tell(replace(told, told="r/2", values=(0.25,)), "r/1")
        assert store.trials("s")[0].values == (0.25,)
        assert not store.tell(a_trial(7, told="r"), "")

    def test_figures_are_added_to_an_ended_run(self, store: Store) -> None:
        store.add_runs([replace(PATTERN, id="r", key="r")])
        for run_id, error in (("r", IllegalTransition), ("nobody", NoSuchRun)):
            with pytest.raises(error):
                store.report(run_id, {"testerr": 0.5})
        taken = store.claim(WORKER, 60.0)
        assert taken is not None
        store.begin("r", taken.attempt, None, {})
        store.settle("r", taken.attempt, Settlement(state=State.FINISHED, ending=Ending(exit_code=0)))
        store.report("r", {"testerr": 0.5, "valerr": math.nan})
        run = store.report("r", {"testerr": 0.25})
        assert (run.summary["testerr"].last, run.summary["testerr"].count) == (0.25, 2)
        assert store.run("r").summary["testerr"] == run.summary["testerr"]
        assert math.isnan(run.summary["valerr"].last)
        assert store.series("r", "testerr").values == (0.5, 0.25)
        assert "testerr" in store.names(["s"]).metrics
        assert [event.event for event in store.events("r")][-1] == "reported"

    def test_a_run_knows_its_trial(self, store: Store) -> None:
        store.add_runs([replace(PATTERN, id="r", key="r", trial=3), replace(PATTERN, id="q", key="q")])
        assert (store.run("r").trial, store.run("q").trial) == (3, None)
