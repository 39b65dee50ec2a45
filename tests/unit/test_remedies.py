"""What is done about findings: rules as written, what they decide, and that it is done once whoever is killed."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from queueing.definition import define
from queueing.doorbell import Doorbell
from queueing.remedies.change import changed, new_values
from queueing.remedies.deciding import decide, ruling_name, successor
from queueing.remedies.round import treat_runs
from queueing.remedies.table import RemedyTable
from queueing.remedies.words import remedy_words
from store.changes import Change, resumed
from store.errors import BadExperiment, StoreUnavailable
from store.experiments import Experiment
from store.findings import Diagnosis, Disease, Finding, Severity
from store.judged import Judged, Ruling
from store.memory import MemoryStore
from store.remedies import Remedy
from store.runs import Ending, Run, Task
from store.settings import Settings
from store.states import Reason, State, Wish
from store.store import RunQuery, Settlement
from store.workers import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BAD = Finding(disease=Disease.DIVERGENCE, severity=Severity.SEVERE, evidence="loss 3 → 80", advice="", since_step=40)
MILD = Finding(disease=Disease.PLATEAU, severity=Severity.WARNING, evidence="nothing for 100 steps", advice="")
REQUEUE = {"on": "divergence", "do": "requeue", "change": {"lr": "/ 10"}, "most": 2}
SETTINGS = Settings(repair_s=0.001)


def rule(**said: Any) -> RemedyTable:
    return RemedyTable.model_validate({"on": "divergence", "do": "stop", **said})


def a_run(**changes: Any) -> Run:
    task = Task(command=("train", "{lr}"), workdir="/")
    run = Run(id="aaaa", key="k", experiment="exp", params={"lr": 0.1, "net": {"size": 20}}, task=task, queued_at=NOW)
    return replace(run, **{"state": State.RUNNING, "attempt": 1, **changes})


class TestChange:
    @pytest.mark.parametrize(
        ("old", "change", "new"),
        [
            (0.1, "/ 10", 0.01), (0.1, "* 0.1", 0.01), (0.3, "/3", 0.1), (32, "* 2", 64), (32, "/ 2", 16), (25, "/ 10", 2.5),
            (3, "+ 1", 4), (3, "- 1.5", 1.5), (1e-8, "* 1e-3", 1e-11), (0.1, 0.05, 0.05), ("sgd", "adam", "adam"),
            ("sgd", "-x", "-x"), (True, False, False),
        ],
    )  # fmt: skip
    def test_values_are_changed_as_written(self, old: Any, change: Any, new: Any) -> None:
        made = changed(old, change)
        assert (made, type(made)) == (new, type(new))

    @pytest.mark.parametrize(
        ("old", "change"), [("sgd", "* 2"), (True, "+ 1"), (1e308, "* 1e10"), (0.1, "/ 0"), (0.1, "* x")]
    )
    def test_what_makes_no_number_is_refused(self, old: Any, change: Any) -> None:
        with pytest.raises(ValueError):  # noqa: PT011
            changed(old, change)

    def test_nested_parameters_have_dotted_names(self) -> None:
        assert new_values(a_run().params, {"net.size": "* 2"}) == {"net.size": 40}
        with pytest.raises(ValueError, match="net: is no parameter"):
            new_values(a_run().params, {"net": 3})


class TestDeciding:
    def test_a_run_is_stopped_for_what_a_rule_names(self) -> None:
        remedy = decide(a_run(), [MILD, BAD], [rule()])
        assert remedy == Remedy(rule="divergence", because="divergence since step 40: loss 3 → 80")
        assert decide(a_run(), [MILD], [rule()]) is None
        assert decide(a_run(), [replace(BAD, severity=Severity.NOTE)], [rule()]) is None
        assert decide(a_run(), [replace(BAD, severity=Severity.NOTE)], [rule(severity="note")]) is not None

    def test_rules_that_only_tell_change_nothing(self) -> None:
        assert decide(a_run(), [BAD], [rule(do="warn"), rule(do="mail")]) is None

    def test_the_strongest_rule_counts(self) -> None:
        remedy = decide(a_run(), [BAD], [rule(), RemedyTable.model_validate(REQUEUE)])
        assert remedy is not None
        assert (remedy.change, remedy.number) == ({"lr": 0.01}, 1)

    def test_the_line_of_a_run_is_only_so_long(self) -> None:
        rules = [RemedyTable.model_validate(REQUEUE)]
        second = decide(a_run(provenance={"after": {"number": 1}}), [BAD], rules)
        third = decide(a_run(provenance={"after": {"number": 2}}), [BAD], rules)
        assert second is not None
        assert second.number == 2
        assert third is not None
        assert third.change is None
        assert third.because.endswith("after 2 changed runs no other one is tried")
        assert decide(a_run(provenance={"after": {"number": 2}}, state=State.FAILED), [BAD], rules) is None

    def test_what_people_have_said_counts_more(self) -> None:
        let_go = Judged(overruled=(Ruling(rule=ruling_name("divergence")),))
        for run in (a_run(wish=Wish.CANCEL), a_run(state=State.CANCELLED), a_run(judged=let_go)):
            assert decide(run, [BAD], [rule(), RemedyTable.model_validate(REQUEUE)]) is None

    def test_a_run_that_has_failed_by_itself_is_tried_anew_but_not_stopped(self) -> None:
        failed = a_run(state=State.FAILED, reason=Reason.DIVERGED)
        assert decide(failed, [BAD], [rule()]) is None
        remedy = decide(failed, [BAD], [RemedyTable.model_validate(REQUEUE)])
        assert remedy is not None
        assert remedy.change == {"lr": 0.01}

    def test_the_run_that_follows_is_a_run_of_its_own(self) -> None:
        run = a_run(provenance={"git": {"commit": "c"}, "followed_by": "x"}, priority=3, attempt=7, repeat=1)
        remedy = Remedy(rule="divergence", because="so", change={"lr": 0.01}, number=1)
        new = successor(run, remedy, NOW)
        assert new is not None
        assert new == replace(
            run, id=new.id, key=new.key, params={"lr": 0.01, "net": {"size": 20}}, state=State.QUEUED, attempt=0,
            provenance={
                "git": {"commit": "c"},
                "after": {"run": "aaaa", "finding": "divergence", "because": "so", "change": {"lr": 0.01}, "number": 1},
            },
        )  # fmt: skip
        assert successor(run, remedy, NOW) == new
        same = successor(replace(run, key=new.key, params=new.params), remedy, NOW)
        assert same is None
        assert successor(run, replace(remedy, change=None), NOW) is None


class Bell:
    """Nobody hears it."""

    def tell(self, _channels: Any) -> None: ...
    def ring(self, _tickets: Any) -> None: ...


BELL = cast(Doorbell, Bell())


class Killed(BaseException):
    """As SIGKILL would."""


WRITES = ("prescribe", "add_runs", "change", "close_case")


class Deadly:
    """The store, in which the `at`-th write is the last thing that happens: just before it, or just after."""

    def __init__(self, store: MemoryStore, at: int, *, after: bool) -> None:
        self._store, self._at, self._after, self._count = store, at, after, 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if name not in WRITES:
            return real

        def call(*given: Any) -> Any:
            self._count += 1
            if self._count == self._at and not self._after:
                raise Killed
            done = real(*given)
            if self._count == self._at:
                raise Killed
            return done

        return call


def a_lab(*tables: dict[str, Any]) -> MemoryStore:
    store = MemoryStore()
    rules = tuple(RemedyTable.model_validate(table).model_dump(mode="json") for table in tables)
    store.add_experiment(Experiment(name="exp", owner="me", source="f", text="", created_at=NOW, diagnosis=rules))
    store.add_runs([a_run(state=State.QUEUED, attempt=0)])
    run = store.claim(Worker(name="w", host="h", pid=1), 1e6)
    assert run is not None
    store.begin(run.id, 1, None, {})
    return store


def find(store: MemoryStore, *findings: Finding) -> None:
    assert store.put_diagnosis(Diagnosis(run="aaaa", attempt=1, findings=findings), findings, to_treat=True)


def treat(store: Any) -> None:
    treat_runs(store, BELL, SETTINGS, "me")


def told(store: MemoryStore, event: str) -> list[str]:
    return [one.because for one in store.events("aaaa") if one.event == event]


class TestRound:
    def test_a_run_is_stopped_and_told_why(self) -> None:
        store = a_lab({"on": "divergence", "do": "stop"})
        find(store, BAD)
        treat(store)
        run = store.run("aaaa")
        assert run.wish is Wish.CANCEL
        assert run.judged.stopped == Ruling(
            rule="diagnosis: divergence", because="divergence since step 40: loss 3 → 80"
        )
        assert told(store, "stop") == ["divergence since step 40: loss 3 → 80"]
        assert store.cases(10) == []

    def test_a_run_is_stopped_and_tried_anew(self) -> None:
        store = a_lab(REQUEUE)
        find(store, BAD)
        treat(store)
        old, new = store.run("aaaa"), next(run for run in store.runs(RunQuery()) if run.id != "aaaa")
        assert (old.wish, new.state, new.params["lr"]) == (Wish.CANCEL, State.QUEUED, 0.01)
        assert (old.provenance["followed_by"], new.provenance["after"]["run"]) == (new.id, "aaaa")
        assert told(store, "stop")[0].endswith(f"tried anew as {new.id[:8]} with lr = 0.01")

    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("at", range(1, 7))
    @pytest.mark.parametrize("ends", [None, State.FAILED])
    def test_it_is_done_once_whoever_is_killed_in_it(self, at: int, after: bool, ends: State | None) -> None:
        store = a_lab(REQUEUE)
        find(store, BAD)
        if ends is not None:
            store.settle("aaaa", 1, Settlement(state=ends, reason=Reason.DIVERGED, ending=Ending(exit_code=1)))
        killed = False
        try:
            treat(Deadly(store, at, after=after))
        except Killed:
            killed = True
        assert killed == (at <= (5 if ends is None else 4))
        treat(store)
        treat(store)
        runs = store.runs(RunQuery())
        assert [run.params["lr"] for run in runs if run.id != "aaaa"] == [0.01]
        assert len(told(store, "followed")) == 1
        assert len(told(store, "stop")) == (1 if ends is None else 0)
        assert store.cases(10) == []

    def test_what_was_decided_is_carried_out_although_the_finding_is_over(self) -> None:
        store = a_lab(REQUEUE)
        find(store, BAD)
        with pytest.raises(Killed):
            treat(Deadly(store, 2, after=False))
        store.put_looks([Diagnosis(run="aaaa", attempt=1, findings=(replace(BAD, over_at=NOW),))])
        treat(store)
        assert len(store.runs(RunQuery())) == 2
        assert store.run("aaaa").wish is Wish.CANCEL

    def test_a_person_who_lets_it_go_on_is_not_overruled(self) -> None:
        store = a_lab(REQUEUE)
        find(store, BAD)
        treat(store)
        store.settle("aaaa", 1, Settlement(state=State.CANCELLED, reason=Reason.STOPPED))
        store.change(["aaaa"], Change(name="resume", apply=resumed))
        run = store.claim(Worker(name="w", host="h", pid=1), 1e6)
        while run is not None and run.id != "aaaa":
            run = store.claim(Worker(name="w", host="h", pid=1), 1e6)
        store.begin("aaaa", 2, None, {})
        assert store.put_diagnosis(Diagnosis(run="aaaa", attempt=2, findings=(BAD,)), [BAD], to_treat=True)
        treat(store)
        assert store.run("aaaa").wish is None
        assert len(store.runs(RunQuery())) == 2

    def test_a_case_nobody_can_answer_keeps_no_other_from_being_answered(self) -> None:
        store = a_lab(REQUEUE)
        find(store, BAD)
        store.add_runs([a_run(id="bbbb", key="b", state=State.QUEUED, attempt=0, experiment="odd")])
        newer = {"on": ["a disease of the future"], "do": "stop"}
        store.add_experiment(
            Experiment(name="odd", owner="me", source="f", text="", created_at=NOW, diagnosis=(newer,))
        )
        assert store.put_diagnosis(Diagnosis(run="bbbb", attempt=0, findings=(BAD,)), [BAD], to_treat=True)
        treat(store)
        assert store.cases(10) == []
        assert store.run("aaaa").wish is Wish.CANCEL
        assert store.run("bbbb").state is State.QUEUED

    def test_a_store_that_goes_away_leaves_the_case_open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_: object) -> None:
            raise StoreUnavailable("gone")

        store = a_lab(REQUEUE)
        find(store, BAD)
        with monkeypatch.context() as patch:
            patch.setattr(store, "add_runs", away)
            with pytest.raises(StoreUnavailable):
                treat(store)
        assert len(store.cases(10)) == 1
        treat(store)
        assert len(store.runs(RunQuery())) == 2


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(rules: str, *, more: str = "") -> Path:
        text = f'name = "e"\ncommand = ["true", "{{lr}}"]\n{more}\n[params]\nlr = 0.1\nopt = "sgd"\n{rules}'
        (tmp_path / "e.toml").write_text(text)
        return tmp_path / "e.toml"

    return write


class TestFiles:
    def test_rules_are_read_and_said(self, file: Any) -> None:
        rules = (
            '[[diagnosis]]\non = ["divergence", "not-finite"]\nseverity = "severe"\ndo = "requeue"\n'
            'change = {lr = "/ 10", opt = "adam"}\nmost = 2\n[[diagnosis]]\non = "plateau"\ndo = "stop"\n'
        )
        definition = define(file(rules), Settings())
        assert remedy_words(definition.diagnosis) == [
            "divergence or not-finite (severe): stop, and try anew with lr / 10, opt = adam, 2 times at most",
            "plateau (warning or worse): stop",
        ]

    def test_rules_that_mail_are_rules_of_notify(self, file: Any) -> None:
        rules = '[[diagnosis]]\non = ["plateau", "stuck"]\ndo = "mail"\n[notify]\nto = "me@lab.example"\n'
        assert define(file(rules), Settings()).notify.on == ("finished", "failed", "plateau", "stuck")

    @pytest.mark.parametrize(
        ("rules", "says"),
        [
            ('on = "divergance"\ndo = "stop"', "line 8: diagnosis[0].on[0]: is 'divergance'; allowed: not-finite"),
            ('on = "divergance"\ndo = "stop"', "did you mean 'divergence'?"),
            ('on = []\ndo = "stop"', "diagnosis[0].on"),
            ('on = "plateau"', "diagnosis[0].do: is missing"),
            ('on = "plateau"\ndo = "stopp"', "did you mean 'stop'?"),
            (
                'on = "plateau"\ndo = "stop"\nseverity = 3',
                "diagnosis[0].severity: is 3; allowed: note, warning, severe",
            ),
            ('on = "plateau"\ndo = "stop"\nmost = 2', 'diagnosis[0].most: goes with do = "requeue"'),
            ('on = "plateau"\ndo = "requeue"', "diagnosis[0].change: is missing"),
            (
                'on = "plateau"\ndo = "requeue"\nchange = {lrr = 1}',
                "is no parameter of this experiment; did you mean 'lr'?",
            ),
            ('on = "plateau"\ndo = "requeue"\nchange = {opt = "* 2"}', "the parameter is 'sgd', which is no number"),
            ('on = "plateau"\ndo = "requeue"\nchange = {lr = "/ ten"}', "is no change by a number"),
            ('on = "plateau"\ndo = "requeue"\nchange = {lr = [1]}', "is a table or a list"),
            ('on = "plateau"\ndo = "mail"', "nobody is named; add [notify]"),
        ],
    )
    def test_mistakes_are_told_with_their_place(self, file: Any, rules: str, says: str) -> None:
        with pytest.raises(BadExperiment) as caught:
            define(file(f"[[diagnosis]]\n{rules}\n"), Settings())
        assert says in str(caught.value)

    def test_values_of_a_sweep_are_looked_at(self, file: Any) -> None:
        rules = '[[diagnosis]]\non = "plateau"\ndo = "requeue"\nchange = {size = "* 2"}\n'
        sweep = '[sweep.params]\nsize = ["small", "large"]\n'
        with pytest.raises(BadExperiment, match="the parameter is 'small', which is no number"):
            define(file(sweep + rules), Settings())

    def test_an_optimizer_makes_its_runs_itself(self, file: Any) -> None:
        optimizer = '[optimizer]\nmetric = "loss"\ntrials = 3\n[optimizer.params]\nsize = {low = 1, high = 3}\n'
        rules = '[[diagnosis]]\non = "plateau"\ndo = "requeue"\nchange = {lr = "* 2"}\n'
        with pytest.raises(BadExperiment, match=r"\[optimizer\] makes the runs"):
            define(file(optimizer + rules), Settings())
