"""How soon an endpoint answers, and that replacing its model loses no request.

    python -m benchmarks.endpoint_latency [--endpoints 10] [--updates 5] [--rate 200]

Claims: CreateEndpoint -> InService -> first prediction takes at most two seconds, the environment being built, for a
scikit-learn model with handlers; and UpdateEndpoint under 200 requests a second fails none of them.

The first is set against a bare interpreter in turn: start, import, load the same artefact's model, predict once; nobody
serves sooner without keeping something warm. The second is set against the same stream of requests while nothing is
updated: the stream is an open loop (a request is sent when it is due), its latencies count from that moment.
An answer fails when its status is not 200 or when it is not what one of the two models says; after an update has ended,
what the old model says is a failure too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.journeys.serving import times

from benchmarks.serving import endpoint, model
from benchmarks.serving.endpoint import Serving
from benchmarks.serving.steady import Answer, Stream

GOAL_SECONDS = 2.0
QUIET_SECONDS = 5.0
FACTORS = (2.0, 3.0)
_FIRST_PREDICTION = """
import json, sys
import joblib, numpy
print(int(joblib.load(sys.argv[1]).predict(numpy.asarray([json.loads(sys.argv[2])]))[0]), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoints", type=int, default=10)
    parser.add_argument("--updates", type=int, default=5)
    parser.add_argument("--rate", type=float, default=200.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, endpoint.serving_platform() as serving:
        soon = first_predictions(serving, model.make(Path(folder)), options.endpoints)
        lossless = updates(serving, options.updates, options.rate)
    sys.exit(0 if soon and lossless else 1)


def first_predictions(serving: Serving, fitted: model.Model, count: int) -> bool:
    """Create, ask, delete, in turn with bare interpreters; the very first of each is not counted."""
    endpoints = serving.endpoints
    endpoints.model("latency", fitted.artefact(), **endpoint.ONE_WORKER)
    endpoints.config("latency", {"ModelName": "latency"})
    in_service, first, bare = [], [], []
    for number in range(count + 1):
        took = one_endpoint(serving, f"latency-{number}", fitted)
        alone = one_interpreter(fitted)
        if number:
            in_service.append(took[0])
            first.append(took[1])
            bare.append(alone)
    ratios = [mine / theirs for mine, theirs in zip(first, bare, strict=True)]
    print(f"{count} endpoints, one after another, and bare interpreters in turn; seconds, medians (least to most)")
    print(f"CreateEndpoint -> InService               {spread(in_service)}")
    print(f"CreateEndpoint -> first prediction        {spread(first)}   goal <= {GOAL_SECONDS:g}")
    print(f"bare interpreter -> first prediction      {spread(bare)}")
    print(f"ratio                                     {spread(ratios)}")
    holds = statistics.median(first) <= GOAL_SECONDS
    print("claim:", "holds" if holds else "DOES NOT HOLD")
    return holds


def one_endpoint(serving: Serving, name: str, fitted: model.Model) -> tuple[float, float]:
    """Seconds until it is in service and until it has predicted."""
    endpoints = serving.endpoints
    began = time.monotonic()
    endpoints.create(name, "latency")
    while (status := endpoints.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]) == "Creating":
        time.sleep(0.02)
    in_service = time.monotonic() - began
    if status != "InService":
        raise RuntimeError(endpoints.sagemaker.describe_endpoint(EndpointName=name)["FailureReason"])
    answer = endpoints.invoke(name, fitted.row)
    took = time.monotonic() - began
    assert answer == {"prediction": fitted.prediction}, answer
    endpoints.sagemaker.delete_endpoint(EndpointName=name)
    endpoint.until(lambda: endpoints.gone(name), seconds=60)
    return in_service, took


def one_interpreter(fitted: model.Model) -> float:
    """Seconds until it has said what it predicts; how it ends does not count."""
    command = [str(fitted.python), "-c", _FIRST_PREDICTION, str(fitted.path), json.dumps(fitted.row)]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == fitted.prediction
        return time.monotonic() - began


def updates(serving: Serving, count: int, rate: float) -> bool:
    """Replace a model by the other one and back, under a stream of requests."""
    endpoints, name = serving.endpoints, "updated"
    for factor in FACTORS:
        endpoints.model(f"times-{factor:g}", times(factor))
        endpoints.config(f"times-{factor:g}", {"ModelName": f"times-{factor:g}", "InitialInstanceCount": 1})
    endpoints.create(name, f"times-{FACTORS[0]:g}")
    assert endpoints.settled(name)["EndpointStatus"] == "InService"
    stream = Stream(serving.platform.port, serving.signed(name, b"[10.0]", 1024), rate)
    stream.start()
    time.sleep(QUIET_SECONDS)
    periods = []
    for number in range(count):
        began = time.monotonic()
        config = f"times-{FACTORS[(number + 1) % 2]:g}"
        endpoints.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
        assert endpoints.settled(name)["EndpointStatus"] == "InService"
        periods.append((began, time.monotonic()))
        time.sleep(QUIET_SECONDS)
    stream.stop()
    return report_updates(stream.answers, periods, rate)


def report_updates(answers: list[Answer], periods: list[tuple[float, float]], rate: float) -> bool:
    during = [a for a in answers if any(begin <= a.due <= end for begin, end in periods)]
    quiet = [a for a in answers if not any(begin <= a.due <= end for begin, end in periods)]
    problems = [answer.problem or f"answered {answer.body!r}" for answer in answers if failed(answer, periods)]
    print(
        f"\n{len(periods)} updates under {rate:g} requests/s; {len(answers)} requests, {len(during)} of them meanwhile"
    )
    print(f"UpdateEndpoint -> InService, s            {spread([end - begin for begin, end in periods])}")
    meanwhile, otherwise = quantiles(during), quantiles(quiet)
    for label, (p50, p99, worst) in (("meanwhile", meanwhile), ("otherwise", otherwise)):
        print(f"latency {label}, ms                     p50 {p50:.1f}  p99 {p99:.1f}  most {worst:.1f}")
    p50, p99 = (mine / base for mine, base in zip(meanwhile[:2], otherwise[:2], strict=True))
    print(f"ratio meanwhile / otherwise               p50 {p50:.2f}  p99 {p99:.2f}")
    print(f"failed requests                           {len(problems)}   goal 0")
    for problem in sorted(set(problems))[:5]:
        print(f"  {problems.count(problem)} x {problem}")
    print("claim:", "DOES NOT HOLD" if problems else "holds")
    return not problems


def failed(answer: Answer, periods: list[tuple[float, float]]) -> bool:
    """Whether it is no answer of a model that may serve at that moment."""
    if answer.problem:
        return True
    said = json.loads(answer.body)
    done = sum(end < answer.due for _, end in periods)
    begun = sum(begin < answer.due + answer.seconds for begin, _ in periods)
    return said not in [[10.0 * FACTORS[number % 2]] for number in range(done, begun + 1)]


def quantiles(answers: list[Answer]) -> tuple[float, float, float]:
    """Median, 99th percentile and maximum of the latency in milliseconds."""
    sorted_ms = sorted(answer.seconds * 1000 for answer in answers)
    return statistics.median(sorted_ms), sorted_ms[int(len(sorted_ms) * 0.99)], sorted_ms[-1]


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
