"""Amazon Resource Names: ``arn:partition:service:region:account:resource``."""

from __future__ import annotations

from dataclasses import dataclass

PARTITION = "aws"


@dataclass(frozen=True, slots=True)
class Arn:
    """The parts of an ARN; ``resource`` keeps everything after the fifth colon, slashes and colons included."""

    service: str
    region: str
    account: str
    resource: str
    partition: str = PARTITION

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def resource_type(self) -> str:
        """What stands before the first ``/`` or ``:`` of the resource (``training-job``), or the whole."""
        for index, char in enumerate(self.resource):
            if char in "/:":
                return self.resource[:index]
        return self.resource

    @property
    def resource_name(self) -> str:
        """What stands after the first ``/`` or ``:`` of the resource, or the empty string."""
        return self.resource[len(self.resource_type) + 1 :]


def parse(text: str) -> Arn:
    """Parse an ARN. Raises ValueError when it is none."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[1] or not parts[2] or not parts[5]:
        raise ValueError(f"not an ARN: {text!r}")
    return Arn(partition=parts[1], service=parts[2], region=parts[3], account=parts[4], resource=parts[5])


def build(service: str, region: str, account: str, resource: str) -> str:
    """The ARN of a resource as text."""
    return f"arn:{PARTITION}:{service}:{region}:{account}:{resource}"
