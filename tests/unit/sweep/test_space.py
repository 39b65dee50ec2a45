"""Spaces as they are read: domains, conditions, constraints."""

import random
import statistics
import tomllib
from typing import Any

import pytest
from scipy import special

from queueing.space.domains import Choice, Normal, Range, count_of, value_at, values_of
from queueing.space.exact import exp, ln, normal_quantile
from queueing.space.expressions import BadExpression, parse_expression
from queueing.space.names import flat, placed
from queueing.space.reading import read_space
from queueing.space.space import Space, configuration, is_allowed
from queueing.space.streams import distinct_seed, shuffled, uniform


def space(text: str, where: list[str] | None = None, fixed: dict[str, Any] | None = None) -> Space:
    made, mistakes = read_space(tomllib.loads(text), where or [], fixed or {})
    assert mistakes == []
    return made


def test_each_way_to_write_a_parameter() -> None:
    made = space(
        """
        lr = [0.1, 0.01]
        act = {choice = ["tanh", "relu"], weights = [3, 1]}
        noise = {low = 0.01, high = 10.0, log = true}
        units = {low = 10, high = 300, type = "int"}
        l2 = {distribution = "log-normal", mean = -7, sd = 2}
        [optimizer]
        name = ["adam", "sgd"]
        beta = {low = 0.8, high = 0.99, step = 0.01, when = "optimizer.name == 'adam'"}
        """
    )
    assert made.names == ("lr", "act", "noise", "units", "l2", "optimizer.name", "optimizer.beta")
    domains = {one.name: one.domain for one in made.parameters}
    assert domains["lr"] == Choice(values=(0.1, 0.01))
    assert domains["act"] == Choice(values=("tanh", "relu"), weights=(3.0, 1.0))
    assert domains["noise"] == Range(low=0.01, high=10.0, log=True)
    assert domains["units"] == Range(low=10, high=300, integer=True)
    assert domains["l2"] == Normal(mean=-7.0, sd=2.0, log=True)
    assert domains["optimizer.beta"] == Range(low=0.8, high=0.99, step=0.01)


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Range(low=1e-6, high=1e-3, log=True, num=4), [1e-6, 1e-5, 1e-4, 1e-3]),
        (Range(low=0.0, high=0.5, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (Range(low=0.1, high=0.5, num=5), [0.1, 0.2, 0.3, 0.4, 0.5]),
        (Range(low=1, high=4, integer=True), [1, 2, 3, 4]),
        (Range(low=10, high=50, step=20, integer=True), [10, 30, 50]),
        (Range(low=1, high=1000, log=True, num=4, integer=True), [1, 10, 100, 1000]),
        (Range(low=1, high=3, num=5, integer=True), [1, 2, 3]),
    ],
)
def test_lists_of_ranges_are_the_numbers_a_person_would_write(domain: Range, values: list[float]) -> None:
    assert list(values_of(domain)) == values
    assert count_of(domain) == len(values)
    assert [type(value) for value in values_of(domain)] == [type(value) for value in values]


def test_the_ends_of_an_integer_range_come_as_often_as_the_others() -> None:
    domain = Range(low=1, high=10, integer=True)
    drawn = [value_at(domain, (k + 0.5) / 1000) for k in range(1000)]
    assert {value: drawn.count(value) for value in drawn} == dict.fromkeys(range(1, 11), 100)


def test_weights_are_shares() -> None:
    drawn = [value_at(Choice(values=("a", "b", "c"), weights=(1.0, 0.0, 3.0)), (k + 0.5) / 400) for k in range(400)]
    assert (drawn.count("a"), drawn.count("b"), drawn.count("c")) == (100, 0, 300)


def test_the_normal_quantile_is_that_of_scipy() -> None:
    draw = random.Random(1)
    for u in [draw.random() for _ in range(2000)] + [2.0**-53, 1e-300, 1e-12, 1 - 1e-12, 0.075, 0.925]:
        assert normal_quantile(u) == pytest.approx(special.ndtri(u), rel=1e-13, abs=1e-15)


def test_logarithms_are_exact() -> None:
    assert exp(ln(0.001)) == 0.001
    assert float(ln(10.0)) == pytest.approx(2.302585092994046, abs=0)


def test_a_truncated_normal_stays_inside_and_keeps_its_shape() -> None:
    domain = Normal(mean=0.0, sd=1.0, low=-1.0, high=2.0)
    drawn = [value_at(domain, (k + 0.5) / 5000) for k in range(5000)]
    assert min(drawn) >= -1
    assert max(drawn) <= 2
    inside = statistics.NormalDist()
    below = (inside.cdf(0) - inside.cdf(-1)) / (inside.cdf(2) - inside.cdf(-1))
    assert sum(value < 0 for value in drawn) / 5000 == pytest.approx(below, abs=0.001)


def test_a_conditional_parameter_is_there_only_under_its_condition() -> None:
    made = space(
        'optimizer = ["adam", "sgd"]\nbeta = {choice = [0.9], when = {optimizer = "adam"}}\n'
        'nested = {choice = [1], when = "beta > 0.5"}\n'
    )
    ordered = made.parents_first()

    def built(optimizer: str) -> dict[str, Any]:
        return configuration(
            made, ordered, {}, lambda one: optimizer if one.name == "optimizer" else values_of(one.domain)[0]
        )

    assert built("adam") == {"optimizer": "adam", "beta": 0.9, "nested": 1}
    assert built("sgd") == {"optimizer": "sgd"}, "a condition on an absent parameter does not hold"


def test_parents_come_first_whatever_the_file_says() -> None:
    made = space('a = {choice = [1, 2], when = "b == 1"}\nb = {choice = [1], when = "c > 0"}\nc = [1]\n')
    assert [one.name for one in made.parents_first()] == ["c", "b", "a"]
    assert made.names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        ("n_hidden * layers <= 600", {"n_hidden": 200, "layers": 3}, True),
        ("n_hidden * layers <= 600", {"n_hidden": 200, "layers": 4}, False),
        ("0.1 < lr < 1 and opt in ['adam', 'sgd']", {"lr": 0.5, "opt": "sgd"}, True),
        ("not (flag == true) or a % 2 == 1", {"flag": True, "a": 3}, True),
        ("flag == 1", {"flag": True}, False),
        ("opt.lr <= min(1, 2 ** -2)", {"opt.lr": 0.25}, True),
        ("'ada' in opt", {"opt": "adam"}, True),
        ("sqrt(a) == 3 or absent > 2", {"a": 9}, True),
        ("absent > 2", {"a": 9}, True),
    ],
)
def test_expressions(text: str, values: dict[str, Any], holds: bool) -> None:
    assert parse_expression(text).holds(values, if_absent=True) is holds


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "().__class__", "a.__class__()", "[x for x in a]", "lambda: a", "a[0]", "f'{a}'",
        "(a := 3)", "open('x')", "a if b else c", "*a", "a; b", "", "1 + 1", "a" * 600, "(" * 300 + "a",
        "a is b", "~a", "a @ b", "1e999 < a", "min(a, key=b)", "b'x' == a",
    ],
)  # fmt: skip
def test_anything_else_is_refused_before_it_is_computed(text: str) -> None:
    with pytest.raises(BadExpression):
        parse_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "a ** a ** a > 0", "9 ** 9 ** 9 ** 9 > a", "a / 0 > 1", "a < 'x'", "a % 'x' == 1", "s * 3 == 'xxx'", "'%9999d' % a == s",
        "(-1) ** 0.5 < a", "log(-a) > 0", "2.0 ** 99999 > a", "round(a, 2, 3) > 1",
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_a_mistake_and_quick(text: str) -> None:
    with pytest.raises(BadExpression, match=r"cannot be computed|too large"):
        parse_expression(text).holds({"a": 99999999, "s": "x"}, if_absent=False)


def test_a_constraint_on_an_absent_parameter_says_nothing() -> None:
    made = space('o = ["x"]\nb = {choice = [1], when = "o == \'y\'"}\n', ["b > 5"])
    assert is_allowed(made, {}, {"o": "x"})


def test_clauses_are_what_other_libraries_can_take() -> None:
    assert parse_expression("o == 'adam' and k in [1, 2]").clauses == (("o", ("adam",)), ("k", (1, 2)))
    assert parse_expression("o == 'adam' or k == 1").clauses is None
    assert parse_expression("k > 1").clauses is None


def test_nested_values_are_placed_without_touching_what_is_fixed() -> None:
    fixed = {"optimizer": {"momentum": 0.9, "deep": {"a": 1}}, "n": 3}
    made = placed(fixed, {"optimizer.lr": 0.1, "optimizer.deep.b": 2, "n": 4, "new.x": 1})
    assert made == {"optimizer": {"momentum": 0.9, "deep": {"a": 1, "b": 2}, "lr": 0.1}, "n": 4, "new": {"x": 1}}
    assert fixed == {"optimizer": {"momentum": 0.9, "deep": {"a": 1}}, "n": 3}
    assert flat(made)["optimizer.deep.b"] == 2


def test_streams_are_the_same_everywhere() -> None:
    assert [uniform(7, "lr", index) for index in range(3)] == [
        0.560042634930838,
        0.885460557815502,
        0.13256396188137554,
    ]
    assert shuffled(range(6), 1, "x") == [1, 4, 3, 2, 5, 0]
    assert [distinct_seed(3, index) for index in range(3)] == [1006716584, 824119761, 1839666644]
    assert shuffled(range(6), 1, "x") == [n for n in shuffled(range(9), 1, "x") if n < 6], "one more leaves the order"


def test_seeds_of_repeats_never_meet() -> None:
    seeds = [distinct_seed(3, index) for index in range(20_000)]
    assert len(set(seeds)) == 20_000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len({*seeds, *(distinct_seed(4, index) for index in range(20_000))}) > 39_990
