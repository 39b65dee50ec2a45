"""The one error tree.

    LabqError
    ├── UserError                 the user can mend it; exit code 2
    │   ├── BadSettings           an unknown or malformed setting
    │   ├── BadExperiment         a mistake in an experiment file
    │   ├── BadQuery              a question about runs that cannot be understood
    │   ├── NoSuchView            no view is saved under this name
    │   ├── NoSuchRun             no run has this id
    │   ├── NoSuchNotice          no message in the outbox has this id
    │   ├── AmbiguousId           several runs, or messages, begin with this id
    │   ├── IllegalTransition     the run's state does not allow this
    │   ├── NoSuchStudy           no experiment of this name has an optimizer
    │   ├── StudyDiffers          the name belongs to a study of something else
    │   ├── EngineMissing         an optimizer's library is not installed
    │   ├── SchedulerMissing      this machine has no Slurm or SGE to ask
    │   ├── NoSuchAllocation      no place that a scheduler was asked for is called so
    │   ├── SubmissionRefused     a scheduler said no, in its own words
    │   └── NoBackup              a file is no backup of labq, or one of a newer labq
    ├── Unavailable               a server is away or cannot start; exit code 3
    │   ├── StoreUnavailable      MongoDB does not answer
    │   │   └── BeingRestored     a backup is being read into this database
    │   ├── DoorbellUnavailable   Redis does not answer
    │   ├── SchedulerUnavailable  a cluster's scheduler does not answer
    │   └── ServerFailed          an embedded server did not come up
    ├── StoreFailed               MongoDB answered with an error that nobody expected
    ├── Superseded                the run has moved on: this attempt may change nothing any more
    ├── NoProposal                an optimizer finds nothing that its constraints allow
    ├── RunFailed                 a run that somebody waited for did not finish
    ├── BackupDamaged             a backup is cut short, or does not match its SHA-256
    ├── BackupRunning             somebody else makes a backup of this database just now
    ├── CheckpointDamaged         a stored checkpoint does not match its SHA-256
    └── MailFailed                a message was not accepted
        ├── MailDeferred          try again later
        │   ├── MailAway          the server: no message gets through just now
        │   └── ChatAway          the same of a chat target
        └── MailRefused           never will be

Exceptions of drivers never leave the file that calls the driver: they are wrapped there with `from error`.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a `labq` process tells its shell."""

    OK = 0
    FAILED = 1
    USER_ERROR = 2
    UNAVAILABLE = 3
    INTERRUPTED = 130


class LabqError(Exception):
    """The root. Its text is written for the person at the terminal."""

    exit_code = ExitCode.FAILED


class UserError(LabqError):
    """Something the user can mend."""

    exit_code = ExitCode.USER_ERROR


class BadSettings(UserError):
    """A setting is unknown or malformed; the text names file or variable, what was found, what is allowed."""


class BadExperiment(UserError):
    """An experiment file is wrong; the text lists every mistake with its place."""

    def __init__(self, source: str, mistakes: list[str]) -> None:
        self.source = source
        self.mistakes = mistakes
        super().__init__("\n".join(f"{source}: {mistake}" for mistake in mistakes))


class BadQuery(UserError):
    """A question about runs that cannot be understood; the text shows the place."""


class NoSuchView(UserError):
    """Nobody has saved a view under this name."""


class NoSuchRun(UserError):
    """No run has this id or prefix."""


class NoSuchNotice(UserError):
    """No message in the outbox has this id or prefix."""


class AmbiguousId(UserError):
    """Several runs, or messages, begin with this prefix."""


class IllegalTransition(UserError):
    """The state machine does not allow what was asked."""


class NoSuchStudy(UserError):
    """No experiment of this name has an optimizer."""


class StudyDiffers(UserError):
    """The name belongs to a study of something else."""


class EngineMissing(UserError):
    """An optional library is not installed; the text names the command that installs it."""


class SchedulerMissing(UserError):
    """A programme of the scheduler is not installed here; the text names it."""


class NoSuchAllocation(UserError):
    """No allocation, job or worker is called so."""


class SubmissionRefused(UserError):
    """The scheduler said no; the text holds its own words. `full`: fewer at once, or later, it may take them."""

    def __init__(self, text: str, *, full: bool = False) -> None:
        self.full = full
        super().__init__(text)


class NoBackup(UserError):
    """The file is no backup of labq, or this labq is too old for it."""


class Unavailable(LabqError):
    """A server is away."""

    exit_code = ExitCode.UNAVAILABLE


class StoreUnavailable(Unavailable):
    """MongoDB does not answer in time."""


class BeingRestored(StoreUnavailable):
    """A backup is being read into this database, or was until somebody interrupted it."""


class DoorbellUnavailable(Unavailable):
    """Redis does not answer in time."""


class SchedulerUnavailable(Unavailable):
    """A cluster's scheduler is not there, does not answer in time, or answers with an error: its own words."""


class ServerFailed(Unavailable):
    """An embedded server did not come up; the text says why and what to install."""


class StoreFailed(LabqError):
    """MongoDB refused an operation for a reason that is no user's mistake."""


class Superseded(LabqError):
    """The run has moved on: the fencing token of this attempt is stale."""


class NoProposal(LabqError):
    """The engine finds no configuration that the constraints allow."""


class RunFailed(LabqError):
    """The run ended without finishing; the text says why."""


class BackupDamaged(LabqError):
    """A backup lacks its end, or something in it is not what was written."""


class BackupRunning(LabqError):
    """Another process makes a backup of this database."""


class CheckpointDamaged(LabqError):
    """A stored checkpoint is incomplete or does not match its SHA-256."""


class MailFailed(LabqError):
    """A message was not accepted."""


class MailDeferred(MailFailed):
    """The server is away or said 4xx: try again later."""


class MailAway(MailDeferred):
    """The server is away, distrusted, or does not let us in: whatever the message is, none gets through just now."""


class ChatAway(MailDeferred):
    """Nothing gets to this chat target just now."""


class MailRefused(MailFailed):
    """The server said 5xx, or the message itself is wrong: trying again is useless."""
