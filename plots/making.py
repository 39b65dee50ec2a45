"""From a question to a picture."""

from importlib import import_module

from plots.asking import Ask, Kind
from plots.chosen import Chosen, chosen
from plots.picture import Picture
from store.store import Store

_MAKERS = {
    Kind.IMPORTANCE: "plots.importance:importance",
    Kind.PARALLEL: "plots.parallel:parallel",
    Kind.SCATTER: "plots.scatter:scatter",
    Kind.PAIRS: "plots.scatter:pairs",
    Kind.HEATMAP: "plots.heatmap:heatmap",
    Kind.FEATURES: "plots.features:features",
    Kind.CONFUSION: "plots.confusion:confusion",
}
"""All others show metrics as they go. Named, since some need large libraries."""


def picture(ask: Ask, store: Store) -> Picture:
    """Raises UserError, BadQuery, StoreUnavailable."""
    return drawn_from(ask, chosen(ask, store), store)


def drawn_from(ask: Ask, among: Chosen, store: Store) -> Picture:
    """Of runs that have been chosen already."""
    module, _, name = _MAKERS.get(ask.kind, "plots.curves:curves").partition(":")
    found: Picture = getattr(import_module(module), name)(ask, among, store)
    return found
