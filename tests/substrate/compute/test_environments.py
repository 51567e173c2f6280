"""Images mean environments; environments are built once, whole, by one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sagebrush.substrate.compute import EnvironmentBuildFailed, Environments, EnvironmentSpec
from sagebrush.substrate.compute.environments import building, images, snapshot
from sagebrush.substrate.errors import CallerError
from sagebrush.testing.launcher_contract import Rig
from tests.substrate.compute.wheels import make_wheel

ECR = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
GOT = images.pinned_version("xgboost", "xgboost-cpu")
SKLEARN = images.pinned_version("sklearn", "scikit-learn")


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        (f"{ECR}/sagemaker-xgboost:1.7-1", "1.7-1"),
        ("246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.5-1-cpu-py3", "1.5-1-cpu-py3"),
        ("450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:3.0-5", "3.0-5"),
    ],
)
def test_an_image_is_known_by_its_repository_whatever_account_and_region(
    image: str, asked: str, tmp_path: Path
) -> None:
    spec = Environments(tmp_path).resolve(image)
    notice = f"The image asks for XGBoost {asked}; this platform runs XGBoost {GOT}"
    assert spec == EnvironmentSpec("xgboost", asked, GOT, "xgboost", (notice,))


@pytest.mark.parametrize("tag", ["0.20.0-cpu-py3", "1.2-1-cpu-py3", "1.4-2"])
def test_images_of_scikit_learn_train_and_serve_and_carry_no_algorithm(tag: str, tmp_path: Path) -> None:
    notice = f"The image asks for scikit-learn {tag}; this platform runs scikit-learn {SKLEARN}"
    expected = EnvironmentSpec("sklearn", tag, SKLEARN, None, (notice,))
    assert Environments(tmp_path).resolve(f"{ECR}/sagemaker-scikit-learn:{tag}") == expected
    asked = tag.partition("-")[0]
    with pytest.raises(CallerError, match=f"asks for scikit-learn {asked}; this platform has {SKLEARN}"):
        Environments(tmp_path, exact=True).resolve(f"{ECR}/sagemaker-scikit-learn:{tag}")


@pytest.mark.parametrize("image", [f"scikit-learn:{SKLEARN}", "sagemaker-scikit-learn", f"{ECR}/scikit-learn:1.9-1"])
def test_an_image_of_our_scikit_learn_needs_no_notice(image: str, tmp_path: Path) -> None:
    spec = Environments(tmp_path, exact=True).resolve(image)
    assert spec is not None
    assert (spec.name, spec.got_version, spec.notices) == ("sklearn", SKLEARN, ())


@pytest.mark.parametrize(
    "image",
    [
        f"{ECR}/xgboost:1",
        f"{ECR}/xgboost:latest",
        f"{ECR}/sagemaker-xgboost",
        f"sagemaker-xgboost:{GOT}",
        f"{ECR}/sagemaker-xgboost:3.2-1",
    ],
)
def test_an_image_that_gets_what_it_asks_for_needs_no_notice(image: str, tmp_path: Path) -> None:
    spec = Environments(tmp_path, exact=True).resolve(image)
    assert spec is not None
    assert (spec.name, spec.got_version, spec.notices) == ("xgboost", GOT, ())


@pytest.mark.parametrize("image", [f"{ECR}/sagemaker-base-python-310:1.0", f"{ECR}/sagemaker-base-python-38"])
def test_images_of_plain_python_get_this_interpreter_whatever_the_tag(image: str, tmp_path: Path) -> None:
    spec = Environments(tmp_path, exact=True).resolve(image)
    assert spec == EnvironmentSpec("python", "", platform.python_version())


TORCH = images.pinned_version("pytorch", "torch")


@pytest.mark.parametrize("repository", ["pytorch-training", "pytorch-inference"])
def test_images_of_pytorch_train_and_serve_on_processors_whatever_they_are_for(repository: str, tmp_path: Path) -> None:
    image = f"763104351884.dkr.ecr.us-west-2.amazonaws.com/{repository}:2.1.0-gpu-py310"
    notice = f"The image asks for PyTorch 2.1.0-gpu-py310; this platform runs PyTorch {TORCH}"
    expected = EnvironmentSpec("pytorch", "2.1.0-gpu-py310", TORCH, None, (notice,))
    assert Environments(tmp_path).resolve(image) == expected
    with pytest.raises(CallerError, match=r"asks for PyTorch 2\.1\.0; this platform has"):
        Environments(tmp_path, exact=True).resolve(image)
    ours = Environments(tmp_path, exact=True).resolve(f"{repository}:{TORCH.partition('+')[0]}-cpu-py311")
    assert ours is not None
    assert ours.notices == ()


@pytest.mark.parametrize(
    "image",
    [
        "huggingface-pytorch-training:2.1.0-transformers4.36.0-gpu-py310",
        "",
        "python:3.11",
        "ghcr.io/someone/xgboost:1",
        f"{ECR}/mine/sagemaker-xgboost:1",
        f"{ECR}/my-xgboost:1",
        "a b",
        "///",
    ],
)
def test_any_other_image_is_none_of_ours(image: str, tmp_path: Path) -> None:
    assert Environments(tmp_path).resolve(image) is None


def test_where_versions_must_be_exact_another_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match=f"asks for XGBoost 1.7; this platform has {GOT}"):
        Environments(tmp_path, exact=True).resolve(f"{ECR}/sagemaker-xgboost:1.7-1")


def test_every_lock_pins_everything_exactly() -> None:
    for name in images.ENVIRONMENT_NAMES:
        lines = [line for line in images.lock_text(name).splitlines() if line and not line.startswith("#")]
        assert len(lines) > 5
        assert all(line.count("==") == 1 and " " not in line for line in lines)


def test_environments_agree_on_the_versions_of_what_they_share() -> None:
    """A model that one environment wrote is read by the other: joblib files are tied to versions."""
    pins = [
        set(filter(lambda line: "==" in line, images.lock_text(name).splitlines())) for name in ("sklearn", "xgboost")
    ]
    names = [{line.partition("==")[0] for line in lines} for lines in pins]
    assert names[0] & names[1] == {line.partition("==")[0] for line in pins[0] & pins[1]} == names[0]
    plain = dict(line.split("==") for line in images.pins("python"))
    shared = dict(line.split("==") for line in images.pins("xgboost"))
    assert {name: plain[name] for name in plain.keys() & shared.keys()}.items() <= shared.items()
    assert "xgboost-cpu" not in names[0]
    assert "boto3" in names[0]


def test_what_scikit_learn_wrote_is_read_by_pytorchs_environment() -> None:
    sklearn, pytorch = (dict(pin.split("==") for pin in images.pins(name)) for name in ("sklearn", "pytorch"))
    assert sklearn.items() <= pytorch.items()
    assert not {"torchvision", "nvidia-cudnn-cu13"} & pytorch.keys()


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An air-gapped machine: pip's own configuration names a folder and forbids the index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder, "sagebrush_probe", "def main():\n    print('probe speaking')\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(images, "lock_text", lambda name: "# a lock\nsagebrush_probe==1.0\n")
    return folder


def test_an_environment_is_built_from_a_wheelhouse_and_works_where_it_lies(wheelhouse: Path, tmp_path: Path) -> None:
    environments = Environments(tmp_path / "environments")
    told: list[str] = []
    assert not environments.is_built("probe")
    environment = environments.ensure(EnvironmentSpec("probe", "1", "1.0"), told.append)
    assert environments.is_built("probe")
    assert told[0] == "Waiting for the environment probe"
    assert any("sagebrush_probe" in line for line in told)
    assert told[-1] == "The environment probe is ready"
    # The script names its interpreter by path, and the environment was built elsewhere and renamed.
    script = subprocess.run(
        [environment.prefix / "bin" / "sagebrush_probe"], capture_output=True, text=True, check=True
    )
    assert script.stdout == "probe speaking\n"
    assert [p.name for p in environments.directory.iterdir() if p.name.startswith(".building")] == []
    told.clear()
    assert environments.ensure(EnvironmentSpec("probe", "1", "1.0"), told.append) == environment
    assert told == []


def test_an_environment_is_built_once_by_many_at_once_and_leftovers_are_cleared(
    wheelhouse: Path, tmp_path: Path
) -> None:
    environments = Environments(tmp_path / "environments")
    leftover = environments.directory / f".building-{environments.path('probe').name}-1"
    leftover.mkdir(parents=True)
    ready: list[str] = []

    def ensure(_: int) -> Path:
        # An object of its own for each, as in several processes: only the file lock is shared.
        return Environments(tmp_path / "environments").ensure(EnvironmentSpec("probe", "", ""), ready.append).prefix

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ensure, range(4)))) == 1
    assert [line for line in ready if line == "The environment probe is ready"] == ["The environment probe is ready"]
    assert not leftover.exists()


def test_a_package_that_pip_cannot_find_is_explained_with_pips_own_words(wheelhouse: Path, tmp_path: Path) -> None:
    (wheelhouse / "sagebrush_probe-1.0-py3-none-any.whl").unlink()
    environments = Environments(tmp_path / "environments")
    with pytest.raises(EnvironmentBuildFailed) as caught:
        environments.ensure(EnvironmentSpec("probe", "", ""), lambda _: None)
    assert "PIP_FIND_LINKS" in str(caught.value)
    assert "No matching distribution found for sagebrush_probe==1.0" in str(caught.value)
    assert not environments.is_built("probe")
    assert [p.name for p in environments.directory.iterdir() if "building" in p.name] == []


class Index(ThreadingHTTPServer):
    """A package index with what lies in ``folder``; ``asked`` are the packages that were looked for."""

    def __init__(self, folder: Path):
        self.asked: list[str] = []
        index = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                super().do_GET()

            def log_message(self, *arguments: object) -> None:
                """The test's output is none of its business."""

        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """A source that only a lock knows; it has one package."""
    folder = tmp_path / "index" / "sagebrush-probe"
    folder.mkdir(parents=True)
    make_wheel(folder, "sagebrush_probe", "def main():\n    print('probe from the index')\n")
    with Index(tmp_path / "index") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_source_that_a_lock_names_is_asked_for_what_pip_has_not(
    wheelhouse: Path, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = f"sagebrush_probe==1.0\n# from {index.url}: sagebrush_probe\nsagebrush_other==1.0\n"
    make_wheel(wheelhouse, "sagebrush_other", "")
    monkeypatch.setattr(images, "lock_text", lambda name: f"{lock}# {name}\n")
    environments = Environments(tmp_path / "environments")
    environments.ensure(EnvironmentSpec("had", "", ""), lambda _: None)
    assert index.asked == []  # a source of pip's own comes first, and is enough
    (wheelhouse / "sagebrush_probe-1.0-py3-none-any.whl").unlink()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/nothing/here")
    told: list[str] = []
    built = environments.ensure(EnvironmentSpec("missed", "", ""), told.append)
    assert f"Building the environment missed: sagebrush_probe==1.0 from {index.url}" in told
    script = subprocess.run([built.prefix / "bin" / "sagebrush_probe"], capture_output=True, text=True, check=True)
    assert script.stdout == "probe from the index\n"
    assert not any("other" in path for path in index.asked if not path.startswith("/nothing"))


def test_a_build_that_no_source_has_names_them_all(
    wheelhouse: Path, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "lock_text", lambda _: f"nowhere_at_all==1.0\n# from {index.url}: nowhere_at_all\n")
    with pytest.raises(EnvironmentBuildFailed) as caught:
        Environments(tmp_path / "environments").ensure(EnvironmentSpec("probe", "", ""), lambda _: None)
    assert "No matching distribution found for nowhere_at_all==1.0" in str(caught.value)
    assert f"Nor was nowhere_at_all==1.0 to be had from {index.url}." in str(caught.value)


def test_big_environments_are_built_ahead_only_where_they_were_used(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "lock_text", lambda name: f"sagebrush_probe==1.0\n# {name}, first version\n")
    environments = Environments(tmp_path / "environments")
    environments.prebuild(lambda _: None)
    assert [name for name in images.ENVIRONMENT_NAMES if not environments.is_built(name)] == ["python", "pytorch"]
    environments.ensure(EnvironmentSpec("pytorch", "", ""), lambda _: None)
    monkeypatch.setattr(images, "lock_text", lambda name: f"sagebrush_probe==1.0\n# {name}, second version\n")
    assert not environments.is_built("pytorch")
    environments.prebuild(lambda _: None)
    assert environments.is_built("pytorch")


def test_the_lock_of_a_build_is_held_until_an_orphaned_pip_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with building.exclusive(path) as lock:
        orphan = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[lock]
        )
    taken = threading.Event()

    def take() -> None:
        with building.exclusive(path):
            taken.set()

    waiter = threading.Thread(target=take)
    waiter.start()
    assert not taken.wait(0.2)
    orphan.communicate()
    assert taken.wait(30)
    waiter.join()


def test_jobs_can_import_the_runtime_and_the_algorithms_and_nothing_else_of_the_platform(
    wheelhouse: Path, tmp_path: Path, sandbox_rig: Rig
) -> None:
    environment = Environments(tmp_path / "data" / "environments").ensure(
        EnvironmentSpec("probe", "", ""), lambda _: None
    )
    program = """
import sys, sagebrush.runtime, sagebrush.algorithms.xgboost, sagebrush_probe
print(sys.prefix, sagebrush.runtime.__file__)
for module in ("substrate", "server", "training", "cli"):
    try: __import__(f"sagebrush.{module}")
    except ModuleNotFoundError: print("no", module)
"""
    spec = sandbox_rig.spec(program, environment=environment, masked=(tmp_path / "data",))
    sandbox_rig.launcher.launch(spec)
    assert sandbox_rig.finish(spec).exit_code == 0, sandbox_rig.printed(spec)
    first, *refused = sandbox_rig.printed(spec)
    assert first == f"/opt/ml/.python {environment.python_path[0]}/sagebrush/runtime/__init__.py"
    assert refused == ["no substrate", "no server", "no training", "no cli"]


def test_a_changed_runtime_is_another_snapshot_and_the_old_one_stays(tmp_path: Path) -> None:
    package = tmp_path / "sagebrush"
    for part in ("runtime", "algorithms"):
        (package / part).mkdir(parents=True)
        (package / part / "__init__.py").write_text('"""Part."""\n')
    (package / "__init__.py").write_text("")
    (package / "substrate.py").write_text("")
    first = snapshot.ensure_snapshot(tmp_path, package)
    assert snapshot.ensure_snapshot(tmp_path, package) == first
    (package / "runtime" / "facts.json").write_text("{}")
    second = snapshot.ensure_snapshot(tmp_path, package)
    assert first != second
    assert (second / "sagebrush" / "runtime" / "facts.json").exists()
    assert not (second / "sagebrush" / "substrate.py").exists()
    assert first.is_dir()
    assert not os.access(second / "sagebrush" / "runtime" / "facts.json", os.X_OK)
