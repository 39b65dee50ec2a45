"""Experiments whose last run has ended: told once, and once more when they were extended and are over again."""

from collections.abc import Sequence
from dataclasses import replace

from notify.rules.events import SWEEPS
from notify.rules.happenings import Happening
from notify.rules.holding import Holding
from notify.rules.look import Look
from store.occasions import Occasion
from store.runs import Run
from store.store import RunQuery
from store.studies import StudyState
from store.telling import SweepStanding


def look_at_sweeps(look: Look) -> None:
    """Those of which a run has ended since somebody looked. A study that will ask for more trials is waited for."""
    waiting = look.store.remembered([SWEEPS]).get(SWEEPS)
    for experiment in waiting.marks if waiting is not None else ():
        standing = look.store.sweep_standing(experiment)
        study = look.store.study(experiment) if standing.is_over else None
        if study is None or study.state is not StudyState.ACTIVE:
            _tell(look, experiment, standing)


def _tell(look: Look, experiment: str, standing: SweepStanding) -> None:
    """An experiment that goes on is forgotten here: the end of its last run brings it back."""
    told_id = f"sweep/{experiment}"
    told = look.store.remembered([told_id]).get(told_id)
    is_news = standing.is_over and (told is None or told.text != standing.mark)
    newest = look.store.runs(RunQuery(experiment=experiment, limit=1)) if is_news else []
    asked = look.asked([_happening(look, run, standing) for run in newest], lambda _: _held(look, newest))
    draft = look.draft(asked, [SWEEPS, told_id])
    waiting = draft.memory(SWEEPS)
    draft.remember(replace(waiting, marks={name: 1.0 for name in waiting.marks if name != experiment}))
    if is_news:
        draft.remember(replace(draft.memory(told_id), text=standing.mark))
    look.store.owe(draft.telling(sweeps=[experiment] if standing.is_over else []))


def _held(look: Look, newest: Sequence[Run]) -> tuple[Holding, ...]:
    """The newest run of the experiment says what its file said last."""
    return look.held_for(newest[0]) if newest else ()


def _happening(look: Look, run: Run, standing: SweepStanding) -> Happening:
    runs, _, _ = standing.mark.partition("-")
    return Happening(
        key=f"sweep-{run.experiment}-{standing.mark}",
        about=Occasion.SWEEP_FINISHED,
        words=frozenset({Occasion.SWEEP_FINISHED.value}),
        at=look.now,
        experiment=run.experiment,
        owner=run.owner,
        text=f"{runs} run{'s' if runs != '1' else ''} ended",
    )
