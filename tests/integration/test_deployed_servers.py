"""The servers of deploy/compose.yaml, started with the very words that stand there, and TLS with an authority of our own.

No container engine is needed: the scripts that are the entry points there are run here, with the real programmes.
"""

import datetime
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from store.servers.binaries import find_mongod, find_redis

ROOT = Path(__file__).parents[2]
LABQ = [sys.executable, "-P", "-m", "queueing.cli.main"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_it_answers(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended at once"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}")


@contextmanager
def running(command: list[str], port: int, log: Path, **environment: str) -> Iterator[None]:
    with open(log, "ab") as sink:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=sink, stderr=sink)
    try:
        try:
            until_it_answers(port, process)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text()[-3000:]}") from error
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def labq(folder: Path, *arguments: str, code: int = 0, **environment: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("LABQ_")}
    env |= {"LABQ_HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "config"), **environment}
    done = subprocess.run(
        [*LABQ, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


class Deployed:
    """What the documented commands make, in a folder of its own and on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mongo_port, self.redis_port = folder, free_port(), free_port()
        self.environment = {
            "LABQ_DEPLOY": str(folder), "LABQ_MONGO_PORT": str(self.mongo_port), "LABQ_REDIS_PORT": str(self.redis_port),
        }  # fmt: skip
        self.services: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
        self.programmes = folder / "bin"
        self.programmes.mkdir()
        self._put("mongod", find_mongod().path)
        self._put("valkey-server", find_redis().path)
        entry = self.programmes / "docker-entrypoint.sh"  # those of the images change the user, then do this
        entry.write_text('#!/bin/sh\nexec "$@"\n')
        entry.chmod(0o755)

    def _put(self, name: str, path: Path) -> None:
        (self.programmes / name).symlink_to(path)

    def replace(self, name: str, path: Path) -> None:
        """Another programme under this name."""
        (self.programmes / name).unlink()
        self._put(name, path)

    def make_secrets(self) -> str:
        done = subprocess.run(
            ["sh", ROOT / "deploy/secrets.sh", "localhost", "127.0.0.1"], cwd="/", capture_output=True, text=True,
            env={**os.environ, **self.environment}, check=True,
        )  # fmt: skip
        return done.stderr

    def words(self, service: str) -> list[str]:
        """Its command, variables replaced as compose does from .env."""
        known = dict(line.split("=", 1) for line in (self.folder / ".env").read_text().splitlines() if "=" in line)
        return [_filled(word, known) for word in self.services[service]["command"]]

    @contextmanager
    def mongo(self) -> Iterator[None]:
        data = self.folder / "mongo"
        data.mkdir(exist_ok=True)
        small = ["--dbpath", str(data), "--wiredTigerEngineConfigString", "log=(file_max=16MB,prealloc=false)"]
        command = ["sh", str(ROOT / "deploy/docker/mongo-start.sh"), *self.words("mongo"), *small]
        with running(command, self.mongo_port, self.folder / "mongod.log", **self._inside("LABQ_KEY")):
            yield

    @contextmanager
    def redis(self) -> Iterator[None]:
        data = self.folder / "redis"
        data.mkdir(exist_ok=True)
        words = [str(data) if word == "/data" else word for word in self.words("valkey")]
        command = ["sh", str(ROOT / "deploy/docker/redis-start.sh"), *words]
        with running(command, self.redis_port, self.folder / "redis.log", **self._inside("LABQ_REDIS_AUTH")):
            yield

    def first_start(self, *more: str, code: int = 0) -> str:
        service = self.services["mongo-setup"]
        assert service["entrypoint"] == ["python", "-P", "-m", "store.servers.first_start"]
        words = [word.replace("/run/secrets", str(self.folder / "secrets")) for word in self.words("mongo-setup")]
        command = [sys.executable, *service["entrypoint"][1:], *words, *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def _inside(self, name: str) -> dict[str, str]:
        path = f"{self.programmes}:{os.environ['PATH']}"
        return {"PATH": path, "LABQ_SECRETS": str(self.folder / "secrets"), name: str(self.folder / name.lower())}


def _filled(word: str, known: dict[str, str]) -> str:
    while "${" in word:
        before, _, rest = word.partition("${")
        inner, _, after = rest.partition("}")
        name, _, otherwise = inner.partition(":")
        word = before + known.get(name, otherwise.removeprefix("-")) + after
    return word


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    return Deployed(tmp_path)


def test_what_is_deployed_is_closed_to_strangers_and_open_to_labq(deployed: Deployed, tmp_path: Path) -> None:
    """The one documented sequence of commands, then labq with the file that it wrote."""
    assert "labq.toml" in deployed.make_secrets()
    before = (tmp_path / "secrets/mongo_url").read_text()
    deployed.make_secrets()
    assert (tmp_path / "secrets/mongo_url").read_text() == before
    assert {one.stat().st_mode & 0o77 for one in (tmp_path / "secrets").iterdir()} == {0}
    with deployed.mongo(), deployed.redis():
        assert deployed.first_start() == (
            f"replica set rs0 of localhost:{deployed.mongo_port}\nuser root\nuser labq of database labq\n"
        )
        assert deployed.first_start() == "all was there already\n"
        shutil.copy(tmp_path / "secrets/labq.toml", tmp_path / "labq.toml")
        (tmp_path / "exp.toml").write_text('name = "e"\ncommand = ["true"]\n')
        assert "queued 1 run" in labq(tmp_path, "enqueue", "exp.toml")
        labq(tmp_path, "worker", "--burst")
        assert "finished" in labq(tmp_path, "ls")
        assert "WRONG" not in labq(tmp_path, "doctor")
        labq(tmp_path, "backup", "b.tar.gz")
        assert "is not empty" in labq(tmp_path, "restore", "b.tar.gz", code=2)
        labq(tmp_path, "restore", "b.tar.gz", "--replace")
        assert "finished" in labq(tmp_path, "ls")
        for url, words in (
            (f"mongodb://localhost:{deployed.mongo_port}/?replicaSet=rs0", "requires authentication"),
            (
                f"mongodb://labq:wrong@localhost:{deployed.mongo_port}/?replicaSet=rs0&authSource=labq",
                "Authentication failed",
            ),
        ):
            said = labq(tmp_path, "ls", code=1, LABQ_MONGO_URL=url)
            assert words in said
            assert "Traceback" not in said
        said = labq(tmp_path, "doctor", code=1, LABQ_REDIS_URL=f"redis://localhost:{deployed.redis_port}/0")
        assert "NOAUTH" in said or "Authentication required" in said or "AUTH" in said
    with deployed.mongo(), deployed.redis():  # again, as after a restart of the machine
        assert deployed.first_start() == "all was there already\n"
        assert "finished" in labq(tmp_path, "ls")


def test_urls_may_stand_in_files(deployed: Deployed, tmp_path: Path) -> None:
    """As compose and systemd hand over secrets: in no environment, on no command line."""
    deployed.make_secrets()
    with deployed.mongo(), deployed.redis():
        deployed.first_start()
        files = {
            "LABQ_MONGO_URL": f"file:{tmp_path}/secrets/mongo_url", "LABQ_REDIS_URL": f"file:{tmp_path}/secrets/redis_url",
        }  # fmt: skip
        assert "WRONG" not in labq(tmp_path, "doctor", **files)
        shown = labq(tmp_path, "config", "--json", **files)
        assert (tmp_path / "secrets/labq_password").read_text() not in shown
        assert "labq:********@localhost" in shown
    assert "cannot be read" in labq(tmp_path, "ls", code=2, LABQ_MONGO_URL="file:/nowhere/url")


def test_a_first_start_that_was_cut_short_is_gone_on_with(deployed: Deployed, tmp_path: Path) -> None:
    deployed.make_secrets()
    with deployed.mongo():
        with MongoClient("127.0.0.1", deployed.mongo_port, directConnection=True) as client:
            member = {"_id": 0, "host": f"localhost:{deployed.mongo_port}"}
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
        assert deployed.first_start() == "user root\nuser labq of database labq\n"
        (tmp_path / "secrets/mongo_root_password").write_text("another")
        assert "is not that of the database" in deployed.first_start(code=2)
        (tmp_path / "secrets/mongo_root_password").write_text("")
        assert "is empty; allowed: a password" in deployed.first_start(code=2)


def test_labq_may_do_what_it_needs_and_nothing_elsewhere(deployed: Deployed, tmp_path: Path) -> None:
    deployed.make_secrets()
    with deployed.mongo():
        deployed.first_start()
        url = (tmp_path / "secrets/mongo_url").read_text().strip()
        with MongoClient[dict[str, Any]](url) as client:
            with pytest.raises(OperationFailure, match="not authorized"):
                client["other"]["x"].insert_one({})
            with pytest.raises(OperationFailure, match="not authorized"):
                client.admin.command("createUser", "x", pwd="x", roles=[])


def test_a_host_that_is_no_name_is_refused(tmp_path: Path) -> None:
    for wrong in ("", "a b", "mongodb://x", "$(id)"):
        done = subprocess.run(
            ["sh", ROOT / "deploy/secrets.sh", wrong], env={**os.environ, "LABQ_DEPLOY": str(tmp_path)}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert "usage" in done.stderr
    assert list(tmp_path.iterdir()) == []


# ── TLS ──
class Authority:
    """A certificate authority for one test, and a certificate of localhost."""

    def __init__(self, folder: Path) -> None:
        self.ca, self.server, self.key, self.both = (
            folder / name for name in ("ca.pem", "server.pem", "server.key", "server-both.pem")
        )
        issuer, signer = self._name("a lab"), ec.generate_private_key(ec.SECP256R1())
        own = ec.generate_private_key(ec.SECP256R1())
        root = self._builder(issuer, issuer, signer).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(signer.public_key())
        root = root.add_extension(identifier, critical=False)
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        leaf = self._builder(self._name("localhost"), issuer, own).add_extension(names, critical=False)
        self.ca.write_bytes(root.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self.server.write_bytes(leaf.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        self.key.write_bytes(own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        self.both.write_bytes(self.server.read_bytes() + self.key.read_bytes())

    def _name(self, name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    def _builder(self, subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        return builder.not_valid_after(now + datetime.timedelta(days=1))


@pytest.fixture
def encrypted(deployed: Deployed, tmp_path: Path) -> Iterator[tuple[Deployed, Authority]]:
    """The same servers with what docs/deploy.md adds for TLS."""
    deployed.make_secrets()
    authority = Authority(tmp_path)
    mongo = deployed.services["mongo"]["command"]
    with deployed.mongo():
        deployed.first_start()
    mongo += [
        "--tlsMode",
        "requireTLS",
        "--tlsCertificateKeyFile",
        str(authority.both),
        "--tlsCAFile",
        str(authority.ca),
    ]
    mongo += ["--tlsAllowConnectionsWithoutCertificates"]
    redis = deployed.services["valkey"]["command"]
    redis += ["--port", "0", "--tls-port", str(deployed.redis_port), "--tls-cert-file", str(authority.server)]
    redis += ["--tls-key-file", str(authority.key), "--tls-ca-cert-file", str(authority.ca), "--tls-auth-clients", "no"]
    with ExitStack() as stack:
        stack.enter_context(deployed.mongo())
        try:
            stack.enter_context(deployed.redis())
        except AssertionError as error:
            if "tls" not in str(error).lower():
                raise
            if (other := _redis_with_tls()) is None:
                deployed.redis_port = 0
            else:
                deployed.replace("valkey-server", other)
                stack.enter_context(deployed.redis())
        yield deployed, authority


def _redis_with_tls() -> Path | None:
    """The wheel's Valkey has none. Debian's Redis is in the package redis-tools under the name of one of its tools, and
    is a server when it is called so."""
    found = shutil.which("redis-check-rdb")
    return Path(found) if found else None


def settings(deployed: Deployed, **changes: str) -> dict[str, str]:
    mongo = (deployed.folder / "secrets/mongo_url").read_text().strip()
    redis = (deployed.folder / "secrets/redis_url").read_text().strip().replace("redis://", "rediss://")
    chosen = {"LABQ_MONGO_URL": f"{mongo}&tls=true", "LABQ_MONGO_TIMEOUT_S": "4"}
    if deployed.redis_port:
        chosen["LABQ_REDIS_URL"] = redis
    return {**chosen, **changes}


def test_mongodb_with_tls_is_trusted_by_its_authority_alone(
    encrypted: tuple[Deployed, Authority], tmp_path: Path
) -> None:
    deployed, authority = encrypted
    assert deployed.first_start("--tls-ca-file", str(authority.ca)) == "all was there already\n"
    own = {"LABQ_MONGO_CA_FILE": str(authority.ca)}
    labq(tmp_path, "ls", **settings(deployed, **own))
    said = labq(tmp_path, "ls", code=3, **settings(deployed))  # the system's authorities do not know it
    assert "certificate verify failed" in said
    assert "Traceback" not in said
    url = settings(deployed)["LABQ_MONGO_URL"]
    plain = url.replace("&tls=true", "")
    labq(tmp_path, "ls", code=3, **settings(deployed, LABQ_MONGO_URL=plain))
    said = labq(tmp_path, "ls", code=2, **settings(deployed, LABQ_MONGO_URL=plain, **own))
    assert "mongo_url has no tls=true" in said


def test_redis_with_tls_is_trusted_by_its_authority_alone(
    encrypted: tuple[Deployed, Authority], tmp_path: Path
) -> None:
    deployed, authority = encrypted
    if not deployed.redis_port:
        pytest.skip("NO REDIS WITH TLS ON THIS MACHINE: apt-get install redis-tools")
    mongo = {"LABQ_MONGO_CA_FILE": str(authority.ca)}
    own = {"LABQ_REDIS_CA_FILE": str(authority.ca)}
    (tmp_path / "exp.toml").write_text('name = "e"\ncommand = ["true"]\n')
    assert "WRONG" not in labq(tmp_path, "doctor", **settings(deployed, **mongo, **own))
    labq(tmp_path, "enqueue", "exp.toml", **settings(deployed, **mongo, **own))
    labq(tmp_path, "worker", "--burst", **settings(deployed, **mongo, **own))
    rows = json.loads(labq(tmp_path, "ls", "--json", **settings(deployed, **mongo, **own)))
    assert "finished" in json.dumps(rows)
    assert "certificate verify failed" in labq(tmp_path, "doctor", code=1, **settings(deployed, **mongo))
    plain = settings(deployed, **mongo, **own)
    plain["LABQ_REDIS_URL"] = plain["LABQ_REDIS_URL"].replace("rediss://", "redis://")
    assert "redis_url does not begin with rediss://" in labq(tmp_path, "ls", code=2, **plain)


def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    said = labq(
        tmp_path, "ls", code=2, LABQ_MONGO_URL="mongodb://localhost/?tls=true", LABQ_MONGO_CA_FILE="/nowhere/ca.pem"
    )
    assert "mongo_ca_file is '/nowhere/ca.pem', which cannot be read here" in said
