"""Calling an operation of a capability on real stores, with its answer checked against botocore's output shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import botocore.session
from botocore.validate import ParamValidator

from sagebrush.substrate.calls import Call, Capability
from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.identity.principal import Principal
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import STATE, Store
from sagebrush.substrate.telemetry import Telemetry
from tests.databases import open_at

_MODELS = botocore.session.get_session()


@dataclass
class Caller:
    """Calls operations of one service as SageMakerRole would."""

    capability: Capability
    service: str
    store: Store
    telemetry: Telemetry
    clock: ManualClock

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        (service,) = (s for s in self.capability.services if s.name == self.service)
        answer = service.operations[operation](self._call(operation), request)
        shape = _MODELS.get_service_model(self.service).operation_model(operation).output_shape
        if shape is None:
            assert answer == {}
        else:
            assert set(answer) <= set(shape.members), operation
            report = ParamValidator().validate(answer, shape)
            assert not report.has_errors(), report.generate_report()
        return answer

    def arns(self, operation: str, **request: Any) -> list[str]:
        """The resources a policy is asked about for this call."""
        (service,) = (s for s in self.capability.services if s.name == self.service)
        return service.resource_arns[operation](self._call(operation), request)

    def _call(self, operation: str) -> Call:
        platform = Platform(
            settings=Settings(),
            clock=self.clock,
            store=self.store,
            telemetry=self.telemetry,
            # These operations reach none of the others.
            objects=cast(Any, None),
            identity=cast(Any, None),
            compute=cast(Any, None),
            calls=cast(Any, None),
            wakeups=cast(Any, None),
        )
        principal = Principal("arn:aws:sts::123456789012:assumed-role/SageMakerRole/test", "123456789012", "AROA:test")
        return Call(platform, self.service, operation, principal, "123456789012", "us-east-1", "request")


@contextmanager
def calling(capability: Capability, service: str, directory: Path) -> Iterator[Caller]:
    """A caller on a fresh database."""
    clock = ManualClock(1_700_000_000_000_000)
    store = open_at(STATE, directory / "state.db", clock)
    yield Caller(capability, service, store, Telemetry(store, clock), clock)
    store.close()
