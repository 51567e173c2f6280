"""Stands in for the model server in these tests: answers /ping on the descriptors it inherits, and does as told.

``TOLD`` in its environment, comma separated: ``raise`` ends with a text in output/failure, ``deaf`` never answers,
``crash`` ends a moment after it answered for the first time, ``stubborn`` ignores SIGTERM, ``chatty`` prints.
``FILL`` names a folder in which it writes 3 GiB.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import sys
import threading
import time

BASE = pathlib.Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
TOLD = os.environ.get("TOLD", "").split(",")


def say(text: str) -> None:
    """Print a line whole: several threads do."""
    os.write(1, f"{text}\n".encode())


def answer(connection: socket.socket) -> None:
    head = connection.recv(65536)
    if head:
        say(f"asked {head.split(b' ')[1].decode()}")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    connection.close()


def serve(descriptor: int) -> None:
    listening = socket.socket(fileno=descriptor)
    while True:
        connection, _ = listening.accept()
        answer(connection)
        if "crash" in TOLD:
            time.sleep(0.1)
            print("Traceback (most recent call last):\nValueError: a poisoned model", file=sys.stderr, flush=True)
            os._exit(3)


def main() -> None:
    count = int(os.environ["SAGEBRUSH_LISTEN_FDS"])
    shown = {name: value for name, value in os.environ.items() if name.startswith(("SAGE", "AWS", "TOLD"))}
    (BASE / "output" / "environment.json").write_text(json.dumps(shown))
    archive = os.environ.get("SAGEBRUSH_MODEL_ARCHIVE")
    data = pathlib.Path(archive).read_text() if archive else ""
    # Beside the layer of packages that every replica has.
    found = (p.relative_to(BASE) for p in BASE.rglob("*") if p.is_file())
    files = sorted(str(p) for p in found if p.parts[0] != ".python")
    say(f"serving with {count} workers: {data}")
    say(f"files: {files}")
    if "raise" in TOLD:
        (BASE / "output" / "failure").write_text("RuntimeError: not today (inference.py, line 3, in model_fn)")
        sys.exit(1)
    if folder := os.environ.get("FILL"):
        for number in range(192):
            (pathlib.Path(folder) / str(number)).write_bytes(bytes(16 << 20))
            time.sleep(0.01)
    if "deaf" in TOLD:
        time.sleep(3600)
    if "stubborn" in TOLD:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for number in range(count):
        threading.Thread(target=serve, args=(3 + number,), daemon=True).start()
    while True:
        if "chatty" in TOLD:
            say("line")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
