"""Where the runs came from and ran: commits, hosts, the file, and how to do it again."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from shlex import quote
from typing import Any

from notify.letters.letter import Block, Commands, Facts, Output, Table
from notify.words import duration, size
from plots.chosen import Chosen
from store.experiments import Experiment
from store.runs import Run
from store.store import Store

MOST_LOOKED_AT, AT_ONCE = 2000, 200
_LONGEST_FILE = 60_000
_SECRET = re.compile(r"(?im)^(.*\b[\w-]*(?:passw|secret|token|api_?key|credential)[\w-]*[\"']?\s*[=:]\s*).+$")


def hosts(among: Chosen, store: Store) -> Iterable[Table]:
    """One row a machine: what it is, how many runs ended or run there, for how long."""
    rows: dict[str, tuple[dict[str, Any], Counter[str]]] = {}
    spent: Counter[str] = Counter()
    for run in _light(among, store):
        for attempt in run.history[-1:]:
            facts = attempt.facts
            host = str(facts.get("host") or "unknown")
            rows.setdefault(host, (facts, Counter()))[1][run.state.value] += 1
            if attempt.ended_at:
                spent[host] += int((attempt.ended_at - attempt.started_at).total_seconds())
    if not rows:
        return
    told = tuple(
        (host, str(counts.total()), duration(spent[host]), *_machine(facts))
        for host, (facts, counts) in sorted(rows.items())
    )
    seen = min(len(among.outcomes), MOST_LOOKED_AT)
    yield Table(
        title="Hosts",
        head=("host", "runs", "time", "processors", "memory", "GPUs", "Python", "system"),
        rows=told,
        numeric=frozenset({1, 3}),
        note="the newest attempt of each run" + (f"; the first {seen:,} runs" if seen < len(among.outcomes) else ""),
    )


def provenance(experiment: Experiment, among: Chosen, store: Store) -> Iterable[Block]:
    """Commits and versions of the newest run, the file as it was enqueued, and what to type to do it all again."""
    newest = store.run(max(among.outcomes, key=lambda one: (one.queued_at, one.id)).id)
    git = newest.provenance.get("git") or {}
    commits = Counter(one.commit for one in among.outcomes if one.commit)
    rows = [("Enqueued", f"{experiment.created_at:%d %b %Y %H:%M} UTC")]
    rows += [("Commit", f"{commit} ({count:,} runs)") for commit, count in commits.most_common(8)]
    rows += (
        [("Repository", str(git.get("remote") or git.get("repository")))] if git else [("Commit", "no git repository")]
    )
    rows += [("Branch", str(git["branch"]))] if git.get("branch") else []
    rows += (
        [("Changes", "there were changes that no commit has; labq show --json names them")] if git.get("dirty") else []
    )
    facts = newest.history[-1].facts if newest.history else {}
    rows += [("Python", str(facts["python"]))] if facts.get("python") else []
    packages = store.blob(facts["packages"]) if isinstance(facts.get("packages"), str) else None
    yield Facts(title="Provenance", rows=tuple(rows))
    yield _again(experiment, next(iter(commits), None))
    if experiment.text.strip():
        yield Output(title="The experiment's file", text=_cut(without_secrets(experiment.text.rstrip())))
    if packages:
        yield Output(title=f"Packages of run {newest.id}", text=_cut(packages))


def _again(experiment: Experiment, commit: str | None) -> Commands:
    name = quote(experiment.name)
    rows = [("The code", f"git checkout {commit}")] if commit else []
    rows += [("The runs", f"labq enqueue {quote(experiment.source)}")] if experiment.source else []
    rows += [
        ("The table", f"labq results {name} --bests"),
        ("The figures", f"labq plot {name} --kind grid -o grid.pdf"),
    ]
    return Commands(title="How to do it again", rows=tuple(rows))


def _machine(facts: dict[str, Any]) -> tuple[str, ...]:
    memory = facts.get("memory_bytes")
    gpus = facts.get("gpus") or ()
    return (
        str(facts.get("cpus") or "–"),
        size(memory) if isinstance(memory, int) else "–",
        str(len(gpus)) if gpus else "–",
        str(facts.get("python") or "–"),
        str(facts.get("platform") or facts.get("system") or "–"),
    )


def _light(among: Chosen, store: Store) -> Iterable[Run]:
    ids = iter([one.id for one in among.outcomes[:MOST_LOOKED_AT]])
    while some := list(islice(ids, AT_ONCE)):
        yield from store.light_runs(some)


def without_secrets(text: str) -> str:
    """A report is handed around: what is called like a password or a token is left out."""
    return _SECRET.sub(r"\1…", text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_FILE else f"{text[:_LONGEST_FILE]}\n… ({len(text):,} characters)"
