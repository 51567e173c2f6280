"""Policy decisions per CPU second at 20 statements, against the naive evaluator that the property tests hold it to.

Both decide the same requests on the same 20 statements (actions and resources with wildcards, conditions with and
without set operators, denials), one half allowed, and agree on every one. Three kinds of request: *repeated* (a few
resources over and over, as a job or an SDK sends them), *fresh* (each resource once, no condition), *conditional* (each
resource once, and a statement about the action looks at the request's context). CPU time, no store, no signature.

Run: ``python -m benchmarks.policy_decisions [--rounds 5]``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.substrate.identity.policy.oracle import naive_decision

from sagebrush.substrate.identity.policy import Layers, Policy, PolicySet, Source, decide, parse_document

GOAL = 10_000
REQUESTS = 400
ACCOUNT = "123456789012"
CONTEXT = {
    "sagemaker:InstanceTypes": ["ml.m5.large", "ml.m5.xlarge"],
    "aws:RequestTag/Team": ["red"],
    "aws:TagKeys": ["Team", "Cost"],
    "aws:PrincipalArn": [f"arn:aws:iam::{ACCOUNT}:role/Worker"],
    "aws:SecureTransport": ["true"],
}


def statement(action: Any, resource: Any, effect: str = "Allow", **condition: Any) -> dict[str, Any]:
    made = {"Effect": effect, "Action": action, "Resource": resource}
    return made | ({"Condition": condition} if condition else {})


TWENTY = [
    statement(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::data-*/train/*"),
    statement("s3:ListBucket", ["arn:aws:s3:::data-a", "arn:aws:s3:::data-b"]),
    statement("s3:*", "arn:aws:s3:::data-*/private/*", "Deny"),
    statement(["sagemaker:Describe*", "sagemaker:List*"], "*"),
    statement(
        "sagemaker:Create*",
        f"arn:aws:sagemaker:*:{ACCOUNT}:*/team-a-*",
        StringLike={"sagemaker:InstanceTypes": ["ml.m5.*", "ml.t3.*"]},
    ),
    statement(
        "sagemaker:Create*",
        "*",
        "Deny",
        **{"ForAnyValue:StringNotLike": {"sagemaker:InstanceTypes": ["ml.m5.*", "ml.t3.*", "ml.c5.*"]}},
    ),
    statement("sagemaker:*", "*", "Deny", StringNotEquals={"aws:RequestTag/Team": ["red", "blue"]}),
    statement("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/team-a/*"),
    statement(["logs:CreateLogStream", "logs:PutLogEvents", "logs:Get*"], f"arn:aws:logs:*:{ACCOUNT}:log-group:/aws/*"),
    statement("cloudwatch:PutMetricData", "*"),
    *(statement(f"service{n}:*", [f"arn:aws:service{n}:*:{ACCOUNT}:thing/*"]) for n in range(9)),
    statement("s3:DeleteObject", "*", "Deny", StringLike={"aws:PrincipalArn": "*:role/Worker"}),
]
Request = tuple[str, str]


def requests(kind: str) -> list[Request]:
    """``REQUESTS`` of one kind, half of them allowed."""
    job = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/team"
    made = {
        "repeated": lambda n: ("s3:GetObject", f"arn:aws:s3:::data-a/{'train' if n % 2 else 'other'}/part-{n % 10}"),
        "fresh": lambda n: ("s3:GetObject", f"arn:aws:s3:::data-a/{'train' if n % 2 else 'other'}/part-{n:09}"),
        "conditional": lambda n: ("sagemaker:CreateTrainingJob", f"{job}-{'a' if n % 2 else 'b'}-{n:09}"),
    }[kind]
    return [made(number) for number in range(REQUESTS)]


def ours() -> Callable[[Request], str]:
    """The platform's evaluator, its memory of decisions empty."""
    text = json.dumps({"Version": "2012-10-17", "Statement": TWENTY})
    layers = Layers(PolicySet([Policy(Source("p", "none"), parse_document(text))]))
    context = {key.lower(): tuple(values) for key, values in CONTEXT.items()}
    return lambda request: decide(layers, *request, lambda: context).effect.value


def naive(request: Request) -> str:
    """The oracle."""
    return naive_decision([TWENTY], *request, CONTEXT)


def per_cpu_second(decider: Callable[[Request], str], asked: list[Request]) -> float:
    """Decisions per second of this process's CPU."""
    before = time.process_time()
    for request in asked:
        decider(request)
    return len(asked) / (time.process_time() - before)


def main() -> int:
    """Measure, print, and fail when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    assert len(TWENTY) == 20
    missed = False
    for kind in ("repeated", "fresh", "conditional"):
        asked = requests(kind)
        answers = [naive(request) for request in asked]
        assert answers == [ours()(request) for request in asked]
        assert answers.count("allowed") == REQUESTS // 2, "half of the requests should be allowed"
        fast = sorted(per_cpu_second(ours(), asked) for _ in range(rounds))
        slow = sorted(per_cpu_second(naive, asked) for _ in range(rounds))
        ratio = statistics.median(fast) / statistics.median(slow)
        missed |= statistics.median(fast) < GOAL
        print(
            f"{kind:12} {statistics.median(fast):9,.0f} decisions per CPU second ({fast[0]:,.0f} to {fast[-1]:,.0f}), "
            f"naive {statistics.median(slow):7,.0f}: {ratio:.1f} x"
        )
    print(f"goal: at least {GOAL:,} at {len(TWENTY)} statements: {'missed' if missed else 'held'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
