"""A throw-away PostgreSQL server, from the binaries that are installed on this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError


class Unavailable(Exception):
    """This machine cannot run a PostgreSQL server; the message says why."""


class PostgresqlServer:
    """A server of its own on a Unix socket, without fsync; each database is made for one test.

    Its default collation is English on purpose, where the installation can do that: code that needs bytewise order has
    to say so.
    """

    def __init__(self) -> None:
        self._bin = _binaries()
        self._user = _unprivileged_user()
        self.directory = Path(tempfile.mkdtemp(prefix="sagebrush-postgresql-"))
        try:
            if self._user is not None:
                os.chown(self.directory, *self._user)
            self._initialise()
            self._process = self._start()
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise
        self._admin = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT", pool_size=1)
        self._wait()

    @property
    def url(self) -> str:
        """The URL of the server's own database."""
        return self._url("postgres")

    def create_database(self, template: str = "template1") -> str:
        """A new database; its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        with self._admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return self._url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        name = make_url(url).database
        with self._admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    def stop(self) -> None:
        """End the server and remove its files."""
        self._admin.dispose()
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.directory}"

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._bin / command[0]), *command[1:]],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            **self._identity(),
        )

    def _identity(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user[0], "group": self._user[1], "extra_groups": []}

    def _initialise(self) -> None:
        plain = ("initdb", "-D", "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "--locale=C")
        result = self._run(*plain, "--locale-provider=icu", "--icu-locale=en-US")
        if result.returncode != 0:
            shutil.rmtree(self.directory / "data", ignore_errors=True)
            result = self._run(*plain)
        if result.returncode != 0:
            raise Unavailable(f"initdb failed: {result.stderr.strip()[-500:]}")

    def _start(self) -> subprocess.Popen[bytes]:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "max_connections": "200",
            "shared_buffers": "16MB",
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "server.log").open("wb") as log:
            return subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.directory / "data"), *flags],
                cwd=self.directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._identity(),
            )

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                with self._admin.connect():
                    return
            except OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    said = (self.directory / "server.log").read_text()[-500:]
                    self.stop()
                    raise Unavailable(f"the server did not start: {error}; it said: {said}") from None
                time.sleep(0.02)


def _binaries() -> Path:
    """The newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise Unavailable("no initdb in /usr/lib/postgresql/*/bin or on PATH (Debian: apt-get install postgresql)")
    return Path(on_path).resolve().parent


def _unprivileged_user() -> tuple[int, int] | None:
    """(uid, gid) to run as; None where we are nobody special. PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise Unavailable("running as root, and there is no user postgres or nobody to become")
