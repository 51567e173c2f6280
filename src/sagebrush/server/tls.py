"""What the settings say about TLS on the one URL: which files, for which names, and whether they can be used."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime
from pathlib import Path

from sagebrush.server.data_directory import DataDirectory
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity.certificates import ensure_server_certificate
from sagebrush.substrate.settings import Settings

_EVERY_ADDRESS = ("0.0.0.0", "::")


def certificate_files(settings: Settings) -> tuple[Path, Path]:
    """(certificate, key) of the one URL."""
    if settings.tls == "files":
        return Path(settings.tls_certificate), Path(settings.tls_key)
    keys = DataDirectory(settings.data_dir).keys
    return keys / "server.pem", keys / "server.key"


def hosts_of(settings: Settings) -> tuple[str, ...]:
    """The names and addresses that the platform's own certificate is for: as set, else this host's name and address."""
    told = [host.strip() for host in settings.tls_hosts.split(",") if host.strip()]
    if not told:
        told = [*([] if settings.host in _EVERY_ADDRESS else [settings.host]), socket.gethostname()]
    return tuple(dict.fromkeys(["localhost", "127.0.0.1", *told]))


def check(settings: Settings) -> None:
    """Raises CallerError ``InvalidSetting`` when TLS cannot begin with what is set."""
    if settings.tls != "files":
        return
    certificate, key = certificate_files(settings)
    if not settings.tls_certificate or not settings.tls_key:
        raise CallerError("InvalidSetting", "tls = files needs tls_certificate and tls_key, two PEM files.")
    if not certificate.is_absolute() or not key.is_absolute():
        raise CallerError("InvalidSetting", "tls_certificate and tls_key must be absolute paths.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CallerError(
            "InvalidSetting", f"tls_certificate {certificate} with tls_key {key} cannot be used: {error}"
        ) from None


def ensure(settings: Settings, now: datetime) -> None:
    """Make or renew the platform's own certificate, where it has one."""
    if settings.tls == "own":
        ensure_server_certificate(DataDirectory(settings.data_dir).keys, hosts_of(settings), now)


def address_of(settings: Settings, port: int) -> str:
    """The one URL as other machines call it."""
    hosts = [host for host in hosts_of(settings) if host not in ("localhost", "127.0.0.1")]
    host = hosts[0] if hosts else "localhost"
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
