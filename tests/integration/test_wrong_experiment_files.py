"""Every mistake in an experiment file: one clear message that names the place, exit code 2, nothing written."""

import re
from pathlib import Path

import pytest

from queueing.cli.main import main
from store.mongo import MongoStore
from store.settings import Settings

GOOD = 'name = "x"\ncommand = ["true"]\n'

# (what, file name, content, what the message must say)
MISTAKES: list[tuple[str, str, str | bytes, str]] = [
    ("an unknown key", "e.toml", GOOD + "comand = 1\n", r"line 3: comand: unknown key; did you mean 'command'"),
    (
        "an unknown key in a table",
        "e.toml",
        GOOD + '[resources]\nmem = "1GB"\n',
        r"line 4: resources\.mem: unknown key",
    ),
    ("an unknown table", "e.toml", GOOD + "[resource]\ngpus = 1\n", r"resource: unknown key; did you mean 'resources'"),
    ("no name", "e.toml", 'command = ["true"]\n', r"name: is missing"),
    (
        "a name with blanks",
        "e.toml",
        'name = "my exp"\ncommand = ["true"]\n',
        r"line 1: name: is 'my exp'; allowed: letters",
    ),
    ("no command and no trainer", "e.toml", 'name = "x"\n', r"neither is given"),
    ("command and trainer", "e.toml", GOOD + 'trainer = "rnn"\n', r"both are given"),
    ("an unknown trainer", "e.toml", 'name = "x"\ntrainer = "lstm"\n', r"line 2: trainer: is 'lstm'; allowed: 'rnn'"),
    (
        "a command as a text",
        "e.toml",
        'name = "x"\ncommand = "python t.py"\n',
        r"command: is 'python t\.py'; allowed: a list",
    ),
    ("an empty command", "e.toml", 'name = "x"\ncommand = []\n', r"line 2: command: is empty"),
    ("a number in a command", "e.toml", 'name = "x"\ncommand = ["true", 1]\n', r"command\[1\]: is 1; allowed: a text"),
    ("a missing parameter", "e.toml", 'name = "x"\ncommand = ["t", "{lr}"]\n', r"no parameter is named 'lr'"),
    ("a broken placeholder", "e.toml", 'name = "x"\ncommand = ["t", "{lr"]\n', r"command\[1\] '\{lr'"),
    (
        "an expression as placeholder",
        "e.toml",
        'name = "x"\ncommand = ["{a[0]}"]\n[params]\na = 1\n',
        r"no parameter name",
    ),
    (
        "a nested placeholder of nothing",
        "e.toml",
        'name = "x"\ncommand = ["{a.b}"]\n[params]\na = 1\n',
        r"no parameter is named 'a\.b'; there are: a, repeat",
    ),
    (
        "a format that does not fit",
        "e.toml",
        'name = "x"\ncommand = ["t", "{opt:.3e}"]\n[params]\nopt = "adam"\n',
        r"command: '\{opt:\.3e\}'",
    ),
    ("an empty axis", "e.toml", GOOD + "[sweep.params]\nlr = []\n", r"line 4: sweep\.params\.lr: the list is empty"),
    (
        "an axis that is no list",
        "e.toml",
        GOOD + "[sweep.params]\nlr = 0.1\n",
        r"sweep\.params\.lr: is 0\.1; allowed: a list",
    ),
    ("a value twice", "e.toml", GOOD + "[sweep.params]\nlr = [1, 2, 1]\n", r"sweep\.params\.lr: 1 is given twice"),
    (
        "a parameter fixed and swept",
        "e.toml",
        GOOD + "[params]\nlr = 1\n[sweep.params]\nlr = [1, 2]\n",
        r"sweep\.params\.lr: is given in \[params\] too",
    ),
    (
        "unequal lists to pair",
        "e.toml",
        GOOD + '[sweep]\nmethod = "zip"\n[sweep.params]\na = [1, 2]\nb = [1]\n',
        r"a has 2, b has 1",
    ),
    (
        "an unknown method",
        "e.toml",
        GOOD + '[sweep]\nmethod = "bayes"\n',
        r"sweep\.method: is 'bayes'; allowed: 'grid', 'zip', 'random', 'lhs', 'sobol' or 'halton'",
    ),
    ("no repeats", "e.toml", GOOD + "[sweep]\nrepeat = 0\n", r"sweep\.repeat: is 0; allowed: 1 or more"),
    (
        "a fraction of a repeat",
        "e.toml",
        GOOD + "[sweep]\nrepeat = 1.5\n",
        r"sweep\.repeat: is 1\.5; allowed: a whole number",
    ),
    (
        "swept seeds and repeats",
        "e.toml",
        GOOD + "[sweep]\nrepeat = 2\n[sweep.params]\nseed = [1]\n",
        r"sweep\.params\.seed: repeat makes the seeds",
    ),
    (
        "negative memory",
        "e.toml",
        GOOD + '[resources]\nmemory = "-3GB"\n',
        r"resources\.memory: is '-3GB'; allowed: a size above 0",
    ),
    ("memory without meaning", "e.toml", GOOD + '[resources]\nmemory = "much"\n', r"line 4: resources\.memory"),
    (
        "a time without meaning",
        "e.toml",
        GOOD + '[resources]\ntime = "4 hous"\n',
        r"resources\.time: is '4 hous'; allowed: a duration",
    ),
    ("negative GPUs", "e.toml", GOOD + "[resources]\ngpus = -1\n", r"resources\.gpus: is -1; allowed: 0 or more"),
    (
        "true as a number",
        "e.toml",
        GOOD + "[resources]\ngpus = true\n",
        r"resources\.gpus: is true; allowed: a whole number",
    ),
    ("a bad address", "e.toml", GOOD + '[notify]\nto = ["me@"]\n', r"notify\.to\[0\]: 'me@' is no e-mail address"),
    (
        "a header in an address",
        "e.toml",
        GOOD + '[notify]\nto = ["me@lab\\nBcc: you@lab"]\n',
        r"notify\.to\[0\]: .*is no e-mail address",
    ),
    (
        "an unknown state",
        "e.toml",
        GOOD + '[notify]\non = ["done"]\n',
        r"notify\.on\[0\]: is 'done'; allowed: finished, failed",
    ),
    (
        "an unknown reason",
        "e.toml",
        GOOD + '[retry]\non = ["oom"]\n',
        r"retry\.on\[0\]: is 'oom'; allowed: error, killed",
    ),
    ("a negative retry", "e.toml", GOOD + "[retry]\nmax = -1\n", r"retry\.max: is -1; allowed: 0 or more"),
    ("an infinite parameter", "e.toml", GOOD + "[params]\nlr = inf\n", r"line 4: params\.lr: is inf; allowed: finite"),
    ("a date as a parameter", "e.toml", GOOD + "[params]\nday = 2026-01-01\n", r"line 4: params\.day: is a date"),
    ("a parameter of 65 bits", "e.toml", GOOD + "[params]\nseed = 9223372036854775808\n", r"64 bits"),
    (
        "a bad parameter name",
        "e.toml",
        GOOD + '[params]\n"learning rate" = 1\n',
        r"'learning rate' is no parameter name",
    ),
    ("a reserved parameter", "e.toml", GOOD + "[params]\ndata = 1\n", r"params\.data: the name is reserved"),
    ("a protocol variable", "e.toml", GOOD + '[env]\nLABQ_RUN = "x"\n', r"env\.LABQ_RUN: is no name"),
    (
        "a folder that is not there",
        "e.toml",
        GOOD + 'workdir = "nowhere"\n',
        r"line 3: workdir: there is no folder .*nowhere",
    ),
    ("data for a command", "e.toml", GOOD + '[data]\ntrain = "x"\n', r"data: is for the built-in trainer"),
    (
        "more runs than anybody wants",
        "e.toml",
        GOOD + f"[sweep.params]\na = {list(range(3000))}\nb = {list(range(1000))}\n",
        r"makes 3000000 runs; allowed: at most",
    ),
    (
        "a pair twice",
        "e.toml",
        GOOD + '[sweep]\nmethod = "zip"\n[sweep.params]\na = [1, 1]\nb = [2, 2]\n',
        r"\[1,2\] is given twice",
    ),
    ("the same table twice", "e.toml", GOOD + "[sweep.params]\nx = [{a = 1, b = 2}, {b = 2, a = 1}]\n", r"given twice"),
    ("a NUL", "e.toml", GOOD + '[env]\nA = "x\\u0000"\n', r"line 4: env\.A: holds a NUL"),
    ("half a character", "e.json", '{"name": "x", "command": ["\\ud800"]}', r"command\[0\]: holds half a character"),
    ("a bracket in a key", "e.toml", '"lr[0]" = 1\n' + GOOD, r"lr\[0\]: unknown key"),
    (
        "too deep a nesting",
        "e.json",
        '{"name": "x", "params": {"a": ' + "[" * 60 + "]" * 60 + "}}",
        r"nested too deeply",
    ),
    ("far too deep a nesting", "e.json", "[" * 20000 + "]" * 20000, r"nested too deeply"),
    ("a table in itself", "e.yaml", "name: x\nparams: &p {a: *p}\n", r"nested too deeply"),
    (
        "an alias bomb",
        "e.yaml",
        "name: x\nparams:\n  a0: &a0 [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"  a{i + 1}: &a{i + 1} [" + ",".join([f"*a{i}"] * 9) + "]\n" for i in range(9)),
        r"holds more than",
    ),
    ("a list as a key", "e.yaml", "name: x\n? [a, b]\n: 1\n", r"line 2, column 3: .*a key is a list"),
    (
        "a time of 400 digits",
        "e.toml",
        f'name = "x"\ncommand = ["true"]\ngrace = "{"9" * 400}s"\n',
        r"line 3: grace: is .*allowed: a duration",
    ),
    ("ages", "e.toml", GOOD + "[resources]\ntime = 1e300\n", r"at most ten years"),
    (
        "a huge format",
        "e.toml",
        'name = "x"\ncommand = ["t", "{lr:.99999f}"]\n[params]\nlr = 1.0\n',
        r"a short format only",
    ),
    ("a home of nobody", "e.toml", GOOD + 'workdir = "~nobody-here/x"\n', r"line 3: workdir: "),
    (
        "a seed that is no number",
        "e.toml",
        GOOD + "[params]\nseed = true\n[sweep]\nrepeat = 2\n",
        r"params\.seed: must be a whole number",
    ),
    ("broken TOML", "e.toml", 'name = "x\n', r"is not TOML: .*line 1"),
    ("a key twice in TOML", "e.toml", GOOD + 'name = "y"\n', r"is not TOML: .*overwrite.*line 3"),
    ("a tab in YAML", "e.yaml", "name: x\nresources:\n\tgpus: 1\n", r"line 3, column 1: .*tab"),
    ("a key twice in YAML", "e.yaml", "name: x\nname: y\n", r"line 2, column 1: .*'name' is given twice"),
    ("broken YAML", "e.yaml", "name: [x\n", r"line \d+, column \d+: is not YAML"),
    ("a list in YAML", "e.yaml", "- x\n", r"holds a list; an experiment is a table"),
    ("a key twice in JSON", "e.json", '{"name": "x", "name": "y"}', r"key 'name' is given twice"),
    ("broken JSON", "e.json", '{"name": "x",}', r"line 1, column 14: is not JSON"),
    ("an empty file", "e.yaml", "", r"holds nothing"),
    ("an unknown suffix", "e.txt", GOOD, r"ends in '\.txt'; allowed: \.toml, \.yaml"),
    ("latin-1", "e.toml", GOOD.encode() + 'tags = ["gr\xfcn"]'.encode("latin-1"), r"line 3: byte 0xfc is not UTF-8"),
    (
        "an unknown parameter of the trainer",
        "e.toml",
        'name = "x"\ntrainer = "rnn"\n[params]\nmodel = "language-model"\nn_hiden = 3\n[data]\nsource = "pydoc"\n',
        r"n_hiden",
    ),
]


@pytest.fixture
def empty_store(mongo_store: MongoStore, servers: Settings, monkeypatch: pytest.MonkeyPatch) -> MongoStore:
    monkeypatch.setenv("LABQ_HOME", str(servers.home))
    monkeypatch.setenv("LABQ_MONGO_DATABASE", mongo_store.database.name)
    return mongo_store


def test_the_table_is_long_enough() -> None:
    assert len(MISTAKES) >= 25
    assert len({what for what, *_ in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize(("what", "name", "content", "says"), MISTAKES, ids=[what for what, *_ in MISTAKES])
def test_a_mistake_is_named_and_nothing_is_written(
    what: str,
    name: str,
    content: str | bytes,
    says: str,
    tmp_path: Path,
    empty_store: MongoStore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["enqueue", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 1, printed.err
    assert lines[0].startswith(f"labq: {file}: ")
    assert re.search(says, lines[0]), lines[0]
    assert len(lines[0]) < 400 + len(str(file))
    assert empty_store.database["runs"].count_documents({}) == 0
    assert empty_store.database["experiments"].count_documents({}) == 0


@pytest.mark.parametrize("what", ["missing", "folder", "unreadable"])
def test_a_file_that_cannot_be_read_is_named(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "e.toml"
    if what == "folder":
        file.mkdir()
    elif what == "unreadable":
        file.symlink_to(file)
    assert main(["enqueue", str(file), "--dry-run"]) == 2
    assert capsys.readouterr().err.startswith(f"labq: {file}: ")


def test_all_mistakes_are_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "e.toml"
    file.write_text('name = "x"\ncommand = ["true"]\nprioritty = 1\n[resources]\ngpus = -1\nmemory = "0"\n')
    assert main(["enqueue", str(file), "--dry-run"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
