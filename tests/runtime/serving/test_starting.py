"""What a model server does before it serves: archives, code, requirements, models; and what it says when it cannot."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.serving.conftest import UNRULY, Start
from tests.runtime.serving.replica import SOURCE, answer_of, archive_of, free_port, request_of

ECHO = """
def model_fn(model_dir): return model_dir
def transform_fn(model, body, content_type, accept): return body
"""


def test_code_in_an_archive_of_its_own_serves(start: Start, tmp_path: Path) -> None:
    source = tmp_path / "sourcedir.tar.gz"
    source.write_bytes(archive_of({"serve_me.py": UNRULY, "beside.py": "x = 1"}))
    replica = start({"weights.bin": b"1"}, SAGEBRUSH_CODE_ARCHIVE=str(source), SAGEMAKER_PROGRAM="serve_me.py")
    assert replica.ask('"hello"')[0] == 200
    assert (replica.base / "code" / "beside.py").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_code_in_the_submit_directory_serves(start: Start, tmp_path: Path, packed: bool) -> None:
    place = tmp_path / "source"
    if packed:
        place.write_bytes(archive_of({"inference.py": ECHO}))
    else:
        place.mkdir()
        (place / "inference.py").write_text(ECHO)
    replica = start({"weights.bin": b"1"}, SAGEMAKER_SUBMIT_DIRECTORY=f"file://{place}")
    assert replica.ask("ok") == (200, b"ok")


def test_the_models_own_code_goes_before_the_submit_directory(start: Start, tmp_path: Path) -> None:
    replica = start({"code/inference.py": ECHO}, SAGEMAKER_SUBMIT_DIRECTORY=str(tmp_path))
    assert replica.ask("ok") == (200, b"ok")


def test_a_program_may_be_named_as_a_module(start: Start) -> None:
    replica = start({"code/handlers.py": ECHO}, SAGEMAKER_PROGRAM="handlers")
    assert replica.ask("ok") == (200, b"ok")


def test_code_imports_what_lies_beside_it_and_runs_in_its_directory(start: Start) -> None:
    code = ECHO + "import beside\nbeside.check()\nimport os\nassert open('note.txt').read() == 'here', os.getcwd()\n"
    files = {"code/inference.py": code, "code/beside.py": "def check(): pass", "code/note.txt": "here"}
    replica = start(files)
    assert replica.ask("ok") == (200, b"ok")


def test_a_model_that_is_there_already_is_served_from_a_directory_nobody_may_write(start: Start) -> None:
    replica = start(None, SAGEMAKER_SUBMIT_DIRECTORY="/nowhere")
    assert replica.ended() == 1
    code = replica.base / "model" / "code"
    code.mkdir()
    (code / "inference.py").write_text(ECHO)
    again = start(None, SAGEMAKER_BASE_DIR=str(replica.base))
    assert again.ask("ok") == (200, b"ok")


def _greeting(tmp_path: Path) -> Path:
    """The source of a package ``greeting`` that needs nothing from an index to be built."""
    package = {
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n",
        "backend.py": _BACKEND,
    }
    source = tmp_path / "greeting"
    source.mkdir()
    for name, content in package.items():
        (source / name).write_text(content)
    return source


_GREETS = "import greeting\n" + ECHO.replace("return body", "return greeting.WORD")


def test_requirements_are_installed_for_this_server_alone(start: Start, tmp_path: Path) -> None:
    files = {"code/inference.py": _GREETS, "code/requirements.txt": f"{_greeting(tmp_path)}\n"}
    replica = start(files, PIP_NO_INDEX="1", HOME=str(tmp_path), TMPDIR=str(tmp_path))
    assert replica.ask("x") == (200, b"hello"), replica.log


@pytest.mark.parametrize("relayed", [False, True])
def test_a_warm_server_whose_requirements_replace_what_is_imported_starts_again_on_its_sockets(
    start: Start, tmp_path: Path, relayed: bool
) -> None:
    imported = tmp_path / "imported"
    imported.mkdir()
    (imported / "greeting.py").write_text("WORD = b'of the zygote'\n")
    first = (
        f"import sys, os\nif 'SAGEBRUSH_WARM_START' in os.environ: import greeting\nsys.path.remove({str(imported)!r})"
    )
    (imported / "sitecustomize.py").write_text(first)
    files = {"code/inference.py": _GREETS, "code/requirements.txt": f"{_greeting(tmp_path)}\n"}
    environ = {"SAGEBRUSH_RELAY": f"{free_port()}:/nowhere"} if relayed else {}
    environ |= {"SAGEBRUSH_WARM_START": "1", "PYTHONPATH": f"{SOURCE}:{imported}"}
    replica = start(files, workers=2, PIP_NO_INDEX="1", HOME=str(tmp_path), TMPDIR=str(tmp_path), **environ)
    assert replica.ask("x") == (200, b"hello"), replica.log
    assert "Starting again, cold: this job has its own greeting." in replica.log


def test_requirements_of_an_isolated_model_say_that_there_is_no_index(start: Start) -> None:
    files = {"code/inference.py": ECHO, "code/requirements.txt": "no-such-package==7\n"}
    replica = start(files, PIP_NO_INDEX="1", SAGEBRUSH_NETWORK="isolated")
    assert replica.ended() == 1
    assert "EnableNetworkIsolation: there is no way to any package index" in replica.failure


@pytest.mark.parametrize("relay", ["", "1:/nowhere"])
def test_requirements_that_cannot_be_installed_are_named(start: Start, tmp_path: Path, relay: str) -> None:
    files = {"code/inference.py": ECHO, "code/requirements.txt": "no-such-package==7\n"}
    environ = {"SAGEBRUSH_RELAY": f"{free_port()}:/nowhere"} if relay else {}
    replica = start(files, PIP_NO_INDEX="1", HOME=str(tmp_path), **environ)
    assert replica.ended() == 1
    assert "requirements.txt could not be installed: " in replica.failure
    assert "no-such-package==7" in replica.failure
    assert ("in a network without a way to any package index" in replica.failure) is bool(relay)


#: The smallest wheel, by the smallest build backend: no package has to be fetched.
_BACKEND = """
import zipfile
def build_wheel(directory, settings=None, metadata=None):
    name = "greeting-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        wheel.writestr("greeting.py", "WORD = 'hello'")
        about = "greeting-1.dist-info/"
        wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: greeting\\nVersion: 1\\n")
        wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(about + "RECORD", "")
    return name
"""


def test_processors_are_shared_among_the_workers(start: Start) -> None:
    code = ECHO.replace("return body", "import os; return os.environ['OMP_NUM_THREADS']")
    assert start({"code/inference.py": code}, workers=2, SM_NUM_CPUS="8").ask("") == (200, b"4")
    assert start({"code/inference.py": code}, workers=2, SM_NUM_CPUS="1").ask("") == (200, b"1")
    assert start({"code/inference.py": code}, SM_NUM_CPUS="8", OMP_NUM_THREADS="3").ask("") == (200, b"3")


# -- servers that cannot start ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"code/inference.py": "def predict_fn(d, m): 0"}, "model_fn is missing in"),
        ({"code/inference.py": "def model_fn(d): 0"}, "predict_fn (or transform_fn) is missing in"),
        ({"weights.bin": b"1"}, "model_fn is missing, and there is no user code"),
        (
            {"code/inference.py": UNRULY + "\ndef model_fn(d):\n    raise OSError('no weights')\n"},
            "OSError: no weights",
        ),
        ({"code/inference.py": "def model_fn(d:\n"}, "SyntaxError"),
        (
            {"code/inference.py": "import no_such_module\n"},
            "No module named 'no_such_module'\nWhat inference.py imports",
        ),
        ({"code/inference.py": "import sys; sys.exit(3)\n"}, "SystemExit: 3"),
        ({"code/inference.py": "def transform_fn(): 0\ndef input_fn(): 0\n"}, "transform_fn cannot stand beside"),
        (
            {"code/inference.py": ECHO + "def model_fn(): 0\n"},
            "model_fn takes 0 arguments, but it is called as model_fn",
        ),
        ({"code/inference.py": ECHO + "def model_fn(a, b, c): 0\n"}, "model_fn takes 3 arguments"),
        ({"code/inference.py": ECHO + "model_fn = 'model'\n"}, "model_fn is not a function but a str"),
        ({"../outside": b"x", "code/inference.py": UNRULY}, "outside"),
        (b"this is no archive", "model.tar.gz is not a tar archive"),
        (archive_of({"zeros": os.urandom(100_000)})[:50_000], "model.tar.gz is not a tar archive"),
        (b"", "model.tar.gz is not a tar archive"),
    ],
)
def test_what_cannot_start_says_why_and_ends(start: Start, files: Any, told: str) -> None:
    replica = start(files, workers=2)
    assert replica.ended() == 1
    assert told in replica.failure
    assert len(replica.failure) <= 1024
    assert replica.log.count("Traceback (most recent call last)") <= 1
    assert not (replica.base / "outside").exists()


def test_a_broken_gzip_is_told(start: Start) -> None:
    whole = bytearray(archive_of({"random": os.urandom(200_000), "code/inference.py": ECHO}))
    whole[1000:1100] = bytes(100)
    replica = start(bytes(whole))
    assert replica.ended() == 1
    assert "model.tar.gz cannot be unpacked: CRC check failed" in replica.failure


def test_a_plain_tar_is_an_archive_too(start: Start) -> None:
    assert start(gzip.decompress(archive_of({"code/inference.py": ECHO}))).ask("ok") == (200, b"ok")


def test_the_failure_names_file_and_line(start: Start) -> None:
    replica = start({"code/inference.py": UNRULY + "\ndef model_fn(d):\n    return 1 / 0\n"})
    assert replica.ended() == 1
    line = UNRULY.count("\n") + 3
    assert f"at {replica.base}/model/code/inference.py:{line} in model_fn" in replica.failure
    assert "Traceback (most recent call last)" in replica.log


def test_a_message_of_any_length_leaves_room_for_its_place(start: Start) -> None:
    replica = start({"code/inference.py": UNRULY + "\ndef model_fn(d):\n    raise ValueError('long ' * 10_000)\n"})
    assert replica.ended() == 1
    assert "in model_fn" in replica.failure[:1024]


def test_an_archive_may_not_unpack_to_more_than_was_said(start: Start) -> None:
    bomb = archive_of({"zeros.bin": bytes(10 << 20), "code/inference.py": UNRULY})
    assert len(bomb) < 100_000
    replica = start(bomb, SAGEBRUSH_MODEL_MAX_BYTES=str(1 << 20))
    assert replica.ended() == 1
    assert f"more than {1 << 20} bytes" in replica.failure
    assert not (replica.base / "model" / "zeros.bin").exists()


def test_a_full_disk_is_told(start: Start) -> None:
    """A limit on the size of files stands for the disk: the same error from the same call."""
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))"
    replica = start({"weights.bin": os.urandom(1 << 20)}, before=limit)
    assert replica.ended() == 1
    assert "model.tar.gz cannot be unpacked" in replica.failure


def test_links_and_devices_in_an_archive_are_refused(start: Start) -> None:
    for kind, name in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.CHRTYPE, "")):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            member = tarfile.TarInfo("evil.bin")
            member.type, member.linkname = kind, name
            tar.addfile(member)
        replica = start(buffer.getvalue())
        assert replica.ended() == 1
        assert "evil.bin" in replica.failure


def test_workers_that_die_while_they_load_end_the_server(start: Start) -> None:
    code = UNRULY + "\ndef model_fn(d):\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
    replica = start({"code/inference.py": code})
    assert replica.ended() == 1
    assert "ended 5 times in a row" in replica.failure
    assert "by signal 11 (SIGSEGV) while it loaded the model" in replica.failure


FLAKY = """
import pathlib, time
marks = pathlib.Path(__file__).parent
def model_fn(model_dir):
    try:
        (marks / "first").touch(exist_ok=False)
        return 1
    except FileExistsError:
        pass
    while not (marks / "served").exists():
        time.sleep(0.01)
    tries = marks / "tries"
    with tries.open("a") as file:
        file.write("x")
    if len(tries.read_text()) < 3:
        raise RuntimeError("the network is down")
def transform_fn(model, body, content_type, accept):
    (marks / "served").touch()
    return body
"""


def test_a_worker_that_cannot_load_is_tried_again_where_another_serves(start: Start) -> None:
    replica = start({"code/inference.py": FLAKY}, workers=2)
    with replica.connect(0) as one, replica.connect(1) as other:
        for connection in (one, other):
            connection.sendall(request_of("x", "text/plain"))
        assert (answer_of(one)[0], answer_of(other)[0]) == (200, 200)
    assert replica.log.count("RuntimeError: the network is down") == 2


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "soon"}, "SAGEMAKER_MODEL_SERVER_TIMEOUT is 'soon'"),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "-1"}, "SAGEMAKER_MODEL_SERVER_TIMEOUT is '-1'"),
        ({"SAGEBRUSH_MODEL_MAX_BYTES": "lots"}, "SAGEBRUSH_MODEL_MAX_BYTES is 'lots'"),
        ({"SAGEBRUSH_FRAMEWORK": "sparkml"}, "There are no handlers for 'sparkml'"),
        ({"SAGEBRUSH_LISTEN_FDS": ""}, "SAGEBRUSH_LISTEN_FDS is not set"),
        ({"SAGEBRUSH_RELAY": "somewhere"}, "SAGEBRUSH_RELAY is 'somewhere'"),
        ({"SAGEMAKER_PROGRAM": "nothing.py"}, "No file nothing.py was found in the code directory"),
    ],
)
def test_variables_that_make_no_sense_are_told(start: Start, variables: dict[str, str], told: str) -> None:
    replica = start({"code/inference.py": ECHO}, **variables)
    assert replica.ended() == 1
    assert told in replica.failure


def _compiled(folder: Path, name: str, source: str, *needed: str) -> bytes:
    (folder / f"{name}.c").write_text(source)
    options = ["-shared", "-fPIC", "-o", f"{name}.so", f"-Wl,-soname,{name}.so", f"{name}.c", "-L."]
    subprocess.run(["gcc", *options, *(f"-l:{library}.so" for library in needed)], cwd=folder, check=True)
    return (folder / f"{name}.so").read_bytes()


def test_native_libraries_that_modelbuilder_packed_are_there_for_each_other_and_for_the_model(
    start: Start, tmp_path: Path
) -> None:
    second = _compiled(tmp_path, "b", "int base(void) { return 40; }")
    first = _compiled(tmp_path, "a", "int base(void); int answer(void) { return base() + 2; }", "b")
    code = """
import ctypes, pathlib, shutil
def model_fn(model_dir):
    libs = pathlib.Path(model_dir, "shared_libs")
    if libs.exists():
        shutil.copytree(libs, "/lib/none/may/write", dirs_exist_ok=True)
    return ctypes.CDLL("a.so")
def predict_fn(data, model):
    return model.answer()
"""
    files = {"code/inference.py": code, "code/serve.pkl": "", "shared_libs/a.so": first, "shared_libs/b.so": second}
    replica = start(files)
    assert replica.ask("[0]") == (200, b"42"), replica.log


def test_a_library_that_cannot_be_loaded_is_named(start: Start) -> None:
    replica = start({"code/inference.py": ECHO, "code/serve.pkl": "", "shared_libs/a.so": "no library"})
    assert replica.ended() == 1
    assert "The library shared_libs/a.so could not be loaded: " in replica.failure
    assert "a.so: " in replica.failure
