"""`labq watch EXPERIMENT|RUN`: its curves, runs and findings, live."""

import argparse
import os
import time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from queueing.cli.context import jsonable, opened_store, print_json
from queueing.live.page import can_show, show
from queueing.query.mistake import guess
from store.errors import AmbiguousId, ExitCode, NoSuchRun, UserError
from store.runs import Run, short
from store.store import Store

if TYPE_CHECKING:
    from queueing.watch.look import Look
    from queueing.watch.picture import Picture
    from queueing.watch.reading import Reader

_NO_TERMINAL_WIDTH = 120
_READ_ALL_S = 30.0


def watch(options: argparse.Namespace) -> int:
    """Until q or Ctrl-C; one picture with --once, --json, or where there is no terminal."""
    from queueing.watch.curves import Axis
    from queueing.watch.look import Look, Sort
    from queueing.watch.page import WatchPage
    from queueing.watch.reading import Reader

    with opened_store() as store:
        experiment, run, note = _meant(store, options)
        _check_metric(store, experiment, options.metric)
        axis = Axis.TIME if options.time else Axis.STEP
        look = Look(metric=options.metric, axis=axis, log=options.log, sort=Sort(options.sort), note=note)
        if run is not None:
            look = _opened(look, run)
        reader = Reader(store, experiment)
        reader.want(look.wanted)
        if options.json:
            print_json(_told(_whole(reader)))
        elif options.once or not can_show():
            _print_once(_whole(reader), look)
        else:
            page = WatchPage(reader, reader.read(), look, options.every)
            page.start()
            try:
                show(page)
            finally:
                page.stop()
    return ExitCode.OK


def _opened(look: "Look", run: Run) -> "Look":
    from dataclasses import replace

    return replace(look, opened=run.id, selected=run.id)


def _meant(store: Store, options: argparse.Namespace) -> tuple[str, Run | None, str]:
    """Experiment, run if it is one, and what else it might have been. An experiment comes first."""
    what = options.what
    if options.run:
        run = store.run(what)
        return run.experiment, run, ""
    if store.experiment(what) is None:
        run = _run(store, what)
        return run.experiment, run, ""
    try:
        other = store.run(what)
    except (NoSuchRun, AmbiguousId):
        return what, None, ""
    return what, None, f"run {short(other.id)} is called so as well: labq watch --run {what}"


def _run(store: Store, what: str) -> Run:
    try:
        return store.run(what)
    except NoSuchRun as error:
        names = [one.name for one in store.experiments()]
        near = get_close_matches(what, names, n=3, cutoff=0.5)
        if near:
            said = f"did you mean {', '.join(near)}?"
        elif names:
            said = f"there are: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
        else:
            said = "there is none yet; begin with: labq enqueue FILE"
        raise UserError(f"no experiment is called {what!r}, and no run has an id that begins so; {said}") from error


def _check_metric(store: Store, experiment: str, metric: str) -> None:
    """One that nobody has reported is a mistake, unless nothing has been reported yet."""
    known = store.names((experiment,)).metrics
    if metric and known and metric not in known:
        raise UserError(f"no run of {experiment} has reported a metric {metric!r}{guess(metric, known)}")


def _whole(reader: "Reader") -> "Picture":
    """Read until all curves are there, or until it has taken long enough."""
    deadline = time.monotonic() + _READ_ALL_S
    while True:
        picture = reader.read()
        unread = (picture.sweep.unread if picture.sweep else 0) + (picture.single.unread if picture.single else 0)
        if not unread or time.monotonic() > deadline:
            return picture


def _print_once(picture: "Picture", look: "Look") -> None:
    from rich.console import Console

    from queueing.watch.parts import NOBODYS_HEIGHT
    from queueing.watch.view import render

    console = Console()
    width = console.width if console.is_terminal or "COLUMNS" in os.environ else _NO_TERMINAL_WIDTH
    console.width = width
    console.print(render(picture, look, width, NOBODYS_HEIGHT))


def _told(picture: "Picture") -> dict[str, Any]:
    """The picture as one JSON object, curves as arrays."""
    from queueing.watch.told import told

    found: dict[str, Any] = jsonable(told(picture))
    return found
