"""Letters as text and HTML, by Jinja2 templates: ours, or those in a user's folder of the same names.

Templates run in a sandbox, HTML is escaped, an unknown name is a mistake. A mistake in a user's template costs nobody a
message: it is made with ours, and says which file and line were wrong.
"""

import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from notify.layout import facts_lines, sentence_lines, table_lines
from notify.letters.letter import Letter, Remark
from notify.story import Story
from store.notices import Notice
from store.occasions import Occasion

OURS = Path(__file__).parent / "templates"
WIDTH = 78
_GAPS = re.compile(r"\n{3,}")
SUBJECT, TEXT, HTML = "subject.txt.j2", "letter.txt.j2", "letter.html.j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What is wrong with a user's template: the file, the line where it is known, and why."""

    file: str
    line: int | None
    said: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line is not None else self.file
        return f"{place}: {self.said}"


class Templates:
    """`folder`: a user's own; whatever is not in it is ours. Jinja2 is imported at the first message."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def render(self, letter: Letter, notice: Notice, story: Story) -> tuple[str, str, str]:
        """Subject, text, HTML."""
        if self._folder is None:
            return self._by(self._ours, letter, notice, story)
        try:
            return self._by(self._theirs, letter, notice, story)
        except Exception as error:  # noqa: BLE001 - a template is a programme: anything may go wrong in it
            mistake = self.mistake_of(error)
            warning = Remark(text=f"Your mail template is broken, so labq's own was used. {mistake}")
            return self._by(self._ours, replace(letter, blocks=(*letter.blocks, warning)), notice, story)

    def check(self, letter: Letter, notice: Notice, story: Story) -> Mistake | None:
        """What would go wrong with the user's templates for this letter."""
        if self._folder is None:
            return None
        if not self._folder.is_dir():
            return Mistake(file=str(self._folder), line=None, said="there is no such folder (setting mail_templates)")
        try:
            self._by(self._theirs, letter, notice, story)
        except Exception as error:  # noqa: BLE001
            return self.mistake_of(error)
        return None

    def strays(self) -> list[Path]:
        """Files of the user's folder that no message would ever use: a name that is written wrongly."""
        if self._folder is None or not self._folder.is_dir():
            return []
        used = {path.relative_to(OURS) for path in OURS.rglob("*.j2")}
        used |= {Path(f"{about.value}.{kind}.j2") for about in Occasion for kind in ("txt", "html", "subject.txt")}
        found = sorted(path for path in self._folder.rglob("*") if path.is_file())
        return [path for path in found if path.relative_to(self._folder) not in used and not self._is_named(path)]

    def mistake_of(self, error: Exception) -> Mistake:
        """Where in the user's folder it happened."""
        line: int | None = getattr(error, "lineno", None)
        file = getattr(error, "filename", None)
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename.endswith(".j2"):
                file, line = frame.filename, frame.lineno
        said = " ".join(str(error).split())[:200] or type(error).__name__
        return Mistake(file=str(file or self._folder), line=line, said=said)

    def _by(self, environment: Any, letter: Letter, notice: Notice, story: Story) -> tuple[str, str, str]:
        said = {"letter": letter, "notice": notice, "story": story, "run": story.run, "width": WIDTH}
        about = letter.occasion.value
        subject = environment.select_template([f"{about}.subject.txt.j2", SUBJECT]).render(said)
        text = environment.select_template([f"{about}.txt.j2", TEXT]).render(said)
        html = environment.select_template([f"{about}.html.j2", HTML]).render(said)
        return " ".join(subject.split()), _GAPS.sub("\n\n", text.rstrip()) + "\n", html

    def _is_named(self, path: Path) -> bool:
        """Something that another template may include."""
        assert self._folder is not None
        inside = (
            one.read_text(encoding="utf-8", errors="replace") for one in self._folder.rglob("*.j2") if one != path
        )
        return any(path.name in text for text in inside)

    @cached_property
    def _ours(self) -> Any:
        return _environment([OURS])

    @property
    def _theirs(self) -> Any:
        """Made anew for each message: the folder may have been mended since."""
        assert self._folder is not None
        return _environment([self._folder, OURS])


def _environment(folders: Iterable[Path]) -> Any:
    from jinja2 import ChoiceLoader, FileSystemLoader, PrefixLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    loaders = [*(FileSystemLoader(folder) for folder in folders), PrefixLoader({"labq": FileSystemLoader(OURS)})]
    made = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader(loaders),
        autoescape=lambda name: name is None or ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    made.filters |= {"columns": facts_lines, "table": table_lines, "sentences": sentence_lines}
    return made
