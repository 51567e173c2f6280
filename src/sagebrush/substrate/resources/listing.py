"""ListQuery: from a List operation's request to one keyset-paged query (DESIGN 3.2).

Pages are cut by (sort value, id), not by position: what is created while somebody pages is neither doubled nor does it
push anything out of sight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Connection, and_, cast, func, or_, select

from sagebrush.substrate.clock import from_datetime
from sagebrush.substrate.errors import Fault
from sagebrush.substrate.resources.page_tokens import seal, unseal
from sagebrush.substrate.resources.resource import ListSpec, Resource
from sagebrush.substrate.resources.rows import COLUMNS, to_row
from sagebrush.substrate.resources.tables import resources

if TYPE_CHECKING:
    from sagebrush.substrate.calls import Call

_BODY = "body."
#: Input members with the same meaning in every List operation: the column each bounds, and from which side.
_TIME_FILTERS = {
    "CreationTimeAfter": ("created_us", "after"),
    "CreationTimeBefore": ("created_us", "before"),
    "LastModifiedTimeAfter": ("modified_us", "after"),
    "LastModifiedTimeBefore": ("modified_us", "before"),
    "ModifiedTimeAfter": ("modified_us", "after"),
    "ModifiedTimeBefore": ("modified_us", "before"),
    "CreatedAfter": ("created_us", "after"),
    "CreatedBefore": ("created_us", "before"),
}


def page(connection: Connection, resource: Resource, call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """One page of a List operation: always its list, and NextToken only if another page exists.

    The token is authenticated and bound to operation, filters and account; any other raises ValidationException.
    """
    spec = resource.listing
    if spec is None:
        raise Fault(f"{resource.noun} declares no listing")
    key = _value(connection, spec.sort.get(request.get("SortBy", ""), spec.default_sort))
    descending = request.get("SortOrder", spec.default_order) == "Descending"
    limit = int(request.get("MaxResults", spec.default_limit))
    chosen = select(resources.c.id, key.label("sort_key")).where(*_filters(connection, resource, spec, call, request))
    if token := request.get("NextToken"):
        chosen = chosen.where(_beyond(key, *unseal(call, request, token), descending))
    # Which rows first, by an index that holds all that is asked; then only these rows themselves.
    picked = chosen.order_by(*_order(key, resources.c.id, descending)).limit(limit + 1).subquery()
    query = select(*COLUMNS, picked.c.sort_key).join(picked, picked.c.id == resources.c.id)
    found = connection.execute(query.order_by(*_order(picked.c.sort_key, picked.c.id, descending))).all()
    answer: dict[str, Any] = {spec.member: [spec.summary(to_row(row)) for row in found[:limit]]}
    if len(found) > limit:
        last = found[limit - 1]
        answer["NextToken"] = seal(call, request, (last.sort_key, last.id))
    return answer


def _order(key: Any, row_id: Any, descending: bool) -> tuple[Any, Any]:
    return (key.desc(), row_id.desc()) if descending else (key.asc(), row_id.asc())


def _beyond(key: Any, value: Any, last_id: str, descending: bool) -> Any:
    further = key < value if descending else key > value
    tie = resources.c.id < last_id if descending else resources.c.id > last_id
    # The bound alone says it less exactly, but an index can be entered by it.
    bound = key <= value if descending else key >= value
    return and_(bound, or_(further, and_(key == value, tie)))


def _filters(
    connection: Connection, resource: Resource, spec: ListSpec, call: Call, request: Mapping[str, Any]
) -> list[Any]:
    c = resources.c
    conditions = [
        c.account == call.account,
        c.region == call.region,
        c.kind == resource.kind,
        c.deleted_us.is_(None),
    ]
    if fragment := request.get("NameContains"):
        # Names differ by more than case (their ARNs must), so looking at case would only hide what was meant.
        # SQLite's LIKE does not look at it anyway, and costs half without lower() around the name.
        like = c.name.contains if connection.dialect.name == "sqlite" else c.name.icontains
        conditions.append(like(fragment, autoescape=True))
    for member, (name, side) in _TIME_FILTERS.items():
        if moment := request.get(member):
            bound = from_datetime(moment)
            conditions.append(c[name] > bound if side == "after" else c[name] < bound)
    for member, name in spec.equals.items():
        if (value := request.get(member)) is not None:
            conditions.append(_value(connection, name) == value)
    return conditions


def _value(connection: Connection, name: str) -> Any:
    """A column, or a member of the body as text (empty where it is absent, so that it can be sorted by)."""
    if not name.startswith(_BODY):
        return resources.c[name]
    path = name.removeprefix(_BODY).split(".")
    if connection.dialect.name == "sqlite":
        found = func.json_extract(resources.c.body, "$." + ".".join(f'"{step}"' for step in path))
    else:
        found = func.json_extract_path_text(cast(resources.c.body, JSON), *path)
    return func.coalesce(found, "")
