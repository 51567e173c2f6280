"""Transactions per commit (that is, per fsync) with 32 clients at once, and what that is worth.

Each client writes one 1.5 KB row per transaction and waits until it is durable, as a request does. The other side is
SQLite with the same pragmas and one commit per row, which no number of clients makes faster; a bare fdatasync of 4 KiB
is printed for scale. Run: ``python -m benchmarks.store_commits [--clients 32] [--seconds 3] [--rounds 5]``.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table, Text, insert

from sagebrush.substrate.store.sqlite import SqliteStore

ROWS = Table("rows", MetaData(), Column("id", Integer, primary_key=True), Column("body", Text, nullable=False))
BODY = "x" * 1500
INSERT = insert(ROWS)


def grouped(path: Path, clients: int, seconds: float) -> tuple[float, float]:
    """(transactions per commit, rows per second) of the store."""
    store = SqliteStore(path)
    store.write(ROWS.metadata.create_all)
    before, started = store.stats(), time.monotonic()
    until = started + seconds

    def client() -> None:
        while time.monotonic() < until:
            store.write(lambda tx: tx.execute(INSERT, {"body": BODY}))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed, after = time.monotonic() - started, store.stats()
    store.close()
    rows = after.transactions - before.transactions
    return rows / (after.commits - before.commits), rows / elapsed


def one_by_one(path: Path, seconds: float) -> float:
    """Rows per second of SQLite alone, a commit each."""
    raw = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        raw.execute(f"PRAGMA {pragma}")
    raw.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
    rows, started = 0, time.monotonic()
    while time.monotonic() < started + seconds:
        raw.execute("INSERT INTO rows (body) VALUES (?)", (BODY,))
        rows += 1
    elapsed = time.monotonic() - started
    raw.close()
    return rows / elapsed


def bare_syncs(path: Path, seconds: float) -> float:
    """fdatasync calls per second, each of 4 KiB appended."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    calls, started = 0, time.monotonic()
    while time.monotonic() < started + seconds:
        os.write(descriptor, b"x" * 4096)
        os.fdatasync(descriptor)
        calls += 1
    elapsed = time.monotonic() - started
    os.close(descriptor)
    return calls / elapsed


def spread(values: list[float], digits: int = 0) -> str:
    """Median and range."""
    return f"{statistics.median(values):10.{digits}f}   ({min(values):.{digits}f} .. {max(values):.{digits}f})"


def main() -> None:
    """Alternate the sides, print medians and ranges."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", help="where to write; the disk measured is this one")
    options = parser.parse_args()
    shared, rows, single, syncs = [], [], [], []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.dir) as name:
            per_commit, per_second = grouped(Path(name) / "store.db", options.clients, options.seconds)
            shared.append(per_commit)
            rows.append(per_second)
            single.append(one_by_one(Path(name) / "single.db", options.seconds))
            syncs.append(bare_syncs(Path(name) / "bare", min(1.0, options.seconds)))
    ratio = statistics.median(rows) / statistics.median(single)
    print(f"{options.clients} clients, {options.rounds} rounds of {options.seconds:.0f} s: median (range)")
    print(f"transactions per commit     {spread(shared, 1)}   goal >= 10")
    print(f"durable rows/s, the store   {spread(rows)}   {ratio:.1f} x one commit per row")
    print(f"durable rows/s, one by one  {spread(single)}")
    print(f"bare fdatasync of 4 KiB /s  {spread(syncs)}")


if __name__ == "__main__":
    main()
