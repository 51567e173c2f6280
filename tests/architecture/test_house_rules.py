"""The rules of the house that a linter of imports cannot hold."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sagebrush.server.capabilities import CAPABILITIES
from sagebrush.substrate.resources import check

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sagebrush"
#: The areas: what declares resources has the rooms of one.
AREAS = sorted(path.parent.name for path in SOURCE.glob("*/resources.py"))
#: Operations that act on no resource, besides the lists.
ON_NO_RESOURCE = {
    "SimulateCustomPolicy",
    "GetAccountAuthorizationDetails",
    "GetAccountSummary",
    "GetContextKeysForCustomPolicy",
    "GetAccessKeyInfo",
    "GetMetricData",
    "GetMetricStatistics",
    "PutMetricData",
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools", "base"}
ML_FRAMEWORKS = {"numpy", "pandas", "scipy", "sklearn", "xgboost", "torch", "pyarrow"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    offenders = [p for p in SOURCE.rglob("*") if p.stem in FORBIDDEN_NAMES and p.suffix in {"", ".py"}]
    assert SOURCE.is_dir()
    assert offenders == []


def test_import_contracts_are_kept() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    "process", ["sagebrush.server.control", "sagebrush.server.object_plane", "sagebrush.server.front"]
)
def test_platform_processes_import_no_ml_framework(process: str) -> None:
    program = f"import sys, {process}; print(sorted(m.split('.')[0] for m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(eval(result.stdout))
    assert "sagebrush" in loaded
    assert loaded & ML_FRAMEWORKS == set()


def matches(expression: str, *allowed: str) -> list[str]:
    """Places in the source that match, outside the allowed files or folders (relative to the package)."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name.startswith(allowed):
            continue
        lines = path.read_text().splitlines()
        found += [f"{name}:{number}" for number, line in enumerate(lines, 1) if re.search(expression, line)]
    return found


def test_only_settings_and_process_mains_read_the_environment() -> None:
    mains = ("server/process.py", "server/supervisor.py", "cli/main.py")
    inside_the_job = (
        "runtime/",
        "algorithms/",
        "testing/",
        "substrate/compute/shim/warm.py",
        "substrate/compute/shim/python3.py",
    )
    assert matches(r"os\.environ|getenv") != []
    assert matches(r"os\.environ|getenv", *mains, *inside_the_job) == []


def test_only_the_resources_room_and_the_leases_write_resource_rows() -> None:
    """So a status changes in one place: ``transition``, with its history, event and meter row."""
    writes = r"(update|insert|delete)\(resources\)|resources\.(update|insert|delete)\("
    assert matches(writes) != []
    assert matches(writes, "substrate/resources/", "substrate/reconcile/leases.py") == []


def test_operations_record_intent_and_run_nothing() -> None:
    """Operations touch rows; launching, files and S3 are for reconcilers."""
    acts = r"subprocess|\.launcher|open\(|\.objects\.(put|copy|delete)|\.reconcilers|shutil|socket"
    areas = [f"{area}/operations/" for area in AREAS]
    assert all(list((SOURCE / area).glob("*.py")) for area in areas)
    assert [place for place in matches(acts) if place.startswith(tuple(areas))] == []


def test_every_area_is_under_the_import_contracts() -> None:
    """A new area is named in every contract that speaks of areas."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    members = {
        "floors": "layers",
        "capabilities": "modules",
        "rooms": "layers",
        "faces": "forbidden_modules",
        "inside-the-job": "forbidden_modules",
        "only-launched": "source_modules",
        "no-ml": "source_modules",
    }
    for contract, option in members.items():
        named = contracts[f"importlinter:contract:{contract}"][option]
        missing = [area for area in AREAS if not re.search(rf"sagebrush\.{area}\b", named)]
        assert missing == [], contract


def test_every_declared_noun_names_only_what_botocore_knows() -> None:
    declared = [resource for capability in CAPABILITIES for resource in capability.resources]
    assert len(declared) >= len(AREAS)
    for resource in declared:
        check(resource)


def test_every_operation_says_which_resources_policies_are_asked_about() -> None:
    """A forgotten one would act on '*', and a Deny that names a resource would never meet it."""
    forgotten = []
    for service in (service for capability in CAPABILITIES for service in capability.services):
        told = {*service.resource_arns, *service.open_operations, *ON_NO_RESOURCE}
        forgotten += [n for n in service.operations if n not in told and not n.startswith("List")]
    assert forgotten == []


def test_time_comes_from_the_clock() -> None:
    reads = r"datetime\.now|utcnow|time\.time\(\)|time\.time_ns\(\)|time\.sleep\("
    apart = ("substrate/clock.py", "substrate/compute/shim/", "runtime/", "algorithms/", "testing/")
    # Pauses of a millisecond: for a lock that somebody holds for microseconds, before a serialisation is tried again.
    apart += ("substrate/compute/launcher.py", "substrate/store/postgresql.py")
    assert matches(reads) != []
    assert matches(reads, *apart) == []


def test_source_names_nothing_of_the_machine_it_was_written_on() -> None:
    """The project stands alone: no path of a developer's machine, no registry host in anything shipped."""
    banned = ("/work/", "../shared", "pythonhosted", "pypi.org", "registry.npmjs", "deb.debian.org")
    found = []
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert len(tracked) > 20
    for name in tracked:
        path = ROOT / name
        if path == Path(__file__) or not path.is_file() or path.stat().st_size > 1_000_000:
            continue
        text = path.read_text(errors="ignore")
        found += [(name, word) for word in banned if word in text]
    assert found == []
