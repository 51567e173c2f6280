"""Reading a worker's answer: its head, then its body, in whatever pieces they come."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from sagebrush.planes.front.framing import BadBody, Body, ChunkedBody, EndlessBody, LengthBody
from sagebrush.planes.front.heads import END, BadHead, parse_response_head

__all__ = ["Answer", "AnswerHead", "BadBody", "BadHead"]

_MAX_HEAD: Final = 64 * 1024
_REMEMBERED: Final = 1024
#: After the last chunk of our own workers: the handlers went wrong in the middle of what they had begun to answer.
_FAILURE: Final = b"x-sagebrush-failure:"
_CONTROL: Final = bytes(code for code in (*range(32), 127) if code != 9)


class AnswerHead(NamedTuple):
    """What of an answer's head matters here. ``close``: the worker ends the connection after it."""

    status: int
    content_length: int | None
    chunked: bool
    close: bool
    content_type: bytes
    custom_attributes: bytes | None


class Answer:
    """One answer, collected in :attr:`pieces` (decoded, :attr:`size` bytes in all) until :attr:`done`."""

    # Set when they become something else: there is one of these for each request.
    head: AnswerHead | None = None
    size = 0
    begun = False
    done = False
    reusable = True
    #: Why a chunked answer is not complete although it ends in good order.
    failure: bytes | None = None
    _raw = b""
    _body: Body
    _chunks: ChunkedBody | None = None

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Take what has arrived. Raises BadHead or BadBody for what is not HTTP."""
        if not self.begun and self._take_whole(data):
            return
        if self.head is None:
            rest = self._take_head(self._raw + data if self._raw else data)
            if rest is None:
                return
            data = rest
        if self.done and data:
            self.reusable = False  # More than announced: that connection is not to be trusted.
        elif data:
            self._take_body(data)

    @property
    def plain_body(self) -> bool:
        """Whether what comes is a body that need not be looked into."""
        return self.size > 0 and self._chunks is None

    def ended(self) -> bool:
        """The connection has ended; True when that is how this answer ends."""
        if self.head is not None and isinstance(self._body, EndlessBody):
            self.done = True
        return self.done

    @property
    def body(self) -> bytes:
        """What has been collected."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    def _take_whole(self, data: bytes) -> bool:
        """Take a plain answer that has come in one piece: the usual case, done with less."""
        self.begun = True
        end = data.find(END)
        if not 0 <= end < _REMEMBERED:
            return False
        head = _remembered(data[: end + 4])
        size = head.content_length
        if size is None or size != len(data) - end - 4 or not size or not 200 <= head.status != 204:
            return False
        self.head = head
        self.pieces.append(data[end + 4 :])
        self.size = size
        self.done = True
        self.reusable = not head.close
        return True

    def _take_head(self, data: bytes) -> bytes | None:
        """What follows the head; None as long as that has not ended."""
        while True:
            end = data.find(END)
            if end < 0:
                if len(data) > _MAX_HEAD:
                    raise BadHead("the head of the answer does not end")
                self._raw = data
                return None
            if end > _MAX_HEAD:
                raise BadHead("the head of the answer is too long")
            raw, data = data[: end + 4], data[end + 4 :]
            head = _remembered(raw) if end < _REMEMBERED else _parse(raw)
            if head.status >= 200:
                self._begin(head)
                return data

    def _begin(self, head: AnswerHead) -> None:
        self.head = head
        self.reusable = not head.close
        self._raw = b""
        if head.status in (204, 304):
            self.done = True
        elif head.chunked:
            self._body = self._chunks = ChunkedBody(decode=True)
        elif head.content_length is None:
            self._body = EndlessBody()
            self.reusable = False
        else:
            self._body = LengthBody(head.content_length)
            self.done = self._body.done

    def _take_body(self, data: bytes) -> None:
        body = self._body
        used = body.take(data)
        if self._chunks is not None:
            decoded = bytes(self._chunks.decoded)
            self._chunks.decoded.clear()
            if decoded:
                self.pieces.append(decoded)
                self.size += len(decoded)
        else:
            self.pieces.append(data if used == len(data) else data[:used])
            self.size += used
        self.done = body.done
        if body.done and self._chunks is not None:
            for line in self._chunks.trailers:
                if line.lower().startswith(_FAILURE):
                    self.failure = line[len(_FAILURE) :].strip()
        if used < len(data):
            self.reusable = False


def _parse(raw: bytes) -> AnswerHead:
    head = parse_response_head(raw)
    content_type = b""
    custom: bytes | None = None
    keeps = False
    for line in raw[:-4].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        lower = name.lower()
        if lower == b"content-type":
            content_type = value.strip()
        elif lower == b"x-amzn-sagemaker-custom-attributes":
            custom = value.strip()
        elif lower == b"connection":
            keeps = value.strip().lower() == b"keep-alive"
    # What we pass on must not break out of its header line, nor upset the terminal of who reads it.
    for value in (content_type, custom or b""):
        if value.translate(None, _CONTROL) != value:
            raise BadHead("a header of the answer has line breaks or control characters in it")
    close = head.close or (raw.startswith(b"HTTP/1.0") and not keeps)
    return AnswerHead(head.status, head.content_length, head.chunked, close, content_type, custom)


#: A model's answers differ little in their heads.
_remembered = lru_cache(maxsize=512)(_parse)
