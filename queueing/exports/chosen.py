"""Which runs go out, one after the other, and whether they went out like this before."""

from collections.abc import Iterator

from queueing.query.asking import understood, with_saved
from store.errors import NoSuchRun
from store.runs import Run
from store.store import RunQuery, Store


def chosen(query: str, store: Store) -> Iterator[Run]:
    """The runs a query asks for that have begun, in the order of their ids, one at a time. Raises BadQuery."""
    where = understood(with_saved(query, store).query, store)
    for run_id in store.run_ids(RunQuery(where=where)):
        try:
            run = store.run(run_id)
        except NoSuchRun:
            continue  # deleted since
        if run.attempt:
            yield run


def version(run: Run) -> str:
    """Changes with everything that is exported: attempts, points, state, figures that were added."""
    points = sum(summary.count for summary in run.summary.values())
    return f"{run.attempt}-{run.shipped.events_lines}-{points}-{run.state}"
