"""The toolkit's ``context``: what a handler may ask about its request, and say about its answer.

The methods are those of the context of multi-model-server; requests come one by one, so every index is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RequestProcessor:
    """The request as ``context.request_processor[0]`` shows it."""

    def __init__(self, context: Context):
        self._context = context

    def get_request_properties(self) -> dict[str, str]:
        """The headers of the request."""
        return self._context.get_all_request_header(0)

    def get_request_property(self, key: str) -> str | None:
        """One header of the request."""
        return self._context.get_request_header(0, key)


class Context:
    """One for each worker; :meth:`begin` makes it that of the next request."""

    def __init__(self, model_dir: str):
        self.model_name = "model"
        self.manifest: dict[str, Any] = {}
        self.system_properties: dict[str, Any] = {
            "model_dir": model_dir,
            "gpu_id": None,
            "batch_size": 1,
            "server_name": "sagebrush",
            "server_version": "1",
        }
        self.request_processor = [RequestProcessor(self)]
        self._request: Mapping[bytes, bytes] = {}
        self.status = 200
        self.content_type = ""
        self.headers: dict[str, str] = {}

    def begin(self, headers: Mapping[bytes, bytes]) -> None:
        """A new request with these headers (names in lower case)."""
        self._request = headers
        self.status = 200
        self.content_type = ""
        if self.headers:
            self.headers = {}

    def get_request_id(self, idx: int = 0) -> str:
        """The client's inference id, '' without one."""
        return self._request.get(b"x-amzn-sagemaker-inference-id", b"").decode("latin-1")

    def get_request_header(self, idx: int, key: str) -> str | None:
        """One header of the request, however its name is written; None without it."""
        value = self._request.get(key.lower().encode("latin-1", "replace"))
        return None if value is None else value.decode("latin-1")

    def get_all_request_header(self, idx: int = 0) -> dict[str, str]:
        """All headers of the request, names as HTTP usually writes them (``Content-Type``)."""
        return {name.decode("latin-1").title(): value.decode("latin-1") for name, value in self._request.items()}

    def set_response_content_type(self, idx: int, value: str) -> None:
        """The answer's type, where the handler returns none."""
        self.content_type = value

    def get_response_content_type(self, idx: int = 0) -> str:
        """What was set."""
        return self.content_type

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """A header of the answer, such as ``X-Amzn-SageMaker-Custom-Attributes``."""
        self.headers[key] = value

    def get_response_headers(self, idx: int = 0) -> dict[str, str]:
        """What was set."""
        return self.headers

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """The answer's status."""
        self.status = int(code)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """The answer's status."""
        self.status = int(code)

    def get_response_status(self, idx: int = 0) -> tuple[int, str]:
        """What was set."""
        return self.status, ""
