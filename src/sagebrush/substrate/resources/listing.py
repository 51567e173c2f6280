"""ListQuery: from a List operation's request to one keyset-paged query (DESIGN 3.2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, or_, select

from sagebrush.substrate.clock import from_datetime
from sagebrush.substrate.errors import validation
from sagebrush.substrate.resources.resource import ListSpec, Resource
from sagebrush.substrate.resources.rows import to_row
from sagebrush.substrate.resources.tables import resources

if TYPE_CHECKING:
    from sagebrush.substrate.calls import Call

#: Input members with the same meaning in every List operation, and the condition each adds.
_TIME_FILTERS = {
    "CreationTimeAfter": ("created_us", "after"),
    "CreationTimeBefore": ("created_us", "before"),
    "LastModifiedTimeAfter": ("modified_us", "after"),
    "LastModifiedTimeBefore": ("modified_us", "before"),
}
PURPOSE = "list-token"


def page(connection: Connection, resource: Resource, call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """One page of a List operation: always its list, and NextToken only if another page exists.

    The token is authenticated and bound to operation, filters and account; any other raises ValidationException.
    """
    spec = resource.listing
    assert spec is not None
    column = resources.c[spec.sort.get(request.get("SortBy", ""), spec.default_sort)]
    descending = request.get("SortOrder", spec.default_order) == "Descending"
    limit = int(request.get("MaxResults", spec.default_limit))
    query = select(resources).where(_filters(resource, spec, call, request))
    if token := request.get("NextToken"):
        last_value, last_id = _open_token(call, spec, request, token)
        beyond = (column < last_value) if descending else (column > last_value)
        tie = and_(column == last_value, resources.c.id < last_id if descending else resources.c.id > last_id)
        query = query.where(or_(beyond, tie))
    order = (column.desc(), resources.c.id.desc()) if descending else (column.asc(), resources.c.id.asc())
    found = connection.execute(query.order_by(*order).limit(limit + 1)).all()
    answer: dict[str, Any] = {spec.member: [spec.summary(to_row(row)) for row in found[:limit]]}
    if len(found) > limit:
        last = found[limit - 1]
        answer["NextToken"] = _seal_token(call, spec, request, (getattr(last, column.name), last.id))
    return answer


def _filters(resource: Resource, spec: ListSpec, call: Call, request: Mapping[str, Any]) -> Any:
    c = resources.c
    conditions = [
        c.account == call.account,
        c.region == call.region,
        c.kind == resource.kind,
        c.deleted_us.is_(None),
    ]
    if fragment := request.get("NameContains"):
        # lower() on both sides: SageMaker's NameContains does not look at case.
        conditions.append(c.name.icontains(fragment, autoescape=True))
    for member, (name, side) in _TIME_FILTERS.items():
        if moment := request.get(member):
            bound = from_datetime(moment)
            conditions.append(c[name] > bound if side == "after" else c[name] < bound)
    for member, name in spec.equals.items():
        if (value := request.get(member)) is not None:
            conditions.append(c[name] == value)
    return and_(*conditions)


def _binding(call: Call, spec: ListSpec, request: Mapping[str, Any]) -> str:
    """What a token is good for: everything of the request but the page size and the token itself."""
    kept = {key: value for key, value in request.items() if key not in {"NextToken", "MaxResults"}}
    text = json.dumps([call.account, call.region, spec.operation, kept], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _seal_token(call: Call, spec: ListSpec, request: Mapping[str, Any], position: tuple[Any, str]) -> str:
    payload = json.dumps([_binding(call, spec, request), *position]).encode()
    mac = call.platform.identity.sign(PURPOSE, payload)[:16]
    return base64.urlsafe_b64encode(mac + payload).decode()


def _open_token(call: Call, spec: ListSpec, request: Mapping[str, Any], token: str) -> tuple[Any, str]:
    try:
        sealed = base64.urlsafe_b64decode(token.encode())
        mac, payload = sealed[:16], sealed[16:]
        if not hmac.compare_digest(mac, call.platform.identity.sign(PURPOSE, payload)[:16]):
            raise ValueError("forged")
        binding, value, last_id = json.loads(payload)
        if binding != _binding(call, spec, request):
            raise ValueError("another listing's")
    except ValueError:
        raise validation("The NextToken is not valid for this request. Repeat the request without it.") from None
    return value, last_id
