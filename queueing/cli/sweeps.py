"""A sweep in a few words: what varies, how, and how often."""

from queueing.space.domains import Choice, Domain, Normal, Range, count_of, is_listed
from queueing.sweep.block import Block, Method


def sweep_lines(block: Block, *, numbered: bool) -> list[str]:
    """Lines for a terminal. `numbered`: one of several, so each says how many runs it makes."""
    lines = []
    if block.names:
        size = f"{block.size} run{'s' if block.size != 1 else ''}: " if numbered else ""
        lines.append(f"  sweep     {size}{_varied(block)}")
    lines += [f"  where     {constraint.text}" for constraint in block.space.where]
    if block.space.where:
        lines.append(f"            leaves {len(block.points.numbers)} points")
    if block.repeat > 1:
        lines.append(f"  repeat    {block.repeat} times, with seeds of their own")
    return lines


def _varied(block: Block) -> str:
    count = len(block.points.numbers)
    if block.method is Method.TABLE:
        return f"{count} row{'s' if count != 1 else ''} of {block.source}: {', '.join(block.names)}"
    if block.method in (Method.GRID, Method.ZIP):
        how = " paired with " if block.method is Method.ZIP else " × "
        return how.join(f"{one.name} ({count_of(one.domain)}{_when(one.when)})" for one in block.space.parameters)
    drawn = ", ".join(f"{one.name} {_words(one.domain)}{_when(one.when)}" for one in block.space.parameters)
    return f"{count} {block.method} samples of {drawn}"


def _when(condition: object) -> str:
    return " when its condition holds" if condition is not None else ""


def _words(domain: Domain) -> str:
    if isinstance(domain, Choice):
        return f"of {len(domain.values)}"
    if isinstance(domain, Range):
        kind = "log" if domain.log else "int" if domain.integer else "uniform"
        values = f", {count_of(domain)} values" if is_listed(domain) and not domain.integer else ""
        return f"{kind} {domain.low:g} … {domain.high:g}{values}"
    assert isinstance(domain, Normal)
    return f"{'log-normal' if domain.log else 'normal'} {domain.mean:g} ± {domain.sd:g}"
