"""The catalogue of ``ml.*`` instance types: facts with sources, shipped as ``data/instance-types.csv``."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import resources


@dataclass(frozen=True, slots=True)
class InstanceType:
    """One type. ``vcpus`` and ``memory_gib`` are 0 where unknown (one interactive type).

    ``price_usd_per_hour`` is a us-east-1 list price with its source and date, or None: never a guess. ``uses`` holds
    the SageMaker enums that list the type: training, hosting, processing, transform, notebook, app.
    """

    name: str
    vcpus: int
    memory_gib: float
    gpus: int
    gpu_model: str
    gpu_memory_gib: float
    local_nvme_gb: float
    uses: frozenset[str]
    specs_source: str
    price_usd_per_hour: float | None
    price_scope: str
    price_source: str
    price_date: str

    @property
    def memory_bytes(self) -> int:
        return int(self.memory_gib * 2**30)


class Catalogue:
    """All known instance types; read on first use."""

    def get(self, name: str) -> InstanceType | None:
        """The type called ``name`` (``ml.m5.large``), or None."""
        return self._types.get(name)

    def __iter__(self) -> Iterator[InstanceType]:
        return iter(self._types.values())

    @cached_property
    def _types(self) -> dict[str, InstanceType]:
        text = resources.files(__package__).joinpath("data", "instance-types.csv").read_text()
        return {row["type"]: _instance_type(row) for row in csv.DictReader(text.splitlines())}


def _instance_type(row: dict[str, str]) -> InstanceType:
    price = row["price_usd_per_hour_us_east_1"]
    return InstanceType(
        name=row["type"],
        vcpus=int(row["vcpu"] or 0),
        memory_gib=float(row["memory_gib"] or 0),
        gpus=int(row["gpu_count"] or 0),
        gpu_model=row["gpu_model"],
        gpu_memory_gib=float(row["gpu_memory_gib"] or 0),
        local_nvme_gb=float(row["local_nvme_gb"] or 0),
        uses=frozenset(row["enums"].split()),
        specs_source=row["specs_source"],
        price_usd_per_hour=float(price) if price else None,
        price_scope=row["price_scope"],
        price_source=row["price_source"],
        price_date=row["price_date"],
    )
