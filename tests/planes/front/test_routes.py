"""Routing snapshots: swapped under load, deleted under load, broken; and what the platform is told about them."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from sagebrush.planes.front.invocations import snapshot
from tests.planes.front.invoking import Inferno, ModelWorker, endpoint, poll, signed, variant
from tests.planes.front.running import RawClient
from tests.planes.front.test_invocations import ask, refused, waiting

Start = Callable[..., Inferno]


class Load:
    """Requests one after the other from a few threads until told to stop."""

    def __init__(self, around: Inferno, threads: int = 4):
        self.answers: Counter[int] = Counter()
        self.errors: list[str] = []
        self._stop = threading.Event()
        runtime = around.runtime(max_pool_connections=threads)
        self._threads = [threading.Thread(target=self._run, args=(runtime,)) for _ in range(threads)]

    def _run(self, runtime: Any) -> None:
        while not self._stop.is_set():
            try:
                self.answers[ask(runtime)["pid"]] += 1
            except Exception as error:
                self.errors.append(str(error))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def asked(self) -> int:
        return sum(self.answers.values()) + len(self.errors)


@contextmanager
def load_on(around: Inferno, threads: int = 4) -> Iterator[Load]:
    load = Load(around, threads)
    for thread in load._threads:
        thread.start()
    try:
        poll(lambda: load.asked > 20, "the load")
        yield load
    finally:
        load.stop()


def retire(around: Inferno, worker: ModelWorker) -> None:
    """End a replica as the control plane does: when nothing is in flight with it any more."""
    poll(lambda: f"replica-{worker.path}" not in around.page()["outstanding"], "the replica to be idle")
    worker.kill()
    worker.listening.close()


def test_replicas_are_replaced_under_load_without_a_failed_request(inferno: Start) -> None:
    around = inferno()
    current = around.worker("w0")
    around.route(e=endpoint("e", variant("AllTraffic", current.path)))
    with load_on(around) as load:
        for i in range(1, 11):
            before, current = current, around.worker(f"w{i}")
            around.route(e=endpoint("e", variant("AllTraffic", current.path)))
            retire(around, before)
            pid = current.process.pid if current.process else 0
            poll(lambda p=pid: load.answers[p] > 5, "answers of the new replica")
    assert load.errors == []
    assert len(load.answers) == 11
    assert around.counts()["invocations"] == load.asked


def test_snapshots_come_faster_than_they_are_read_and_no_request_fails(inferno: Start) -> None:
    around = inferno()
    a, b = around.worker("a"), around.worker("b")
    around.route(e=endpoint("e", variant("AllTraffic", a.path, b.path)))
    with load_on(around) as load:
        for i in range(300):
            workers = [(a,), (b,), (a, b)][i % 3]
            around.publish(e=endpoint("e", variant("AllTraffic", *(w.path for w in workers))))
        poll(lambda: around.page()["version"] == around.version, "the last snapshot")
    assert load.errors == []


def test_an_update_to_other_variants_takes_those_who_wait_along(inferno: Start) -> None:
    around = inferno()
    old, new = around.worker("old"), around.worker("new")
    around.route(e=endpoint("e", variant("one", old.path)))
    old.pause()
    first = around.front.client().send(signed(b'{"id": "first"}'))
    poll(lambda: around.page()["outstanding"], "the first to be asked")
    ready = around.front.client().send(signed(b'{"id": "ready"}'))
    poll(lambda: waiting(around) == 1, "the second to lie ready")
    others = [around.front.client().send(signed(b'{"id": "other"}')) for _ in range(4)]
    poll(lambda: waiting(around) == 5, "four to wait")
    around.route(e=endpoint("e", variant("two", new.path)))
    assert {client.response()[1]["x-amzn-invoked-production-variant"] for client in others} == {"two"}
    assert set(around.page()["outstanding"]) == {f"replica-{old.path}"}
    old.resume()
    for client in (first, ready):
        assert client.response()[1]["x-amzn-invoked-production-variant"] == "one"
    assert around.page()["outstanding"] == {}
    assert (old.begun(), new.begun()) == (["first", "ready"], ["other"] * 4)


def test_an_endpoint_deleted_under_load_ends_what_has_begun_and_refuses_the_rest(inferno: Start) -> None:
    around = inferno()
    worker = around.worker()
    around.route(e=endpoint("e", variant("AllTraffic", worker.path)))
    worker.pause()
    begun = around.front.client().send(signed(b'{"id": "begun"}'))
    poll(lambda: around.page()["outstanding"], "the request to be asked")
    ready = around.front.client().send(signed(b'{"id": "ready"}'))
    poll(lambda: waiting(around) == 1, "the second to lie ready")
    waits = around.front.client().send(signed(b'{"id": "waits"}'))
    poll(lambda: waiting(around) == 2, "the other to wait")
    around.route()
    status, headers, body = waits.response()
    assert (status, headers["x-amzn-errortype"]) == (400, "validationerror")
    assert b"Endpoint e of account" in body
    assert refused(ask, around.runtime())["Error"]["Code"] == "ValidationError"
    worker.resume()
    assert json.loads(begun.response()[2])["told"] == {"id": "begun"}
    assert json.loads(ready.response()[2])["told"] == {"id": "ready"}
    assert worker.begun() == ["begun", "ready"]


def test_an_endpoint_made_again_under_its_name_is_another(inferno: Start) -> None:
    around = inferno()
    first, second = around.worker("first"), around.worker("second")
    around.route(e=endpoint("e", variant("AllTraffic", first.path)))
    ask(around.runtime())
    around.route(e=endpoint("e", variant("AllTraffic", second.path), id="another", spool="endpoints/e/spool2"))
    ask(around.runtime())
    assert (first.begun(), second.begun()) == (["-"], ["-"])
    assert around.counts()["invocations"] == 1


def test_what_is_no_snapshot_changes_nothing(inferno: Start, caplog: pytest.LogCaptureFixture) -> None:
    around = inferno()
    around.route(e=endpoint("e", variant("AllTraffic", around.worker().path)))
    file = around.root / "run" / "endpoints.json"
    whole = file.read_bytes()
    for data in (b"", whole[: len(whole) // 2], b"[]", b'{"version": 9, "endpoints": {"e": {}}}', b"\xff"):
        file.write_bytes(data)
        assert around.page()["version"] == around.version
        assert ask(around.runtime())["size"] == 2
    file.unlink()
    assert around.page()["version"] == around.version
    assert "is not a routing snapshot" in caplog.text
    assert "is gone" in caplog.text
    around.route()
    assert refused(ask, around.runtime())["Error"]["Code"] == "ValidationError"


def test_without_a_snapshot_there_is_no_endpoint_yet(inferno: Start) -> None:
    around = inferno()
    assert around.page() == {"version": 0, "outstanding": {}}
    assert refused(ask, around.runtime())["Error"]["Code"] == "ValidationError"


def test_an_endpoint_whose_replica_is_being_replaced_waits_for_it(inferno: Start) -> None:
    around = inferno()
    around.route(e=endpoint("e", variant("AllTraffic")))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, around.runtime())
        poll(lambda: waiting(around) == 1, "the request to wait")
        around.route(e=endpoint("e", variant("AllTraffic", around.worker().path)))
        assert asked.result()["size"] == 2


def test_the_page_serves_its_one_path_again_and_again(inferno: Start) -> None:
    around = inferno()
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(around.root / "run" / "routing.sock"))
        client = RawClient(asking)
        page = b"GET /_sagebrush/routing HTTP/1.1\r\n\r\n"
        client.send(page * 3 + b"GET /else HTTP/1.1\r\n\r\n" + page)
        assert [client.response()[0] for _ in range(5)] == [200, 200, 200, 404, 200]


def test_load_on_an_endpoint_that_is_deleted_sees_nothing_but_clean_errors(inferno: Start) -> None:
    around = inferno()
    worker = around.worker()
    around.route(e=endpoint("e", variant("AllTraffic", worker.path)))
    with load_on(around) as load:
        around.route()
        retire(around, worker)
        poll(lambda: len(load.errors) > 20, "errors")
    assert all("ValidationError" in error and "Endpoint e of account" in error for error in load.errors)


# --- the file itself -------------------------------------------------------------------------------------------------


def test_a_snapshot_is_read_as_agreed() -> None:
    document = {
        "version": 12,
        "account": "1",
        "region": "r",
        "endpoints": {
            "E": endpoint(
                "E",
                variant("v", "s0", "s1", weight=2, timeout_seconds=5),
                capture={"percentage": 20, "modes": ["Output"], "csv_content_types": ["Text/CSV"]},
            )
        },
    }
    read = snapshot.parse(json.dumps(document).encode())
    (one,) = read.endpoints["E"].variants
    assert (read.version, one.weight, one.timeout_seconds, one.replicas[1].sockets) == (12, 2.0, 5.0, ("s1",))
    capture = read.endpoints["E"].capture
    assert capture == snapshot.Capture(20.0, False, True, frozenset({"text/csv"}), frozenset())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list("abv")), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["version", "endpoints", "E", "variants", "capture", "weight", "replicas"]), json_values)
def test_whatever_stands_in_a_snapshot_it_is_read_or_refused(place: str, value: Any) -> None:
    one = variant("v", "s0")
    made = endpoint("E", one, capture={"percentage": 1, "modes": []})
    document: dict[str, Any] = {"version": 1, "endpoints": {"E": made}}
    for holder in (document, document["endpoints"], made, one):
        if place in holder:
            holder[place] = value
            break
    with suppress(ValueError):
        assert snapshot.parse(json.dumps(document).encode()).version is not None


def test_errors_of_the_load_are_seen(inferno: Start) -> None:
    """The load's own instrument: without it the tests above would pass on anything."""
    around = inferno()
    with load_on(around) as load:
        pass
    assert len(load.errors) > 20
    with pytest.raises(ClientError):
        ask(around.runtime())
