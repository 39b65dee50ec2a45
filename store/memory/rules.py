"""Rules about who is told what, and silence."""

from dataclasses import replace
from datetime import timedelta

from store.memory.shared import Shared
from store.notices import NoticeState
from store.rules import Mute, RuleBook, Scope


class Rules(Shared):
    """Rule books and mutes."""

    def rule_books(self) -> list[RuleBook]:
        """The rules of all scopes."""
        return [self._books[name] for name in sorted(self._books)]

    def set_rules(self, book: RuleBook) -> None:
        """These rules hold for the scope from now on."""
        self._books[book.id] = replace(book, set_at=self.now())
        if not book.rules:
            del self._books[book.id]

    def remove_rules(self, scope: Scope, holder: str) -> bool:
        """Forget them."""
        return self._books.pop(RuleBook(scope=scope, holder=holder).id, None) is not None

    def mutes(self) -> list[Mute]:
        """Those that hold now."""
        now = self.now()
        return [one for _, one in sorted(self._mutes.items()) if one.until is None or one.until > now]

    def mute(self, mute: Mute, for_s: float | None = None) -> int:
        """Silence, and what is owed is muted too."""
        with self._lock:
            until = None if for_s is None else self.now() + timedelta(seconds=for_s)
            self._mutes[mute.id] = replace(mute, until=until)
            waiting = [
                one
                for one in self._outbox.values()
                if mute.target == (one.run if mute.is_run else one.experiment)
                and one.state is NoticeState.OWED
                and not one.tries
                and not one.digest
            ]
            self._outbox.update({one.id: replace(one, state=NoticeState.MUTED) for one in waiting})
            return len(waiting)

    def unmute(self, mute: Mute) -> bool:
        """Take it back."""
        return self._mutes.pop(mute.id, None) is not None
