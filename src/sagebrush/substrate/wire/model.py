"""The schema of everything on the wire: botocore's service models, read lazily.

What routing needs (target prefix, signing name, protocols) stands at the head of each model file and is read without
the rest; a model is loaded whole when the first request for its service arrives. Documentation strings, two thirds of
a model, are dropped. Only the installed botocore is read, never ``~/.aws/models``.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import botocore
from botocore.loaders import Loader
from botocore.model import OperationModel, OperationNotFoundError, ServiceModel

from sagebrush.substrate.errors import CallerError

_DATA: Final = Path(botocore.__file__).parent / "data"
_TYPE: Final = "service-2"
_HEAD_BYTES: Final = 16384

#: What botocore itself would choose, best first; it is what its clients send.
_PREFERENCE: Final = ("json", "rest-json", "rest-xml", "smithy-rpc-v2-cbor", "query")


class Service:
    """One AWS service: its metadata at once, its shapes when asked for. Safe to share between threads."""

    def __init__(self, name: str, metadata: Mapping[str, Any], description: dict[str, Any] | None = None):
        self.name = name
        self.metadata = metadata
        self.protocols: tuple[str, ...] = tuple(metadata.get("protocols") or (metadata["protocol"],))
        self.protocol = next((p for p in _PREFERENCE if p in self.protocols), self.protocols[0])
        self.signing_name: str = metadata.get("signingName") or metadata.get("endpointPrefix", name)
        self.target_prefix: str | None = metadata.get("targetPrefix")
        self.api_version: str = metadata.get("apiVersion", "")
        self.json_version: str = metadata.get("jsonVersion", "1.0")
        self.is_query_compatible = "awsQueryCompatible" in metadata
        self._description = description
        self._lock = threading.Lock()

    @property
    def is_rest(self) -> bool:
        """Whether requests are recognised by method and path."""
        return self.protocol.startswith("rest-")

    @cached_property
    def model(self) -> Any:
        """botocore's ServiceModel."""
        with self._lock:
            description = self._description
            if description is None:
                description = _loader().load_service_model(self.name, _TYPE)
                _drop_documentation(description)
            return ServiceModel(description, self.name)

    @cached_property
    def operation_names(self) -> frozenset[str]:
        """All operations of the model, served or not."""
        return frozenset(self.model.operation_names)

    def operation(self, name: str) -> Any:
        """botocore's OperationModel. Raises CallerError ``UnknownOperationException``."""
        try:
            return self.model.operation_model(name)
        except OperationNotFoundError:
            raise unknown_operation(f"{self.name} has no operation {name}") from None

    def error_shape(self, code: str) -> Any | None:
        """The modelled error of that code or shape name, or None."""
        return self._error_shapes.get(code)

    @cached_property
    def _error_shapes(self) -> dict[str, Any]:
        shapes = {shape.error_code: shape for shape in self.model.error_shapes}
        # Several shapes may share a code; a shape's own name is sure.
        return shapes | {shape.name: shape for shape in self.model.error_shapes}


def unknown_operation(message: str) -> CallerError:
    """Nobody here knows that operation."""
    return CallerError("UnknownOperationException", message, status=404)


def load(names: Iterable[str]) -> dict[str, Service]:
    """The named services of the installed botocore. Raises botocore's UnknownServiceError for a name it lacks."""
    return {name: Service(name, _metadata(name)) for name in names}


def _loader() -> Any:
    return Loader(extra_search_paths=[str(_DATA)], include_default_search_paths=False)


def _metadata(name: str) -> dict[str, Any]:
    """The ``metadata`` object, read from the first kilobytes of the model file."""
    version = _loader().determine_latest_version(name, _TYPE)
    path = _DATA / name / version / f"{_TYPE}.json.gz"
    if path.exists():
        with gzip.open(path) as file:
            head = file.read(_HEAD_BYTES).decode("utf-8", "ignore")
        start = head.find('"metadata"')
        if start >= 0:
            found: dict[str, Any] = json.JSONDecoder().raw_decode(head, head.index("{", start))[0]
            return found
    whole: dict[str, Any] = _loader().load_service_model(name, _TYPE)
    return dict(whole["metadata"])


def _drop_documentation(description: Any) -> None:
    pending = [description]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if isinstance(item.get("documentation"), str):
                del item["documentation"]
            pending.extend(child for child in item.values() if isinstance(child, dict | list))
        else:
            pending.extend(child for child in item if isinstance(child, dict | list))


__all__ = ["OperationModel", "Service", "load", "unknown_operation"]
