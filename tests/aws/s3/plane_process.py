"""The object plane as a process of its own, over real HTTP, for tests: ``python -m tests.aws.s3.plane_process``.

Policies are the tests' own small table here; the evaluator has tests of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from sagebrush.planes.objects.app import build_app
from sagebrush.planes.objects.serving import serve
from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.errors import CallerError, access_denied
from sagebrush.substrate.identity.principal import Principal
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import OBJECTS, open_store

ACCOUNT = "123456789012"
SECRET = "a-secret-that-only-tests-know"

#: Access key id -> what it may do: (action pattern, resource pattern).
POLICIES: dict[str, tuple[tuple[str, str], ...]] = {
    "AKIAADMINISTRATOR001": (("*", "*"),),
    "AKIAREADER0000000001": (("s3:GetObject", "arn:aws:s3:::*"),),
    "AKIALISTER0000000001": (("s3:GetObject", "arn:aws:s3:::*"), ("s3:ListBucket", "arn:aws:s3:::*")),
    "AKIAWRITER0000000001": (("s3:PutObject", "arn:aws:s3:::*/inbox/*"),),
    "AKIANOBODY0000000001": (),
    "ASIASESSION000000001": (("*", "*"),),
}
SESSION_TOKEN = "a-session-token"


@dataclass(frozen=True)
class Key:
    secret_access_key: str
    principal: Principal


class TableIdentity:
    """Looks keys up and allows actions by the table above."""

    def lookup(self, access_key_id: str, session_token: str | None) -> Key:
        if access_key_id not in POLICIES:
            raise CallerError(
                "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", status=403
            )
        wanted = SESSION_TOKEN if access_key_id.startswith("ASIA") else None
        if session_token != wanted:
            raise CallerError("InvalidToken", "The provided token is malformed or otherwise invalid.", status=400)
        return Key(SECRET, Principal(f"arn:aws:iam::{ACCOUNT}:user/{access_key_id}", ACCOUNT, access_key_id))

    def authorize(
        self,
        principal: Principal,
        action: str,
        resource: str,
        *,
        source_ip: str = "",
        context: Mapping[str, str] | None = None,
    ) -> None:
        for allowed, where in POLICIES[principal.user_id]:
            if fnmatchcase(action, allowed) and fnmatchcase(resource, where):
                return
        raise access_denied(f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource}")


def main() -> None:
    options: dict[str, Any] = json.loads(sys.argv[1])
    faultpoints.arm(os.environ)
    if limit := options.get("file_bytes"):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    root = Path(options["root"])
    clock = SystemClock()
    settings = Settings(auth=options.get("auth", "signed"), region=options.get("region", "us-east-1"))
    index = open_store(OBJECTS, path=root / "index.db")
    objects = ObjectStore(root / "objects", index, clock)
    identity = cast(Any, TableIdentity() if settings.auth == "signed" else None)
    serve(build_app(settings, clock, identity, objects), port=options["port"])
    index.close()


if __name__ == "__main__":
    main()
