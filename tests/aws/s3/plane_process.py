"""The object plane as a process of its own, over real HTTP, for tests and benchmarks.

``python -m tests.aws.s3.plane_process '<options as JSON>'``; prints one line of JSON with credentials when it is about
to serve.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import uvicorn

from sagebrush.planes.objects.app import build_app
from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.identity import Identity, ensure_seed
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import OBJECTS, STATE
from tests.databases import open_at

HOUR = 3600


def allow(*statements: tuple[list[str], list[str]]) -> str:
    """A policy document."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": actions, "Resource": where} for actions, where in statements],
        }
    )


EVERYWHERE = ["arn:aws:s3:::*"]

#: Callers besides the operator: sessions of SageMakerRole that may no more than this.
RESTRICTED = {
    "reader": allow((["s3:GetObject"], EVERYWHERE)),
    "lister": allow((["s3:GetObject", "s3:ListBucket"], EVERYWHERE)),
    "writer": allow((["s3:PutObject"], ["arn:aws:s3:::*/inbox/*"])),
    "nobody": allow((["s3:GetBucketLocation"], ["arn:aws:s3:::no-such-bucket"])),
}


def main() -> None:
    options: dict[str, Any] = json.loads(sys.argv[1])
    faultpoints.arm(os.environ)
    root = Path(options["root"])
    clock = SystemClock()
    settings = Settings(
        data_dir=root, auth=options.get("auth", "signed"), region=options.get("region", "us-east-1"), log_level="INFO"
    )
    state = open_at(STATE, root / "state.db", clock)
    identity = Identity(store=state, clock=clock, settings=settings, key_file=root / "platform.key")
    ensure_seed(state, settings, clock)
    sessions = {"operator": identity.operator_session()}
    role = f"arn:aws:iam::{settings.account}:role/SageMakerRole"
    for name, policy in RESTRICTED.items():
        sessions[name] = identity.role_session(role, name, HOUR, policies=(policy,))
    index = open_at(OBJECTS, root / "index.db", clock)
    objects = ObjectStore(root / "objects", index, clock)
    app = build_app(settings, clock, identity, objects)
    credentials = {
        name: {
            "aws_access_key_id": session.access_key_id,
            "aws_secret_access_key": session.secret_access_key,
            "aws_session_token": session.session_token,
        }
        for name, session in sessions.items()
    }
    print(json.dumps(credentials), flush=True)
    if limit := options.get("file_bytes"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=options["port"],
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=HOUR,
    )


if __name__ == "__main__":
    main()
