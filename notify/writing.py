"""The content of a notice, from what the store knows."""

from notify.compose import compose
from notify.content import Content
from notify.gather import gather
from notify.reading import Reading
from notify.rendering import Templates
from store.notices import Notice
from store.settings import Settings


class Writer:
    """Writes one message after another, with the user's templates where there are some."""

    def __init__(self, settings: Settings) -> None:
        self._templates = Templates(settings.mail_templates_dir)

    def __call__(self, store: Reading, notice: Notice) -> Content:
        """What there is to say about it. Raises StoreUnavailable, and NoSuchRun when what it is about is gone."""
        return compose(notice, gather(store, notice), self._templates)
