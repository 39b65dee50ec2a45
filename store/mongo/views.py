"""Saved views: the `views` collection."""

from typing import Any

from store.mongo.client import Connected, guarded
from store.mongo.codec import from_document, plain
from store.views import View


class Views(Connected):
    """One document per owner and name."""

    @guarded
    def save_view(self, view: View) -> None:
        """Keep a view; it replaces one of the same name. An insert cannot ask for the server's clock, an update can."""
        fields = {name: {"$literal": value} for name, value in plain(view).items() if name != "saved_at"}
        change = [{"$set": {**fields, "saved_at": "$$NOW"}}]
        self.database["views"].update_one({"_id": _id(view.owner, view.name)}, change, upsert=True)

    @guarded
    def views(self, owner: str | None = None) -> list[View]:
        """Saved views, by owner and name."""
        found = self.database["views"].find({} if owner is None else {"owner": owner}, {"_id": 0})
        return [from_document(View, document) for document in found.sort([("owner", 1), ("name", 1)])]

    @guarded
    def remove_view(self, owner: str, name: str) -> bool:
        """Forget a view."""
        return self.database["views"].delete_one({"_id": _id(owner, name)}).deleted_count == 1


def _id(owner: str, name: str) -> dict[str, Any]:
    return {"owner": owner, "name": name}
