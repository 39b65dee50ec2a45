"""The example of ASHA on the trainer, at small size: it finds a winner, and promoted runs go on from their checkpoint."""

import json
from pathlib import Path

from lab import Lab, until

from store.runs import Run
from store.states import ENDED, State

EXAMPLE = Path(__file__).parents[2] / "examples" / "docs-lm-asha.toml"


def test_asha_on_language_models(lab: Lab) -> None:
    text = EXAMPLE.read_text()
    smaller = text.replace("epochs = 18", "epochs = 9").replace("min = 2", "min = 1").replace("max = 18", "max = 9")
    # Fewer epochs, but longer ones: a run must not be over before anybody looks.
    smaller = smaller.replace("n_hidden = [8, 16, 32]", "n_hidden = [64, 128, 192]")
    assert smaller.count("9") > text.count("9")
    done = lab.labq("enqueue", "--json", str(lab.write("example.toml", smaller)))
    ids = json.loads(done.stdout)["ids"]
    assert len(ids) == 9
    for _ in range(2):
        lab.worker()

    def over() -> list[Run] | None:
        runs = [lab.store.run(run_id) for run_id in ids]
        return runs if all(run.state in ENDED for run in runs) else None

    runs = until(over, 240, "the end of the example")
    states = [run.state for run in runs]
    assert 1 <= states.count(State.FINISHED) <= 3, states
    assert states.count(State.CANCELLED) == 9 - states.count(State.FINISHED)
    for run in runs:
        assert all(attempt.resumed_from_step for attempt in run.history[1:])
        reports = len(lab.store.series(run.id, "val_loss").values)
        assert reports == 9 if run.state is State.FINISHED else reports < 9
    assert any(run.attempt > 1 for run in runs)
    held = [event for run in runs for event in lab.store.events(run.id) if event.event == "pause"]
    assert held
    assert all(event.because.startswith("asha: val_loss") for event in held)
