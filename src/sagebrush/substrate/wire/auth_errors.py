"""What each family of services says when it does not accept a signature.

The families: S3 (codes of its own, 403), ``json`` (codes end in Exception, 400), ``rest-json`` (the same with 403),
``query`` (IAM and STS: 403). Sources: "Common Error Types" of the SageMaker and STS API references, "Error responses"
of the Amazon S3 API Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import timestamps

_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_UNKNOWN_KEY: Final = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"})
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException"})
_BAD_TOKEN: Final = frozenset({"InvalidToken", "InvalidTokenException"})


@dataclass(frozen=True, slots=True)
class AuthErrors:
    """The words of one family: ``s3``, ``json``, ``rest-json`` or ``query``."""

    family: str

    @property
    def _is_s3(self) -> bool:
        return self.family == "s3"

    @property
    def _status(self) -> int:
        return 400 if self.family == "json" else 403

    def _error(self, json_code: str, query_code: str, message: str) -> CallerError:
        code = query_code if self.family == "query" else json_code
        return CallerError(code, message, status=self._status)

    def missing(self) -> CallerError:
        """There is no signature at all."""
        if self._is_s3:
            return CallerError("AccessDenied", "Access Denied", status=403)
        return self._error(
            "MissingAuthenticationTokenException", "MissingAuthenticationToken", "Missing Authentication Token"
        )

    def unsupported(self) -> CallerError:
        """The Authorization header speaks of something else than AWS4-HMAC-SHA256."""
        if self._is_s3:
            message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
            return CallerError("InvalidRequest", message)
        return self._error("IncompleteSignatureException", "IncompleteSignature", "Unsupported authorization algorithm")

    def malformed(self, message: str, *, in_query: bool = False) -> CallerError:
        """The signature's parts are missing or unreadable."""
        if self._is_s3 and in_query:
            return CallerError("AuthorizationQueryParametersError", message)
        if self._is_s3:
            return CallerError("AuthorizationHeaderMalformed", f"The authorization header is malformed; {message}")
        return self._error("IncompleteSignatureException", "IncompleteSignature", message)

    def wrong_scope(self, s3_message: str, message: str, members: Mapping[str, object], in_query: bool) -> CallerError:
        """The credential scope names another date, region or service."""
        if self._is_s3 and in_query:
            return CallerError(
                "AuthorizationQueryParametersError",
                f"Error parsing the X-Amz-Credential parameter; {s3_message}",
                members=members,
            )
        if self._is_s3:
            message = f"The authorization header is malformed; {s3_message}"
            return CallerError("AuthorizationHeaderMalformed", message, members=members)
        return self._error("InvalidSignatureException", "SignatureDoesNotMatch", message)

    def not_signed(self, headers: list[str]) -> CallerError:
        """Headers that must be signed are not."""
        names = ", ".join(headers)
        if self._is_s3:
            message = "There were headers present in the request which were not signed"
            return CallerError("AccessDenied", message, status=403, members={"HeadersNotSigned": names})
        message = f"'{headers[0]}' must be a 'SignedHeader' in the AWS Authorization."
        return self._error("InvalidSignatureException", "SignatureDoesNotMatch", message)

    def skewed(self, at: datetime, now: datetime, seconds: int) -> CallerError:
        """The request's time is too far from ours."""
        if self._is_s3:
            return CallerError(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                status=403,
                members={
                    "RequestTime": _basic(at),
                    "ServerTime": timestamps.to_iso8601(now),
                    "MaxAllowedSkewMilliseconds": seconds * 1000,
                },
            )
        message = (
            f"Signature expired: {_basic(at)} is now earlier than {_basic(now)} - {seconds // 60} min."
            if at < now
            else f"Signature not yet current: {_basic(at)} is still later than {_basic(now)} + {seconds // 60} min."
        )
        return self._error("InvalidSignatureException", "SignatureDoesNotMatch", message)

    def request_expired(self, until: datetime, now: datetime) -> CallerError:
        """A presigned request past its time."""
        if self._is_s3:
            members = {"Expires": timestamps.to_iso8601(until), "ServerTime": timestamps.to_iso8601(now)}
            return CallerError("AccessDenied", "Request has expired", status=403, members=members)
        message = f"Signature expired: {_basic(until)} is now earlier than {_basic(now)}"
        return self._error("InvalidSignatureException", "SignatureDoesNotMatch", message)

    def mismatch(self, access_key_id: str, signature: str, canonical: str, to_sign: str) -> CallerError:
        """The signature is another than ours. S3 shows what it signed, so that client authors can compare."""
        if not self._is_s3:
            return self._error("InvalidSignatureException", "SignatureDoesNotMatch", _MISMATCH)
        members = {
            "AWSAccessKeyId": access_key_id,
            "StringToSign": to_sign,
            "SignatureProvided": signature,
            **({"CanonicalRequest": canonical} if canonical else {}),
        }
        message = (
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        )
        return CallerError("SignatureDoesNotMatch", message, status=403, members=members)

    def wrong_hash(self, claimed: str, computed: str) -> CallerError:
        """The body is not the one whose hash was signed."""
        if not self._is_s3:
            return self._error("InvalidSignatureException", "SignatureDoesNotMatch", _MISMATCH)
        members = {"ClientComputedContentSHA256": claimed, "S3ComputedContentSHA256": computed}
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        return CallerError("XAmzContentSHA256Mismatch", message, members=members)

    def of_lookup(self, error: CallerError, access_key_id: str) -> CallerError:
        """What looking up a key or token said, in this family's words; other errors pass unchanged."""
        if error.code in _UNKNOWN_KEY:
            return self._unknown_key(access_key_id)
        if error.code in _EXPIRED:
            if self._is_s3:
                return CallerError("ExpiredToken", "The provided token has expired.", status=400)
            message = "The security token included in the request is expired"
            return self._error("ExpiredTokenException", "ExpiredToken", message)
        if error.code in _BAD_TOKEN:
            if self._is_s3:
                return CallerError("InvalidToken", "The provided token is malformed or otherwise invalid.")
            return self._unknown_key(access_key_id)
        return error

    def _unknown_key(self, access_key_id: str) -> CallerError:
        if self._is_s3:
            message = "The AWS Access Key Id you provided does not exist in our records."
            return CallerError("InvalidAccessKeyId", message, status=403, members={"AWSAccessKeyId": access_key_id})
        message = "The security token included in the request is invalid."
        return self._error("UnrecognizedClientException", "InvalidClientTokenId", message)


def _basic(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")
