"""What verbs call: a query as people type it, understood with the names that the store knows."""

from dataclasses import replace
from datetime import datetime, tzinfo

from queueing.query import columns as named
from queueing.query.meaning import condition, experiments_in
from queueing.query.parser import parse
from queueing.query.raw import raw
from queueing.query.values import Context
from store.errors import NoSuchView, UserError
from store.identity import user_name
from store.query import Condition, Names, both
from store.runs import Run
from store.store import RunQuery, Store
from store.views import View


def understood(
    text: str, store: Store, *, mongo: str | None = None, now: datetime | None = None, zone: tzinfo | None = None
) -> Condition:
    """The condition that a query asks for, and a raw MongoDB filter beside it. Raises BadQuery, StoreUnavailable.

    Reads small documents: which metrics and parameters the experiments that the query is about have.
    """
    tree = parse(text)
    context = Context(now=now or store.now(), me=user_name(), zone=zone)
    asked = condition(text, tree, store.names(experiments_in(tree)), context) if tree is not None else None
    return both(asked, raw(mongo) if mongo else None)


def known_names(text: str, store: Store) -> Names:
    """The metrics and parameters that the fields beside a query (its columns, its order) may name."""
    return store.names(experiments_in(parse(text)))


def runs_where(
    text: str,
    store: Store,
    *,
    mongo: str | None = None,
    sort: str = "",
    skip: int = 0,
    after: str | None = None,
    limit: int = 0,
) -> list[Run]:
    """The runs a query asks for: a page of them, see `store.RunQuery`. Raises BadQuery, NoSuchRun, StoreUnavailable."""
    where = understood(text, store, mongo=mongo)
    order = named.order(sort, known_names(text, store)) if sort else None
    return store.runs(RunQuery(where=where, order=order, skip=skip, after=after, limit=limit))


def with_saved(text: str, store: Store) -> View:
    """`@good and state=failed` as a view: what `@good` or `@ann/good` was saved with, and the rest of the query."""
    if not text.strip().startswith("@"):
        return View(owner=user_name(), name="", query=text)
    name, _, rest = text.strip().partition(" ")
    found = saved(name, store)
    rest = rest.strip()
    rest = rest[4:] if rest[:4].lower() == "and " else rest
    query = " and ".join(f"({part})" for part in (found.query, rest) if part) if rest else found.query
    return replace(found, query=query)


def saved(name: str, store: Store) -> View:
    """The view called `@good` (one's own) or `@ann/good`. Raises NoSuchView."""
    owner, slash, bare = name.removeprefix("@").rpartition("/")
    owner = owner if slash else user_name()
    for view in store.views(owner):
        if view.name == bare:
            return view
    others = [f"@{v.name}" if v.owner == owner else f"@{v.owner}/{v.name}" for v in store.views()]
    known = f"; there are: {', '.join(others[:20])}" if others else "; save one with: labq ls --save NAME QUERY"
    raise NoSuchView(f"no view is called {name}{known}")


def checked_name(name: str) -> str:
    """A name under which a view can be saved. Raises UserError."""
    bare = name.removeprefix("@")
    if not bare.replace("-", "").replace("_", "").replace(".", "").isalnum() or len(bare) > 64:
        raise UserError(f"{name!r} is no name for a view; allowed: letters, digits, '.', '_' and '-', at most 64")
    return bare
