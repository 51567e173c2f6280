"""Who invokes, and may they: the signature verified here, with the secret and the rights that a grant tells."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sagebrush.planes.front.heads import RequestHead
from sagebrush.planes.front.invocations.grants import Grant, GrantKey
from sagebrush.planes.front.invocations.responses import unavailable
from sagebrush.substrate.wire import everyday, sigv4
from sagebrush.substrate.wire.auth_errors import AuthErrors
from sagebrush.substrate.wire.signature_claims import Claim

_SERVICE: Final = "sagemaker"
_ERRORS: Final = AuthErrors("rest-json")


class Authentication:
    """A request's claim, judged as far as it can be without the secret. Raises CallerError.

    Everyday signatures take the short way; every other one, and every refusal, is :mod:`sigv4`'s. The region of the
    scope is taken as it is: one platform is one region, whatever a client calls it.
    """

    __slots__ = ("_claim", "_digest", "_everyday", "_head", "_now", "_sent")

    def __init__(self, head: RequestHead, digest: str, now: datetime):
        self._head = head
        self._digest = digest
        self._now = now
        self._everyday = None if b"?" in head.target else everyday.read(head.joined, _SERVICE)
        self._sent: _Sent
        self._claim: Claim
        if self._everyday is None:
            self._read()

    @property
    def plain(self) -> everyday.Everyday | None:
        """The claim, where it is an everyday one."""
        return self._everyday

    def key(self, action: str, resource: str, source_ip: bytes) -> GrantKey:
        """What to ask the control plane."""
        if self._everyday is not None:
            token = self._head.joined.get(b"x-amz-security-token")
            return self._everyday.access_key_id, token or None, resource, source_ip, action
        text = self._claim.session_token
        token = text.encode("utf-8", "replace") if text else None
        return self._claim.access_key_id, token, resource, source_ip, action

    def check_key(self, grant: Grant) -> None:
        """Return when the key is one of the platform's, whatever the signature. Raises CallerError."""
        if grant.refusal is not None:
            if self._everyday is not None:
                self._read()
            raise _ERRORS.of_lookup(grant.refusal, self._claim.access_key_id)

    def check(self, grant: Grant | None) -> None:
        """Return when the signature is right and the call allowed. Raises CallerError."""
        if grant is None:
            raise unavailable("Permissions cannot be looked up just now. Please try again.")
        if not self._matches(grant):
            self._check(grant)
        if grant.denied is not None:
            raise grant.denied

    def _matches(self, grant: Grant) -> bool:
        claim, head = self._everyday, self._head
        if claim is None or grant.refusal is not None:
            return False
        return everyday.matches(claim, head.method, head.target, head.joined, self._digest, grant.secret, self._now)

    def _read(self) -> None:
        self._sent = _Sent(self._head)
        self._claim = sigv4.read(self._sent, now=self._now, service=_SERVICE, errors=_ERRORS)

    def _check(self, grant: Grant) -> None:
        self.check_key(grant)
        if self._everyday is not None:
            self._read()
        sigv4.check(self._sent, self._claim, grant.secret, payload_sha256=self._digest, errors=_ERRORS)


class _Sent:
    """A request as :mod:`sigv4` reads it."""

    __slots__ = ("body", "headers", "method", "raw_path", "raw_query")

    def __init__(self, head: RequestHead):
        self.raw_path, _, self.raw_query = head.target.decode("latin-1").partition("?")
        self.method = head.method.decode("latin-1")
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.joined.items()}
        self.body = b""
