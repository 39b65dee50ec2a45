"""A `[sweep]` of the file as a Block: all its mistakes at once, or its points, counted."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queueing.keys import canonical
from queueing.optimize.space_file import with_space_file
from queueing.space.domains import MOST_LISTED, Choice, count_of, is_listed, values_of
from queueing.space.names import clash, flat
from queueing.space.reading import read_constraints, read_space
from queueing.space.space import Parameter, Space, is_allowed
from queueing.space.streams import shuffled
from queueing.sweep.block import MOST_RUNS, SAMPLING, Block, Method, Point, Points, SweepMistake
from queueing.sweep.grid import grid_points, too_many
from queueing.sweep.numbers import Seen, packed
from queueing.sweep.sampled import sampled_points
from queueing.values import Mistake
from queueing.values import Path as Place

if TYPE_CHECKING:
    from queueing.experiment_file import SweepTable

MOST_PARAMETERS = 200


def read_block(
    said: "SweepTable", fixed: Mapping[str, Any], folder: Path, at: Place, reserved: tuple[str, ...] = ()
) -> tuple[Block | None, list[Mistake]]:
    """The block at `at` in the file; `folder` is where relative names of tables begin."""
    read_too: list[Mistake] = []
    if said.space is not None and said.table is None:
        space_file, read_too = with_space_file(said.space, said.params, folder, at)
        said = said.model_copy(update={"params": space_file.params, "where": [*space_file.where, *said.where]})
    if read_too:
        return None, read_too
    mistakes = _key_mistakes(said, fixed, at)
    if said.table is not None:
        return _table_block(said, fixed, folder, at, reserved, mistakes)
    space, found = read_space(said.params, said.where, fixed, (at))
    mistakes += found + _parameter_mistakes(said, space, at, reserved)
    if mistakes:
        return None, mistakes
    method = Method(said.method)
    try:
        points = _shuffled(said, _points(method, said, space, flat(fixed)))
        _check_size(points, said.repeat)
    except SweepMistake as error:
        return None, [((*at, error.key) if error.key else at, error.said)]
    return _block(said, method, space, points, space.names), []


def _block(said: "SweepTable", method: Method, space: Space, points: Points, names: tuple[str, ...]) -> Block:
    return Block(
        method=method, space=space, points=points, names=names, seed=said.seed, repeat=said.repeat,
        source=said.table or "",
    )  # fmt: skip


def _points(method: Method, said: "SweepTable", space: Space, fixed: Mapping[str, Any]) -> Points:
    if method is Method.GRID:
        return grid_points(space, fixed, repeat=said.repeat)
    if method is Method.ZIP:
        return _zipped(space, fixed)
    assert said.samples is not None
    if said.samples * said.repeat > MOST_RUNS:
        raise too_many(said.samples * said.repeat)
    return sampled_points(method, space, fixed, said.seed or 0, said.samples)


def _zipped(space: Space, fixed: Mapping[str, Any]) -> Points:
    axes = [values_of(parameter.domain) for parameter in space.parameters]
    names = space.names

    def point(number: int) -> Point:
        return Point(values={name: axis[number] for name, axis in zip(names, axes, strict=True)})

    points = Points(numbers=range(len(axes[0]) if axes else 1), point=point)
    seen = Seen()
    for number in points.numbers:
        if not seen.add(values := list(point(number).values.values())):
            raise SweepMistake("params", f"the combination {canonical(values)[:80]} is given twice")
    return _constrained(points, space, fixed)


def _constrained(points: Points, space: Space, fixed: Mapping[str, Any]) -> Points:
    if not space.where:
        return points
    kept = (number for number in points.numbers if _is_allowed(space, fixed, points.point(number)))
    return Points(numbers=packed(kept), point=points.point)


def _is_allowed(space: Space, fixed: Mapping[str, Any], point: Point) -> bool:
    try:
        return is_allowed(space, fixed, point.values)
    except ValueError as error:
        raise SweepMistake("where", str(error)) from error


def _shuffled(said: "SweepTable", points: Points) -> Points:
    if not said.shuffle:
        return points
    return Points(numbers=packed(shuffled(points.numbers, said.seed or 0, "order")), point=points.point)


def _check_size(points: Points, repeat: int) -> None:
    if not points.numbers:
        raise SweepMistake("where", "leaves no run at all")
    if len(points.numbers) * repeat > MOST_RUNS:
        raise too_many(len(points.numbers) * repeat)


# ── tables ──
def _table_block(
    said: "SweepTable", fixed: Mapping[str, Any], folder: Path, at: Place, reserved: tuple[str, ...],
    mistakes: list[Mistake],
) -> tuple[Block | None, list[Mistake]]:  # fmt: skip
    from queueing.tables.cells import Kind
    from queueing.tables.table import Table
    from queueing.tables.unreadable import UnreadableTable

    assert said.table is not None
    path = folder / Path(said.table).expanduser()
    types = {name: Kind(kind) for name, kind in said.types.items()}
    try:
        table = Table(path, said.sheet, types, reserved)
    except UnreadableTable as error:
        return None, [*mistakes, *(((*at, "table"), f"{said.table}: {line}") for line in str(error).splitlines())]
    space, found = read_constraints(said.where, [*table.names, *flat(fixed)], at)
    mistakes += found + _table_mistakes(said, table.names, fixed, at)
    if mistakes:
        return None, mistakes
    try:
        points = _shuffled(said, _constrained(table.points(), space, flat(fixed)))
        _check_size(points, said.repeat)
    except SweepMistake as error:
        return None, [((*at, error.key) if error.key else at, error.said)]
    return _block(said, Method.TABLE, space, points, table.names), []


def _table_mistakes(said: "SweepTable", names: tuple[str, ...], fixed: Mapping[str, Any], at: Place) -> list[Mistake]:
    known = flat(fixed)
    mistakes: list[Mistake] = []
    for name in names:
        if (other := clash(name, known)) is not None and other != name:
            mistakes.append(((*at, "table"), f"{said.table}: column {name!r} cannot stand beside params.{other}"))
    if said.repeat > 1 and "seed" in names:
        mistakes.append(((*at, "repeat"), "makes the seeds, but the table has a column 'seed'; keep one of them"))
    return mistakes


# ── what is wrong with the keys ──
def _key_mistakes(said: "SweepTable", fixed: Mapping[str, Any], at: Place) -> list[Mistake]:
    found: list[tuple[str, str]] = []
    if said.table is not None:
        found += [
            (key, "does not go with table; a table is its own sweep")
            for key in ("method", "params", "samples", "space")
            if key in said.model_fields_set
        ]
    else:
        found += [(key, 'is for a table = "runs.xlsx"') for key in ("sheet", "types") if key in said.model_fields_set]
        found += _sampling_mistakes(said)
    if said.repeat > 1 and said.seed is not None and "seed" in fixed:
        found.append(("seed", "makes the seeds of the repeats, but params.seed is given too; keep one of them"))
    return [((*at, key), words) for key, words in found]


def _sampling_mistakes(said: "SweepTable") -> list[tuple[str, str]]:
    sampling = Method(said.method) in SAMPLING
    if sampling and said.samples is None:
        return [("samples", f"is missing; method {said.method} needs to know how many points to draw")]
    if not sampling and said.samples is not None:
        return [("samples", f"is for the methods {', '.join(sorted(SAMPLING))}; this one is {said.method}")]
    if sampling and not said.params:
        return [("params", f"is missing or empty; method {said.method} needs something to draw")]
    return []


def _parameter_mistakes(said: "SweepTable", space: Space, at: Place, reserved: tuple[str, ...]) -> list[Mistake]:
    mistakes: list[Mistake] = []
    if len(space.parameters) > MOST_PARAMETERS:
        mistakes.append(((*at, "params"), f"has {len(space.parameters)} parameters; allowed: {MOST_PARAMETERS}"))
    for parameter in space.parameters:
        place = (*at, "params", *parameter.name.split("."))
        if parameter.name.split(".")[0] in reserved:
            mistakes.append((place, "the name is reserved"))
        if words := _axis_mistake(said, parameter):
            mistakes.append((place, words))
    if said.repeat > 1 and "seed" in space.names:
        mistakes.append(((*at, "params", "seed"), "repeat makes the seeds; keep one of them"))
    if Method(said.method) is Method.ZIP and not mistakes:
        mistakes += _unpaired(space, at)
    return mistakes


def _axis_mistake(said: "SweepTable", parameter: Parameter) -> str:
    method, domain = Method(said.method), parameter.domain
    if method not in SAMPLING and not is_listed(domain):
        return f"a {method} needs values to list; give a list, num or step, or choose method random"
    if method not in SAMPLING and count_of(domain) > MOST_LISTED:
        return f"has {count_of(domain)} values; allowed in a {method}: {MOST_LISTED}"
    if method not in SAMPLING and isinstance(domain, Choice) and domain.weights:
        return f"weights matter for sampling only; this sweep is a {method}"
    if method is Method.ZIP and parameter.when is not None:
        return "zip pairs lists that are all there; when is for the other methods"
    if isinstance(domain, Choice) and method is not Method.ZIP and (twice := _first_twice(domain.values)):
        return f"{twice} is given twice" + ("; weights make a value likelier" if method in SAMPLING else "")
    return ""


def _unpaired(space: Space, at: Place) -> list[Mistake]:
    lengths = {parameter.name: count_of(parameter.domain) for parameter in space.parameters}
    if len(set(lengths.values())) <= 1:
        return []
    shown = ", ".join(f"{name} has {n}" for name, n in list(lengths.items())[:8])
    return [((*at, "params"), f"method zip pairs values, but {shown}")]


def _first_twice(values: tuple[Any, ...]) -> str | None:
    """The first value that comes again, compared as a run's key compares: 1 is not 1.0."""
    seen: set[str] = set()
    for value in values:
        text = canonical(value)
        if text in seen:
            return text[:80]
        seen.add(text)
    return None
