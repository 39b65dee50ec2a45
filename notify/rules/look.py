"""One look of the rules round at the store: rules, silence and time as they are now."""

from collections.abc import Callable, Iterable, Sequence

from notify.rules.draft import Asked, Draft, rate_id
from notify.rules.happenings import Happening
from notify.rules.holding import Holding, asking, holdings
from store.runs import Notify, Run
from store.store import RunQuery, Store

Held = Callable[[Happening], Sequence[Holding]]


class Look:
    """Read once, used for everything that is decided in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.books = store.rule_books()
        self.mutes = store.mutes()
        self.now = store.now()
        self._held: dict[tuple[str, str, Notify], tuple[Holding, ...]] = {}

    def held(self, experiment: str, owner: str, notify: Notify) -> tuple[Holding, ...]:
        """The rules for such runs."""
        key = (experiment, owner, notify)
        if key not in self._held:
            self._held[key] = holdings(self.books, *key)
        return self._held[key]

    def held_for(self, run: Run) -> tuple[Holding, ...]:
        """The rules for this run."""
        return self.held(run.experiment, run.owner, run.notify)

    def held_by_all(self, run: Run | None) -> tuple[Holding, ...]:
        """The rules of all users, of everybody, and of the experiment of this run."""
        return holdings(self.books, run.experiment if run else "", None, run.notify if run else None)

    def names(self, word: str) -> bool:
        """Whether any rule book names the word: the rules of single runs are not among them."""
        return any(word in rule.on for book in self.books for rule in book.rules)

    def runs(self, ids: Iterable[str]) -> dict[str, Run]:
        """By id; one that is not there is left out."""
        wanted = tuple(sorted({one for one in ids if one}))
        return {run.id: run for run in self.store.runs(RunQuery(ids=wanted))} if wanted else {}

    def asked(self, happened: Iterable[Happening], held: Held) -> list[Asked]:
        """Who asks for it."""
        return [(one, *asking_one) for one in happened for asking_one in asking(one, held(one), self.now)]

    def draft(self, asked: Sequence[Asked], memories: Iterable[str] = ()) -> Draft:
        """What follows, with what is remembered under these names beside the rates of the rules."""
        names = {*memories, *(rate_id(holding) for _, holding, _ in asked)}
        draft = Draft(self.now, self.mutes, self.store.remembered(sorted(names)) if names else {})
        draft.add(asked)
        return draft
