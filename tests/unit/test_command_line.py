"""The command line before any verb begins its work."""

import subprocess
import sys
import time

import pytest

from queueing.cli.main import main
from queueing.cli.parser import build_parser

HEAVY = ("redis", "rq", "pymongo", "numba", "numpy", "matplotlib", "rich", "pydantic", "yagmail", "psutil")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom queueing.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=30)
    assert "enqueue" in done.stdout
    assert done.stderr.strip() == "[]"


def test_help_is_there_in_a_blink() -> None:
    command = [sys.executable, "-P", "-m", "queueing.cli.main", "--help"]
    took = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True, timeout=30)
        took.append(time.perf_counter() - began)
    bare_began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True, timeout=30)
    bare = time.perf_counter() - bare_began
    assert min(took) < max(0.1, 8 * bare), "0.1 s here; on a slow machine in proportion to a bare interpreter"


def test_every_verb_names_a_function_that_exists() -> None:
    from importlib import import_module

    parser = build_parser()
    verbs = next(action for action in parser._actions if hasattr(action, "choices") and action.choices)
    for verb in verbs.choices.values():  # type: ignore[union-attr]
        module, function = verb.get_default("target").split(":")
        assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(
    "arguments", [[], ["enqeue"], ["show"], ["ls", "-n", "many"], ["worker", "-n", "0"], ["ls", "--jso"]]
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
