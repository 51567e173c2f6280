"""``sagemaker_inference.utils``: what a request's headers say."""

from __future__ import annotations

from collections.abc import Mapping


def parse_accept(accept: str) -> list[str]:
    """The types of an Accept header."""
    return accept.replace(" ", "").split(",")


def retrieve_content_type_header(request_property: Mapping[str, str]) -> str | None:
    """The request's content type, however the header is written."""
    wanted = ("content-type", "contenttype")
    return next((value for name, value in request_property.items() if name.lower() in wanted), None)
