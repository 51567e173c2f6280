"""What tests of several rooms share."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.model
import botocore.session
import pytest

from sagebrush.substrate.calls import Call, Calls
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import Fault
from sagebrush.substrate.store import STATE, Schema, Store, open_store
from sagebrush.substrate.wire import conformity
from sagebrush.testing.postgresql import PostgresqlServer, Unavailable
from tests import databases

#: (service, operation) -> what it answers although botocore's model lacks it, and why.
_BEYOND_THE_MODEL = {
    # IAM really answers "Policy"; the model's enum knows only PermissionsBoundaryPolicy.
    ("iam", "CreateRole"): "permissionsBoundaryType",
    ("iam", "CreateUser"): "permissionsBoundaryType",
    ("iam", "GetRole"): "permissionsBoundaryType",
    ("iam", "GetUser"): "permissionsBoundaryType",
    ("iam", "UpdateRoleDescription"): "permissionsBoundaryType",
    ("iam", "ListRoles"): "permissionsBoundaryType",
    ("iam", "ListUsers"): "permissionsBoundaryType",
    ("iam", "GetAccountAuthorizationDetails"): "permissionsBoundaryType",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store", choices=["sqlite", "postgresql"], default="sqlite", help="where tests' stores lie")


@pytest.fixture(scope="session", autouse=True)
def store_server(request: pytest.FixtureRequest) -> Iterator[None]:
    """With ``--store postgresql``: the server in which ``tests.databases`` opens its stores."""
    if request.config.getoption("--store") == "sqlite":
        yield
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    os.environ[databases.SERVER] = server.url
    yield
    del os.environ[databases.SERVER]


@pytest.fixture(autouse=True)
def no_databases_left() -> Iterator[None]:
    """Databases of tests that are over would fill the disk."""
    yield
    databases.drop_unused()


@pytest.fixture(autouse=True)
def every_answer_is_legal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test calls: what the operation answers must be a legal member of botocore's output shape."""
    session = botocore.session.get_session()
    dispatch = Calls.dispatch

    def strict(self: Calls, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        answer = dispatch(self, call, request)
        shape = _model(session, call.service).operation_model(call.operation).output_shape
        try:
            conformity.require(shape, answer, call.operation)
        except Fault as fault:
            allowed = _BEYOND_THE_MODEL.get((call.service, call.operation))
            if allowed is None or allowed not in str(fault):
                raise
        return answer

    monkeypatch.setattr(Calls, "dispatch", strict)


@functools.cache
def _model(session: botocore.session.Session, service: str) -> botocore.model.ServiceModel:
    return session.get_service_model(service)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A real server, started when the first test needs it; where none can be, those tests are skipped and say why."""
    try:
        server = PostgresqlServer()
    except Unavailable as reason:
        pytest.skip(f"PostgreSQL: {reason}")
    yield server
    server.stop()


@dataclass(frozen=True)
class Database:
    """Where a test's database lies: a path (SQLite) or a URL (PostgreSQL)."""

    path: Path
    url: str = ""

    def open(self, schema: Schema = STATE, clock: Clock | None = None) -> Store:
        """Open it as the product does."""
        return open_store(schema, path=self.path, url=self.url, clock=clock)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of either kind: a test that takes it runs on both."""
    path = tmp_path / "state.db"
    if request.param == "sqlite":
        yield Database(path)
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    url = server.create_database()
    yield Database(path, url)
    server.drop_database(url)
