"""Parts of runs as documents, a page at a time: `store.rows` in MongoDB's words."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from bson.codec_options import CodecOptions

from store.matching import at_path
from store.mongo.client import Document, guarded
from store.mongo.codec import from_document
from store.mongo.filters import COMPUTED, EMPTY_IS_MISSING, path
from store.mongo.outcomes import PAGE, Codec, Outcomes
from store.query import Field, Metric, Param, RunField
from store.rows import RowPage, Wanted, picked
from store.runs import Run
from store.store import RunQuery

_COMPUTED = "computed"
_AGE = {"queued_at": 1, "index": 1}
_PLAIN: Codec = CodecOptions(tz_aware=False)
Reader = Callable[[Sequence[Document]], list[Any]]


class Rows(Outcomes):
    """What data frames read."""

    def rows(self, query: RunQuery, wanted: Wanted) -> Iterator[RowPage]:
        """In the order of `runs`."""
        readers = [_reader(field) for field in wanted.fields]
        for page in self._documents(query, _projection(wanted), _PLAIN):
            for part in page:
                yield RowPage(
                    ids=[document["_id"] for document in part],
                    columns=[read(part) for read in readers],
                    params=[document["params"] for document in part] if wanted.every else [],
                    summaries=[document["summary"] for document in part] if wanted.every else [],
                )

    def runs_in_pages(self, query: RunQuery) -> Iterator[list[Run]]:
        """In the order of `runs`."""
        if 0 < query.limit <= PAGE:
            yield self.runs(query)
            return
        for page in self._documents(query, {}, self.database.codec_options):
            yield [from_document(Run, document) for part in page for document in part]

    def _documents(self, query: RunQuery, projection: Document, codec: Codec) -> Iterator[Iterable[list[Document]]]:
        if query.order is None and not (query.limit or query.skip or query.after):
            yield from self._paged(query, {**projection, **_AGE} if projection else {}, codec)
            return
        ids = self._ids_in_order(query)
        for start in range(0, len(ids), PAGE):
            yield [self._of_ids(ids[start : start + PAGE], projection, codec)]

    @guarded
    def _ids_in_order(self, query: RunQuery) -> list[str]:
        return [run.id for run in self._page_of(query, light=True)]

    @guarded
    def _of_ids(self, ids: Sequence[str], projection: Document, codec: Codec) -> list[Document]:
        """One that was deleted meanwhile is left out."""
        runs = self.database["runs"].with_options(codec_options=codec)
        cursor = runs.find({"_id": {"$in": list(ids)}}, projection).batch_size(PAGE)
        found = {document["_id"]: document for document in cursor}
        return [found[one] for one in ids if one in found]


def _projection(wanted: Wanted) -> Document:
    """The server computes what is computed. A path within a parameter may go through lists, so all of it is read."""
    paths: Document = {"_id": 1, **({"params": 1, "summary": _summary(wanted.stats)} if wanted.every else {})}
    for field in wanted.fields:
        if isinstance(field, RunField) and field in COMPUTED:
            paths[f"{_COMPUTED}.{field.value}"] = COMPUTED[field]
        elif isinstance(field, Param):
            paths |= {} if wanted.every else {f"params.{field.path[0]}": 1}
        elif not (isinstance(field, Metric) and wanted.every):
            paths[path(field)] = 1
    return paths


def _summary(stats: Iterable[str]) -> Document:
    """Only these numbers of every metric: all of them would be a third of what comes over the wire."""
    each: Document = {"k": "$$this.k", "v": {stat: f"$$this.v.{stat}" for stat in stats}}
    return {"$arrayToObject": {"$map": {"input": {"$objectToArray": "$summary"}, "in": each}}}


def _reader(field: Field) -> Reader:
    """What picks a field out of a page of documents."""
    if isinstance(field, Param):
        return lambda page: [_first(at_path(document.get("params", {}), field.path)) for document in page]
    if field in COMPUTED:
        return lambda page: picked([document[_COMPUTED] for document in page], field.value)
    parts = path(field).split(".") if isinstance(field, RunField) else ["summary", field.name, field.stat.value]
    if field in EMPTY_IS_MISSING:
        return lambda page: [_walk(document, parts) or None for document in page]
    if len(parts) > 1:
        return lambda page: [_walk(document, parts) for document in page]
    return lambda page: _no_empty_list(picked(page, parts[0]))


def _no_empty_list(values: list[Any]) -> list[Any]:
    return [value or None if type(value) is list else value for value in values] if [] in values else values


def _walk(value: Any, parts: Sequence[str]) -> Any:
    """Along the path; through a list every item is followed."""
    for number, part in enumerate(parts):
        if isinstance(value, list):
            found = [one for item in value if (one := _walk(item, parts[number:])) is not None]
            return found or None
        value = value.get(part) if isinstance(value, dict) else None
    return None if value == [] else value


def _first(found: list[Any]) -> Any:
    return next((value for value in found if value is not None), None)
