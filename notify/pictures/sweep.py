"""A sweep in one picture: a grid of small curves over two parameters, or all curves and each parameter by itself."""

from notify.pictures.grid import grid
from notify.pictures.overview import overview
from notify.siblings import grid_of
from notify.story import Sweep


def sweep_picture(sweep: Sweep) -> bytes | None:
    """None when there is nothing to draw."""
    if sweep.metric is None or not any(curve.series is not None for curve in sweep.curves):
        return None
    sides = sides_of(sweep)
    return grid(sweep, *sides) if sides else overview(sweep)


def sides_of(sweep: Sweep) -> tuple[str, str] | None:
    """Rows and columns of the grid. None: no two parameters make one."""
    return grid_of(sweep.varying, [curve.params for curve in sweep.curves])
