"""Workers on real processes and sockets: one per socket, replaced when they end, ended with the request in hand."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

from tests.runtime.serving.conftest import UNRULY, Start
from tests.runtime.serving.replica import Replica, answer_of, eventually, exchange, request_of

JSON = "application/json"


def pid_of(replica: Replica, worker: int = 0) -> int:
    return int(json.loads(replica.ask('"who"', worker=worker)[1])["pid"])


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


# -- requests ---------------------------------------------------------------------------------------------------------


def test_each_socket_has_a_worker_of_its_own_and_keeps_connections(unruly: Replica) -> None:
    with unruly.connect() as connection:
        answers = [json.loads(exchange(connection, str(i), JSON)[1]) for i in range(50)]
    assert [answer["data"] for answer in answers] == list(range(50))
    assert len({answer["pid"] for answer in answers}) == 1
    assert pid_of(unruly, 1) != answers[0]["pid"]
    assert unruly.ask("", path="/ping") == (200, b"")
    assert unruly.ask("", path="/other")[0] == 404


def test_large_bodies_pass_both_ways(unruly: Replica) -> None:
    text = "x" * 6_000_000
    status, body = unruly.ask(json.dumps(text))
    assert (status, json.loads(body)["data"]) == (200, text)
    assert unruly.ask('"blow up"') == (200, b"x" * 20_000_000)


def test_a_connection_that_stalls_amid_its_request_holds_up_no_other(unruly: Replica) -> None:
    request = request_of('"patience"', JSON)
    with unruly.connect() as stalled:
        for byte in request[:-5]:
            stalled.sendall(bytes([byte]))
        assert unruly.ask('"another"')[0] == 200
        stalled.sendall(request[-5:])
        assert answer_of(stalled)[0] == 200


def test_a_client_that_leaves_before_its_answer_breaks_nothing(unruly: Replica) -> None:
    before = pid_of(unruly)
    for body in ('"slow"', '"blow up"'):
        with unruly.connect() as leaver:
            leaver.sendall(request_of(body, JSON))
    with unruly.connect() as leaver:
        leaver.sendall(request_of('"x"', JSON)[:-1])
    assert pid_of(unruly) == before


def test_what_is_no_request_is_told_and_the_worker_goes_on(unruly: Replica) -> None:
    before = pid_of(unruly)
    for nonsense in (
        b"hello\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"x" * 100_000,
    ):
        with unruly.connect() as connection:
            connection.sendall(nonsense)
            assert answer_of(connection)[0] == 400
            assert connection.recv(1) == b""
    assert pid_of(unruly) == before


def test_a_client_can_ask_for_the_end_of_its_connection(unruly: Replica) -> None:
    with unruly.connect() as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n")
        status, headers, _ = answer_of(connection)
        assert (status, headers["connection"]) == (200, "close")
        assert connection.recv(1) == b""


def test_many_clients_at_once_are_all_answered(unruly: Replica) -> None:
    answers: list[int] = []

    def ask(i: int) -> None:
        answers.append(json.loads(unruly.ask(str(i))[1])["data"])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == list(range(60))


# -- handlers that go wrong -------------------------------------------------------------------------------------------


def test_an_exception_is_told_with_its_place_and_the_worker_goes_on(unruly: Replica) -> None:
    before = pid_of(unruly)
    status, body = unruly.ask('"raise"')
    path = unruly.base / "model/code/inference.py"
    assert (status, body.decode()) == (500, f"KeyError: 'no such feature' ({path}:10 in predict_fn)")
    assert "Traceback (most recent call last)" in unruly.log
    assert "sagebrush/runtime" not in unruly.log
    assert pid_of(unruly) == before


def test_the_exit_of_a_handler_is_an_error_of_its_request_alone(unruly: Replica) -> None:
    before = pid_of(unruly)
    status, body = unruly.ask('"exit"')
    assert status == 500
    assert body.startswith(b"SystemExit: enough (")
    assert pid_of(unruly) == before


def test_an_exception_may_bring_a_status(unruly: Replica) -> None:
    assert unruly.ask('"teapot"')[0] == 418


def test_nonsense_is_named(unruly: Replica) -> None:
    for what, kind in (("set", b"a set"), ("none", b"None")):
        status, body = unruly.ask(json.dumps(what))
        assert status == 500
        assert body.startswith(b"output_fn returned %b, which cannot be sent as application/json" % kind)


def test_a_body_that_the_users_code_cannot_read_is_its_error(unruly: Replica) -> None:
    for body in ("", "{", b"\xff\xfe"):
        assert unruly.ask(body)[0] in (400, 500)
    assert unruly.ask(b"\xff\xfe") == (
        400,
        b"The body is not application/json: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    )


# -- workers that end -------------------------------------------------------------------------------------------------


def test_a_hanging_worker_is_ended_and_its_socket_served_by_another(unruly: Replica) -> None:
    before, other = pid_of(unruly), pid_of(unruly, 1)
    with unruly.connect() as hanging:
        hanging.sendall(request_of('"hang"', JSON))
        assert pid_of(unruly, 1) == other
        assert answer_of(hanging)[0] == 0
    assert pid_of(unruly) != before
    assert f"worker 0 (pid {before}) ended by signal 9 (SIGKILL), because a request took longer than 2 s" in unruly.log


def test_workers_that_hang_again_and_again_do_not_end_the_server(start: Start) -> None:
    replica = start({"code/inference.py": UNRULY}, SAGEMAKER_MODEL_SERVER_TIMEOUT="0.2")
    for _ in range(6):
        assert replica.ask('"hang"') == (0, b"")
    assert replica.ask('"well"')[0] == 200


def test_a_worker_that_dies_loses_its_own_request_only(unruly: Replica) -> None:
    before, other = pid_of(unruly), pid_of(unruly, 1)
    assert unruly.ask('"die"') == (0, b"")
    assert unruly.ask('"own"')[0] == 200
    assert pid_of(unruly, 1) == other
    assert (
        f"worker 0 (pid {before}) ended by signal 9 (SIGKILL), as the kernel does when memory runs out; another"
        in unruly.log
    )


def test_requests_that_wait_are_answered_by_the_worker_that_follows(unruly: Replica) -> None:
    before = pid_of(unruly)
    os.kill(before, signal.SIGSTOP)
    with unruly.connect() as one, unruly.connect() as other:
        for connection in (one, other):
            connection.sendall(request_of('"after"', JSON))
        os.kill(before, signal.SIGKILL)
        for connection in (one, other):
            assert answer_of(connection)[0] == 200


def test_a_worker_killed_while_idle_is_replaced_under_the_waiting_connection(unruly: Replica) -> None:
    for _ in range(3):
        before = pid_of(unruly)
        os.kill(before, signal.SIGKILL)
        assert pid_of(unruly) != before


def test_a_worker_without_memory_says_so_and_is_replaced(start: Start) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))"
    replica = start({"code/inference.py": UNRULY}, before=limit)
    before = pid_of(replica)
    status, body = replica.ask('"leak"')
    assert status == 500
    assert body.startswith(b"MemoryError")
    assert pid_of(replica) != before


def test_workers_that_die_again_and_again_end_the_server(start: Start) -> None:
    replica = start({"code/inference.py": UNRULY})
    for _ in range(5):
        assert replica.ask('"die"') == (0, b"")
    assert replica.ended() == 1
    assert "A worker ended 5 times in a row without an answer, lastly by signal 9 (SIGKILL)" in replica.failure


def test_an_answer_forgives_the_deaths_before_it(start: Start) -> None:
    replica = start({"code/inference.py": UNRULY})
    for _ in range(3):
        for _ in range(3):
            assert replica.ask('"die"') == (0, b"")
        assert replica.ask('"well"')[0] == 200


def test_workers_do_not_outlive_their_parent(unruly: Replica) -> None:
    pids = [pid_of(unruly), pid_of(unruly, 1)]
    unruly.process.kill()
    eventually(lambda: all(gone(pid) for pid in pids))


# -- the end ----------------------------------------------------------------------------------------------------------


def test_sigterm_lets_the_request_in_hand_end_and_those_that_have_arrived(unruly: Replica) -> None:
    pid_of(unruly, 1)
    with unruly.connect() as first, unruly.connect() as second:
        assert exchange(first, '"first"', JSON)[0] == 200
        first.sendall(request_of('"slow"', JSON))
        unruly.wait_for_log("slow begins")
        second.sendall(request_of('"second"', JSON))
        unruly.process.terminate()
        status, _, body = answer_of(first)
        assert (status, json.loads(body)["data"]) == (200, "slow")
        status, headers, _ = answer_of(second)
        assert (status, headers["connection"]) == (200, "close")
    assert unruly.ended() == 0
    assert not (unruly.base / "output/failure").exists()


def test_sigterm_to_the_whole_group_does_the_same(unruly: Replica) -> None:
    pid_of(unruly, 1)
    with unruly.connect() as connection:
        connection.sendall(request_of('"slow"', JSON))
        unruly.wait_for_log("slow begins")
        for pid in (*unruly.workers(), unruly.process.pid):
            os.kill(pid, signal.SIGTERM)
        assert answer_of(connection)[0] == 200
    assert unruly.ended() == 0


def test_an_idle_server_ends_at_once_and_leaves_no_process(unruly: Replica) -> None:
    pids = [pid_of(unruly), pid_of(unruly, 1)]
    assert unruly.stop() == 0
    assert all(gone(pid) for pid in pids)


def test_sigterm_while_the_model_is_loaded_says_what_was_going_on(start: Start) -> None:
    code = UNRULY.replace(
        "def model_fn(model_dir):", "def model_fn(model_dir):\n    print('loading'); time.sleep(3600)"
    )
    replica = start({"code/inference.py": code})
    replica.wait_for_log("loading")
    assert replica.stop() == 0
    assert "before it could answer: it was loading the model" in replica.failure


def test_a_model_that_does_not_load_in_time_is_told(start: Start) -> None:
    code = UNRULY.replace("def model_fn(model_dir):", "def model_fn(model_dir):\n    time.sleep(3600)")
    replica = start({"code/inference.py": code}, SAGEMAKER_STARTUP_TIMEOUT="0.2")
    assert replica.ended() == 1
    assert "because the model was not loaded within 0.2 s" in replica.failure
