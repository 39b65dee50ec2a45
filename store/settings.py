"""Settings: defaults, then the user's config folder, then `labq.toml` searched upwards, then `LABQ_*` variables.

One table names each setting, its type, default and meaning; unknown keys are refused with the valid ones.
"""

import json
import os
import re
import socket
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import platformdirs

from store.errors import BadSettings
from store.recipients import is_target, recipient_mistake

PROTOCOL_VARIABLES = frozenset(
    f"LABQ_{name}"
    for name in (
        "RUN",
        "ATTEMPT",
        "DIR",
        "PARAMS",
        "EVENTS",
        "CHECKPOINTS",
        "FILES",
        "RESUME",
        "RESUME_STEP",
        "SCALE",
        "ALLOCATION",
    )
)
"""Variables of the reporter protocol: present when labq is called from inside a run, never settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its default. `docs()` holds the meaning of each."""

    home: Path = Path(platformdirs.user_state_dir("labq"))
    mongo_url: str = ""
    mongo_ca_file: str = ""
    mongo_database: str = "labq"
    mongo_timeout_s: float = 5.0
    redis_url: str = ""
    redis_ca_file: str = ""
    redis_timeout_s: float = 2.0
    queue: str = "default"
    lease_s: float = 20.0
    renew_s: float = 5.0
    repair_s: float = 5.0
    look_s: float = 10.0
    ship_s: float = 1.0
    outage_grace_s: float = 600.0
    keep_checkpoints: int = 2
    sample_s: float = 10.0
    samples_keep_s: float = 14 * 86400.0
    diagnose_s: float = 30.0
    disk_floor_mb: int = 200
    until_margin_s: float = 15.0
    smtp_host: str = ""
    smtp_port: int = 0
    smtp_tls: str = "starttls"
    smtp_user: str = ""
    smtp_password: str = ""
    smtp_password_file: str = ""
    smtp_ca_file: str = ""
    smtp_timeout_s: float = 30.0
    smtp_data_s: float = 120.0
    mail_from: str = ""
    mail_dir: str = ""
    mail_most_mb: int = 5
    mail_templates: str = ""
    mail_give_up_s: float = 5 * 86400.0
    notify_to: tuple[str, ...] = ()
    notify_targets: dict[str, str] = field(default_factory=dict)
    chat_timeout_s: float = 20.0
    notify_poll_s: float = 2.0
    time_zone: str = ""
    allocation_time_s: float = 4 * 3600.0
    allocation_notice_s: float = 120.0
    modules: tuple[str, ...] = ()
    setup_lines: tuple[str, ...] = ()
    node_labq: str = ""
    slurm_partition: str = ""
    slurm_account: str = ""
    slurm_constraint: str = ""
    slurm_options: tuple[str, ...] = ()
    slurm_template: str = ""
    sge_queue: str = ""
    sge_project: str = ""
    sge_slots: str = "smp"
    sge_memory: str = "h_vmem"
    sge_gpus: str = "gpu"
    sge_options: tuple[str, ...] = ()
    sge_template: str = ""
    hosts: tuple[str, ...] = ()
    ssh: str = "ssh"
    ssh_timeout_s: float = 10.0
    remote_labq: str = "labq"
    remote_home: str = ""

    @property
    def uses_embedded_mongo(self) -> bool:
        """Whether MongoDB is ours to start."""
        return not self.mongo_url

    @property
    def uses_embedded_redis(self) -> bool:
        """Whether Redis is ours to start."""
        return not self.redis_url

    @property
    def living_s(self) -> float:
        """A worker that was not seen for longer than this is taken for dead."""
        return max(3 * self.look_s, self.lease_s)

    @property
    def runs_dir(self) -> Path:
        """Where run directories live: those of each machine apart, for file locks may not reach beyond it."""
        return self.home / "runs" / socket.gethostname()

    @property
    def slots_dir(self) -> Path:
        """Where this machine's workers keep the locks of its GPUs."""
        return self.home / "gpu-slots" / socket.gethostname()

    @property
    def delivery_most_s(self) -> float:
        """A message that takes longer, however busy the server seems, is tried again later."""
        return 6 * self.smtp_timeout_s + self.smtp_data_s

    @property
    def chat_most_s(self) -> float:
        """The same for a chat target: some services want a login before, and take the picture by itself."""
        return 3 * self.chat_timeout_s

    @property
    def mail_templates_dir(self) -> Path | None:
        """A user's own templates of messages; None: ours."""
        return Path(self.mail_templates).expanduser() if self.mail_templates else None

    @property
    def outgoing_mail_dir(self) -> Path:
        """Where messages go as .eml files while no SMTP server is configured."""
        return Path(self.mail_dir).expanduser() if self.mail_dir else self.home / "mail"


DOCS: dict[str, str] = {
    "home": "folder for embedded servers, run directories and mail files",
    "mongo_url": "MongoDB to use, e.g. mongodb://user:pw@db/?replicaSet=rs0, or file:PATH that holds the URL; "
    "empty: the embedded one of `labq up`",
    "mongo_ca_file": "certificate authority file for a MongoDB with TLS; empty: the system's",
    "mongo_database": "name of the database",
    "mongo_timeout_s": "longest wait for one MongoDB operation",
    "redis_url": "Redis to use, e.g. rediss://:pw@queue:6379/0, or file:PATH; empty: the embedded one of `labq up`",
    "redis_ca_file": "certificate authority file for a Redis with TLS (rediss://); empty: the system's",
    "redis_timeout_s": "longest wait for one Redis operation",
    "queue": "queue that enqueue and worker use when none is named",
    "lease_s": "how long a claim lasts without renewal, on MongoDB's clock",
    "renew_s": "pause between two renewals",
    "repair_s": "pause between two rounds of the repair loop",
    "look_s": "how often an idle worker looks into MongoDB without a ticket",
    "ship_s": "pause between two shipments of metrics and output",
    "outage_grace_s": "how long a run goes on while MongoDB is away",
    "keep_checkpoints": "how many of a run's newest checkpoints are kept",
    "sample_s": "pause between two looks at what a run uses of its machine",
    "samples_keep_s": "how long these looks are kept; the peaks stay with the run",
    "diagnose_s": "shortest pause between two looks of the diagnosis at a run",
    "disk_floor_mb": "free disk without which a worker begins no run, in MB",
    "until_margin_s": "kept free before the end of a worker's time (at most a twelfth of it)",
    "smtp_host": "SMTP server; empty: mails become .eml files in mail_dir",
    "smtp_port": "SMTP port; 0: 465 with smtp_tls=tls, 587 with starttls, 25 with none",
    "smtp_tls": "tls | starttls | none",
    "smtp_user": "login name; empty: no login",
    "smtp_password": "password; better: smtp_password_file or the keyring (service labq)",
    "smtp_password_file": "file whose first line is the password",
    "smtp_ca_file": "certificate authority file for the SMTP server; empty: the system's",
    "smtp_timeout_s": "longest wait for one SMTP step: name server, connection, greeting, TLS, login, recipients",
    "smtp_data_s": "longest wait while a message is sent, and for the server's word about it",
    "mail_from": "sender address; empty: smtp_user, else labq@HOST",
    "mail_dir": "folder for .eml files; empty: HOME/mail",
    "mail_templates": "folder with templates of your own for messages (docs/messages.md); empty: those of labq",
    "mail_most_mb": "size of a message above which attachments, then pictures are left out, in MB",
    "mail_give_up_s": "how long a message is tried that servers put off; one that finds no server is kept",
    "notify_to": "addresses and chat targets told when an experiment names none",
    "notify_targets": "chat targets: a table of names and Apprise URLs, or file:PATH or env:NAME with the URL in it",
    "chat_timeout_s": "longest wait for one step of a chat service",
    "notify_poll_s": "pause between two looks into the outbox",
    "time_zone": "of quiet hours and daily digests, such as Europe/Berlin; empty: that of this machine",
    "allocation_time_s": "how long an allocation lasts when --time is not given",
    "allocation_notice_s": "how long before its end the scheduler tells a worker",
    "modules": "what `module load` loads before a worker starts in an allocation",
    "setup_lines": "shell lines before a worker starts in an allocation",
    "node_labq": "command that starts labq on the nodes; empty: this Python and this labq",
    "slurm_partition": "Slurm partition (--partition)",
    "slurm_account": "Slurm account (--account)",
    "slurm_constraint": "Slurm constraint (--constraint)",
    "slurm_options": "further options of sbatch, such as --qos=long",
    "slurm_template": "file to be used for deploy/slurm.sh.in",
    "sge_queue": "SGE queue (--partition)",
    "sge_project": "SGE project (--account)",
    "sge_slots": "SGE's parallel environment for several processors on one machine",
    "sge_memory": "SGE's resource for memory, per slot",
    "sge_gpus": "SGE's resource for GPUs",
    "sge_options": "further options of qsub",
    "sge_template": "file to be used for deploy/sge.sh.in",
    "hosts": "machines for --on ssh, as ssh calls them, when --hosts is not given: gpu1, gpu[2-9]",
    "ssh": "ssh and options of it, such as ssh -F FILE",
    "ssh_timeout_s": "longest wait for the connection to a host",
    "remote_labq": "command that starts labq on hosts reached by ssh",
    "remote_home": "home on hosts reached by ssh; empty: what labq uses there by itself",
}

SECRETS = frozenset({"smtp_password"})
_SECRET_TABLES = frozenset({"notify_targets"})
LONGEST_S = 10 * 366 * 86400
SCHEMES = {
    "mongo_url": ("mongodb://", "mongodb+srv://"),
    "redis_url": ("redis://", "rediss://", "unix://"),
}
CHOICES = {"smtp_tls": ("tls", "starttls", "none")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings and where each came from."""

    settings: Settings
    origins: dict[str, str]


def load(start: Path | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read all sources. Raises BadSettings with the place of the mistake."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for file in _files(start or Path.cwd()):
        for key, value in _read(file).items():
            values[key] = _added(values.get(key), _convert(key, value, f"{file}: {key}"))
            origins[key] = str(file)
    for variable, text in _variables(environ).items():
        key = variable.removeprefix("LABQ_")
        key = key.lower() if key.isupper() else variable
        values[key] = _added(values.get(key), _convert(key, text, f"environment: {variable}"))
        origins[key] = f"environment {variable}"
    settings = Settings(**values)
    _check_together(settings)
    return Loaded(settings=settings, origins=origins)


def _added(before: Any, new: Any) -> Any:
    """Of a table the nearest place wins name by name; anything else it has alone."""
    return {**before, **new} if isinstance(before, dict) and isinstance(new, dict) else new


def shown(key: str, value: Any) -> str:
    """The value for a screen: secrets and passwords inside URLs masked."""
    if key in SECRETS and value:
        return "********"
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_masked_target(target)}" for name, target in sorted(value.items()))
    if isinstance(value, tuple):
        return ", ".join(value)
    return mask_url(str(value))


def _masked_target(target: str) -> str:
    """Where a token may stand anywhere in the URL, only its scheme is shown."""
    if target.startswith(("file:", "env:")):
        return target
    return f"{target.partition('://')[0]}://********"


def mask_url(url: str) -> str:
    """The URL without its password."""
    head, at, tail = url.rpartition("@")
    scheme, sep, login = head.partition("://")
    user, colon, _ = login.partition(":")
    return f"{scheme}{sep}{user}:********{at}{tail}" if at and sep and colon else url


def _files(start: Path) -> list[Path]:
    """User file first, so that the nearest project file wins."""
    user = Path(platformdirs.user_config_dir("labq")) / "labq.toml"
    project = next((f / "labq.toml" for f in [start, *start.parents] if (f / "labq.toml").is_file()), None)
    return [file for file in (user, project) if file is not None and file.is_file()]


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file}: cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BadSettings(f"{file}: {error}") from error


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in environ.items() if k.startswith("LABQ_") and k not in PROTOCOL_VARIABLES}


def _convert(key: str, value: Any, place: str) -> Any:
    convert = _converters().get(key)
    if convert is None:
        raise BadSettings(f"{place} is no setting{_nearest(key)}")
    if key in CHOICES and value not in CHOICES[key]:
        raise BadSettings(f"{place} is {value!r}; allowed: {', '.join(CHOICES[key])}")
    if key in SCHEMES and isinstance(value, str) and value.startswith("file:"):
        place, value = f"{place}: {value}", _first_line(Path(value.removeprefix("file:")).expanduser(), place)
    if key in SCHEMES and isinstance(value, str) and value and not value.startswith(SCHEMES[key]):
        raise BadSettings(f"{place} begins with none of: {', '.join(SCHEMES[key])}")
    try:
        return convert(value)
    except (TypeError, ValueError) as error:
        found = "…" if key in SECRETS or key in SCHEMES or key in _SECRET_TABLES else repr(value)[:80]
        raise BadSettings(f"{place} is {found}; {error}") from error


def _first_line(file: Path, place: str) -> str:
    """A URL with a password, as secrets of containers and of systemd come."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{place} names {file}, which cannot be read: {error}") from error
    if not lines[0].strip():
        raise BadSettings(f"{place} names {file}, whose first line is empty; allowed: a URL")
    return lines[0].strip()


def _check_together(settings: Settings) -> None:
    """Settings that are each fine and make no sense together."""
    if settings.renew_s > settings.lease_s / 2:
        raise BadSettings(
            f"renew_s is {settings.renew_s:g}, lease_s {settings.lease_s:g}; renew at least twice a lease"
        )
    _check_rounds(settings)
    _check_tls(settings)
    if settings.keep_checkpoints < 1:
        raise BadSettings("keep_checkpoints is 0; a run needs at least 1 to go on from")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", settings.queue):
        raise BadSettings(f"queue is {settings.queue[:80]!r}; allowed: letters, digits, '.', '_' and '-'")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,38}", settings.mongo_database):
        raise BadSettings(f"mongo_database is {settings.mongo_database[:80]!r}; allowed: letters, digits, '_' and '-'")
    if settings.mail_from and not re.fullmatch(r"[^\r\n]*@[^\s]+", settings.mail_from):
        raise BadSettings(f"mail_from is {settings.mail_from[:80]!r}; allowed: an e-mail address")
    for to in settings.notify_to:
        if mistake := recipient_mistake(to, settings.notify_targets):
            raise BadSettings(f"notify_to: {mistake}")
    if settings.mail_most_mb < 1:
        raise BadSettings("mail_most_mb is 0; allowed: 1 and more")
    if settings.time_zone and not _is_zone(settings.time_zone):
        raise BadSettings(f"time_zone is {settings.time_zone[:80]!r}; allowed: a name such as Europe/Berlin or UTC")


def _check_tls(settings: Settings) -> None:
    """An authority for a connection that is not encrypted would be a false comfort."""
    mongo, redis = settings.mongo_url, settings.redis_url
    if settings.mongo_ca_file and not (mongo.startswith("mongodb+srv://") or re.search(r"[?&](tls|ssl)=true", mongo)):
        raise BadSettings("mongo_ca_file is set, but mongo_url has no tls=true: mongodb://…/?replicaSet=rs0&tls=true")
    if settings.redis_ca_file and not redis.startswith("rediss://"):
        raise BadSettings("redis_ca_file is set, but redis_url does not begin with rediss://")
    for name in ("mongo_ca_file", "redis_ca_file"):
        file = getattr(settings, name)
        if file and not os.access(Path(file).expanduser(), os.R_OK):
            raise BadSettings(f"{name} is {file!r}, which cannot be read here")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _check_rounds(settings: Settings) -> None:
    """Rounds of repair that lie further apart look like an outage of MongoDB, after which nobody is released."""
    longest_s = 0.8 * (settings.lease_s - settings.renew_s)
    for name in ("repair_s", "look_s"):
        if getattr(settings, name) > longest_s:
            raise BadSettings(
                f"{name} is {getattr(settings, name):g}; allowed with lease_s {settings.lease_s:g} and renew_s "
                f"{settings.renew_s:g}: at most {longest_s:g}, or runs of dead workers would never be released"
            )


def _nearest(key: str) -> str:
    near = get_close_matches(key, list(_converters()), n=3)
    return f"; did you mean {' or '.join(near)}?" if near else f"; there are: {', '.join(_converters())}"


def _converters() -> dict[str, Callable[[Any], Any]]:
    by_type: dict[Any, Callable[[Any], Any]] = {
        str: _text,
        int: _whole,
        float: _positive,
        Path: _path,
        tuple[str, ...]: _texts,
        dict[str, str]: _targets,
    }
    return {field.name: by_type[field.type] for field in fields(Settings)}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("allowed: a text")
    return value


def _path(value: Any) -> Path:
    try:
        return Path(_text(value) or "~nobody").expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("allowed: a folder") from error


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"[0-9]{1,5}", str(value)):
        raise ValueError("allowed: a whole number from 0 to 99999")
    return int(value)


def _positive(value: Any) -> float:
    try:
        number = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 < number <= LONGEST_S:
        raise ValueError("allowed: a number of seconds above 0, at most ten years")
    return number


def _texts(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError("allowed: a list of texts")
    return tuple(part.strip() for part in parts if part.strip())


def _targets(value: Any) -> dict[str, str]:
    """From a variable of the environment: as JSON."""
    try:
        table = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        table = None
    if not isinstance(table, dict):
        raise ValueError('allowed: a table of names and URLs; in a variable as JSON: {"ntfy:phone": "ntfys://…"}')
    for name, target in table.items():
        if not is_target(name):
            raise ValueError(
                f"{name[:80]!r} is no name for a chat target; allowed: letters, digits, '.', '_', '-', one ':'"
            )
        if not isinstance(target, str) or not re.fullmatch(r"[a-z][a-z0-9+.-]*://\S+|file:\S.*|env:\w+", target):
            raise ValueError(f"{name} is neither a URL of Apprise (slack://…), nor file:PATH, nor env:NAME")
    return dict(table)
