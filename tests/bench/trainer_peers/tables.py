"""The output of the bench as the tables of docs/performance.md."""

from __future__ import annotations

from typing import Any

_PEERS = ("torch_rnn", "torch_manual", "jax", "numpy", "eigen")
_TITLES = {
    "torch_rnn": "PyTorch nn.RNN", "torch_manual": "PyTorch by hand", "jax": "JAX", "numpy": "NumPy", "eigen": "C++/Eigen",
}  # fmt: skip


def markdown(results: dict[str, Any]) -> str:
    """Times of labq, ratios of the peers, share of the peak: for one thread in each precision, and for two."""
    names = [name for name in results if name.startswith(("classifier", "lm"))]
    parts = [f"`{results['command']}`: {_machine(results)}", "One thread, float32:", _table(results, names)]
    if results["float64"]:
        parts += ["One thread, float64:", _table(results["float64"], list(results["float64"]))]
    if results["threads2"]:
        parts += ["Two threads:", _table(results["threads2"], list(results["threads2"]))]
    return "\n\n".join([*parts, _limits(results["roofline"])])


def _machine(results: dict[str, Any]) -> str:
    found = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items() if version)
    return f"{found['cpu']}, {found['cpus']} CPUs, Python {found['python']}, {versions}."


def _table(results: dict[str, Any], names: list[str]) -> str:
    speedup = any("speedup" in results[name] for name in names)
    peers = [peer for peer in _PEERS if any(results[name]["ratios"].get(peer) for name in names)]
    head = ["", "labq, µs per token", *(_TITLES[peer] for peer in peers), "of the peak", *(["gain"] if speedup else [])]
    lines = [head, ["---"] * len(head)]
    for name in names:
        row = results[name]
        ratios = [_times(row["ratios"].get(peer)) for peer in peers]
        gain = [_times(row.get("speedup"))] if speedup else []
        lines.append([name, _number(row.get("labq_us")), *ratios, _percent(row["roofline"]), *gain])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _limits(roofline: dict[str, Any]) -> str:
    lines = [["", *next(iter(roofline["peak_gflops"].values()))]]
    lines.append(["---"] * len(lines[0]))
    for dtype, peaks in roofline["peak_gflops"].items():
        lines.append([f"multiply-adds {dtype}, GF/s", *map(str, peaks.values())])
    for place, found in roofline["bandwidth"].items():
        for kind, title in (("read_gb_s", "read"), ("update_gb_s", "read and written")):
            lines.append([f"{title} {place.upper()}, GB/s", *(str(each[kind]) for each in found.values())])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"Limits of the machine by number of threads ({roofline['vector_bits']}-bit vectors):\n\n{table}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}x"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"
