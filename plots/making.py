"""From a question to a picture."""

from collections.abc import Callable

from plots.asking import Ask, Kind
from plots.chosen import Chosen, chosen
from plots.picture import Picture
from store.store import Store

Maker = Callable[[Ask, Chosen, Store], Picture]


def picture(ask: Ask, store: Store) -> Picture:
    """Raises UserError, BadQuery, StoreUnavailable."""
    return maker(ask.kind)(ask, chosen(ask, store), store)


def maker(kind: Kind) -> Maker:
    """Imported when it is needed: some kinds need large libraries."""
    match kind:
        case Kind.IMPORTANCE:
            from plots.importance import importance as found
        case Kind.PARALLEL:
            from plots.parallel import parallel as found
        case Kind.SCATTER:
            from plots.scatter import scatter as found
        case Kind.PAIRS:
            from plots.scatter import pairs as found
        case Kind.HEATMAP:
            from plots.heatmap import heatmap as found
        case Kind.FEATURES:
            from plots.features import features as found
        case Kind.CONFUSION:
            from plots.confusion import confusion as found
        case _:
            from plots.curves import curves as found
    return found
