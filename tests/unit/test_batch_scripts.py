"""The batch scripts, letter by letter: what a cluster gets to see. LABQ_GOLDEN=write writes them anew."""

import argparse
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from store.errors import UserError
from store.schedulers import Scheduler
from store.settings import Settings
from worker.cluster.place import Batch, Place, place_from
from worker.cluster.script import (
    SgeNames,
    Template,
    local_script,
    read_template,
    sge_script,
    sge_time,
    slurm_script,
    slurm_time,
    ssh_script,
)  # fmt: skip

GOLDEN = Path(__file__).parent / "golden_scripts"
NAMES = SgeNames(slots="smp", memory="h_vmem", gpus="gpu")
PLAIN = Place(queue="default", time_s=14400.0)
RICH = Place(
    queue="night", time_s=130000.5, memory_bytes=12 * 10**9, cpus=2, gpus=1, gpu_kind="a100", tags=("big",),
    partition="gpu", account="lab", constraint="a100|h100 & hbm", options=("--qos=long", "--exclude=n[3-4]"),
    modules=("gcc/12", "cuda/12.2"), setup_lines=("source ~/venv/bin/activate",), idle_exit_s=600.0, notice_s=60.0,
)  # fmt: skip
BATCH = Batch(
    submission="k3f9x2ab", folder="/home/me/my runs", logs="/home/me/100%/allocations",
    labq=("/opt/labq/bin/python", "-P", "-m", "queueing.cli.main"), exports={"LABQ_HOME": "/home/me/100%"},
    handed_over=("LABQ_MONGO_URL",),
)  # fmt: skip
ONE_EACH = replace(BATCH, runs=("aaaabbbbcccc", "ddddeeeeffff"))


def _slurm(place: Place, batch: Batch = BATCH) -> str:
    return slurm_script(place, batch, read_template(Scheduler.SLURM, ""))


def _sge(place: Place, batch: Batch = BATCH) -> str:
    return sge_script(place, batch, read_template(Scheduler.SGE, ""), NAMES)


SCRIPTS = {
    "slurm_plain": _slurm(PLAIN),
    "slurm_rich": _slurm(RICH),
    "slurm_one_each": _slurm(PLAIN, ONE_EACH),
    "sge_plain": _sge(PLAIN),
    "sge_rich": _sge(replace(RICH, options=("-m n",), constraint="arch=lx-amd64")),
    "sge_one_each": _sge(PLAIN, ONE_EACH),
    "local_plain": local_script(replace(PLAIN, time_s=None), BATCH),
    "ssh_plain": ssh_script(replace(PLAIN, time_s=None, cpus=0, gpus_limited=False), BATCH),
    "ssh_rich": ssh_script(replace(RICH, gpu_kind=""), BATCH),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_is_as_it_was(name: str) -> None:
    file = GOLDEN / f"{name}.sh"
    if os.environ.get("LABQ_GOLDEN") == "write":
        file.write_text(SCRIPTS[name])
    assert SCRIPTS[name] == file.read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_shell_can_read_it(name: str) -> None:
    done = subprocess.run(["bash", "-n"], input=SCRIPTS[name], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", [name for name in SCRIPTS if not name.startswith(("local", "ssh"))])
def test_shellcheck_has_nothing_to_say(name: str) -> None:
    done = subprocess.run(["shellcheck", "-e", "SC1090", "-"], input=SCRIPTS[name], capture_output=True, text=True)
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("first", "task", "expected"), [("slurm_one_each", "1", "ddddeeeeffff"), ("sge_one_each", "2", "ddddeeeeffff")]
)
def test_a_task_of_an_array_gets_its_own_run(first: str, task: str, expected: str) -> None:
    script = SCRIPTS[first].replace("exec /opt/labq/bin/python", "echo $LABQ_ALLOCATION")
    env = {"SLURM_ARRAY_TASK_ID": task, "SGE_TASK_ID": task}
    said = subprocess.run(["bash"], input=script, env=env, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"k3f9x2ab-{task} ")
    assert said.strip().endswith(f"--run-only={expected}")


def test_durations_are_written_as_schedulers_want_them() -> None:
    assert [slurm_time(s) for s in (60, 3661, 86400, 130000.5)] == ["00:01:00", "01:01:01", "1-00:00:00", "1-12:06:41"]
    assert [sge_time(s) for s in (60, 3661, 130000.5)] == ["0:01:00", "1:01:01", "36:06:41"]


class TestTemplates:
    def test_one_of_the_user_s_is_filled_in(self, tmp_path: Path) -> None:
        own = tmp_path / "mine.sh"
        own.write_text(
            "#!/bin/zsh\n{{directives}}\n#SBATCH --mail-type=END\n{{ settings }}\n{{task}}\n{{worker}} # mine\n"
        )
        script = slurm_script(PLAIN, BATCH, read_template(Scheduler.SLURM, str(own)))
        assert script.startswith("#!/bin/zsh\n#SBATCH --comment=")
        assert "#SBATCH --mail-type=END\nexport LABQ_HOME=/home/me/100%" in script
        assert script.endswith("--gpus=0 # mine\n")

    def test_an_unknown_field_is_named_with_its_line(self) -> None:
        text = "{{directives}}\n{{settings}}\n{{task}}\n{{worker}}\n{{wroker}}\n"
        with pytest.raises(
            UserError, match=r"mine.sh, line 5: \{\{wroker\}\} is no field; fields are: \{\{directives\}\}"
        ):
            slurm_script(PLAIN, BATCH, Template(source="mine.sh", text=text))

    def test_one_that_starts_no_worker_is_refused(self) -> None:
        with pytest.raises(UserError, match=r"mine.sh: \{\{worker\}\} is missing"):
            slurm_script(PLAIN, BATCH, Template(source="mine.sh", text="{{directives}}{{settings}}{{task}}"))

    def test_one_that_is_not_there_is_named_with_its_setting(self) -> None:
        with pytest.raises(UserError, match=r"slurm_template /no/such cannot be read: No such file"):
            read_template(Scheduler.SLURM, "/no/such")


class TestOptions:
    def options(self, **given: object) -> argparse.Namespace:
        nothing = dict.fromkeys(
            ("gpus", "time", "memory", "cpus", "partition", "account", "constraint", "queue", "idle_exit")
        )
        return argparse.Namespace(**{**nothing, "tag": [], "option": [], "module": [], **given})

    def test_where_options_are_silent_settings_speak(self) -> None:
        settings = Settings(
            slurm_partition="gpu", slurm_account="lab", slurm_options=("--qos=long",), modules=("gcc",), queue="night"
        )
        place = place_from(self.options(option=["--nice=5"], account="me", module=["cuda"]), settings, Scheduler.SLURM)
        assert (place.partition, place.account, place.queue) == ("gpu", "me", "night")
        assert (place.options, place.modules) == (("--qos=long", "--nice=5"), ("gcc", "cuda"))
        assert place_from(self.options(), settings, Scheduler.SGE).partition == ""

    def test_a_short_place_is_not_all_notice(self) -> None:
        assert place_from(self.options(time="1m"), Settings(), Scheduler.SLURM).notice_s == 30.0
        assert place_from(self.options(), Settings(), Scheduler.SLURM).notice_s == 120.0

    def test_background_workers_have_no_end(self) -> None:
        assert place_from(self.options(), Settings(), Scheduler.LOCAL).time_s is None

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"gpus": "many"}, "--gpus 'many': allowed: a number such as 2, or a kind"),
            ({"memory": "lots"}, "--memory 'lots': allowed: a size"),
            ({"partition": "a b"}, "--partition 'a b': allowed: letters"),
            ({"option": ["qos"]}, "--option 'qos': allowed: an option of the scheduler"),
            ({"option": ["--qos=x\n#SBATCH --uid=0"]}, "allowed: one line of printable text"),
            ({"module": ["$(reboot)"]}, r"--module '\$\(reboot\)': allowed"),
        ],
    )
    def test_what_cannot_be_meant_is_named(self, given: dict[str, object], says: str) -> None:
        with pytest.raises(UserError, match=says):
            place_from(self.options(**given), Settings(), Scheduler.SLURM)
