"""`n_hidden * layers <= 600` as a small tree of Python functions: never `eval`.

No attributes, and no functions but those listed here. Work is bounded: a text has 500 characters at most, there are no
loops, arithmetic is on numbers of at most 4096 bits, and texts can only be compared.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST = 500
_MOST_NODES = 200
_MOST_BITS = 4096

Values = Mapping[str, Any]
_Compiled = Callable[[Values], Any]


class BadExpression(ValueError):
    """The text is no expression of ours, or it cannot be computed for these values."""


class Absent(LookupError):
    """A parameter that the expression names has no value in this configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A condition on parameters. `names` are dotted: `optimizer.lr`.

    `clauses`: ((name, allowed values), …) when it is nothing but a conjunction of `name == value` and
    `name in [values]`, as ConfigSpace and its like want conditions; else None.
    """

    text: str
    names: tuple[str, ...]
    clauses: tuple[tuple[str, tuple[Any, ...]], ...] | None
    _compute: _Compiled = field(repr=False, compare=False)

    def holds(self, values: Values, *, if_absent: bool) -> bool:
        """Whether it is true for these values; `if_absent` when a parameter it needs is not there.

        Raises BadExpression when it cannot be computed, such as a division by zero.
        """
        try:
            return bool(self._compute(values))
        except Absent:
            return if_absent
        except (ArithmeticError, TypeError, ValueError) as error:
            raise BadExpression(f"{self.text!r} cannot be computed for {self._shown(values)}: {error}") from error

    def _shown(self, values: Values) -> str:
        return ", ".join(f"{name} = {values[name]!r}" for name in self.names if name in values)[:200]


def parse_expression(text: str) -> Expression:
    """Raises BadExpression with what is not allowed, and what is."""
    if len(text) > LONGEST:
        raise BadExpression(f"has {len(text)} characters; allowed: {LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadExpression(f"is no expression: {getattr(error, 'msg', None) or error}") from error
    if sum(1 for _ in ast.walk(tree)) > _MOST_NODES:
        raise BadExpression(f"has more than {_MOST_NODES} parts")
    compiled = _compile(tree)
    names = tuple(dict.fromkeys(_names(tree)))
    if not names:
        raise BadExpression("names no parameter")
    return Expression(text=text, names=names, clauses=_clauses(tree), _compute=compiled)


def all_of(allowed: Mapping[str, tuple[Any, ...]]) -> Expression:
    """The condition that each of these parameters has one of its values."""
    clauses = tuple(allowed.items())
    shown = " and ".join(
        f"{name} == {values[0]!r}" if len(values) == 1 else f"{name} in {list(values)!r}" for name, values in clauses
    )

    def compute(values: Values) -> bool:
        return all(any(_equal(_get(values, name), one) for one in many) for name, many in clauses)

    return Expression(text=shown, names=tuple(allowed), clauses=clauses, _compute=compute)


def _get(values: Values, name: str) -> Any:
    try:
        return values[name]
    except KeyError:
        raise Absent(name) from None


# ── reading ──
def _compile(node: ast.expr) -> _Compiled:
    reader = _READERS.get(type(node))
    if reader is None:
        raise BadExpression(f"{ast.unparse(node)[:60]!r} is not allowed; allowed: {_ALLOWED}")
    return reader(node)


_ALLOWED = "names, numbers, texts, lists, + - * / // % **, comparisons, in, and, or, not, and functions such as min"


def _constant(node: ast.Constant) -> _Compiled:
    value = node.value
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise BadExpression(f"{ast.unparse(node)[:60]!r} is not allowed; allowed: {_ALLOWED}")
    return lambda _: value


def _name(node: ast.expr) -> _Compiled:
    name = _dotted(node)
    if name in _WORDS:
        word = _WORDS[name]
        return lambda _: word
    return lambda values: _get(values, name)


_WORDS = {"true": True, "false": False}


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise BadExpression(f"{ast.unparse(node)[:60]!r} is not allowed; allowed: {_ALLOWED}")


def _list(node: ast.expr) -> _Compiled:
    assert isinstance(node, ast.List | ast.Tuple | ast.Set)
    items = [_compile(item) for item in node.elts]
    return lambda values: [item(values) for item in items]


def _unary(node: ast.UnaryOp) -> _Compiled:
    operand = _compile(node.operand)
    if isinstance(node.op, ast.Not):
        return lambda values: not operand(values)
    if isinstance(node.op, ast.USub):
        return lambda values: -_number(operand(values))
    if isinstance(node.op, ast.UAdd):
        return lambda values: _number(operand(values))
    raise BadExpression(f"the operator ~ is not allowed; allowed: {_ALLOWED}")


def _binary(node: ast.BinOp) -> _Compiled:
    operate = _ARITHMETIC.get(type(node.op))
    if operate is None:
        raise BadExpression(f"the operator in {ast.unparse(node)[:60]!r} is not allowed; allowed: {_ALLOWED}")
    left, right = _compile(node.left), _compile(node.right)
    return lambda values: _number(operate(_number(left(values)), _number(right(values))))


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * max(exponent, 0) > _MOST_BITS:
        raise BadExpression(f"{base} ** {exponent} is too large")
    return base**exponent


_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: _power,
}  # fmt: skip


def _boolean(node: ast.BoolOp) -> _Compiled:
    parts = [_compile(part) for part in node.values]
    if isinstance(node.op, ast.And):
        return lambda values: all(part(values) for part in parts)
    return lambda values: any(part(values) for part in parts)


def _comparison(node: ast.Compare) -> _Compiled:
    compares = [_COMPARISONS.get(type(op)) for op in node.ops]
    if None in compares:
        raise BadExpression(f"{ast.unparse(node)[:60]!r} is not allowed; compare with == and !=")
    first, *others = [_compile(part) for part in (node.left, *node.comparators)]
    links = [(compare, other) for compare, other in zip(compares, others, strict=True) if compare is not None]

    def compute(values: Values) -> bool:
        left = first(values)
        for compare, other in links:
            right = other(values)
            if not compare(left, right):
                return False
            left = right
        return True

    return compute


def _equal(left: Any, right: Any) -> bool:
    """1 equals 1.0, as a reader expects; true does not equal 1."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _contains(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    if isinstance(right, list):
        return any(_equal(left, one) for one in right)
    raise TypeError(f"{right!r} is no list")


_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: _equal, ast.NotEq: lambda left, right: not _equal(left, right),
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.In: _contains, ast.NotIn: lambda left, right: not _contains(left, right),
}  # fmt: skip


def _call(node: ast.Call) -> _Compiled:
    if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords or not node.args:
        raise BadExpression(f"{ast.unparse(node)[:60]!r} is not allowed; functions: {', '.join(_FUNCTIONS)}")
    function = _FUNCTIONS[node.func.id]
    arguments = [_compile(argument) for argument in node.args]
    return lambda values: _number(function(*(_number(argument(values)) for argument in arguments)))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": lambda *numbers: min(numbers), "max": lambda *numbers: max(numbers), "abs": abs, "round": round,
    "floor": math.floor, "ceil": math.ceil, "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "log2": math.log2,
    "log10": math.log10,
}  # fmt: skip


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number" if not isinstance(value, complex) else "it is no real number")
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise BadExpression("a number gets too large")
    return value


_READERS: dict[type[ast.expr], Callable[[Any], _Compiled]] = {
    ast.Constant: _constant, ast.Name: _name, ast.Attribute: _name, ast.List: _list, ast.Tuple: _list, ast.Set: _list,
    ast.UnaryOp: _unary, ast.BinOp: _binary, ast.BoolOp: _boolean, ast.Compare: _comparison, ast.Call: _call,
}  # fmt: skip


def _names(node: ast.AST) -> list[str]:
    """Parameters only, in order: an attribute is part of a name, a function is none."""
    if isinstance(node, ast.Name | ast.Attribute):
        name = _dotted(node)
        return [] if name in _WORDS else [name]
    children = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
    return [name for child in children for name in _names(child)]


def _clauses(node: ast.expr) -> tuple[tuple[str, tuple[Any, ...]], ...] | None:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        parts = [_clauses(part) for part in node.values]
        return None if None in parts else tuple(clause for part in parts if part is not None for clause in part)
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.left, ast.Name | ast.Attribute):
        return None
    right = node.comparators[0]
    if isinstance(node.ops[0], ast.Eq) and isinstance(right, ast.Constant):
        return ((_dotted(node.left), (right.value,)),)
    if isinstance(node.ops[0], ast.In) and isinstance(right, ast.List | ast.Tuple | ast.Set):
        constants = [item.value for item in right.elts if isinstance(item, ast.Constant)]
        return ((_dotted(node.left), tuple(constants)),) if len(constants) == len(right.elts) else None
    return None
