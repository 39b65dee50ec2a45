"""A run that was found, and a list of them: what `labq.run` and `labq.runs` return."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from queueing.frames.curves import Curves, curves_of
from queueing.frames.lab import Lab
from queueing.frames.run_table import run_table
from queueing.frames.tables import to_lists, to_pandas, to_polars
from queueing.query.mistake import guess
from store.errors import LabqError, UserError
from store.events import Event
from store.findings import Diagnosis
from store.metrics import Curve
from store.query import Names
from store.runs import Artifact, Run
from store.store import RunQuery

if TYPE_CHECKING:
    import pandas
    import polars

SHOWN = 10
_MOST_COUNTED = 100_000
_COUNT_S = 1.0
_NAMES = tuple(one.name for one in fields(Run))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FoundRun(Run):
    """A run as it was when it was read: `params`, `summary`, `state`, `findings`, `tags`, … are plain attributes.

    What is large is read when it is asked for, as it is then: `metrics`, `log`, `artifacts`, `events`, `diagnosis`.
    These raise StoreUnavailable.
    """

    lab: Lab = field(compare=False)

    @overload
    def metrics(self) -> list[str]: ...
    @overload
    def metrics(self, name: str) -> Curve: ...
    def metrics(self, name: str | None = None) -> list[str] | Curve:
        """The names of the metrics; or one of them as arrays `steps` int64, `times` and `values` float64, all (n,).

        Empty arrays when this run has not reported it. Raises UserError when no run of the experiment has.
        """
        store = self.lab.store
        if name is None:
            return store.series_names(self.id)
        curve = store.curve(self.id, name)
        if not len(curve.steps):
            check_metric(name, store.names([self.experiment]))
        return curve

    @property
    def logs(self) -> str:
        """The output of the newest attempt."""
        return self.log()

    def log(self, attempt: int | None = None) -> str:
        """The output of an attempt; bytes that are no UTF-8 are replaced."""
        chunks = self.lab.store.log(self.id, self.attempt if attempt is None else attempt)
        return b"".join(chunk.data for chunk in chunks).decode(errors="replace")

    @property
    def artifacts(self) -> list[Artifact]:
        """Kept files, by name."""
        return self.lab.store.artifacts(self.id)

    def fetch(self, artifact: Artifact | str, folder: str | Path = ".") -> Path:
        """Write a kept file into a folder; returns its path. Raises UserError, OSError."""
        kept = self.artifacts
        name = artifact if isinstance(artifact, str) else artifact.name
        wanted = next((one for one in kept if one.name == name), None)
        if wanted is None:
            raise UserError(f"run {self.id} keeps no file {name!r}{guess(name, (one.name for one in kept))}")
        return self.lab.store.fetch_artifact(wanted, Path(folder))

    @property
    def events(self) -> list[Event]:
        """What happened to it, oldest first."""
        return self.lab.store.events(self.id)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """All findings with evidence and advice; None when nobody has looked."""
        return self.lab.store.diagnoses([self.id]).get(self.id)

    def __repr__(self) -> str:
        from queueing.frames.words import run_words

        return run_words(self)

    def _repr_html_(self) -> str:
        from queueing.frames.html import run_html

        return run_html(self)


class Runs(Sequence[FoundRun]):
    """The runs that a query asks for. They are read when they are looked at, page by page, and then stay as they are.

    `to_pandas`, `to_polars` and `to_dict` read what they need anew and build no run: a hundred thousand rows take a few
    seconds.
    """

    def __init__(self, lab: Lab, query: RunQuery, names: Names, text: str) -> None:
        self._lab, self._query, self._names, self._text = lab, query, names, text
        self._read: list[FoundRun] = []
        self._pages: Iterator[list[Run]] | None = None
        self._is_whole = False

    def __iter__(self) -> Iterator[FoundRun]:
        place = 0
        while place < len(self._read) or self._read_on():
            yield from self._read[place : (place := len(self._read))]

    @overload
    def __getitem__(self, which: int) -> FoundRun: ...
    @overload
    def __getitem__(self, which: slice) -> list[FoundRun]: ...
    def __getitem__(self, which: int | slice) -> FoundRun | list[FoundRun]:
        if isinstance(which, slice) or which < 0:
            return self._all()[which]
        while which >= len(self._read) and self._read_on():
            pass
        return self._read[which]

    def __len__(self) -> int:
        return len(self._all())

    @property
    def ids(self) -> list[str]:
        """In the order of the runs."""
        return [run.id for run in self._all()]

    def to_pandas(self, columns: str | Sequence[str] | None = None) -> "pandas.DataFrame":
        """A row per run. `columns`: fields as for `labq ls -c`, such as "params.lr,best.val_loss,duration".

        Without them: `run`, `experiment`, `state`, … `params.NAME`, `best.NAME`, `last.NAME`. What a run lacks is
        missing, not 0. Raises BadQuery for an unknown field, UserError without pandas, StoreUnavailable.
        """
        return to_pandas(run_table(self._lab.store, self._query, columns, self._names))

    def to_polars(self, columns: str | Sequence[str] | None = None) -> "polars.DataFrame":
        """The same for polars: null is missing, NaN is NaN."""
        return to_polars(run_table(self._lab.store, self._query, columns, self._names))

    def to_dict(self, columns: str | Sequence[str] | None = None) -> dict[str, list[Any]]:
        """The same as a list for each column; None is missing."""
        return to_lists(run_table(self._lab.store, self._query, columns, self._names))

    def curves(self, metric: str | Sequence[str], *, params: Sequence[str] | None = None) -> Curves:
        """All points of a metric of these runs as one long table: see `labq.curves`."""
        return curves_of(self._lab.store, self._query, metric, params, self._names)

    def __repr__(self) -> str:
        return f"<labq runs {self._text!r}: {self._how_many()}>"

    def _repr_html_(self) -> str:
        from queueing.frames.html import runs_html

        return runs_html(self._first(), self._how_many())

    def _all(self) -> list[FoundRun]:
        while self._read_on():
            pass
        return self._read

    def _read_on(self) -> bool:
        """One page further; False at the end. After an error it begins anew."""
        if self._is_whole:
            return False
        if self._pages is None:
            self._read, self._pages = [], self._lab.store.runs_in_pages(self._query)
        try:
            page = next(self._pages, None)
        except BaseException:
            self._pages = None
            raise
        self._is_whole = page is None
        self._read += [found(run, self._lab) for run in page or ()]
        return not self._is_whole

    def _first(self) -> list[Run]:
        """The first of them; the newest where there is no order."""
        if self._is_whole:
            return list(self._read[:SHOWN])
        limit = min(self._query.limit or SHOWN, SHOWN)
        return self._lab.store.runs(replace(self._query, limit=limit))

    def _how_many(self) -> str:
        if self._is_whole:
            return f"{len(self._read):,}"
        try:
            count = self._lab.store.count(self._query, _MOST_COUNTED + 1, _COUNT_S)
        except LabqError as error:
            return str(error)
        if count is None or count > _MOST_COUNTED:
            return "very many" if count is None else f"{_MOST_COUNTED:,}+"
        return f"{min(count, self._query.limit or count):,}"


def found(run: Run, lab: Lab) -> FoundRun:
    """The run with the connection that it came by."""
    return FoundRun(lab=lab, **{name: getattr(run, name) for name in _NAMES})


def check_metric(name: str, names: Names) -> None:
    """Raises UserError for a metric that nobody has reported, with what was probably meant."""
    if name not in names.metrics and names.complete:
        raise UserError(f"no run has reported a metric {name!r}{guess(name, names.metrics)}")
