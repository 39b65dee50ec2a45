"""The content of a notice, read from the store."""

from notify.compose import CURVE_CID, as_html, as_text, compose
from notify.content import Content, Image
from notify.curve import png
from store.logbook import warn
from store.metrics import Series
from store.notices import Notice
from store.runs import Run, short
from store.store import Store

TAIL_BYTES = 64 * 1024


def write(store: Store, notice: Notice) -> Content:
    """What there is to say about it. Raises NoSuchRun when what it is about is gone."""
    run = store.run(notice.run)
    series = [store.series(run.id, name) for name in store.series_names(run.id)]
    output = store.log_tail(run.id, notice.attempt, TAIL_BYTES)
    letter = compose(notice, run, output, _curve(run, series))
    command = f"labq plot {short(run.id)}"
    images = (
        (Image(cid=CURVE_CID, png=letter.curve_png, name="curve.png", command=command),) if letter.curve_png else ()
    )
    return Content(subject=letter.subject, text=as_text(letter), html=as_html(letter), images=images)


def _curve(run: Run, series: list[Series]) -> bytes:
    """No picture is worth losing the message for."""
    if not any(one.steps for one in series):
        return b""
    try:
        return png(series, f"{run.experiment} {short(run.id)}")
    except (ValueError, RuntimeError, MemoryError) as error:
        warn("no-curve", run=run.id, error=error)
        return b""
