"""The context of a request: what condition keys and policy variables stand for.

AWS: reference_policies_condition-keys.html. ``aws:SecureTransport`` is left to the planes, which know it; a key that
nobody knows is absent, and conditions then behave as AWS says of a missing key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from sagebrush.substrate.clock import to_datetime
from sagebrush.substrate.identity.policy import Context
from sagebrush.substrate.identity.principal import Principal

_RESOURCE_TAG = ":resourcetag/"
#: What a caller of ``authorize`` may give as the value of a condition key.
ContextValue = str | bool | int | float | Iterable[str]


def values_of(value: ContextValue) -> tuple[str, ...]:
    """A value in the form that conditions compare."""
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, str):
        return (value,)
    if isinstance(value, int | float):
        return (str(value),)
    return tuple(value)


def normalized(context: Mapping[str, ContextValue]) -> dict[str, tuple[str, ...]]:
    """Keys in lower case (they are case-insensitive), values as tuples."""
    return {key.lower(): values_of(value) for key, value in context.items()}


def of_principal(principal: Principal, tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What is known of the caller. ``tags`` are its role's or its own; a session's tags override the role's."""
    context: dict[str, tuple[str, ...]] = {f"aws:principaltag/{key.lower()}": (value,) for key, value in tags.items()}
    gathered: dict[str, list[str]] = {}
    for key, value in principal.session_context:
        gathered.setdefault(key.lower(), []).append(value)
    context |= {key: tuple(values) for key, values in gathered.items()}
    context |= {
        "aws:principalarn": (principal.role_arn or principal.arn,),
        "aws:principalaccount": (principal.account,),
        "aws:userid": (principal.user_id,),
        "aws:principaltype": (_type_of(principal),),
        "aws:principalisawsservice": ("true" if principal.service else "false",),
    }
    if _type_of(principal) == "User":
        context["aws:username"] = (principal.arn.rsplit("/", 1)[-1],)
    return context


def of_request(*, now_us: int, region: str, account: str, source_ip: str) -> dict[str, tuple[str, ...]]:
    """What is known of any request to this platform."""
    context: dict[str, tuple[str, ...]] = {
        "aws:currenttime": (to_datetime(now_us).strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(now_us // 1_000_000),),
        "aws:requestedregion": (region,),
        "aws:resourceaccount": (account,),
        "aws:viaawsservice": ("false",),
    }
    if source_ip:
        context["aws:sourceip"] = (source_ip,)
    return context


class WithResourceTags(Mapping[str, tuple[str, ...]]):
    """A context that also knows ``aws:ResourceTag/<key>`` and a service's own spelling of it
    (``sagemaker:ResourceTag/<key>``), and reads the resource's tags only when it is asked for one."""

    def __init__(self, known: Context, read_tags: Callable[[], Mapping[str, str]]) -> None:
        self._known = known
        self._read_tags = read_tags
        self._tags: dict[str, tuple[str, ...]] | None = None

    def __getitem__(self, key: str) -> tuple[str, ...]:
        if key in self._known:
            return self._known[key]
        _, found, tag = key.partition(_RESOURCE_TAG)
        if not found:
            raise KeyError(key)
        return self._all_tags()[tag]

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield from (f"aws{_RESOURCE_TAG}{key}" for key in self._all_tags())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _all_tags(self) -> dict[str, tuple[str, ...]]:
        if self._tags is None:
            self._tags = {key.lower(): (value,) for key, value in self._read_tags().items()}
        return self._tags


def merged(*parts: Context) -> Context:
    """Later parts override earlier ones."""
    whole: dict[str, tuple[str, ...]] = {}
    for part in parts:
        whole |= part
    return whole


def _type_of(principal: Principal) -> str:
    if principal.role_arn is not None:
        return "AssumedRole"
    if ":user/" in principal.arn:
        return "User"
    return "Account"
