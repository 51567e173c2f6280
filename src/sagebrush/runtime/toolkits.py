"""What code written for SageMaker's images imports from their toolkits: small stand-ins, and what they have in common.

The packages in ``aws_modules`` bear the names that such code imports; here is what several of them have in common, so
that an exception is the same class by whichever name it is imported.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sagebrush.runtime.serving.codecs import JSON, Refused


class ClientError(Exception):
    """What the user's code or its data have done wrong (``sagemaker_containers``)."""


class UnsupportedFormatError(Refused):
    """Nobody here reads this content type, or (``status`` 406) writes it."""

    def __init__(self, content_type: str, *, status: int = 415):
        self.message = (
            f"Content type {content_type} is not supported by the default encoders: define input_fn to read it, or "
            "output_fn to write it."
        )
        self.status = status
        super().__init__(self.message)


class Response:
    """``worker.Response``: an answer with a status and headers; as much of Flask's as handlers use."""

    default_mimetype = JSON

    def __init__(
        self,
        response: str | bytes | Iterable[str | bytes] | None = None,
        accept: str | None = None,
        status: int | str = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = None,
        direct_passthrough: bool = False,
    ):
        self._data = _joined(response)
        self.status_code = int(str(status).split()[0])
        self.headers = dict(headers or {})
        self.mimetype = mimetype or self.default_mimetype

    @property
    def content_type(self) -> str:
        """The type of what is answered."""
        return self.mimetype

    @property
    def data(self) -> bytes:
        """What is answered."""
        return self._data

    @property
    def response(self) -> list[bytes]:
        """What is answered, in pieces."""
        return [self._data]

    def get_data(self, as_text: bool = False) -> bytes | str:
        """What is answered."""
        return self._data.decode() if as_text else self._data


def _joined(response: str | bytes | Iterable[str | bytes] | None) -> bytes:
    if isinstance(response, str):
        return response.encode()
    if isinstance(response, bytes | bytearray):
        return bytes(response)
    return b"".join(piece.encode() if isinstance(piece, str) else piece for piece in response or ())


class JobEnvironment(Mapping[str, Any]):
    """What a training script may ask about its job, as attributes or items: ``hyperparameters``, ``num_gpus`` ..."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = json.loads(os.environ.get("SM_TRAINING_ENV", "{}"))

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"The environment of this process tells no {name}.") from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Absent:
    """A part of a toolkit that can be imported, since examples do so, but does nothing here."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self._name}.{name} does not exist here: it belongs to the server of SageMaker's image.")
