"""What messages say: one of each kind about the made-up study, and the words in them."""

import csv
import io
import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from html.parser import HTMLParser

import pytest

from notify.compose import compose
from notify.content import Content
from notify.curve import panels, png, terminal
from notify.letters import crash
from notify.made_up import study
from notify.made_up.lab import PaperLab
from notify.made_up.notices import one_of_each
from notify.pauses import retry_pause
from notify.story import Story
from notify.words import duration, number, ordinal, size
from store.metrics import Series
from store.notices import Notice
from store.occasions import Occasion
from store.plain_text import clean
from store.runs import Ending
from store.states import Reason, State

MADE: dict[Occasion, tuple[Notice, Story]] = {
    notice.about: (notice, story) for notice, story in one_of_each(("ada@lab.example",))
}


@cache
def message(about: Occasion) -> Content:
    return compose(*MADE[about])


class _Words(HTMLParser):
    """The text of a page, and what is wrong with it."""

    _EMPTY = frozenset({"meta", "img", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: set[str] = set()
        self.images: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in self._EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize(
    ("about", "subject"),
    [
        (Occasion.FINISHED, "[labq] weather-rnn #12 finished: val_loss 0.175 (best of 28)"),
        (Occasion.FAILED, "[labq] weather-rnn #7 failed: out of memory after 52 min (not retried)"),
        (Occasion.CANCELLED, "[labq] weather-rnn #30 cancelled after 53 min"),
        (Occasion.INTERRUPTED, "[labq] weather-rnn #7 interrupted: out of memory after 52 min (retry 2 of 3 in 30 s)"),
        (Occasion.RESUMED, "[labq] weather-rnn #20 running again from step 240 on gpu2.lab (attempt 2)"),
        (Occasion.STUCK, "[labq] weather-rnn #20 seems stuck: Nothing was reported for 14 min; it usually reports every 8 s"),
        (Occasion.DIVERGED, "[labq] weather-rnn #24 diverges: val_loss has grown from 0.24 to 11.9 since step 62, and is nan from step 96 on"),
        (Occasion.BEST_SO_FAR, "[labq] weather-rnn #12 best so far: val_loss 0.179 (before: 0.191 of #4)"),
        (Occasion.EVERY, "[labq] weather-rnn #21 65% done, val_loss 0.192"),
        (Occasion.SWEEP_FINISHED, "[labq] weather-rnn sweep finished: best val_loss 0.175 (#12), 28 of 32 runs finished"),
        (Occasion.WORKER_LOST, "[labq] worker gpu1-1 lost on gpu1.lab"),
        (Occasion.DISK_LOW, "[labq] gpu1.lab disk low: /scratch has 11 GB left and loses 6 GB an hour"),
        (Occasion.DIGEST, "[labq] weather-rnn 45 messages: 3 finished, 2 failed, 1 cancelled, 1 diverged, 1 best-so-far"),
        (Occasion.TEST, "[labq] test: mail from labq reaches you"),
    ],
)  # fmt: skip
def test_the_subject_says_it_all(about: Occasion, subject: str) -> None:
    assert message(about).subject == subject


@pytest.mark.parametrize("about", list(Occasion))
def test_every_kind_is_whole_in_text_and_in_html(about: Occasion) -> None:
    said = message(about)
    page = _Words(said.html)
    assert page.wrong == []
    assert page.open == []
    assert not page.tags & {"script", "link", "iframe", "form", "svg"}
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:http|//)", said.html)
    assert "Left out" not in said.text
    assert max(map(len, said.text.splitlines())) <= 120
    assert not re.search(r"\n{3}", said.text)


@pytest.mark.parametrize("about", list(Occasion))
def test_text_and_html_say_the_same(about: Occasion) -> None:
    """Every word of the text part is in the page, but for rules, draw-it-here lines and the marks of lists."""
    said = message(about)
    page = _Words(said.html).text
    lines = [line for line in said.text.splitlines() if "Draw it here" not in line and not set(line) <= set("-= ")]
    words = {word.strip("|*()") for line in lines for word in line.split()} - {""}
    missing = {word for word in words if word not in page and not word.startswith("See:")}
    assert missing <= set(" ".join(one["alt"] or "" for one in _Words(said.html).images).split()) | {"--"}


@pytest.mark.parametrize("about", list(Occasion))
def test_every_picture_is_in_the_page_with_words_for_those_who_do_not_see_it(about: Occasion) -> None:
    said = message(about)
    shown = _Words(said.html).images
    assert [f"cid:{image.cid}" for image in said.images] == [one["src"] for one in shown]
    assert all(one["alt"] and one["width"] for one in shown)
    assert all(image.png.startswith(b"\x89PNG") for image in said.images)
    assert len({image.cid for image in said.images}) == len(said.images)


def test_a_result_is_told_with_place_rival_parameters_and_provenance() -> None:
    text = message(Occasion.FINISHED).text
    assert "It is the best of 28 runs in val_loss; the next, #16, has 0.184." in text
    for line in (
        r"val_loss +0\.175 +360 +0\.1813 .* 0\.1839",
        r"l1 +1e-05 +0\.0001",
        r"early_stopping +False +False",
        "the same in all: n_hidden=150, learning_rate=0.01",
        r"Duration +55 min of work, after 5 h 39 min in the queue",
        r"Host +gpu1\.lab",
        r"GPU +number 0",
        r"Git commit +9fceb02d0ae5 on main with changes that were not committed",
        r"labq plot fc9ff645",
        r"labq requeue --scratch fc9ff645",
    ):
        assert re.search(line, text), line


def test_a_crash_report_holds_cause_last_lines_what_follows_and_the_way_on() -> None:
    text = message(Occasion.FAILED).text
    for line in (
        r"Cause +out of memory",
        r"Signal +9 \(SIGKILL\)",
        r"Peak memory +3\.99 GB of 4 GB allowed",
        r"Last 40 lines of the output",
        r"\| +epoch 310/400  \[=+> +\]  78 %",
        r"\| numpy\._core\._exceptions\._ArrayMemoryError: Unable to allocate 1\.73 GiB",
        r'It will not be retried: "out-of-memory" is not among \[retry\] on\.',
        r"Resume from step 300 +labq requeue 35b26p4p",
        r"Rerun from scratch +labq requeue --scratch 35b26p4p",
        r"Memory has grown by 1\.1 GB an hour",
    ):
        assert re.search(line, text), line
    assert "\x1b" not in text
    assert "\r" not in text
    assert len(re.findall(r"^  \| ", text, re.MULTILINE)) == 40


def test_an_interruption_says_when_it_goes_on() -> None:
    text = " ".join(message(Occasion.INTERRUPTED).text.split())
    assert "It will go on from its checkpoint at step 300 in 30 s; nothing needs to be done." in text
    assert "labq why 35b26p4p" in text
    assert "requeue" not in text


def test_what_went_on_since_is_said() -> None:
    notice, story = MADE[Occasion.INTERRUPTED]
    assert story.retrying is not None
    later = replace(story, retrying=replace(story.retrying, went_on=True))
    assert compose(notice, later).subject.endswith("(running again)")
    assert "It has been started again since then." in compose(notice, later).text


def test_a_long_cause_comes_last() -> None:
    notice, story = MADE[Occasion.FAILED]
    assert story.run is not None
    ending = Ending(reason=Reason.ERROR, exit_code=1, message="ValueError: no such file\nBcc: all@lab.example")
    told = replace(story, run=replace(story.run, ending=ending, reason=Reason.ERROR))
    subject = compose(notice, told).subject
    assert subject == (
        "[labq] weather-rnn #7 failed after 52 min: ValueError: no such file Bcc: all@lab.example (not retried)"
    )


def test_a_run_without_siblings_has_no_place_and_all_its_parameters() -> None:
    lab = PaperLab(done=study.RUNS)
    run = lab.run(study.run_id(study.BEST))
    notice = MADE[Occasion.FINISHED][0]
    story = Story(now=lab.now(), run=run, label="fc9ff645", series=study.series(study.BEST))
    said = compose(notice, story)
    assert said.subject == "[labq] weather-rnn fc9ff645 finished after 55 min"
    assert "n_hidden=150, learning_rate=0.01, l1=1e-05" in said.text
    assert len(said.images) == 1


def test_a_sweep_report_has_the_best_the_failures_by_cause_and_what_was_found() -> None:
    text = message(Occasion.SWEEP_FINISHED).text
    for line in (
        r"32 runs: 28 finished, 3 failed, 1 cancelled\.",
        r"1 +#12 +0\.175 +360 +1e-05 +1 +False",
        r"3 failures, by cause",
        r"1  out of memory +",
        r"1  disk full +OSError: \[Errno 28\]",
        r"#24: Divergence \(val_loss\) \(severe, since step 62\)",
        r"labq best weather-rnn -m val_loss",
        r"labq requeue --where 'experiment=weather-rnn and state=failed'",
    ):
        assert re.search(line, text), line


def test_a_digest_lists_what_happened_and_counts_what_it_leaves_out() -> None:
    text = message(Occasion.DIGEST).text
    assert "The first 8 are listed; 37 more are like these." in text
    assert re.search(r"weather-rnn #7 +failed +out of memory after 52 min", text)
    assert "and 37 more like these" in text


def test_the_history_is_attached_to_those_who_asked_with_every_value_as_it_was() -> None:
    notice, story = MADE[Occasion.FINISHED]
    odd = Series(name="odd", steps=(1, 2, 3), times=(0.0, 1e300, 2.5), values=(float("nan"), float("inf"), 0.1))
    (attached,) = compose(notice, replace(story, history=(*story.history, odd))).attachments
    rows = list(csv.DictReader(io.StringIO(attached.data.decode())))
    assert attached.name == "weather-rnn-fc9ff645-history.csv"
    assert [(row["value"], row["time"]) for row in rows if row["metric"] == "odd"] == [
        ("nan", "1970-01-01T00:00:00.000+00:00"), ("inf", ""), ("0.1", "1970-01-01T00:00:02.500+00:00"),
    ]  # fmt: skip
    told = {float(row["value"]) for row in rows if row["metric"] == "val_loss"}
    assert told == set(next(one for one in story.history if one.name == "val_loss").values)
    assert compose(replace(notice, with_history=False), story).attachments == ()


def test_a_section_that_fails_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("no font")

    monkeypatch.setattr("notify.letters.sections.curves", broken)
    said = compose(*MADE[Occasion.FINISHED])
    assert "Left out: curve picture, which could not be made (RuntimeError: no font)" in said.text
    assert said.images == ()
    assert "val_loss" in said.subject
    monkeypatch.setattr("notify.compose.opening", broken)
    assert compose(*MADE[Occasion.FINISHED]).subject == "[labq] weather-rnn fc9ff645 finished"


def test_chained_tracebacks_are_shown_from_their_first() -> None:
    first = "Traceback (most recent call last):\n  File 'a'\nKeyError: 1\n"
    second = "\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File 'b'\nValueError: 2\n"
    other = "Traceback (most recent call last):\n  File 'z'\nOld: 0\nwent on\n"
    assert crash.traceback_in(other + first + second + "bye\n") == (first + second).strip()
    assert crash.traceback_in("nothing") == ""


def test_a_traceback_above_the_last_lines_is_shown_apart() -> None:
    notice, story = MADE[Occasion.FAILED]
    trace = "Traceback (most recent call last):\n  File 'a', line 1\nValueError: early\n"
    noise = "\n".join(f"cleaning up {place}" for place in range(60))
    text = compose(notice, replace(story, output=trace + noise)).text
    assert text.index("ValueError: early") < text.index("cleaning up 20")
    assert "cleaning up 19\n" not in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (3157, "52 min"), (7860, "2 h 11 min"), (54720, "15 h 12 min"), (93600, "1 d 2 h")],
)  # fmt: skip
def test_durations_are_as_fine_as_anybody_cares(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_pause_between_tries_grows_to_a_quarter_of_an_hour() -> None:
    assert [retry_pause(n) for n in (1, 2, 3, 20, 10**6)] == [5.0, 10.0, 20.0, 900.0, 900.0]


def test_numbers_in_words() -> None:
    assert [number(x) for x in (0.21139, 3.0, float("nan"), float("-inf"), 1.2e30, None)] == ["0.211", "3", "nan", "-inf", "1.2e+30", "–"]  # fmt: skip
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"]  # fmt: skip
    assert [size(n) for n in (0, 999, 1_840_000, 3.99e9, 5e13)] == ["0 B", "999 B", "1.84 MB", "3.99 GB", "50 TB"]


def test_output_is_cleaned_of_colours_and_redrawn_lines() -> None:
    assert clean(b"\x1b[1mbold\x1b[0m\n 10%\r 50%\r100%\r\ndone\x07\n") == "bold\n100%\ndone\n"
    assert clean(b"caf\xc3\xa9 \xff") == "café �"
    assert crash.last_lines("a\nb\nc\n\n", 2) == ["b", "c"]


def test_training_and_validation_share_a_picture() -> None:
    assert panels(["val_loss", "lr", "loss", "train_loss", "acc"]) == [
        ["loss", "train_loss", "val_loss"],
        ["acc"],
        ["lr"],
    ]


def test_curves_are_drawn_even_when_values_are_not_finite() -> None:
    nan = float("nan")
    series = [Series(name="loss", steps=(0, 1, 2), times=(0.0,) * 3, values=(1.0, nan, float("inf")))]
    assert png(series, "x").startswith(b"\x89PNG")
    assert "loss" in terminal(series, 60, 10)
    assert png([], "nothing").startswith(b"\x89PNG")
    assert terminal([Series(name="a", steps=(0,), times=(0.0,), values=(nan,))], 60, 10)


def test_a_stopped_run_says_which_rule_stopped_it() -> None:
    text = " ".join(message(Occasion.CANCELLED).text.split())
    assert "It was stopped: median: val_loss 0.236 at step 100 is worse than the median 0.214." in text


def test_a_lost_worker_is_told_with_what_it_held() -> None:
    text = message(Occasion.WORKER_LOST).text
    assert "It was last seen 2 min ago. 2 runs that it held will go on elsewhere" in " ".join(text.split())
    assert re.search(r"weather-rnn #20 +running +step 300", text)


def test_the_run_is_told_as_it_was_at_that_ending() -> None:
    """It has been requeued since, and runs."""
    from notify.following import as_it_was

    notice, story = MADE[Occasion.FAILED]
    assert story.run is not None
    now = replace(story.run, state=State.RUNNING, attempt=2, reason=None, ending=None)
    then = as_it_was(notice, now)
    assert (then.state, then.attempt, then.reason) == (State.FAILED, 1, Reason.OUT_OF_MEMORY)
    assert then.ended_at == story.run.history[0].ended_at
    assert story.now - study.BEGIN > timedelta(0)
