"""Machines that ssh reaches: their names, the command lines, what their silence means. Nobody is called."""

import argparse
import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from queueing.cli.main import main
from store.connect import mongo_url
from store.errors import UserError
from store.settings import Settings
from worker.cluster.command import Answer
from worker.cluster.each import for_each
from worker.cluster.far import MARK
from worker.cluster.far_start import start_file, systemd_line
from worker.cluster.hosts import chosen_hosts, expanded
from worker.cluster.place import Place, on_whole_machine
from worker.cluster.probe import is_too_old, why_absent
from worker.cluster.remote import handed_to, read_answer
from worker.cluster.ssh import call_line, control_options, failure, remote_command, ssh_words, tunnel_line
from worker.health.compare import clock_row, labq_row, rows_without_labq
from worker.health.rows import Row, Verdict
from worker.tunnel.ends import far_servers, near_mongo, near_redis
from worker.tunnel.keep import pause_s
from worker.tunnel.state import Servers, only_one, open_tunnels, publish, through_tunnel

GOLDEN = Path(__file__).parent / "golden_scripts" / "ssh_lines.txt"
SECRET = "mongodb://me:s3cret@db.lab/?replicaSet=rs0"


# ── names ──
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gpu1,gpu2,gpu[3-5]", "gpu1 gpu2 gpu3 gpu4 gpu5"),
        ("gpu[08-10]", "gpu08 gpu09 gpu10"),
        ("gpu[1-2,5], gpu2", "gpu1 gpu2 gpu5"),
        ("me@gpu[1-2].lab.fi", "me@gpu1.lab.fi me@gpu2.lab.fi"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_lists_of_machines_are_expanded(text: str, names: str) -> None:
    assert expanded(text) == tuple(names.split())


@pytest.mark.parametrize(
    "text",
    ["", "gpu[1-", "gpu[3-1]", "gpu1,,gpu2", "-oProxyCommand=x", "gpu1;rm -rf /", "$(x)", "@all", "gpu1 gpu2", "gpu[1-9999]",
     "gpu1/../x", "gpu*", "a@-x", "gpu1!gpu1"],
)  # fmt: skip
def test_what_is_no_list_of_machines_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--hosts"):
        expanded(text)


def test_the_setting_may_hold_a_comma_inside_of_brackets() -> None:
    assert chosen_hosts(None, Settings(hosts=("gpu[1", "3]", "x"))) == ("gpu1", "gpu3", "x")
    with pytest.raises(UserError, match="which machines"):
        chosen_hosts(None, Settings())


# ── command lines ──
def _lines() -> str:
    effective = "user me\nhostname gpu1\ncontrolmaster false\n"
    control = control_options(effective, Path("/home/me/labq/ssh/%C"))
    own = control_options("controlmaster auto\ncontrolpath ~/.ssh/%C\n", Path("/x"))
    far = f"{remote_command('~/v/labq')} workers far"
    sockets = [("/f/mongodb.sock", "/n/mongodb.sock"), ("/f/redis.sock", "queue:6379")]
    lines = [
        call_line(("ssh",), "gpu1", far, timeout_s=10.0, control=control),
        call_line(("ssh", "-F", "my config"), "me@gpu1", far, timeout_s=0.4, control=own),
        tunnel_line(("ssh",), "gpu1", sockets, timeout_s=10.0, alive_s=10),
        systemd_line(Path("/home/$me/k3f9-0.start"), "k3f9x2ab", 0),
    ]
    return "\n".join(map(shlex.join, lines)) + "\n\n" + start_file("exec x\n", {"A": "it's", "BASH_FUNC_x%%": "()"})


def test_the_command_lines_are_as_they_were() -> None:
    if os.environ.get("LABQ_GOLDEN") == "write":
        GOLDEN.write_text(_lines())
    assert _lines() == GOLDEN.read_text()


def test_a_command_of_many_words_is_quoted_for_the_login_shell() -> None:
    assert remote_command("apptainer exec 'my labq.sif' labq") == "apptainer exec 'my labq.sif' labq"
    assert remote_command("'~/a b/labq'") == "~/'a b/labq'"
    for wrong in ("", "'", "a 'b\nc'"):
        with pytest.raises(UserError):
            remote_command(wrong)
    for wrong in ("", "ssh '"):
        with pytest.raises(UserError):
            ssh_words(Settings(ssh=wrong))


def test_passwords_go_neither_into_the_script_nor_onto_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, secret = handed_to(Settings(home=tmp_path, mongo_url=SECRET), "gpu1")
    assert secret == {"LABQ_MONGO_URL": SECRET}
    assert "s3cret" not in json.dumps(plain)
    assert "LABQ_HOME" not in plain
    monkeypatch.setenv("LABQ_HOME", str(tmp_path))
    monkeypatch.setenv("LABQ_MONGO_URL", SECRET)
    assert main(["workers", "start", "--on", "ssh", "--hosts", "gpu[1-2]", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert told.count("workers far") == 2
    assert "s3cret" not in told
    assert "LABQ_MONGO_URL holds a password" in told


def test_without_a_tunnel_workers_get_the_servers_of_here_always_by_name(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, remote_home="~/labq")
    plain, _ = handed_to(settings, "gpu1")
    assert (plain["LABQ_MONGO_URL"], plain["LABQ_HOME"]) == (mongo_url(settings), "~/labq")


@pytest.mark.parametrize("wrong", [["--partition", "gpu"], ["--account", "x"], ["--gpus", "a100:1"]])
def test_what_only_a_scheduler_understands_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workers", "start", "--on", "ssh", "--hosts", "gpu1", "--dry-run", *wrong]) == 2
    assert wrong[0] in capsys.readouterr().err


def test_hosts_mean_nothing_to_a_scheduler(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workers", "start", "--on", "slurm", "--hosts", "gpu1", "--dry-run"]) == 2
    assert "--hosts is for --on ssh" in capsys.readouterr().err


def test_what_is_not_said_is_not_limited() -> None:
    nothing = argparse.Namespace(partition=None, account=None, constraint=None, option=[], cpus=None, gpus=None)
    place = on_whole_machine(Place(queue="q", time_s=None), nothing)
    assert (place.cpus, place.gpus_limited, place.offers.cpus) == (0, False, None)


def test_one_broken_machine_keeps_nobody_else_from_an_answer() -> None:
    def work(host: str) -> str:
        if host == "b":
            raise UserError("broken")
        return host

    done = for_each(["a", "b", "c"], work)
    assert [str(one) for one in done.values()] == ["a", "broken", "c"]


# ── answers, and silence ──
def test_the_answer_is_found_among_whatever_a_login_shell_prints() -> None:
    said = Answer(code=0, out=f'Welcome!\n{{"a": 0}}\n\n{MARK}{{"a": 1}}\nbye', err="")
    assert read_answer(said) == {"a": 1}
    assert read_answer(Answer(code=0, out="Welcome!", err="")) is None
    assert read_answer(Answer(code=0, out=f"{MARK}{{", err="")) is None


@pytest.mark.parametrize(
    ("err", "words"),
    [
        ("Pseudo banner\nme@gpu1: Permission denied (publickey,password).", "ssh-add"),
        (
            "@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@@\nHost key verification failed.",
            "ssh-keygen -R",
        ),
        ("No ED25519 host key is known for gpu1\nHost key verification failed.", "ssh gpu1 once by hand"),
        ("ssh: Could not resolve hostname gpu1: Name or service not known", "no such machine"),
        ("ssh: connect to host gpu1 port 22: Connection timed out", "ProxyJump"),
        ("something new", "something new"),
    ],
)
def test_ssh_is_quoted_with_what_to_do(err: str, words: str) -> None:
    said = str(failure("gpu1", Answer(code=255, out="", err=err)))
    assert words in said
    assert "@@" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("found", "command", "words"),
    [
        (
            {"login": "/home/me/.local/bin/labq", "path": "/usr/bin", "version": "3.12.1"},
            "labq",
            "--labq /home/me/.local/bin/labq",
        ),
        ({"version": "3.9.2"}, "labq", "too old: labq needs 3.11"),
        ({"version": ""}, "labq", "no python3"),
        ({"version": "3.11.2"}, "~/x/labq", "pip install labq"),
        ({"labq": "/usr/bin/labq", "version": "3.11.2"}, "labq", "try it"),
        ({}, "labq", "try it"),
    ],
)
def test_where_labq_is_not_found_is_said_what_is_there(found: dict[str, str], command: str, words: str) -> None:
    assert words in why_absent(found, command, "labq: command not found (exit code 127)")


def test_an_old_labq_is_told_from_none() -> None:
    words = "labq workers: error: argument ACTION: invalid choice: 'far'"
    assert "too old" in why_absent({"labq": "/usr/bin/labq"}, "labq", words)
    assert [is_too_old(version) for version in ("3.10.9", "3.11.0", "3.9", "4.0", "")] == [
        True,
        False,
        True,
        False,
        False,
    ]


# ── the doctor ──
@pytest.mark.parametrize(
    ("far", "verdict"), [(105.0, Verdict.OK), (99.0, Verdict.OK), (300.0, Verdict.WARN), (0.0, Verdict.WARN)]
)
def test_a_clock_is_judged_beyond_what_the_question_took(far: float, verdict: Verdict) -> None:
    row = clock_row(far, 100.0, 110.0)
    assert row.verdict is verdict
    assert "190 s ahead" in row.text if far == 300.0 else "behind" in row.text if far == 0.0 else True


def test_another_schema_keeps_workers_from_working_another_version_need_not() -> None:
    row = Row(subject="labq", text="0.1 at /x")
    assert labq_row(row, {"labq": "0.1", "schema": 9}, "0.1", 9).verdict is Verdict.OK
    assert labq_row(row, {"labq": "0.2", "schema": 9}, "0.1", 9).verdict is Verdict.WARN
    assert labq_row(row, {"labq": "0.1", "schema": 8}, "0.1", 9).verdict is Verdict.WRONG


def test_without_labq_a_shell_tells_of_python() -> None:
    rows = rows_without_labq({"version": "3.9.1", "python": "/usr/bin/python3"}, "labq gave no answer; install it")
    assert [(row.subject, row.verdict) for row in rows] == [("python", Verdict.WRONG), ("labq", Verdict.WRONG)]
    assert rows[1].advice == "install it"


# ── tunnels ──
LINKS = {"mongo": "/f/mongodb.sock", "redis": "/f/redis.sock"}


@pytest.mark.parametrize(
    ("mongo", "redis", "near", "far"),
    [
        ("mongodb://%2Fn%2Fmongodb.sock/?replicaSet=rs0", "unix:///n/redis.sock?db=0", ("/n/mongodb.sock", "/n/redis.sock"),
         ("mongodb://%2Ff%2Fmongodb.sock/?directConnection=true", "unix:///f/redis.sock?db=0")),
        ("mongodb://me:p%40w@db/lab?authSource=admin&replicaSet=rs0", "redis://:pw@q:6380/3", ("db:27017", "q:6380"),
         ("mongodb://me:p%40w@%2Ff%2Fmongodb.sock/lab?authSource=admin&directConnection=true", "unix://:pw@/f/redis.sock?db=3")),
        ("mongodb://[::1]:5/", "redis://localhost", ("[::1]:5", "localhost:6379"),
         ("mongodb://%2Ff%2Fmongodb.sock/?directConnection=true", "unix:///f/redis.sock")),
    ],
)  # fmt: skip
def test_servers_keep_their_logins_behind_a_tunnel(
    mongo: str, redis: str, near: tuple[str, str], far: tuple[str, str]
) -> None:
    assert (near_mongo(mongo), near_redis(redis)) == near
    servers = far_servers(mongo, redis, LINKS)
    assert (servers.mongo_url, servers.redis_url) == far


@pytest.mark.parametrize("url", ["mongodb+srv://db.lab/", "mongodb://a,b/?replicaSet=r", "mongodb://db/?tls=true"])
def test_where_a_tunnel_would_not_be_reliable_it_says_why(url: str) -> None:
    with pytest.raises(UserError, match="mongo_url"):
        near_mongo(url)
    with pytest.raises(UserError, match="TLS"):
        near_redis("rediss://q")


def test_the_pause_between_tunnels_grows() -> None:
    assert [pause_s(n) for n in (1, 2, 3, 7, 5000)] == [1.0, 2.0, 4.0, 60.0, 60.0]


def test_a_tunnel_counts_as_long_as_somebody_keeps_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    servers = Servers(mongo_url="mongodb://x", redis_url="redis://y")
    assert through_tunnel(settings, "me@gpu1") is None
    with only_one(settings, "me@gpu1") as file:
        assert through_tunnel(settings, "me@gpu1") is None
        publish(file, servers)
        assert open_tunnels(settings) == {"me@gpu1": servers}
        with pytest.raises(UserError, match="another labq tunnel"), only_one(settings, "me@gpu1"):
            pass
        plain, _ = handed_to(replace(settings), "me@gpu1")
        assert plain["LABQ_MONGO_URL"] == "mongodb://x"
    assert through_tunnel(settings, "me@gpu1") is None
