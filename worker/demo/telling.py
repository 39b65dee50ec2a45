"""How the story reaches the terminal: plain sentences, a live table of progress, results."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from notify.curve import terminal
from store.errors import LabqError
from store.metrics import Series
from store.runs import Run, short

_REFRESH_S = 0.3


class Teller:
    """Tells on stdout, or on stderr when stdout belongs to JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._console = Console(stderr=as_json, highlight=False, soft_wrap=True)
        self._began_at = time.monotonic()

    def step(self, sentence: str) -> None:
        """A new chapter, with the seconds since the beginning."""
        seconds = time.monotonic() - self._began_at
        self._console.print(f"\n[bold]{seconds:5.1f} s  {_plain(sentence)}[/bold]")

    def say(self, text: str) -> None:
        """As it is."""
        self._console.print(text, markup=False)

    def results(self, runs: Sequence[Run]) -> None:
        """One line per run."""
        table = Table("run", "experiment", "n_hidden", "learning rate", "attempts", "state", "val loss", box=None)
        for run in runs:
            loss = run.summary.get("val_loss")
            table.add_row(
                short(run.id),
                run.experiment,
                str(run.params["n_hidden"]),
                f"{run.params['learning_rate']:g}",
                str(run.attempt),
                run.state.value,
                f"{loss.last:.4f}" if loss else "",
            )
        self._console.print(table)

    def curve(self, series: Sequence[Series], title: str) -> None:
        """Braille dots."""
        self.say(f"\n{title}\n{terminal(series, min(self._console.width, 90), 14)}")

    @contextmanager
    def progress(self, look: Callable[[], list[Run]]) -> Iterator[None]:
        """A live bar per run while the story goes on; on no terminal, a line now and then."""
        leave = threading.Event()
        follow = self._follow_live if self._console.is_terminal else self._follow_in_lines
        thread = threading.Thread(target=follow, args=(look, leave), daemon=True)
        thread.start()
        try:
            yield
        finally:
            leave.set()
            thread.join()

    def _follow_live(self, look: Callable[[], list[Run]], leave: threading.Event) -> None:
        columns = (TextColumn("  {task.description}"), BarColumn(30), TextColumn("{task.percentage:>3.0f}%"))
        with Progress(*columns, console=self._console, transient=True) as bars:
            tasks: dict[str, TaskID] = {}
            while not leave.wait(_REFRESH_S):
                for run in _looked(look):
                    if run.id not in tasks:
                        tasks[run.id] = bars.add_task("", total=1.0)
                    done = run.progress.fraction if run.progress else 0.0
                    bars.update(tasks[run.id], completed=done, description=_line(run))

    def _follow_in_lines(self, look: Callable[[], list[Run]], leave: threading.Event) -> None:
        last = ""
        while not leave.wait(3.0):
            line = "  " + ", ".join(_brief(run) for run in _looked(look))
            if line != last:
                self.say(line)
            last = line


def _looked(look: Callable[[], list[Run]]) -> list[Run]:
    try:
        return look()
    except LabqError:
        return []


def _line(run: Run) -> str:
    return f"{short(run.id)} {run.experiment:<8} {run.state:<9} attempt {run.attempt}"


def _brief(run: Run) -> str:
    done = f" {run.progress.fraction:.0%}" if run.progress else ""
    return f"{short(run.id)} {run.state}{done}"


def _plain(sentence: str) -> str:
    return sentence.replace("[", "\\[")
