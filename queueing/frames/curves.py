"""Points of a metric of many runs as one long table: a row per point."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from queueing.query.mistake import guess
from queueing.space.names import flat
from store.errors import UserError
from store.query import Names, RunField
from store.rows import Wanted
from store.store import RunQuery, Store

if TYPE_CHECKING:
    import numpy as np
    import pandas
    import polars

_POINTS = ("step", "time", "value")


class Curves(Mapping[str, "np.ndarray[Any, Any]"]):
    """Columns `run`, `experiment` (of several), `params.NAME`, `metric`, `step`, `time`, `value`: arrays, all (n,).

    Runs come in their order, their points as they were reported. `time`: seconds since 1970. A parameter that a run
    lacks is None. What is the same for all points of a run is held once.
    """

    def __init__(
        self, points: Mapping[str, "np.ndarray[Any, Any]"], sizes: "np.ndarray[Any, Any]", heads: dict[str, list[Any]]
    ) -> None:
        self._points, self._sizes, self._heads = points, sizes, heads

    def __getitem__(self, name: str) -> "np.ndarray[Any, Any]":
        import numpy as np

        if name in self._points:
            return self._points[name]
        if name not in self._heads:
            raise KeyError(f"no column {name!r}{guess(name, self)}")
        return np.repeat(_objects(self._heads[name]), self._sizes)

    def __iter__(self) -> Iterator[str]:
        return chain(self._heads, self._points)

    def __len__(self) -> int:
        return len(self._heads) + len(self._points)

    def __repr__(self) -> str:
        count, series = len(self._points["value"]), len(self._sizes)
        return f"<labq curves: {count:,} points of {series:,} series; {', '.join(self)}>"

    def to_pandas(self) -> "pandas.DataFrame":
        """`time` as UTC times; texts are categories, so that they cost a byte or two a row. Raises UserError."""
        try:
            import pandas
        except ImportError as error:
            raise UserError("to_pandas needs pandas: pip install pandas") from error
        columns: dict[str, Any] = {name: self._pandas_head(values) for name, values in self._heads.items()}
        columns |= {"step": self["step"], "time": pandas.to_datetime(self["time"], unit="s", utc=True)}
        return pandas.DataFrame({**columns, "value": self["value"]}, copy=False)

    def to_polars(self) -> "polars.DataFrame":
        """`time` as UTC times. Raises UserError without polars."""
        try:
            import polars
        except ImportError as error:
            raise UserError("to_polars needs polars: pip install 'labq[polars]'") from error
        import numpy as np

        number = np.repeat(np.arange(len(self._sizes)), self._sizes)
        heads = [polars.Series(name, _plain(values), strict=False)[number] for name, values in self._heads.items()]
        points = [polars.Series(name, self[name]) for name in _POINTS]
        frame = polars.DataFrame([*heads, *points])
        micros = polars.col("time").fill_nan(None) * 1e6
        return frame.with_columns(micros.cast(polars.Int64).cast(polars.Datetime("us", "UTC")).alias("time"))

    def _pandas_head(self, values: list[Any]) -> Any:
        import numpy as np
        import pandas

        number = np.repeat(np.arange(len(self._sizes)), self._sizes)
        if all(value is None or isinstance(value, str) for value in values):
            return pandas.Categorical(values).take(number)
        return pandas.Series(values).take(number).to_numpy()


def curves_of(
    store: Store, query: RunQuery, metric: str | Sequence[str], params: Sequence[str] | None, names: Names
) -> Curves:
    """Read run by run. Raises UserError for a metric that nobody has reported, or an unknown parameter."""
    metrics = [metric] if isinstance(metric, str) else list(metric)
    for name in metrics:
        if name not in names.metrics and names.complete:
            raise UserError(f"no run has reported a metric {name!r}{guess(name, names.metrics)}")
    pages = list(store.rows(query, Wanted(fields=(RunField.EXPERIMENT,), every=True)))
    told = {run: flat(params) for page in pages for run, params in zip(page.ids, page.params, strict=True)}
    summaries = {run: summary for page in pages for run, summary in zip(page.ids, page.summaries, strict=True)}
    experiments = {run: name for page in pages for run, name in zip(page.ids, page.columns[0], strict=True)}
    chosen = _varied(told.values()) if params is None else _checked(params, told.values())
    several = len(set(experiments.values())) > 1
    found = [(run, name, store.curve(run, name)) for run in told for name in metrics if name in summaries[run]]
    return Curves(
        points={
            "step": _joined([curve.steps for _, _, curve in found], "int64"),
            "time": _joined([curve.times for _, _, curve in found], "float64"),
            "value": _joined([curve.values for _, _, curve in found], "float64"),
        },
        sizes=_joined([[len(curve.steps)] for _, _, curve in found], "int64"),
        heads={
            "run": [run for run, _, _ in found],
            **({"experiment": [experiments[run] for run, _, _ in found]} if several else {}),
            **{f"params.{one}": [told[run].get(one) for run, _, _ in found] for one in chosen},
            "metric": [name for _, name, _ in found],
        },
    )


def curves_of_none() -> Curves:
    """A table without a row."""
    points = {name: _joined([], "int64" if name == "step" else "float64") for name in _POINTS}
    return Curves(points, _joined([], "int64"), {"run": [], "metric": []})


def _varied(tables: Collection[Mapping[str, Any]]) -> list[str]:
    """The parameters in which the runs differ, in the order in which they come."""
    names = dict.fromkeys(name for table in tables for name in table)
    return [name for name in names if len({repr(table.get(name, ...)) for table in tables}) > 1]


def _checked(params: Sequence[str], tables: Collection[Mapping[str, Any]]) -> list[str]:
    if isinstance(params, str):
        raise UserError(f"params={params!r}: is a text; a list is meant: params=[{params!r}]")
    known = {name for table in tables for name in table}
    bare = [name.removeprefix("params.") for name in params]
    for name in bare:
        if name not in known:
            raise UserError(f"no run has a parameter {name!r}{guess(name, known)}")
    return bare


def _joined(arrays: Sequence[Any], kind: str) -> Any:
    import numpy as np

    return np.concatenate([np.empty(0, kind), *arrays]).astype(kind, copy=False)


def _plain(values: Sequence[Any]) -> list[Any]:
    """For polars: values of one type, or texts."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or (len(kinds) <= 1 and not kinds & {list, dict}):
        return [float(value) if kinds == {int, float} and value is not None else value for value in values]
    return [None if value is None else str(value) for value in values]


def _objects(values: Sequence[Any]) -> Any:
    """An array of texts or numbers where they are of one type, else of objects."""
    import numpy as np

    kinds = {type(value) for value in values}
    if kinds and (kinds <= {int, float} or kinds == {bool}):
        return np.asarray(values)
    found = np.empty(len(values), object)
    for number, value in enumerate(values):
        found[number] = value
    return found
