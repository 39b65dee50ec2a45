"""Rules about who is told what, and silence: the `rules` and `mutes` collections."""

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from store.conditions import as_plain, from_plain
from store.errors import BadQuery
from store.logbook import warn
from store.mongo.client import Connected, Document, Session, guarded
from store.mongo.codec import from_document, plain
from store.notices import NoticeState
from store.rules import Mute, Rule, RuleBook, Scope


class Rules(Connected):
    """One document per scope, one per silence."""

    @guarded
    def rule_books(self) -> list[RuleBook]:
        """By scope and holder. A book that a newer labq wrote, or that somebody has spoiled, is left out."""
        books = []
        for document in self.database["rules"].find().sort("_id", 1):
            try:
                books.append(_book(document))
            except (ValidationError, BadQuery, KeyError, ValueError) as error:
                warn("rules-not-readable", rules=document["_id"], error=str(error).splitlines()[0])
        return books

    @guarded
    def set_rules(self, book: RuleBook) -> None:
        """Replaced as a whole; an update can ask for the server's clock."""
        if not book.rules:
            self.remove_rules(book.scope, book.holder)
            return
        fields = {name: value for name, value in plain(replace(book, rules=())).items() if name != "set_at"}
        fields["rules"] = [_rule_document(rule) for rule in book.rules]
        change = {"$set": {**{name: {"$literal": value} for name, value in fields.items()}, "set_at": "$$NOW"}}
        self.database["rules"].update_one({"_id": book.id}, [change], upsert=True)

    @guarded
    def remove_rules(self, scope: Scope, holder: str) -> bool:
        """Forget them."""
        return self.database["rules"].delete_one({"_id": RuleBook(scope=scope, holder=holder).id}).deleted_count == 1

    @guarded
    def mutes(self) -> list[Mute]:
        """Those that hold on the server's clock."""
        over = {"$lte": ["$until", "$$NOW"]}
        holding = {"$expr": {"$or": [{"$eq": ["$until", None]}, {"$not": [over]}]}}
        found = self.database["mutes"].find(holding, {"_id": 0}).sort("_id", 1)
        return [from_document(Mute, document) for document in found]

    @guarded
    def mute(self, mute: Mute, for_s: float | None = None) -> int:
        """The silence and what is owed change together."""
        until: Any = None if for_s is None else {"$add": ["$$NOW", int(for_s * 1000)]}
        fields = {name: {"$literal": value} for name, value in plain(mute).items() if name != "until"}
        about = {"run" if mute.is_run else "experiment": mute.target}
        waiting = {**about, "state": NoticeState.OWED.value, "tries": 0, "digest": {"$in": ["", None]}}

        def work(session: Session) -> int:
            change = [{"$set": {**fields, "until": until}}]
            self.database["mutes"].update_one({"_id": mute.id}, change, upsert=True, session=session)
            silenced = {"$set": {"state": NoticeState.MUTED.value}}
            return self.database["outbox"].update_many(waiting, silenced, session=session).modified_count

        return self.in_transaction(work)

    @guarded
    def unmute(self, mute: Mute) -> bool:
        """Take it back; one that is over by itself goes too."""
        return self.database["mutes"].delete_one({"_id": mute.id}).deleted_count == 1


def _rule_document(rule: Rule) -> Document:
    document: Document = plain(replace(rule, where=None))
    return {**document, "where": as_plain(rule.where) if rule.where is not None else None}


def _book(document: Document) -> RuleBook:
    book = from_document(RuleBook, {**{k: v for k, v in document.items() if k != "_id"}, "rules": []})
    return replace(book, rules=tuple(_rule(one) for one in document["rules"]))


def _rule(document: Document) -> Rule:
    rule = from_document(Rule, {**document, "where": None})
    return replace(rule, where=from_plain(document["where"])) if document["where"] else rule
