"""A question that is asked again and again, kept under a name."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What `labq ls` was asked, as it was written: the query means at every call what it means then."""

    owner: str
    name: str
    query: str = ""
    mongo: str = ""
    columns: str = ""
    sort: str = ""
    group: str = ""
    limit: int | None = None
    saved_at: datetime | None = None
    """The server's clock."""
