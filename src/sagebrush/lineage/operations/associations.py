"""Associations: directed edges between artifacts, actions and contexts."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import Row as SqlRow

from sagebrush.lineage import tables
from sagebrush.lineage.operations.recording import made_by
from sagebrush.lineage.resources import ARTIFACT, TYPE_MEMBERS
from sagebrush.substrate.calls import Call
from sagebrush.substrate.clock import from_datetime, to_datetime
from sagebrush.substrate.errors import CallerError, validation
from sagebrush.substrate.resources import Row, fetch_by_arn
from sagebrush.substrate.resources.page_tokens import seal, unseal
from sagebrush.substrate.resources.ulids import new_ulid

_C = tables.associations.c
_EQUALS = {
    "SourceArn": _C.source_arn,
    "DestinationArn": _C.destination_arn,
    "SourceType": _C.source_type,
    "DestinationType": _C.destination_type,
    "AssociationType": _C.association_type,
}
_DEFAULT_LIMIT = 10


def add_association(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Record an edge. A repeat changes nothing. Raises ResourceNotFound for an end that is not there, and
    ValidationException for an edge to itself and for a repeat with another type."""
    ends = {member: request[member] for member in ("SourceArn", "DestinationArn")}
    if ends["SourceArn"] == ends["DestinationArn"]:
        raise validation(f"{ends['SourceArn']} cannot be associated with itself.")
    wanted = request.get("AssociationType")

    def add(tx: Connection) -> None:
        source, destination = (_end(tx, call, arn) for arn in ends.values())
        if (there := tables.find(tx, *ends.values())) is not None:
            if there.association_type != wanted:
                raise validation(
                    f"{source.arn} is associated with {destination.arn} already, as {there.association_type}."
                )
            return
        now = call.platform.clock.now_us()
        tables.add(
            tx,
            {
                "id": new_ulid(now),
                "account": call.account,
                "region": call.region,
                "source_arn": source.arn,
                "destination_arn": destination.arn,
                "source_type": _type(source),
                "destination_type": _type(destination),
                "association_type": wanted,
                "created_us": now,
                "created_by": json.dumps(made_by(call)),
            },
        )

    call.platform.store.write(add)
    return ends


def delete_association(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Raises ResourceNotFound."""
    ends = {member: request[member] for member in ("SourceArn", "DestinationArn")}

    def remove(tx: Connection) -> None:
        there = tables.find(tx, *ends.values())
        if there is None or there.account != call.account:
            raise CallerError(
                "ResourceNotFound",
                f"There is no association from {ends['SourceArn']} to {ends['DestinationArn']}.",
            )
        tables.remove(tx, there.id)

    call.platform.store.write(remove)
    return ends


def list_associations(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """One page of the edges that all given filters let through."""
    conditions = [_C.account == call.account, _C.region == call.region]
    conditions += [column == request[member] for member, column in _EQUALS.items() if member in request]
    if moment := request.get("CreatedAfter"):
        conditions.append(_C.created_us > from_datetime(moment))
    if moment := request.get("CreatedBefore"):
        conditions.append(_C.created_us < from_datetime(moment))
    sort_by, limit = request.get("SortBy", "CreationTime"), int(request.get("MaxResults", _DEFAULT_LIMIT))
    after = unseal(call, request, request["NextToken"]) if request.get("NextToken") else None

    def look(connection: Connection) -> dict[str, Any]:
        found = tables.page(
            connection,
            conditions,
            sort_by=sort_by,
            descending=request.get("SortOrder", "Descending") == "Descending",
            after=after,
            limit=limit + 1,
        )
        answer: dict[str, Any] = {"AssociationSummaries": [_summary(connection, edge) for edge in found[:limit]]}
        if len(found) > limit:
            last = found[limit - 1]
            answer["NextToken"] = seal(call, request, (last._mapping[tables.SORTED_BY[sort_by]], last.id))
        return answer

    return call.platform.store.read(look)


def _end(tx: Connection, call: Call, arn: str) -> Row:
    row = fetch_by_arn(tx, arn)
    if row is None or row.kind not in TYPE_MEMBERS or row.account != call.account:
        raise CallerError("ResourceNotFound", f"{arn} does not exist.")
    return row


def _type(row: Row) -> str:
    return str(row.body[TYPE_MEMBERS[row.kind]])


def _name(connection: Connection, arn: str) -> str | None:
    row = fetch_by_arn(connection, arn)
    if row is None:
        return None
    return row.body.get("ArtifactName") if row.kind == ARTIFACT.kind else row.name


def _summary(connection: Connection, edge: SqlRow[Any]) -> dict[str, Any]:
    shown = {
        "SourceArn": edge.source_arn,
        "DestinationArn": edge.destination_arn,
        "SourceType": edge.source_type,
        "DestinationType": edge.destination_type,
        "AssociationType": edge.association_type,
        "SourceName": _name(connection, edge.source_arn),
        "DestinationName": _name(connection, edge.destination_arn),
        "CreationTime": to_datetime(edge.created_us),
        "CreatedBy": json.loads(edge.created_by),
    }
    return {member: value for member, value in shown.items() if value is not None}
