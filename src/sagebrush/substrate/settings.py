"""Settings: one frozen, typed object; flag > environment > ``sagebrush.toml`` > default (DESIGN 3.10).

Nothing else in the platform reads the environment. ``sagebrush config`` prints :func:`describe`.
"""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagebrush.substrate.errors import CallerError

CONFIG_FILE = "sagebrush.toml"


def _setting(
    default: Any,
    meaning: str,
    choices: tuple[str, ...] = (),
    *,
    least: float = 0,
    most: float = math.inf,
    form: str = "",
) -> Any:
    """``least`` and ``most`` bound numbers, ``form`` is a pattern that texts match."""
    bounds = {"least": least, "most": most, "form": form}
    return field(default=default, metadata={"meaning": meaning, "choices": choices, **bounds})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every choice an operator can make. Environment names are ``SAGEBRUSH_`` + the upper-cased field name."""

    data_dir: Path = _setting(Path("~/.sagebrush"), "where everything the platform keeps lies")
    host: str = _setting("127.0.0.1", "address the one URL listens on")
    insecure_listen: bool = _setting(
        False, "listen on another address than loopback although everything goes over the network in the clear"
    )
    tls: str = _setting(
        "off",
        "the one URL by https for other machines: 'own' has an authority made for it, 'files' takes a certificate",
        ("off", "own", "files"),
    )
    tls_hosts: str = _setting("", "for tls = own: names and addresses of this host, commas between; empty: its name")
    tls_certificate: str = _setting("", "for tls = files: PEM file of the certificate and what leads to its root")
    tls_key: str = _setting("", "for tls = files: PEM file of its private key")
    port: int = _setting(4600, "port of the one URL", most=65535)
    account: str = _setting("123456789012", "the AWS account number that leads every ARN", form=r"\d{12}")
    region: str = _setting(
        "us-east-1", "the AWS region that leads every ARN; a real region's name", form=r"[a-z]{2}(-[a-z]+){1,2}-\d{1,2}"
    )
    auth: str = _setting(
        "signed", "'signed' verifies every request; 'open' takes any (loopback only)", ("signed", "open")
    )
    database_url: str = _setting("", "SQLAlchemy URL of PostgreSQL; empty means SQLite in the data directory")
    isolation: str = _setting(
        "auto", "how jobs run: 'sandbox' (mount namespace), 'process', 'auto' probes", ("auto", "sandbox", "process")
    )
    capacity_cpus: float = _setting(0.0, "vCPUs that jobs may occupy together; 0 means the cores of this host")
    capacity_memory_gib: float = _setting(0.0, "memory in GiB that jobs may occupy together; 0 means this host's")
    instances: str = _setting(
        "clamp", "an ml.* type bigger than this host: 'clamp' with a notice, or 'strict' refuses", ("clamp", "strict")
    )
    image_versions: str = _setting(
        "nearest", "framework versions asked for: 'nearest' or 'exact'", ("nearest", "exact")
    )
    environments_dir: str = _setting("", "where built environments lie; empty means in the data directory")
    prebuild_environments: bool = _setting(True, "build the locked environments in the background after `up`")
    warm_idle_minutes: float = _setting(15.0, "how long a warm interpreter is kept for jobs to come; 0: all start cold")
    request_threads: int = _setting(32, "threads that run API operations", least=1)
    reconcile_threads: int = _setting(16, "threads that move resources along", least=1)
    stop_grace_seconds: float = _setting(120.0, "seconds between SIGTERM and SIGKILL of a stopped job")
    invocation_max_bytes: int = _setting(6 * 1024 * 1024, "largest body of InvokeEndpoint", least=1)
    invocation_timeout_seconds: float = _setting(60.0, "seconds a model may take to answer InvokeEndpoint")
    invocation_stream_seconds: float = _setting(
        480.0, "seconds that InvokeEndpointWithResponseStream may take, from its request to its last event"
    )
    invocation_waiting: int = _setting(1000, "requests that may wait for a worker of one variant; more are throttled")
    model_max_gib: float = _setting(30.0, "what the archive of one model may unpack to, in GiB")
    replica_disk_gib: float = _setting(
        60.0, "what one instance of an endpoint may write, in GiB, without VolumeSizeInGB"
    )
    disk_reserve_gib: float = _setting(
        1.0, "GiB that jobs leave free on the data directory's disk; who writes then ends"
    )
    log_level: str = _setting("INFO", "level of the platform's own log", ("DEBUG", "INFO", "WARNING", "ERROR"))

    @property
    def endpoint_url(self) -> str:
        """The one URL as clients on this machine should use it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings and, for each field, where its value came from ('default', 'environment', a file, 'flag')."""

    settings: Settings
    origins: Mapping[str, str]


def load(flags: Mapping[str, Any], environ: Mapping[str, str]) -> LoadedSettings:
    """Settle every setting.

    ``flags`` holds only the flags that were given. The file is ``<data_dir>/sagebrush.toml``; the data directory
    itself comes from flag, environment or default. Raises CallerError ``InvalidSetting`` naming setting and origin.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    names = {f.name: f for f in dataclasses.fields(Settings)}

    def take(name: str, raw: Any, origin: str) -> None:
        values[name] = _convert(names[name], raw, origin)
        origins[name] = origin

    for name, spec in names.items():
        values[name], origins[name] = spec.default, "default"
        if (raw := environ.get(f"SAGEBRUSH_{name.upper()}")) is not None:
            take(name, raw, f"environment (SAGEBRUSH_{name.upper()})")
    for name, raw in flags.items():
        take(name, raw, f"flag (--{name.replace('_', '-')})")
    values["data_dir"] = Path(values["data_dir"]).expanduser().absolute()

    file = values["data_dir"] / CONFIG_FILE
    if table := _read(file):
        for name, raw in table.items():
            if name not in names or name == "data_dir":
                raise CallerError("InvalidSetting", f"{file}: there is no setting '{name}'")
            if origins[name] == "default":
                take(name, raw, str(file))
    return LoadedSettings(Settings(**values), origins)


def describe(loaded: LoadedSettings) -> list[tuple[str, str, str, str]]:
    """Rows (name, value, origin, meaning) in declaration order."""
    return [
        (f.name, str(getattr(loaded.settings, f.name)), loaded.origins[f.name], f.metadata["meaning"])
        for f in dataclasses.fields(Settings)
    ]


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise CallerError("InvalidSetting", f"{file}: {error}") from None
    except OSError as error:
        raise CallerError("InvalidSetting", f"{file} cannot be read: {error.strerror}") from None


def _convert(spec: dataclasses.Field[Any], raw: Any, origin: str) -> Any:
    kind: Any = type(spec.default)
    try:
        if kind is bool:
            words = {"true": True, "1": True, "false": False, "0": False}
            value: Any = raw if isinstance(raw, bool) else words[raw.lower()]
        elif isinstance(spec.default, Path):
            value = Path(raw)
        else:
            value = kind(raw)
    except (ValueError, KeyError, TypeError, AttributeError):
        told = {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(kind.__name__, "a path")
        raise CallerError("InvalidSetting", f"{spec.name} = {raw!r} from {origin}: not {told}") from None
    choices = spec.metadata["choices"]
    if choices and value not in choices:
        raise CallerError(
            "InvalidSetting", f"{spec.name} = {value!r} from {origin}: choose one of {', '.join(choices)}"
        )
    if kind in (int, float) and not spec.metadata["least"] <= value <= spec.metadata["most"]:
        bounds = f"at least {spec.metadata['least']:g}"
        if spec.metadata["most"] != math.inf:
            bounds += f" and at most {spec.metadata['most']:g}"
        raise CallerError("InvalidSetting", f"{spec.name} = {value!r} from {origin}: must be {bounds}")
    if spec.metadata["form"] and not re.fullmatch(spec.metadata["form"], value):
        raise CallerError("InvalidSetting", f"{spec.name} = {value!r} from {origin}: not like '{spec.default}'")
    return value
