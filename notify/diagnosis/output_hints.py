"""What the end of the output says, for scripts that report nothing."""

import re

from notify.diagnosis.names import Kind
from notify.diagnosis.sight import Sight
from notify.diagnosis.wording import lower_rate
from store.findings import Disease, Finding, Severity
from store.states import State

# `loss: nan`, `train_loss=inf`, `loss nan`; a validation loss may be "not measured yet".
_LOSS = re.compile(
    r"(?<![A-Za-z])(?:train(?:ing)?[ _/-]?)?loss\b[\"']?\s*[:=]?\s*"
    r"([-+]?(?:nan|inf(?:inity)?|\d[\d.]*(?:e[-+]?\d+)?))\b",
    re.IGNORECASE,
)
_HELD_OUT = re.compile(r"(?:val|valid|validation|test|dev|eval)[ _/-]?$", re.IGNORECASE)
# One line may be a message about losses; two in a row with nothing else since are the training.
_LINES = 2
_GPU_MEMORY = re.compile(
    r"CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|torch\.OutOfMemoryError"
    r"|RESOURCE_EXHAUSTED: .*(?:OOM|[Oo]ut of memory)|HIP out of memory"
)


def printed_nan(sight: Sight) -> tuple[Finding, ...]:
    """Only of a run whose losses nobody reports otherwise."""
    chart = sight.chart
    if {Kind.LOSS, Kind.CONTEST} & set(sight.kinds.values()):
        return ()
    printed = [(line, value) for line in chart.output.splitlines() if (value := _loss_in(line)) is not None]
    last = printed[-_LINES:]
    if len(last) < _LINES or any(value[-1].isdigit() or value[-1] == "." for _, value in last):
        return ()
    return (
        Finding(
            disease=Disease.NOT_FINITE,
            severity=Severity.SEVERE,
            about="output",
            evidence=f"it prints: {last[-1][0].strip()[:120]}",
            advice=f"Stop it: no update mends a NaN; {lower_rate(chart)}, or clip the gradient's norm.",
            reference="Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks",
        ),
    )


def _loss_in(line: str) -> str | None:
    for found in _LOSS.finditer(line):
        if not _HELD_OUT.search(line[: found.start()]):
            return found.group(1)
    return None


def gpu_memory(sight: Sight) -> tuple[Finding, ...]:
    """Only of a run that failed: a script may catch it, take a smaller batch, and go on."""
    chart = sight.chart
    if chart.state is not State.FAILED or (found := _GPU_MEMORY.search(chart.output)) is None:
        return ()
    begin = chart.output.rfind("\n", 0, found.start()) + 1
    line = chart.output[begin:].split("\n", 1)[0].strip()
    return (
        Finding(
            disease=Disease.MEMORY_GROWTH,
            severity=Severity.SEVERE,
            about="gpu memory",
            evidence=f"it ended with: {line[:160]}",
            advice="Take a smaller batch or a larger GPU, accumulate gradients, or compute in half precision.",
            reference="PyTorch notes, CUDA semantics (memory management)",
        ),
    )
