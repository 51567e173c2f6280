"""Settings that cannot be are refused with their name and origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.settings import load


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PORT", "99999", "at most 65535"),
        ("PORT", "-1", "at least 0"),
        ("PORT", "http", "not a whole number"),
        ("ACCOUNT", "12", "not like '123456789012'"),
        ("REGION", "mars", "not like 'us-east-1'"),
        ("CAPACITY_CPUS", "-3", "at least 0"),
        ("CAPACITY_CPUS", "nan", "at least 0"),
        ("STOP_GRACE_SECONDS", "-5", "at least 0"),
        ("REQUEST_THREADS", "0", "at least 1"),
        ("PREBUILD_ENVIRONMENTS", "maybe", "not true or false"),
    ],
)
def test_a_value_that_cannot_be_is_refused(tmp_path: Path, name: str, value: str, told: str) -> None:
    with pytest.raises(CallerError, match=told) as caught:
        load({"data_dir": tmp_path}, {f"SAGEBRUSH_{name}": value})
    assert f"environment (SAGEBRUSH_{name})" in caught.value.message


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-2", "us-gov-west-1", "cn-northwest-1", "ap-southeast-4"])
def test_regions_are_taken(tmp_path: Path, region: str) -> None:
    assert load({"data_dir": tmp_path}, {"SAGEBRUSH_REGION": region}).settings.region == region


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "sagebrush.toml").mkdir()
    with pytest.raises(CallerError, match="cannot be read"):
        load({"data_dir": tmp_path}, {})
