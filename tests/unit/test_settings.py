from dataclasses import fields
from pathlib import Path

import pytest

from store.errors import BadSettings
from store.settings import DOCS, Settings, load, mask_url, shown


@pytest.fixture(autouse=True)
def no_user_file(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


def test_every_setting_is_explained() -> None:
    assert set(DOCS) == {field.name for field in fields(Settings)}


def test_the_environment_wins_over_the_nearest_file_and_that_over_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "config" / "labq" / "labq.toml"
    user.parent.mkdir(parents=True)
    user.write_text('queue = "user"\nmongo_database = "user"\nlease_s = 30\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    project = tmp_path / "project" / "deep" / "er"
    project.mkdir(parents=True)
    (tmp_path / "project" / "labq.toml").write_text('queue = "project"\nmongo_database = "project"\n')
    loaded = load(project, {"LABQ_QUEUE": "environment"})
    assert loaded.settings.queue == "environment"
    assert loaded.settings.mongo_database == "project"
    assert loaded.settings.lease_s == 30.0
    assert loaded.origins["queue"] == "environment LABQ_QUEUE"
    assert loaded.origins["mongo_database"] == str(tmp_path / "project" / "labq.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mongo_ulr = 'x'", "mongo_ulr is no setting; did you mean mongo_url"),
        ("lease_s = 'soon'", "lease_s is 'soon'; allowed: a number of seconds above 0"),
        ("lease_s = 0", "lease_s is 0; allowed"),
        ("lease_s = true", "lease_s is True; allowed"),
        ("keep_checkpoints = 1.5", "keep_checkpoints is 1.5; allowed: a whole number"),
        ("smtp_tls = 'ssl'", "smtp_tls is 'ssl'; allowed: tls, starttls, none"),
        ("queue = 3", "queue is 3; allowed: a text"),
        ("notify_to = [1]", "notify_to is"),
        ("smtp_password = 7", "smtp_password is …"),
        ("queue = ", "labq.toml: Invalid value"),
        ("notify_targets = 'slack://tokenA/tokenB'", "notify_targets is …; allowed: a table of names and URLs"),
        ("[notify_targets]\n'x:lab' = 'tokenA/tokenB'", "notify_targets is …; x:lab is neither a URL of Apprise"),
        ("[notify_targets]\n'a b' = 'slack://x'", "'a b' is no name for a chat target"),
        ("[notify_targets]\n'x:lab' = 7", "x:lab is neither a URL of Apprise"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "labq.toml").write_text(text)
    with pytest.raises(BadSettings) as caught:
        load(tmp_path, {})
    assert str(tmp_path / "labq.toml") in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "notify_to = ['me']",
            "notify_to: 'me' is neither an e-mail address nor the name of a chat target, such as slack:lab",
        ),
        ("notify_to = ['x:lap']\n[notify_targets]\n'x:lab' = 'env:LAB'", "did you mean 'x:lab'?"),
        ("mail_most_mb = 0", "mail_most_mb is 0; allowed: 1 and more"),
    ],
)
def test_who_cannot_be_told_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "labq.toml").write_text(text)
    with pytest.raises(BadSettings) as caught:
        load(tmp_path, {})
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["look_s", "repair_s"])
def test_rounds_of_repair_too_far_apart_to_release_anybody_are_refused(tmp_path: Path, name: str) -> None:
    text = f"{name} = 13"
    (tmp_path / "labq.toml").write_text(text)
    with pytest.raises(BadSettings, match=f"{name} is 13; allowed with lease_s 20 and renew_s 5: at most 12"):
        load(tmp_path, {})
    assert load(tmp_path, {"LABQ_LEASE_S": "30"}).settings.lease_s == 30.0


def test_an_unknown_variable_is_refused_but_the_protocols_are_not(tmp_path: Path) -> None:
    load(tmp_path, {"LABQ_RUN": "abc", "LABQ_EVENTS": "/x", "OTHER": "1"})
    with pytest.raises(BadSettings, match="environment: LABQ_MONGO_URI"):
        load(tmp_path, {"LABQ_MONGO_URI": "x"})


def test_secrets_are_masked() -> None:
    assert shown("smtp_password", "hunter2") == "********"
    assert mask_url("mongodb://me:hunter2@db/?replicaSet=rs0") == "mongodb://me:********@db/?replicaSet=rs0"
    assert mask_url("redis://:hunter2@queue:6379/0") == "redis://:********@queue:6379/0"
    assert mask_url("unix:///run/redis.sock") == "unix:///run/redis.sock"


def test_chat_targets_of_user_and_project_add_up_and_show_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "config" / "labq" / "labq.toml"
    user.parent.mkdir(parents=True)
    user.write_text(
        '[notify_targets]\n"ntfy:phone" = "ntfys://user:tokenA@ntfy.sh/topic"\n"slack:lab" = "slack://old"\n'
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "labq.toml").write_text('notify_to = ["slack:lab"]\n[notify_targets]\n"slack:lab" = "file:~/.slack"\n')
    read = load(tmp_path, {}).settings
    assert read.notify_targets == {"ntfy:phone": "ntfys://user:tokenA@ntfy.sh/topic", "slack:lab": "file:~/.slack"}
    text = shown("notify_targets", read.notify_targets)
    assert text == "ntfy:phone = ntfys://********, slack:lab = file:~/.slack"
    from_variable = load(tmp_path, {"LABQ_NOTIFY_TARGETS": '{"ntfy:phone": "env:PHONE"}'}).settings
    assert from_variable.notify_targets == {"ntfy:phone": "env:PHONE", "slack:lab": "file:~/.slack"}


def test_a_url_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "mongo_url"
    secret.write_text("mongodb://labq:pw@db/?replicaSet=rs0\n")
    (tmp_path / "labq.toml").write_text(f'mongo_url = "file:{secret}"\n')
    loaded = load(tmp_path, {})
    assert loaded.settings.mongo_url == "mongodb://labq:pw@db/?replicaSet=rs0"
    assert "pw" not in shown("mongo_url", loaded.settings.mongo_url)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "which cannot be read"),
        ("\nmongodb://db/", "whose first line is empty; allowed: a URL"),
        ("http://db/", "begins with none of: mongodb://, mongodb+srv://"),
    ],
)
def test_a_file_without_a_url_is_named(tmp_path: Path, content: str | None, says: str) -> None:
    secret = tmp_path / "url"
    if content is not None:
        secret.write_text(content)
    with pytest.raises(BadSettings) as caught:
        load(tmp_path, {"LABQ_MONGO_URL": f"file:{secret}"})
    assert says in str(caught.value)
    assert str(secret) in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mongodb://db/?replicaSet=rs0&tls=true", "mongodb://db/?replicaSet=rs0&tls=true&tlsCAFile="),
        ("mongodb+srv://db", "mongodb+srv://db/?tlsCAFile="),
        ("mongodb+srv://db/", "mongodb+srv://db/?tlsCAFile="),
    ],
)
def test_an_authority_goes_with_the_url(tmp_path: Path, url: str, expected: str) -> None:
    """Jobs of clusters and other programmes are handed the URL alone."""
    from store.connect import mongo_url, redis_url

    authority = tmp_path / "a lab's ca.pem"
    authority.touch()
    chosen = load(
        tmp_path,
        {
            "LABQ_MONGO_URL": url,
            "LABQ_MONGO_CA_FILE": str(authority),
            "LABQ_REDIS_URL": "rediss://queue:6379/0",
            "LABQ_REDIS_CA_FILE": str(authority),
        },
    ).settings
    assert mongo_url(chosen).startswith(expected)
    assert mongo_url(chosen).endswith("a%20lab%27s%20ca.pem")
    assert redis_url(chosen).startswith("rediss://queue:6379/0?ssl_ca_certs=")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"LABQ_MONGO_CA_FILE": "ca.pem", "LABQ_MONGO_URL": "mongodb://db/?replicaSet=rs0"}, "no tls=true"),
        ({"LABQ_MONGO_CA_FILE": "ca.pem"}, "no tls=true"),
        ({"LABQ_REDIS_CA_FILE": "ca.pem", "LABQ_REDIS_URL": "redis://q/0"}, "does not begin with rediss://"),
        ({"LABQ_REDIS_CA_FILE": "/no/ca.pem", "LABQ_REDIS_URL": "rediss://q/0"}, "which cannot be read here"),
    ],
)
def test_an_authority_without_encryption_is_refused(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    with pytest.raises(BadSettings, match=says):
        load(tmp_path, settings)
