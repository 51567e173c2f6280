"""Calling IAM's and STS's operations as a plane does: authorised, and held against botocore's shapes both ways."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import botocore.session
import pytest
from botocore.model import OperationModel
from botocore.validate import ParamValidator

from sagebrush.aws import iam, sts
from sagebrush.substrate.calls import Call, Calls, Registry
from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import Identity, Principal, ensure_seed
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import STATE
from tests.databases import open_at

ACCOUNT = "123456789012"


@lru_cache(maxsize=64)
def model(service: str, operation: str) -> OperationModel:
    return botocore.session.get_session().get_service_model(service).operation_model(operation)


def matches_shape(shape: Any, value: dict[str, Any]) -> None:
    """Every member known, every required one there, every type right."""
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()


class Served:
    """IAM and STS on one data directory; ``as_`` makes a second caller of the same platform."""

    def __init__(self, directory: Path) -> None:
        self.clock, self.settings = ManualClock(), Settings()
        self.store = open_at(STATE, directory / "state.db", self.clock)
        ensure_seed(self.store, self.settings, self.clock)
        self.identity = Identity(
            store=self.store, clock=self.clock, settings=self.settings, key_file=directory / "keys" / "platform.key"
        )
        self.calls = Calls(Registry([iam.CAPABILITY, sts.CAPABILITY]))
        none: Any = cast(Any, None)
        self.platform = Platform(
            settings=self.settings,
            clock=self.clock,
            store=self.store,
            objects=none,
            identity=self.identity,
            telemetry=none,
            compute=none,
            calls=self.calls,
            wakeups=none,
        )
        self.operator = Caller(self, self.identity.operator_session().principal)

    def as_(self, principal: Principal) -> Caller:
        return Caller(self, principal)

    def using(self, credentials: dict[str, Any]) -> Caller:
        """A caller with credentials that STS or IAM gave out."""
        secret = self.identity.lookup(credentials["AccessKeyId"], credentials.get("SessionToken"))
        assert secret.secret_access_key == credentials["SecretAccessKey"]
        return Caller(self, secret.principal)


class Caller:
    """Who calls ``iam("GetRole", RoleName=...)`` or ``sts(...)``."""

    def __init__(self, served: Served, principal: Principal) -> None:
        self._served = served
        self.principal = principal

    def iam(self, operation: str, **request: Any) -> dict[str, Any]:
        return self._call("iam", operation, request)

    def sts(self, operation: str, **request: Any) -> dict[str, Any]:
        return self._call("sts", operation, request)

    def refused(self, service: str, operation: str, **request: Any) -> CallerError:
        with pytest.raises(CallerError) as caught:
            self._call(service, operation, request)
        return caught.value

    def _call(self, service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        described = model(service, operation)
        if described.input_shape is not None:
            matches_shape(described.input_shape, request)
        settings = self._served.settings
        call = Call(
            platform=self._served.platform,
            service=service,
            operation=operation,
            principal=self.principal,
            account=settings.account,
            region=settings.region,
            request_id="req",
        )
        result = self._served.calls.dispatch(call, request)
        if described.output_shape is None:
            assert result == {}
        else:
            matches_shape(described.output_shape, result)
        return result
