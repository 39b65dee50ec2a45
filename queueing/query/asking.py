"""What verbs call: a query as people type it, understood with the names that the store knows."""

from datetime import UTC, datetime, tzinfo

from queueing.query.meaning import condition, experiments_in
from queueing.query.parser import parse
from queueing.query.raw import raw
from queueing.query.values import Context
from store.identity import user_name
from store.query import Condition, both
from store.runs import Run
from store.store import RunQuery, Store


def understood(
    text: str, store: Store, *, mongo: str | None = None, now: datetime | None = None, zone: tzinfo | None = None
) -> Condition:
    """The condition that a query asks for, and a raw MongoDB filter beside it. Raises BadQuery, StoreUnavailable.

    Reads small documents: which metrics and parameters the experiments that the query is about have.
    """
    tree = parse(text)
    context = Context(now=now or datetime.now(UTC), me=user_name(), zone=zone)
    asked = condition(text, tree, store.names(experiments_in(tree)), context) if tree is not None else None
    return both(asked, raw(mongo) if mongo else None)


def runs_where(text: str, store: Store, *, mongo: str | None = None, limit: int = 0) -> list[Run]:
    """The runs a query asks for, oldest first; with a limit: the newest ones. Raises BadQuery, StoreUnavailable."""
    return store.runs(RunQuery(where=understood(text, store, mongo=mongo), limit=limit))
