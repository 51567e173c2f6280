"""The contract of handlers, as SageMaker's inference toolkit has it."""

from __future__ import annotations

import json

import pytest

from tests.runtime.serving.conftest import Start
from tests.runtime.serving.replica import answer_of, request_of


def test_transform_fn_does_everything_itself(start: Start) -> None:
    code = """
def model_fn(model_dir, context):
    assert context.system_properties["model_dir"] == model_dir
    return 3
def transform_fn(model, body, content_type, accept):
    return f"{model}|{body}|{content_type}|{accept}", "text/plain"
"""
    replica = start({"code/inference.py": code}, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv")
    assert replica.ask("1,2", "text/csv") == (200, b"3|1,2|text/csv|text/csv")
    assert replica.ask("1,2", "text/csv", "application/json")[1].endswith(b"|application/json")
    # As in the toolkit, only these very types come as text.
    assert replica.ask("1,2", "text/csv; charset=utf-8")[1].startswith(b"3|b'1,2'|")


def test_what_stands_around_model_fn_is_called_in_order(start: Start) -> None:
    code = """
calls = []
def pre_model_fn(model_dir): calls.append("pre")
def model_fn(model_dir): calls.append("model"); return "m"
def model_warmup_fn(model_dir, model): calls.append("warm " + model)
def predict_fn(data, model): return calls
"""
    assert start({"code/inference.py": code}).ask("[]") == (200, b'["pre", "model", "warm m"]')


def test_the_context_tells_of_the_request_and_takes_what_goes_with_the_answer(start: Start) -> None:
    code = """
import json
def model_fn(model_dir): return None
def input_fn(body, content_type, context):
    return context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
def predict_fn(data, model, context):
    properties = context.request_processor[0].get_request_properties()
    if data:
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", data + "\\r\\nEvil: 1")
    return {"type": properties["Content-Type"], "headers": len(context.headers)}
def output_fn(prediction, accept, context):
    context.set_response_content_type(0, "application/x-mine")
    context.set_response_status(code=201)
    return json.dumps(prediction)
"""
    replica = start({"code/inference.py": code})
    with replica.connect() as connection:
        head = b"POST /invocations HTTP/1.1\r\nX-Amzn-SageMaker-custom-attributes: trace=7\r\n"
        connection.sendall(head + b"content-type: text/x\r\nContent-Length: 0\r\n\r\n")
        status, headers, body = answer_of(connection)
        assert (status, headers["content-type"]) == (201, "application/x-mine")
        assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=7 Evil: 1"
        assert json.loads(body) == {"type": "text/x", "headers": 1}
        connection.sendall(request_of("", "text/y"))
        _, headers, body = answer_of(connection)
        assert "x-amzn-sagemaker-custom-attributes" not in headers
        assert json.loads(body) == {"type": "text/y", "headers": 0}


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("'text'", (200, b"text", "application/json")),
        ("b'bytes'", (200, b"bytes", "application/json")),
        ("bytearray(b'bytes')", (200, b"bytes", "application/json")),
        ("('a', 'text/x-a')", (200, b"a", "text/x-a")),
        ("{'a': [1, None]}", (200, b'{"a": [1, null]}', "application/json")),
        ("[1, 2]", (200, b"[1, 2]", "application/json")),
        ("worker.Response('a', mimetype='text/x-a', status=202)", (202, b"a", "text/x-a")),
        ("worker.Response(b'a', headers={'Content-Length': '9'})", (200, b"a", "application/json")),
        ("([1, 2], 'text/csv')", (200, b"1\n2\n", "text/csv")),
        ("('a', 'text/x\\r\\nEvil: 1')", (500, b"transform_fn returned 'text/x\\r\\nEvil: 1' as content type.", None)),
        ("object()", (500, b"transform_fn returned an object, which cannot be sent as application/json", None)),
        ("None", (500, b"transform_fn returned None, which cannot be sent", None)),
        ("({1}, 'text/csv')", (500, b"transform_fn returned a set, which cannot be sent as text/csv", None)),
        ("iter([{1}])", (500, b"transform_fn yielded set as part 1", None)),
    ],
)
def test_results_of_every_kind(start: Start, result: str, told: tuple[int, bytes, str | None]) -> None:
    code = "from sagemaker_containers.beta.framework import worker\ndef model_fn(d): 0\n"
    code += f"def transform_fn(model, body, content_type, accept):\n    return {result}\n"
    replica = start({"code/inference.py": code})
    with replica.connect() as connection:
        connection.sendall(request_of("", "text/plain"))
        status, headers, body = answer_of(connection)
    expected, beginning, content_type = told
    assert (status, body[: len(beginning)]) == (expected, beginning)
    if content_type:
        assert headers["content-type"] == content_type


def test_handlers_may_be_objects_and_have_defaults_of_their_own(start: Start) -> None:
    code = """
import functools
class Predictor:
    def __call__(self, data, model): return [model, data]
predict_fn = Predictor()
model_fn = lambda *arguments: len(arguments)
input_fn = functools.partial(lambda extra, body, content_type: body + extra, "!")
"""
    assert start({"code/inference.py": code}).ask("hi", "application/json") == (200, b'[1, "hi!"]')


def test_what_handlers_print_is_in_the_log_by_the_time_of_the_answer(start: Start) -> None:
    code = "def model_fn(d): 0\ndef predict_fn(data, model): print('asked for', data)\ndef output_fn(p, a): return ''\n"
    code += "def input_fn(body, content_type): return body\n"
    replica = start({"code/inference.py": code}, PYTHONUNBUFFERED="")
    assert replica.ask("bread", "text/plain")[0] == 200
    assert "asked for bread" in replica.log or "asked for b'bread'" in replica.log
