"""A platform for other machines, in a network namespace of its own with two addresses: who calls from the second one is
no caller on this machine. Started by ``unshare --net``; prints RESULT and a JSON object."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE, ELSEWHERE = "10.77.0.1", "10.77.0.2"
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8916, 0x891C, 0x8913, 0x8914, 1


def address(interface: str, request: int, value: str) -> None:
    """Give an interface an address or mask."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        packed = struct.pack("16sHH4s8x", interface.encode(), socket.AF_INET, 0, socket.inet_aton(value))
        fcntl.ioctl(probe.fileno(), request, packed)


def up(interface: str) -> None:
    """Switch an interface on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        flags = struct.unpack(
            "16sH22x", fcntl.ioctl(probe.fileno(), _SIOCGIFFLAGS, interface.encode().ljust(16, b"\0") + bytes(24))
        )[1]
        fcntl.ioctl(probe.fileno(), _SIOCSIFFLAGS, struct.pack("16sH22x", interface.encode(), flags | _IFF_UP))


def ask(port: int, *, source: str, trust: Path | None) -> dict[str, Any]:
    """GET / from ``source``, in the clear or by TLS that trusts ``trust``."""
    connection: http.client.HTTPConnection
    if trust is None:
        connection = http.client.HTTPConnection(HERE, port, timeout=30, source_address=(source, 0))
    else:
        context = ssl.create_default_context(cafile=str(trust))
        connection = http.client.HTTPSConnection(HERE, port, timeout=30, source_address=(source, 0), context=context)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return {"status": answer.status, "body": answer.read().decode()}
    except (ssl.SSLError, OSError) as error:
        return {"error": type(error).__name__}
    finally:
        connection.close()


def main() -> None:
    up("lo")
    # One address with its whole network on the loopback device: every address of it is this machine's.
    address("lo:1", _SIOCSIFADDR, HERE)
    address("lo:1", _SIOCSIFNETMASK, "255.255.255.0")
    sagebrush, environments = sys.argv[1:3]
    data_dir = Path(tempfile.mkdtemp(prefix="sb-", dir="/tmp"))
    environ = os.environ | {"SAGEBRUSH_DATA_DIR": str(data_dir), "SAGEBRUSH_ENVIRONMENTS_DIR": environments}

    def command(*words: str) -> str:
        done = subprocess.run([sagebrush, *words], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = command("up", "--detach", "--host", HERE, "--port", "4600", "--tls", "own")
    try:
        authority = data_dir / "keys" / "server-ca.pem"
        here = command(
            "exec", "--", sys.executable, "-c", "import boto3; boto3.client('s3').create_bucket(Bucket='bucket')"
        )
        print(
            "RESULT",
            json.dumps(
                {
                    "said": said,
                    "here": here,
                    "clear, from elsewhere": ask(4600, source=ELSEWHERE, trust=None),
                    "clear, from here": ask(4600, source=HERE, trust=None),
                    "tls, from elsewhere": ask(4600, source=ELSEWHERE, trust=authority),
                    "tls of STS's authority": ask(4600, source=ELSEWHERE, trust=data_dir / "keys" / "ca.pem"),
                }
            ),
        )
    finally:
        command("down")


if __name__ == "__main__":
    main()
