"""The query language: what each spelling means, and what is said about each mistake. Pure."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from queueing.query.meaning import condition, experiments_in
from queueing.query.parser import parse
from queueing.query.raw import raw
from queueing.query.values import Context
from store.directions import greater_is_better
from store.errors import BadQuery
from store.matching import matches
from store.query import Condition, Names
from store.runs import Attempt, Ending, MetricSummary, Progress, Resources, Run, Task
from store.states import Reason, State

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CONTEXT = Context(now=NOW, me="ann", zone=ZoneInfo("Europe/Berlin"))
NAMES = Names(
    metrics=frozenset({"val_loss", "loss", "epoch", "val/acc", "my metric", "both", "val_accuracy"}),
    params=frozenset({"lr", "n_hidden", "act", "data", "data.vectors", "head", "head.kind", "both", "fast", "layers"}),
)


def number(last: float, least: float | None = None, most: float | None = None) -> MetricSummary:
    return MetricSummary(last=last, last_step=9, count=10, min=least, min_step=5, max=most, max_step=7)


def a_run(name: str, **changes: object) -> Run:
    base = {"key": name, "experiment": "weather", "params": {}, "task": Task(workdir="/"), "queued_at": NOW}
    return Run(**{"id": name, **base, **changes})  # type: ignore[arg-type]


RUNS = [
    a_run(
        "3k9aaaaaaaaa",
        params={"lr": 1e-3, "n_hidden": 50, "act": "tanh", "data": {"vectors": "glove.txt"}, "head": [{"kind": "softmax"}]},
        task=Task(workdir="/home/ann", command=("python", "train.py")),
        tags=("paper", "v:2"),
        owner="ann",
        priority=10,
        state=State.FINISHED,
        attempt=1,
        queued_at=NOW - timedelta(days=1),
        started_at=NOW - timedelta(hours=5),
        ended_at=NOW - timedelta(hours=2),
        summary={"val_loss": number(0.24, 0.19, 2.0), "loss": number(0.1), "val_accuracy": number(0.8, 0.1, 0.9),
                 "my metric": number(3.0), "val/acc": number(0.5), "epoch": number(60)},
        provenance={"git": {"commit": "3f2abc", "branch": "main", "dirty": True}},
        history=(Attempt(number=1, worker="w1", started_at=NOW, facts={"host": "gpu-7.lab"}),),
        progress=Progress(done=100, total=100),
        ending=Ending(exit_code=0, peak_memory_bytes=2 * 10**9),
    ),
    a_run(
        "7q2bbbbbbbbb",
        experiment="weather-2",
        params={"lr": 0.1, "n_hidden": 150, "act": "relu", "fast": True, "layers": [50, 100]},
        owner="bob",
        state=State.FAILED,
        reason=Reason.OUT_OF_MEMORY,
        attempt=3,
        queued_at=NOW - timedelta(days=9),
        started_at=NOW - timedelta(days=9),
        ended_at=NOW - timedelta(days=8, hours=23),
        summary={"val_loss": number(float("nan"))},
        resources=Resources(memory_bytes=12 * 10**9),
        ending=Ending(exit_code=1, message="CUDA out of memory"),
    ),
    a_run("7zzccccccccc", experiment="tweets", queue="gpu", state=State.RUNNING, attempt=1, started_at=NOW - timedelta(hours=1),
          progress=Progress(done=30, total=100)),
    a_run("9zzddddddddd", experiment="tweets", state=State.QUEUED, priority=-5, queued_at=datetime(2026, 11, 1, 9, 0, tzinfo=UTC)),
]  # fmt: skip
A, B, C, D = (run.id[:3] for run in RUNS)


def asked(text: str, names: Names = NAMES) -> Condition:
    return condition(text, parse(text), names, CONTEXT)


def answer(text: str) -> list[str]:
    return [run.id[:3] for run in RUNS if matches(asked(text), run, NOW)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [A, B, C, D]),
        ("state=finished and val_loss<0.25 and params.n_hidden in [50,150] and tag:paper and created>-2d", [A]),
        ("val_loss > 0.2 and epoch > 50", [A]),
        ('state in [queued, paused] or not (experiment = "weather*")', [C, D]),
        ("reason=out-of-memory", [B]),
        ("reason = null", [A, C, D]),
        ("host ~ gpu", [A]),
        ("host = gpu-*.lab", [A]),
        ("worker = w1", [A]),
        ("id=3k9", [A]),
        ("id in [3K9, 7z]", [A, C]),
        ("run = 7*", [B, C]),
        ("attempt > 2", [B]),
        ("priority >= 10", [A]),
        ("priority = -5", [D]),
        ("duration > 2h", [A]),
        ("duration >= 1h", [A, B, C]),
        ("missing(duration)", [D]),
        ("best.val_loss < 0.2", [A]),
        ("best.val_accuracy = 0.9", [A]),
        ("max.val_loss = 2", [A]),
        ("min_step.val_loss = 5", [A, B]),
        ("last.loss = 0.1", [A]),
        ("summary.val_loss.min < 0.2", [A]),
        ("step = 9", [A, B]),
        ("queue=default", [A, B, D]),
        ("owner=me", [A]),
        ('owner="me"', []),
        ("params.lr = 1e-3", [A]),
        ("lr > 0.01", [B]),
        ("lr != 0.1", [A, C, D]),
        ("lr != 0.1 and not missing(lr)", [A]),
        ("data.vectors ~ GLOVE", [A]),
        ("head.kind = softmax", [A]),
        ("params.head.0.kind = softmax", [A]),
        ("layers = 50", [B]),
        ("fast = true", [B]),
        ("act in [tanh, r*]", [A, B]),
        ("act not in [tanh]", [B, C, D]),
        ("act = null", [C, D]),
        ("missing(val_loss)", [C, D]),
        ("val_loss = null", [C, D]),
        ("val_loss != null", [A, B]),
        ("val_loss = nan", [B]),
        ("val_loss in [nan, null]", [B, C, D]),
        ("val_loss < inf", [A]),
        ('"my metric" = 3', [A]),
        ('last."my metric" >= 3', [A]),
        ("val.acc = 0.5", [A]),
        ("val/acc = .5", [A]),
        ("git = 3f2", [A]),
        ("branch = main and dirty = yes", [A]),
        ("tag = v:2", [A]),
        ("tag:v:2", [A]),
        ("missing(tag)", [B, C, D]),
        ("created < -2d", [B, D]),
        ("created > -90m", [C]),
        ("created = 2026-11-01", [D]),
        ("created >= 2026-11-01 and created < today", [A, B, D]),
        ("created > 2026-11-01", [A, B, C]),
        ("created <= 2026-11-01", [D]),
        ("created = yesterday", [A]),
        ("created = 2026-11-01T10:00", [D]),
        ("created = 2026-11-01T09:00Z", [D]),
        ("created in [2026-11-01, yesterday]", [A, D]),
        ("memory = 12GB", [B]),
        ("peak_memory > 1.5GB", [A]),
        ("progress < 50%", [C]),
        ("progress = 1", [A]),
        ("exit_code = 1 and message ~ cuda", [B]),
        ("command = train.py", [A]),
        ("NOT state = finished AND NOT state = failed", [C, D]),
        ("not not state=queued", [D]),
        ("state=queued or state=running and queue=default", [D]),
        ("(state=queued or state=running) and queue=gpu", [C]),
        ("state == finished", [A]),
        ("state: FINISHED", [A]),
        ("tweets", [C, D]),
        ("tweets and state = running", [C]),
        ("weather*", [A, B]),
        (r'experiment = "weather\*"', []),
        ("experiment !~ weather", [C, D]),
    ],
)  # fmt: skip
def test_a_query_means(text: str, expected: list[str]) -> None:
    assert answer(text) == expected


@pytest.mark.parametrize(
    ("text", "said", "place"),
    [
        ("state=finished and val_los<0.25", "unknown field 'val_los', did you mean 'val_loss'?", "val_los"),
        ("best.val_lss < 1", "no run has reported a metric 'val_lss', did you mean 'val_loss'?", "best.val_lss"),
        ("params.n_hiden = 3", "no run has a parameter 'n_hiden', did you mean 'n_hidden'?", "params.n_hiden"),
        ("zzz = 3", "unknown field 'zzz'; there are metrics both, epoch", "zzz"),
        ("both > 1", "'both' is a metric and a parameter; write last.both or params.both", "both"),
        ("state < 3", "state is a state: '<' has no meaning for it; allowed values: queued, paused", "<"),
        ("state = finshed", "'finshed' is no state, did you mean 'finished'?; allowed: queued, paused", "finshed"),
        ("reason in [lost, oom]", "'oom' is no reason; allowed: error, killed, out-of-memory", "oom"),
        ("val_loss < high", "expected a number such as 0.25 or 1e-3, found 'high'", "high"),
        ("val_loss < '3'", "expected a number such as 0.25 or 1e-3, found '3'", "'3'"),
        ("lr > big", "expected a number", "big"),
        ("val_loss < nan", "nothing is less or more than nan; write val_loss = nan", "nan"),
        ("val_loss < null", "'<' cannot compare with null; write val_loss = null", "<"),
        ("attempt = inf", "expected a finite number; only metrics can be inf", "inf"),
        ("val_loss ~ 3", "'~' looks into texts; val_loss is a number", "~"),
        ("experiment < b", "experiment is a text: '<' has no meaning for it", "<"),
        ("created > 2d", "expected a time; 2d ago is written -2d", "2d"),
        ("created > soon", "expected a time such as -2d, -90m (so long ago), 2026-11-01", "soon"),
        ("created > 2026-13-01", "expected a time such as", "2026-13-01"),
        ("duration > long", "expected a duration such as 90s or 2h30m, found 'long'", "long"),
        ("memory > much", "expected a size such as 500MB or 12GB, found 'much'", "much"),
        ("dirty = maybe", "expected true or false, found 'maybe'", "maybe"),
        ("id = ../x", "expected an id or its first characters", "../x"),
        ("state", "expected =, !=, <, >, ~ or in after 'state'", "state"),
        ("val_loss", "expected =, !=, <, >, ~ or in after 'val_loss'", "val_loss"),
        ("state finished", "expected one of =, !=, <, <=, >, >=, ~, !~, in after 'state', found 'finished'", "finished"),
        ("state = ", "expected a value after '=', found the end", ""),
        ("state = [queued]", "expected a value after '=', found '['; a list follows 'in'", "["),
        ("state in queued", "expected a list in brackets, as in [50, 150], found 'queued'", "queued"),
        ("state in [queued paused]", "expected ',' or ']', found 'paused'", "paused"),
        ("state in []", "expected a value after '[', found ']'", "]"),
        ("(state = queued", "this '(' is never closed", "("),
        ("state = queued)", "expected 'and', 'or' or the end, found ')'; a '(' before it is missing", ")"),
        ("state=queued lr=3", "expected 'and', 'or' or the end, found 'lr'", "lr"),
        ("state=queued, lr=3", "expected 'and', 'or' or the end, found ','", ","),
        ("state=queued and", "expected a field such as state or val_loss, found the end", ""),
        ("and state=queued", "expected a field such as state or val_loss, found 'and'", "and"),
        ("state=queued && lr=3", "'&&' means nothing here; write 'and'", "&&"),
        ("state=queued | lr=3", "'|' means nothing here; write 'or'", "|"),
        ("!state=queued", "'!' means nothing here; write 'not'", "!"),
        ("state <> queued", "'<>' is no operator; write '!='", "<>"),
        ("experiment = 'weather", "the text that begins here has no closing '", "'weather"),
        ("missing val_loss", "expected '(' and a field, as in missing(val_loss), found 'val_loss'", "val_loss"),
        ("missing()", "expected a field, as in missing(val_loss), found ')'", ")"),
        ("lr not 3", "expected 'in' after 'not', found '3'", "3"),
        ("params = 3", "'params' is followed by a dot and the name of a parameter", "params"),
        ("best < 3", "'best' is followed by a dot and the name of a metric", "best"),
        ("lr = 3\0", "a NUL character means nothing here", "\0"),
        ("(" * 60 + "lr=3", "nested too deeply; allowed: 50 levels", None),
        ("not " * 60 + "lr=3", "nested too deeply; allowed: 50 levels", None),
    ],
)  # fmt: skip
def test_a_mistake_says_where(text: str, said: str, place: str | None) -> None:
    with pytest.raises(BadQuery) as caught:
        asked(text)
    lines = str(caught.value).splitlines()
    assert said in lines[0]
    carets, shown = lines[-1], lines[-2]
    if place is not None:
        marked = shown[carets.index("^") : carets.rindex("^") + 1]
        assert marked == place.replace("\0", " ") or (place == "" and len(carets) == len(shown) + 1)


def test_with_nothing_known_an_unknown_field_says_so() -> None:
    with pytest.raises(BadQuery, match="no metric has been reported and no parameter is known yet"):
        asked("val_loss < 3", Names())


def test_a_name_that_may_exist_is_taken_when_it_says_what_it_is() -> None:
    asked("last.val_loss < 3 and params.lr = 3", Names(complete=False))
    with pytest.raises(BadQuery, match="unknown field"):
        asked("val_loss < 3", Names(complete=False))


def test_a_long_query_shows_the_place_and_no_more() -> None:
    with pytest.raises(BadQuery) as caught:
        asked(" and ".join(["state=finished"] * 40) + " and val_los<1")
    shown, carets = str(caught.value).splitlines()[1:]
    assert len(shown) < 110
    assert shown[carets.index("^") :].startswith("val_los")


@pytest.mark.parametrize(
    ("text", "experiments"),
    [
        ("experiment=weather and lr<3", ("weather",)),
        ("lr<3 and (experiment in [a, b] and state=queued)", ("a", "b")),
        ("weather", ("weather",)),
        ("experiment=weather or lr<3", ()),
        ("experiment!=weather", ()),
        ("not experiment=weather", ()),
        ("experiment=w*", ()),
        ("", ()),
    ],
)
def test_only_the_names_of_the_experiments_concerned_count(text: str, experiments: tuple[str, ...]) -> None:
    assert experiments_in(parse(text)) == experiments


@given(some.text(alphabet="abn =<>!~()[],:\"'\\*.-0e%&|\n", max_size=30))
def test_any_text_is_a_query_or_a_mistake(text: str) -> None:
    with suppress(BadQuery):
        asked(text)


def test_a_date_is_a_day_of_its_time_zone() -> None:
    berlin = "created >= 2026-11-01 and created < 2026-11-02"
    midnight = datetime(2026, 10, 31, 23, tzinfo=UTC)
    inside = [matches(asked(berlin), a_run("x", queued_at=midnight + timedelta(hours=h)), NOW) for h in (-1, 0, 23, 24)]
    assert inside == [False, True, True, False]


def test_operators_on_a_date_divide_time_without_a_gap() -> None:
    moments = [datetime(2026, 10, 31, 20, tzinfo=UTC) + timedelta(hours=h) for h in range(40)]
    for queued_at in moments:
        run = a_run("x", queued_at=queued_at)
        held = [op for op in ("<", "=", ">") if matches(asked(f"created {op} 2026-11-01"), run, NOW)]
        assert len(held) == 1
        assert matches(asked("created <= 2026-11-01"), run, NOW) == (held[0] in "<=")
    assert all(a < b for a, b in pairwise(moments))


def test_what_is_better_is_guessed_from_the_name() -> None:
    assert [name for name in ("val_acc", "val_loss", "test/f1", "error_score", "BLEU", "perplexity") if greater_is_better(name)] == [
        "val_acc", "test/f1", "BLEU",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[1]", "list; expected a filter"),
        ('{"$where": "1"}', r"\$where would run"),
        ('{"a": [{"b": {"$function": {}}}]}', r"\$function would run"),
        ('{"$expr": {"$accumulator": {}}}', r"\$accumulator would run"),
        ('{"a": {"$code": "x"}}', r"\$code would run"),
        ('{"a":' * 60 + "1" + "}" * 60, "nested too deeply"),
        ("[" * 100_000, "100000|nested"),
    ],
)
def test_a_raw_filter_that_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadQuery, match=said):
        raw(text)
