"""IAM's errors, in IAM's words and with its statuses."""

from __future__ import annotations

from sagebrush.substrate.errors import CallerError


def no_such_entity(message: str) -> CallerError:
    """What was named does not exist."""
    return CallerError("NoSuchEntity", message, status=404)


def no_such(kind: str, name: str) -> CallerError:
    """``kind`` as IAM says it: ``role``, ``user``, ``role policy`` ..."""
    return no_such_entity(f"The {kind} with name {name} cannot be found.")


def already_exists(message: str) -> CallerError:
    """The name is taken."""
    return CallerError("EntityAlreadyExists", message, status=409)


def delete_conflict(message: str) -> CallerError:
    """Something still hangs on what should be deleted."""
    return CallerError("DeleteConflict", message, status=409)


def limit_exceeded(message: str) -> CallerError:
    """One of IAM's quotas would be exceeded."""
    return CallerError("LimitExceeded", message, status=409)


def validation_error(message: str) -> CallerError:
    """The query services' word for a request that breaks a rule."""
    return CallerError("ValidationError", message)


def invalid_input(message: str) -> CallerError:
    """A value that is well-formed and yet means nothing."""
    return CallerError("InvalidInput", message)
