"""Which error code and form a service answers with when a request cannot be read or is not valid.

Most say ``ValidationException``; some model another error for it, query services say ``ValidationError``, and S3
speaks of arguments and malformed XML.
"""

from __future__ import annotations

from typing import Any, Final

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import validate
from sagebrush.substrate.wire.json_body import serialization_error
from sagebrush.substrate.wire.locations import Misplaced
from sagebrush.substrate.wire.model import Service
from sagebrush.substrate.wire.shapes import lower_first, wire_name
from sagebrush.substrate.wire.validate import Violation
from sagebrush.substrate.wire.xml_body import malformed_xml

#: Modelled errors that stand for "not valid", in the order of preference.
_CODES: Final = ("ValidationException", "ValidationError", "InvalidParameterException", "InvalidRequestException")


def invalid(service: Service, operation: Any, found: list[Violation]) -> CallerError:
    """The error for a request that breaks constraints."""
    if service.name == "s3":
        return _invalid_for_s3(operation.input_shape, found[0])
    return CallerError(_validation_code(service, operation), validate.message(found))


def misplaced(service: Service, operation: Any, error: Misplaced) -> CallerError:
    """The error for text of the wrong type in URI, query string or header."""
    if service.name == "s3":
        return _invalid_argument(operation.input_shape, error.name, error.text)
    kind = operation.input_shape.members[error.name].type_name
    return serialization_error(
        f"STRING_VALUE can not be converted to {kind.capitalize()} at '{lower_first(error.name)}'"
    )


def unreadable(service: Service) -> CallerError:
    """The error for a form or an XML body that does not fit the operation."""
    if service.name == "s3":
        return malformed_xml()
    return CallerError("MalformedInput", "The request body could not be read as the operation's input")


def _validation_code(service: Service, operation: Any) -> str:
    modelled = {shape.error_code for shape in operation.error_shapes}
    for code in _CODES:
        if code in modelled:
            return code
    return "ValidationError" if "query" in service.protocols else "ValidationException"


def _invalid_for_s3(shape: Any, violation: Violation) -> CallerError:
    name = violation.members[0] if violation.members else ""
    member = shape.members.get(name)
    if member is None or "location" not in member.serialization:
        return malformed_xml()
    return _invalid_argument(shape, name, (violation.value or "").strip("'"))


def _invalid_argument(shape: Any, name: str, text: str) -> CallerError:
    argument = wire_name(shape.members[name], name)
    return CallerError(
        "InvalidArgument",
        f"The value of {argument} is not valid",
        members={"ArgumentName": argument, "ArgumentValue": text},
    )
