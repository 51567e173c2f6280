"""A client's next request, known again by its last one.

A client that invokes again and again sends the same head each time but for a few values: the moment, the signature,
an id of the attempt, the length of the body. So a head that was parsed and whose signature held is remembered with
the places of these values. The next head is compared byte by byte around them; where it is equal it need not be
parsed, and what was signed is put together from what was signed before. Anything else takes the long way: this module
never refuses.

Why this is as safe as parsing: outside the places the bytes are those of a head that llhttp took, and what may stand
in a place (digits; letters, digits and hyphens) cannot end a value or mean anything to HTTP. Every signature is
verified anew.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final, NamedTuple

from sagebrush.planes.front.heads import END, HEADER, RequestHead
from sagebrush.planes.front.invocations.grants import GrantKey
from sagebrush.planes.front.invocations.worker import forwarded_lines
from sagebrush.planes.front.routing import Invoked
from sagebrush.substrate.wire import everyday
from sagebrush.substrate.wire.everyday import Everyday

_LONGEST_HEAD: Final = 4096
#: How many heads of a connection are remembered, and how many in vain.
_MOST_HEADS: Final = 8
_LESSONS: Final = 16
_SIGNATURE: Final = 64
_AUTHORIZATION: Final = b"authorization"
_DATE: Final = b"x-amz-date"
_LENGTH: Final = b"content-length"
#: What the AWS SDKs make up for each call.
_ATTEMPT: Final = b"amz-sdk-invocation-id"


class Place(NamedTuple):
    """Where a value that changes stands in the head."""

    start: int
    end: int


class RepeatedHead:
    """A head that was verified, and how others like it are known. ``size`` counts its bytes with the empty line."""

    __slots__ = (
        "_attempt",
        "_attempt_is_signed",
        "_canonical",
        "_claim",
        "_current",
        "_date",
        "_length",
        "_literals",
        "_now",
        "_pads",
        "_secret",
        "_signature",
        "forwarded",
        "head",
        "invoked",
        "key",
        "size",
    )

    def __init__(self, head: RequestHead, claim: Everyday, key: GrantKey, invoked: Invoked, places: dict[bytes, Place]):
        self.head = head
        self.key = key
        self.invoked = invoked
        #: What of the head the worker gets.
        self.forwarded = forwarded_lines(head, invoked.streams)
        self.size = len(head.raw)
        self._claim = claim
        self._date = places[_DATE]
        self._length = places[_LENGTH]
        self._signature = places[_AUTHORIZATION]
        self._attempt = places.get(_ATTEMPT)
        self._attempt_is_signed = _ATTEMPT in claim.names
        self._current = b""
        self._now: datetime | None = None
        self._secret = ""
        self._pads = (b"", b"")
        self._literals = _between(head.raw, places)
        self._canonical = _canonical(head, claim)

    def payload(self, data: bytes, secret: str, now: datetime) -> bytes | None:
        """The body of the request ``data``, if it is such a head with its whole body, signed with ``secret``."""
        for start, literal in self._literals:
            if not data.startswith(literal, start):
                return None
        length, date = _in(self._length, data), _in(self._date, data)
        payload = data[self.size :]
        if not length.isdigit() or int(length) != len(payload):
            return None
        # Requests of the same second, as both sides have it, are equally current.
        if (date != self._current or now is not self._now) and not self._is_current(date, now):
            return None
        if secret != self._secret:
            self._secret, self._pads = secret, everyday.pads(self._claim, secret)
        digest = hashlib.sha256(payload).hexdigest().encode()
        if self._attempt is None:
            request = self._canonical % (date, digest)
        else:
            attempt = _in(self._attempt, data)
            if not attempt.replace(b"-", b"").isalnum():
                return None
            request = self._canonical % ((attempt, date, digest) if self._attempt_is_signed else (date, digest))
        return payload if everyday.signs(self._pads, self._claim, date, request, _in(self._signature, data)) else None

    def _is_current(self, date: bytes, now: datetime) -> bool:
        if not everyday.is_current(self._claim, date, now):
            return False
        self._current, self._now = date, now
        return True


class Repetitions:
    """What one connection's client sends again and again, by the length of the head."""

    __slots__ = ("_heads", "_lessons")

    def __init__(self) -> None:
        self._heads: dict[int, RepeatedHead] = {}
        self._lessons = _LESSONS

    def find(self, data: bytes) -> RepeatedHead | None:
        """The head that the request ``data`` may repeat."""
        return self._heads.get(data.find(END) + len(END)) if self._heads else None

    def known(self) -> None:
        """A head was known again: to remember heads is worth while here."""
        self._lessons = _LESSONS

    def learn(self, head: RequestHead, claim: Everyday, key: GrantKey, invoked: Invoked) -> None:
        """Remember a head that was verified by ``claim``, if it is a plain one."""
        if not self._lessons:
            return  # Each head is another: this client does not repeat itself.
        self._lessons -= 1
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        learned = remember(head, claim, key, invoked)
        if learned is not None:
            self._heads[learned.size] = learned


def remember(head: RequestHead, claim: Everyday, key: GrantKey, invoked: Invoked) -> RepeatedHead | None:
    """How a head that was verified by ``claim`` is known again; None when it is not of the plain kind."""
    if len(head.raw) > _LONGEST_HEAD or head.joined is not head.names or head.chunked or head.expects_continue:
        return None
    if _LENGTH not in head.names or _LENGTH in claim.names:
        return None
    places: dict[bytes, Place] = {}
    for found in HEADER.finditer(head.raw):
        header, place = found[1].lower(), Place(*found.span(2))
        if header == _AUTHORIZATION:
            places[header] = Place(place.end - _SIGNATURE, place.end)
        elif header in (_DATE, _LENGTH, _ATTEMPT):
            places[header] = place
    return RepeatedHead(head, claim, key, invoked, places)


def _between(raw: bytes, places: dict[bytes, Place]) -> list[tuple[int, bytes]]:
    """What stays the same, each piece with where it starts."""
    literals = []
    start = 0
    for place in sorted(places.values()):
        literals.append((start, raw[start : place.start]))
        start = place.end
    literals.append((start, raw[start:]))
    return literals


def _canonical(head: RequestHead, claim: Everyday) -> bytes:
    """What is signed, with ``%b`` for each value that changes: attempt (where signed), date, digest of the body."""
    parts = [_fixed(b"%b\n%b\n\n" % (head.method, everyday.canonical_path(head.target)))]
    for name in claim.names:  # In the order of the alphabet.
        value = b"%b" if name in (_ATTEMPT, _DATE) else _fixed(b" ".join(head.names[name].split()))
        parts.append(b"%b:%b\n" % (_fixed(name), value))
    parts.append(b"\n%b\n%%b" % _fixed(claim.signed))
    return b"".join(parts)


def _in(place: Place, data: bytes) -> bytes:
    return data[place.start : place.end]


def _fixed(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")
