"""A run that has a job of its own is interrupted by the end of that job's time: the same job is to come back."""

import os
from contextlib import suppress
from dataclasses import replace

from store.connect import connect
from store.errors import ExitCode, LabqError, SchedulerUnavailable
from store.logbook import say, warn
from store.settings import Settings
from store.states import State
from worker.cluster import sge, slurm


def ask_again(settings: Settings, run_id: str, worker: str) -> int:
    """The exit code of the job. Should the scheduler not do it, whoever asks for jobs next asks for this one, too."""
    if not _is_queued(settings, run_id):
        return ExitCode.OK
    if (job := slurm.job_here(os.environ)) is not None:
        try:
            slurm.requeue(job)
        except SchedulerUnavailable as error:
            warn("not-asked-again", run=run_id, worker=worker, job=job, error=error)
            return ExitCode.OK
    elif sge.job_here(os.environ) is None:
        return ExitCode.OK
    say("asked-again", run=run_id, worker=worker)
    return sge.AGAIN if job is None else ExitCode.OK


def _is_queued(settings: Settings, run_id: str) -> bool:
    """Only a run that waits needs the job; with MongoDB away nobody knows, and a job in vain leaves at once."""
    with suppress(LabqError):
        store = connect(replace(settings, mongo_timeout_s=min(1.0, settings.mongo_timeout_s)))
        try:
            return store.run(run_id).state is State.QUEUED
        finally:
            store.close()
    return True
