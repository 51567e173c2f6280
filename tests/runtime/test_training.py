"""The entry point of training jobs: script mode, failure and success files, signals, start-up."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import sagebrush
from sagebrush.substrate.compute.environments import layers
from tests.programs import LEFT_OPEN

PACKAGE = Path(sagebrush.__file__).parent


class ScriptJob:
    """A job that runs a user's program with this very Python."""

    def __init__(self, base: Path):
        self.base = base
        self.hyperparameters: dict[str, str] = {}
        for directory in ("input/config", "code", "output"):
            (base / directory).mkdir(parents=True)
        layers.make(base / layers.OWN, Path(sys.executable), [Path(sys.prefix)])

    def start(self, program: str | None, name: str = "train.py") -> subprocess.Popen[str]:
        if program is not None:
            path = self.base / "code" / name
            path.write_text(program)
            path.chmod(0o755)
        values = {"sagemaker_program": name} | self.hyperparameters
        (self.base / "input/config/hyperparameters.json").write_text(json.dumps(values))
        return subprocess.Popen(
            [layers.python_of(str(self.base)), "-m", "sagebrush.runtime.training"],
            env={"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(self.base)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, program: str | None, name: str = "train.py") -> tuple[int, str]:
        """(exit code, what it printed)."""
        process = self.start(program, name)
        output = process.communicate(timeout=60)[0]
        return process.returncode, output

    @property
    def failure(self) -> str:
        return (self.base / "output/failure").read_text()

    @property
    def succeeded(self) -> bool:
        return (self.base / "output/success").exists()


@pytest.fixture
def job(tmp_path: Path) -> ScriptJob:
    return ScriptJob(tmp_path / "ml")


def test_script_gets_arguments_variables_and_its_own_directory(job: ScriptJob) -> None:
    job.hyperparameters = {"epochs": "3"}
    (job.base / "code/helper.py").write_text("WORD = 'imported'")
    code, output = job.run(
        "import os, sys, helper\n"
        "if __name__ == '__main__':\n"
        "    print(sys.argv[1:], os.environ['SM_HP_EPOCHS'], helper.WORD, os.getcwd())\n"
    )
    assert code == 0
    assert output == f"['--epochs', '3'] 3 imported {job.base / 'code'}\n"
    assert job.succeeded


def test_exception_is_told_with_file_and_line_and_only_the_users_frames(job: ScriptJob) -> None:
    code, output = job.run("def step():\n    raise RuntimeError('the rows are upside down')\n\nstep()\n")
    assert code == 1
    script = job.base / "code/train.py"
    assert job.failure.startswith(f"RuntimeError: the rows are upside down\n  at {script}:2 in step\n")
    assert f'File "{script}", line 4, in <module>' in job.failure
    for text in (job.failure, output):
        assert "runpy" not in text
        assert "sagebrush" not in text
    assert "Traceback (most recent call last)" in output
    assert not job.succeeded


@pytest.mark.parametrize("script", LEFT_OPEN)
def test_what_a_script_leaves_in_an_open_file_is_in_it_at_the_end(job: ScriptJob, script: str) -> None:
    code, output = job.run(script)
    assert (code, output) == (0, "")
    assert (job.base / "code/left.csv").read_text() == "epoch,loss"


def test_failure_begins_with_what_fits_into_the_failure_reason(job: ScriptJob) -> None:
    program = "def f(n):\n    g(n)\n\ndef g(n):\n    f(n - 1) if n else 1 / 0\n\nf(40)\n"
    assert job.run(program)[0] == 1
    assert len(job.failure) <= 1100
    assert "ZeroDivisionError: division by zero" in job.failure[:100]
    assert "train.py:5 in g" in job.failure[:200]


def test_exit_code_is_the_errors_number(job: ScriptJob) -> None:
    assert job.run("open('/no/such/file')")[0] == 2
    assert job.failure.startswith("FileNotFoundError")


@pytest.mark.parametrize(("argument", "code"), [("3", 3), ("'sorry'", 1)])
def test_sys_exit_ends_the_job_with_its_code(job: ScriptJob, argument: str, code: int) -> None:
    assert job.run(f"import sys; sys.exit({argument})")[0] == code
    assert f"train.py ended with exit code {code}" in job.failure


@pytest.mark.parametrize("argument", ["", "0", "None"])
def test_sys_exit_without_an_error_is_success(job: ScriptJob, argument: str) -> None:
    assert job.run(f"import sys; sys.exit({argument})")[0] == 0
    assert job.succeeded


def test_the_users_own_failure_file_stays(job: ScriptJob) -> None:
    path = job.base / "output/failure"
    assert job.run(f"open({str(path)!r}, 'w').write('my own words'); raise ValueError('x')")[0] == 1
    assert job.failure == "my own words"


def test_syntax_errors_are_told(job: ScriptJob) -> None:
    assert job.run("def broken(:\n")[0] == 1
    assert "SyntaxError" in job.failure
    assert "train.py" in job.failure


def test_sigterm_reaches_the_users_own_handler(job: ScriptJob) -> None:
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    process = job.start(program)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert job.succeeded


def test_a_command_gets_arguments_and_sigterm(job: ScriptJob) -> None:
    job.hyperparameters = {"epochs": "3"}
    program = '#!/bin/bash\ntrap "echo asked; exit 5" TERM\necho "$@" ready\nsleep 60 & wait $!\n'
    process = job.start(program, "train.sh")
    assert process.stdout is not None
    assert process.stdout.readline() == "--epochs 3 ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "asked\n"
    assert process.wait(30) == 5
    process.stdout.close()
    assert "train.sh ended with exit code 5" in job.failure


@pytest.mark.parametrize("started", ["itself", "by a command", "by a child"])
def test_scripts_import_what_sagemakers_images_bring(job: ScriptJob, started: str) -> None:
    job.hyperparameters = {"depth": "3"}
    (job.base / "input/config/inputdataconfig.json").write_text('{"train": {}}')
    program = """
import sagemaker_containers
from sagemaker_training import environment
env = sagemaker_containers.training_env()
print(env.hyperparameters, env.channel_input_dirs, environment.Environment()["hosts"], env.model_dir)
"""
    name = "train.py"
    if started == "by a command":
        name = "train.sh"
        (job.base / "code/script.py").write_text(program)
        program = f"#!/bin/sh\nexec {sys.executable} script.py\n"
    elif started == "by a child":
        program = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {program!r}], check=True)"
    code, output = job.run(program, name)
    train = job.base / "input/data/train"
    assert (code, output) == (0, f"{{'depth': 3}} {{'train': '{train}'}} ['algo-1'] {job.base / 'model'}\n")


def test_code_comes_from_a_tar_file_that_lies_in_the_job(job: ScriptJob) -> None:
    archive = job.base / "sourcedir.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        content = b"print('from the tar file')"
        entry = tarfile.TarInfo("train.py")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    job.hyperparameters = {"sagemaker_submit_directory": str(archive)}
    assert job.run(None) == (0, "from the tar file\n")


def test_code_that_is_not_there_is_told(job: ScriptJob) -> None:
    job.hyperparameters = {"sagemaker_submit_directory": "s3://bucket/sourcedir.tar.gz"}
    code, output = job.run(None)
    assert code == 1
    assert job.failure.startswith("ClientError: The code directory s3://bucket/sourcedir.tar.gz was not found")
    assert job.failure in output


def test_entry_point_may_not_leave_the_code_directory(job: ScriptJob) -> None:
    (job.base / "outside.py").write_text("print('outside')")
    code, output = job.run(None, "../outside.py")
    assert code == 1
    assert "lies outside of the code directory" in job.failure
    assert output.startswith("ClientError")


def test_requirements_are_installed_for_this_job_only(job: ScriptJob) -> None:
    name = "sagebrush_test_wheel-1.0-py3-none-any.whl"
    with zipfile.ZipFile(job.base / "code" / name, "w") as wheel:
        info = "sagebrush_test_wheel-1.0.dist-info"
        wheel.writestr("sagebrush_test_wheel.py", "WORD = 'from the wheel'")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sagebrush-test-wheel\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    (job.base / "code/requirements.txt").write_text(f"--no-index\n./{name}\n")
    code, output = job.run("import sagebrush_test_wheel as w; print(w.WORD)")
    assert code == 0, output
    assert output.splitlines()[-1] == "from the wheel"
    shared = subprocess.run([sys.executable, "-c", "import sagebrush_test_wheel"], capture_output=True, check=False)
    assert shared.returncode != 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], "Nothing to run"), (["nonsense"], "There is no built-in algorithm 'nonsense'; there are: xgboost.")],
)
def test_nothing_to_run_is_told(tmp_path: Path, arguments: list[str], told: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "sagebrush.runtime.training", *arguments],
        env={"SAGEMAKER_BASE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert told in result.stderr
    assert told in (tmp_path / "output/failure").read_text()


def test_runtime_and_algorithms_stand_alone_and_start_with_few_modules(tmp_path: Path) -> None:
    """Copied away from the platform, in a bare interpreter, the entry point starts and has loaded next to nothing."""
    (tmp_path / "sagebrush").mkdir()
    shutil.copy(PACKAGE / "__init__.py", tmp_path / "sagebrush")
    for room in ("runtime", "algorithms"):
        shutil.copytree(PACKAGE / room, tmp_path / "sagebrush" / room)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from sagebrush.runtime import training\n"
        "import json; print(json.dumps(sorted(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(result.stdout))
    heavy = {"asyncio", "logging", "subprocess", "pathlib", "tarfile", "tempfile", "socket", "numpy", "runpy", "ssl"}
    assert "sagebrush.runtime.training_environment" in loaded
    assert loaded & heavy == set()
