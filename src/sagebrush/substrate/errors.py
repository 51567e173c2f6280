"""The three kinds of error (DESIGN 3.9).

Exception
├── CallerError   the caller can act on it: an AWS code and AWS's wording, sent as the response
└── Fault         ours: the caller gets a request id, the log gets the traceback
JobFailure        not an exception: the recorded outcome of user code that failed
Refused           carries a JobFailure from where it is found to the step that records it
Cancelled         the owner of a piece of work does not want it any more
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: SageMaker cuts FailureReason at this many characters.
FAILURE_REASON_LIMIT = 1024


class CallerError(Exception):
    """An error the caller caused and can act on.

    ``code`` is the AWS error code as the client matches it (``ValidationException``, ``NoSuchKey``); ``status`` the
    HTTP status. ``members`` are further members of the modelled error shape (``BucketName``, ``Reasons`` ...).
    """

    def __init__(self, code: str, message: str, *, status: int = 400, members: Mapping[str, object] | None = None):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members: Mapping[str, object] = members or {}


def validation(message: str) -> CallerError:
    """The error of SageMaker and most JSON services for a request that breaks a rule."""
    return CallerError("ValidationException", message)


def access_denied(message: str, *, code: str = "AccessDeniedException", status: int = 400) -> CallerError:
    """The caller's policies do not allow the call. S3, IAM and STS say ``AccessDenied`` with 403."""
    return CallerError(code, message, status=status)


class Fault(Exception):
    """A defect or an exhausted resource of the platform itself; never the caller's doing."""


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why user code did not succeed; a value that is recorded, never raised across a seam.

    ``kind`` is SageMaker's prefix of FailureReason: ``AlgorithmError``, ``ClientError``, ``InternalServerError`` or
    ``CapacityError``.
    """

    kind: str
    message: str
    exit_code: int | None = None
    signal: int | None = None
    detail: Mapping[str, object] = field(default_factory=dict)

    def reason(self) -> str:
        """The text of FailureReason, cut to SageMaker's length."""
        text = f"{self.kind}: {self.message}"
        if len(text) > FAILURE_REASON_LIMIT:
            text = text[: FAILURE_REASON_LIMIT - 1] + "…"
        return text


class Refused(Exception):
    """The work cannot go on, and its owner can mend it: the failure to record. Raised in engines, caught by steps."""

    def __init__(self, failure: JobFailure):
        super().__init__(failure.message)
        self.failure = failure


class Cancelled(Exception):
    """Work was broken off because its owner asked for it (the job is being stopped)."""
