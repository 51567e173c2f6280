from __future__ import annotations

from tests.aws.s3.conftest import bucket, plane, s3

__all__ = ["bucket", "plane", "s3"]
