"""What was found, for the terminal. Pure: from diagnoses to what rich prints."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from store.findings import Diagnosis, Disease, Finding, Severity
from store.runs import Run, short

_STYLES = {Severity.SEVERE: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_RUNS_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A run and what stands about it."""

    run: Run
    diagnosis: Diagnosis

    @property
    def is_healthy(self) -> bool:
        """Nothing stands but notes."""
        return all(finding.severity is Severity.NOTE for finding in self.diagnosis.standing)

    @property
    def is_severe(self) -> bool:
        """Something severe stands."""
        return any(finding.severity is Severity.SEVERE for finding in self.diagnosis.standing)


def run_page(patient: Patient) -> Group:
    """One run: every finding with its evidence, advice and reference; those that are over last, in a line each."""
    run, diagnosis = patient.run, patient.diagnosis
    step = max((one.last_step for one in run.summary.values()), default=None)
    where = [str(run.state), f"attempt {run.attempt}", *([f"step {step}"] if step is not None else [])]
    parts: list[RenderableType] = [Text.assemble((short(run.id), "bold"), f"  {run.experiment}, {', '.join(where)}")]
    if not diagnosis.standing:
        parts.append(Text("  nothing is wrong that shows in its metrics, output and samples", style="green"))
    for finding in sorted(diagnosis.standing, key=lambda one: -one.severity.rank):
        parts += _whole(finding)
    for finding in diagnosis.findings:
        if finding.over_at is not None:
            said = f"  over since {finding.over_at:%F %H:%M} UTC: {_named(finding)}, {finding.evidence}"
            parts.append(Text(said, style="dim"))
    return Group(*parts)


def experiment_page(name: str, patients: Sequence[Patient], left_out: int) -> Group:
    """An experiment: each disease once, with the runs that have it."""
    healthy = sum(patient.is_healthy for patient in patients)
    more = f"; {left_out} older ones were not looked at" if left_out else ""
    said = f"  {len(patients)} runs looked at, {healthy} of them healthy{more}"
    parts: list[RenderableType] = [Text.assemble((name, "bold"), said)]
    for findings in by_disease(patients):
        parts += _grouped(findings)
    return Group(*parts)


Found = tuple[Patient, Finding]


def by_disease(patients: Sequence[Patient]) -> list[list[Found]]:
    """The most severe disease first, then the most frequent; of each the most severe finding first."""
    groups: dict[Disease, list[Found]] = defaultdict(list)
    for patient in patients:
        for finding in patient.diagnosis.standing:
            groups[finding.disease].append((patient, finding))
    ordered = [sorted(group, key=lambda one: -one[1].severity.rank) for group in groups.values()]
    return sorted(ordered, key=lambda group: (-group[0][1].severity.rank, -len(group)))


def _whole(finding: Finding) -> list[RenderableType]:
    named = (_named(finding), "bold")
    head = Text.assemble((f"  {finding.severity:<8}", _STYLES[finding.severity]), named, _since(finding))
    lines: list[RenderableType] = [head, _below(Text(finding.evidence)), _below(Text(f"→ {finding.advice}"))]
    return [*lines, _below(Text(finding.reference, style="dim"))] if finding.reference else lines


def _below(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 10), expand=False)


def _grouped(found: list[Found]) -> list[RenderableType]:
    worst = found[0][1]
    runs = len({patient.run.id for patient, _ in found})
    parts: list[RenderableType] = [
        Text.assemble(
            (f"  {worst.severity:<8}", _STYLES[worst.severity]), (worst.disease.value, "bold"),
            f": {runs} run{'s' if runs > 1 else ''}",
        ),
        _below(Text(f"→ {worst.advice}")),
    ]  # fmt: skip
    for patient, finding in found[:_RUNS_SHOWN]:
        about = f" ({finding.about})" if finding.about else ""
        said = f"{short(patient.run.id)} {patient.run.state}{about}{_since(finding)}: {finding.evidence}"
        parts.append(_below(Text(said)))
    if len(found) > _RUNS_SHOWN:
        parts.append(_below(Text(f"… and {len(found) - _RUNS_SHOWN} more (--json lists all)")))
    return parts


def _named(finding: Finding) -> str:
    return f"{finding.disease} ({finding.about})" if finding.about else finding.disease.value


def _since(finding: Finding) -> str:
    since = f", since step {finding.since_step}" if finding.since_step is not None else ""
    full = f", expected at {finding.expected_at:%F %H:%M} UTC" if finding.expected_at is not None else ""
    return since + full
