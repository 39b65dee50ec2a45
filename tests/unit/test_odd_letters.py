"""Whatever names, values and outputs there are: a message is made, its HTML is escaped, it is valid MIME."""

import email
import email.policy
import math
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from notify.compose import compose, compose_letter
from notify.envelope import as_bytes, envelope
from notify.layout import facts_lines, table_lines, wide
from notify.made_up import study
from notify.made_up.notices import one_of_each
from notify.siblings import chosen, labels, metric_of, ranked, varying
from notify.story import Standing, Story, Sweep
from store.findings import Disease, Finding, Severity
from store.metrics import Point, Series, segments, summarize
from store.notices import Notice, Part
from store.occasions import Occasion
from store.outcomes import outcome_of
from store.plain_text import clean
from store.runs import Attempt, Ending, Run
from store.states import Reason, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MADE = {notice.about: (notice, story) for notice, story in one_of_each(("ada@lab.example",))}
NASTY = ["<script>alert(1)</script>", "a\r\nBcc: x@y.z", "{{ 7*7 }}", "{% for", "$\\frac{1}{0}$", "\x00\x1b[31m", "\ud800", "名前" * 40, "", " ", "#" * 500, "=?utf-8?q?x?=", "𝕏́‮abc", "'\"--&<>"]  # fmt: skip
names = some.one_of(some.sampled_from(NASTY), some.text(max_size=30))
numbers = some.one_of(some.floats(), some.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 0.0]))
values = some.recursive(
    some.one_of(numbers, some.integers(), some.booleans(), some.none(), names),
    lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
curves = some.lists(some.tuples(some.integers(-(2**53), 2**53), numbers), max_size=30)


class _Strict(HTMLParser):
    """Counts tags: escaped text adds none."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def summary(name: str, points: list[tuple[int, float]]) -> dict[str, object]:
    found = [Point(name=name, step=s, time=0.0, value=v, line=i, index=i) for i, (s, v) in enumerate(points)]
    return dict(summarize({}, segments(found)))


def one_run(name: str, params: dict[str, object], metric: str, points: list[tuple[int, float]], message: str) -> Run:
    base = study.run(study.CRASHED, done=study.RUNS)
    ending = Ending(reason=Reason.ERROR, exit_code=1, message=message)
    told = Attempt(
        number=1, worker=name, started_at=NOW, ended_at=NOW, facts={"host": name, "gpus": [name]}, ending=ending
    )
    return replace(
        base, experiment=name, params=params, ending=ending, history=(told,), tags=(name,), owner=name,
        summary=summary(metric, points), provenance={"git": {"commit": name, "branch": None, "dirty": True}},
    )  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    about=some.sampled_from(list(Occasion)), name=names, params=some.dictionaries(names, values, max_size=4),
    metric=names, points=curves, output=some.binary(max_size=400), message=names,
)  # fmt: skip
def test_a_message_is_made_of_anything(about, name, params, metric, points, output, message) -> None:
    run = one_run(name, params, metric, points, message)
    outcomes = [outcome_of(run), replace(outcome_of(run), id="other", index=99, params={"x": 1}, state=State.FINISHED)]
    series = Series(
        name=metric, steps=tuple(s for s, _ in points), times=(0.0,) * len(points), values=tuple(v for _, v in points)
    )
    finding = Finding(
        disease=Disease.STUCK, severity=Severity.WARNING, evidence=message, advice=name, about=metric, reference=name
    )
    best = metric_of(outcomes)
    rows = ranked(outcomes, best, labels(outcomes)) if best is not None else []
    sweep = Sweep(
        experiment=name, total=2, read=2, counts={State.FAILED: 2}, metric=best, varying=varying(outcomes), ranked=tuple(rows),
        findings=((name, finding),),
    )  # fmt: skip
    story = Story(
        now=NOW, run=run, label=name, standing=Standing(metric=metric, value=points[0][1] if points else None, step=0, rank=1, among=2),
        series=(series,), best_series=(series,), differing=chosen(run.params, varying(outcomes)), findings=(finding,),
        output=clean(output), history=(series,), sweep=sweep, sweeps=(sweep,), left_out=(name,), labels={run.id: name},
    )  # fmt: skip
    notice = Notice(
        id="x-1", about=about, to=("ada@lab.example",), run=run.id, attempt=1, experiment=name, worker=name, metric=metric,
        finding=finding, parts=(Part(about=Occasion.FAILED, at=NOW, run=run.id, experiment=name, text=message),), rule=name,
        with_history=True,
    )  # fmt: skip
    said = compose(notice, story)
    assert "\n" not in said.subject
    assert "Left out: curve" not in said.text
    assert "could not be made" not in said.text
    assert not {"script", "iframe", "form"} & set(_Strict(said.html).tags)
    mail = email.message_from_bytes(
        as_bytes(envelope(notice, said, "labq@lab.example", NOW)), policy=email.policy.default
    )
    assert mail["Bcc"] is None
    assert not any(part.defects for part in mail.walk())
    html = mail.get_body(("html",))
    assert html is not None
    assert said.subject.split()[0] in html.get_content()


@settings(max_examples=150, deadline=None)
@given(rows=some.lists(some.tuples(names, names, names), max_size=5), width=some.integers(40, 100))
def test_text_never_raises_and_stays_within_its_width(rows, width) -> None:
    table = table_lines(("a", "b", "c"), rows, width, {1})
    assert all(wide(line) <= width + 20 for line in table.split("\n"))
    facts_lines([(a, b) for a, b, _ in rows], width)


def test_every_word_of_a_stranger_is_escaped() -> None:
    notice, story = MADE[Occasion.FAILED]
    assert story.run is not None
    evil = "<script>alert(1)</script><img src=x>"
    run = replace(
        story.run,
        experiment=evil,
        tags=(evil,),
        owner=evil,
        params={evil: evil},
        ending=Ending(reason=Reason.ERROR, exit_code=1, message=evil),
    )
    plain = compose_letter(notice, story)
    said = compose(notice, replace(story, run=run, label=evil, output=evil, differing={evil: evil}, findings=()))
    assert evil not in said.html
    assert "&lt;script&gt;" in said.html
    assert set(_Strict(said.html).tags) <= {"html", "head", "meta", "title", "style", "body", "div", "table", "tr", "td", "th", "p", "h1", "h2", "br", "b", "i", "span", "code", "pre", "img"}  # fmt: skip
    assert _Strict(said.html).tags.count("img") == len(plain.pictures)
