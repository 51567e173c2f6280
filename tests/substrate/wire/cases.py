"""What the protocol cases of botocore's source distribution leave open, and which of them cannot apply to a server."""

from __future__ import annotations

import copy
import json
import math
from datetime import UTC, datetime
from typing import Any

from sagebrush.substrate.wire.engine import Engine
from sagebrush.substrate.wire.model import Service

_PATH = "the endpoint's own path is the client's configuration"
_GZIP = "the case states the header of a compressed body beside an uncompressed one"
_NO_TARGET = "the case leaves out X-Amz-Target, by which alone awsJson is recognised"
_TOKEN = "the client makes up the token, so the server sees one that the case does not have"
_EMPTY = "an empty collection leaves no trace in this place of the request"
_UNSET_UNION = "botocore does not pass it either: it takes the empty body for an illegal union"
_HEADER_LISTS = "botocore does not pass it either: it splits header lists at every comma"
_FLATTENED = "botocore does not pass it either: it reads two flattened lists by the same name"
_PRECEDENCE = "the client drops one of two values, so the server cannot know it"

#: Input cases that a server cannot fulfil -> why.
NOT_FOR_SERVERS_INPUT = {
    "AwsJson10HostWithPath": _NO_TARGET,
    "AwsJson10EndpointTrait": _NO_TARGET,
    "AwsJson10EndpointTraitWithHostLabel": _NO_TARGET,
    "RestJsonHostWithPath": _PATH,
    "QueryHostWithPath": _PATH,
    "SDKAppliedContentEncoding_awsQuery": _GZIP,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsQuery": _GZIP,
    "SDKAppliedContentEncoding_awsJson1_0": _NO_TARGET,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_0": _NO_TARGET,
    "SDKAppliedContentEncoding_awsJson1_1": _NO_TARGET,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_1": _NO_TARGET,
    "SDKAppliedContentEncoding_restJson1": _GZIP,
    "SDKAppendedGzipAfterProvidedEncoding_restJson1": _GZIP,
    "SDKAppliedContentEncoding_restXml": _GZIP,
    "SDKAppendedGzipAfterProvidedEncoding_restXml": _GZIP,
    "QueryProtocolIdempotencyTokenAutoFill": _TOKEN,
    "RestJsonQueryIdempotencyTokenAutoFill": _TOKEN,
    "QueryIdempotencyTokenAutoFill": _TOKEN,
    "QueryEmptyQueryMaps": _EMPTY,
    "RestJsonOmitsEmptyListQueryValues": _EMPTY,
    "RestJsonHttpPrefixHeadersAreNotPresent": _EMPTY,
    "HttpPrefixHeadersAreNotPresent": _EMPTY,
    "RestJsonHttpWithEmptyStructurePayload": "{} stands for the empty structure and for none",
    "RestJsonHttpWithHeadersButNoPayload": "{} stands for the empty structure and for none",
    "RestJsonQueryPrecedence": _PRECEDENCE,
    "RestXmlQueryPrecedence": _PRECEDENCE,
    "BodyWithXmlName": "botocore does not pass it either: the name of a nested shape's root leaks to the member",
}

#: Output cases that a server cannot fulfil -> why.
NOT_FOR_SERVERS_OUTPUT = {
    "RestJsonHttpPayloadWithUnsetUnion": _UNSET_UNION,
    "RestXmlHttpPayloadWithUnsetUnion": _UNSET_UNION,
    "RestJsonInputAndOutputWithQuotedStringHeaders": _HEADER_LISTS,
    "RestJsonInputAndOutputWithTimestampHeaders": _HEADER_LISTS,
    "InputAndOutputWithTimestampHeaders": _HEADER_LISTS,
    "QueryXmlLists": _FLATTENED,
    "XmlLists": _FLATTENED,
    "HttpPrefixHeadersResponse": "the empty prefix also catches the headers that every answer has",
}


def case_engine(suite: dict[str, Any], case: dict[str, Any]) -> Engine:
    """An engine for the service that a suite describes, with the one operation of the case."""
    metadata = {"endpointPrefix": "test", "signingName": "test", **suite["metadata"]}
    operation = copy.deepcopy(case["given"])
    if metadata["protocol"] == "query" and "output" in operation:
        # Real models say so themselves.
        operation["output"]["resultWrapper"] = f"{operation['name']}Result"
    description = {
        "metadata": metadata,
        "shapes": copy.deepcopy(suite.get("shapes", {})),
        "operations": {operation["name"]: operation},
    }
    return Engine(services={"test": Service("test", metadata, description)})


def meant(shape: Any, value: Any) -> Any:
    """A case's value as our side has it: moments, bytes and special floats are their own types, null is absence."""
    if value is None or shape is None:
        return value
    kind = shape.type_name
    if kind == "structure" and not shape.is_document_type:
        return {
            name: meant(shape.members[name], item)
            for name, item in value.items()
            if item is not None and name in shape.members
        }
    if kind == "list":
        return [meant(shape.member, item) for item in value]
    if kind == "map":
        return {key: meant(shape.value, item) for key, item in value.items()}
    if kind == "timestamp":
        return datetime.fromtimestamp(value, UTC)
    if kind == "blob":
        return value.encode()
    if kind in ("float", "double"):
        return float(value)
    if shape.serialization.get("jsonvalue") and shape.serialization.get("location") == "header":
        return json.loads(value) if isinstance(value, str) else value
    return value


def comparable(value: Any) -> Any:
    """The value with special floats as AWS spells them, bytes as their text and moments as seconds."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value
