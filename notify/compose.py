"""What a message says: a pure function of a notice, its story and templates. No clock, no store, no network."""

import logging
from collections.abc import Iterable

from notify.content import Attachment, Content, Image
from notify.history import as_csv
from notify.letters import crash, sections, sweeps
from notify.letters.letter import Block, Letter, Remark, Section, Tone
from notify.letters.opening import Opening, opening
from notify.rendering import Templates
from notify.story import Story
from store.notices import Notice
from store.occasions import Occasion
from store.runs import short

_LOG = logging.getLogger("labq.compose")

_RUN: tuple[Section, ...] = (
    sections.curve_picture, sections.results, sections.differing, sections.findings, sections.facts, sections.commands,
    sections.left_out,
)  # fmt: skip
_ENDED_BADLY: tuple[Section, ...] = (
    crash.crash, crash.last_words, sections.findings, sections.resource_picture, sections.commands,
    sections.curve_picture, sections.results, sections.differing, sections.facts, sections.left_out,
)  # fmt: skip
_FOUND: tuple[Section, ...] = (
    sections.findings, sections.curve_picture, sections.commands, sections.results, sections.differing,
    sections.telling_resources, sections.facts, sections.left_out,
)  # fmt: skip
_SWEEP: tuple[Section, ...] = (
    sweeps.sweep_curves, sweeps.best_table, sweeps.failure_groups, sweeps.sweep_findings, sweeps.sweep_commands,
    sections.left_out,
)  # fmt: skip
_SECTIONS: dict[Occasion, tuple[Section, ...]] = {
    Occasion.FINISHED: _RUN,
    Occasion.CANCELLED: _RUN,
    Occasion.RESUMED: _RUN,
    Occasion.BEST_SO_FAR: _RUN,
    Occasion.EVERY: _RUN + _SWEEP[:-1],
    Occasion.FAILED: _ENDED_BADLY,
    Occasion.INTERRUPTED: _ENDED_BADLY,
    Occasion.STUCK: (*_FOUND[:-2], crash.last_words, *_FOUND[-2:]),
    Occasion.DIVERGED: _FOUND,
    Occasion.PLATEAU: _FOUND,
    Occasion.FINDING: _FOUND,
    Occasion.SWEEP_FINISHED: _SWEEP,
    Occasion.WORKER_LOST: (sweeps.worker_facts, sections.facts, sweeps.worker_commands, sections.left_out),
    Occasion.DISK_LOW: (
        sweeps.disk_facts, sections.findings, sections.resource_picture, sweeps.worker_facts, sections.facts,
        sections.commands, sections.left_out,
    ),
    Occasion.DIGEST: (sweeps.parts, *_SWEEP),
    Occasion.TEST: (sections.curve_picture, sweeps.setup),
}  # fmt: skip
_OURS = Templates()


def compose(notice: Notice, story: Story, templates: Templates = _OURS) -> Content:
    """The message. A picture or a section that fails is left out with a line that says so; the rest goes out."""
    letter = compose_letter(notice, story)
    subject, text, html = templates.render(letter, notice, story)
    images = tuple(Image(cid=one.cid, png=one.png, command=one.command) for one in letter.pictures)
    return Content(subject=subject, text=text, html=html, images=images, attachments=tuple(_history(notice, story)))


def compose_letter(notice: Notice, story: Story) -> Letter:
    """The message before it is text or HTML."""
    begins = _opening(notice, story)
    blocks = [block for section in _SECTIONS[notice.about] for block in _blocks(section, notice, story)]
    experiment = story.run.experiment if story.run else notice.experiment
    place = [part for part in (experiment, story.label if story.run else "", short(notice.run)) if part]
    return Letter(
        occasion=notice.about,
        tone=begins.tone,
        subject=begins.subject,
        about=" · ".join(dict.fromkeys(place)) or notice.worker or "labq",
        title=begins.title,
        lead=begins.lead,
        blocks=tuple(blocks),
        why=notice.rule,
    )


def _opening(notice: Notice, story: Story) -> Opening:
    try:
        return opening(notice, story)
    except Exception as error:  # noqa: BLE001 - a message without its best sentence is better than none
        _LOG.warning("no-opening notice=%s error=%r", notice.id, error)
        head = f"{notice.experiment} {short(notice.run)}".strip() or "labq"
        return Opening(tone=Tone.CALM, head=head, said=notice.about.value)


def _blocks(section: Section, notice: Notice, story: Story) -> Iterable[Block]:
    try:
        return list(section(notice, story))
    except Exception as error:  # noqa: BLE001 - no picture and no table is worth losing the message for
        _LOG.warning("section-left-out section=%s notice=%s error=%r", section.__name__, notice.id, error)
        what = section.__name__.replace("_", " ")
        return [Remark(text=f"Left out: {what}, which could not be made ({type(error).__name__}: {error})"[:300])]


def _history(notice: Notice, story: Story) -> Iterable[Attachment]:
    if notice.with_history and story.history and story.run is not None:
        name = f"{story.run.experiment}-{short(story.run.id)}-history.csv"
        yield Attachment(
            name=name, mime="text/csv", data=as_csv(story.history), command=f"labq plot {short(story.run.id)}"
        )
