"""Store outcomes as they come from the gateways and count them into 10 s buckets, each exactly once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection, transaction

from engines.actions import mark_suspect
from engines.client import Operation
from routing import sketch
from routing.models import Bucket, OutcomeRecord
from routing.outcomes import BLAMELESS, Result

BUCKET_SECONDS = 10
TABLE = "routing_outcomerecord"
COLUMNS = "request_id, assigned_at, route, engine, source, result, body"
SUSPECT = frozenset({Result.REFUSED, Result.RESET})
# Objectives are about answers; a call to /tokenize is kept, not counted.
COUNTED = frozenset({Operation.CHAT, Operation.COMPLETION})

Cell = tuple[datetime, str, str, str, str]


@transaction.atomic
def save_outcomes(batch: Sequence[Mapping[str, Any]]) -> int:
    """Returns how many were new. A batch sent twice counts once; the final record takes an UNDECIDED one's place."""
    by_id = {row["request_id"]: row for row in batch}
    known = _known(list(by_id))
    fresh = [row for request_id, row in by_id.items() if request_id not in known]
    late = [row for row in by_id.values() if known.get(row["request_id"]) == Result.UNDECIDED and _is_final(row)]
    _insert(fresh)
    for row in late:
        _settle(row)
    cells: dict[Cell, list[Mapping[str, Any]]] = {}
    for row in (*fresh, *late):
        if row["operation"] in COUNTED and _is_final(row):
            cells.setdefault(_cell(row), []).append(row)
    for cell, rows in sorted(cells.items()):
        _count(cell, rows)
    mark_suspect(_suspects((*fresh, *late)), now=datetime.now(UTC))
    return len(fresh)


def _known(ids: Sequence[str]) -> dict[str, str]:
    """Results of those that are stored already. Plain SQL, as `_insert`: nearly always the answer is none."""
    if not ids:
        return {}
    places = ", ".join(["%s"] * len(ids))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT request_id, result FROM {TABLE} WHERE request_id IN ({places})", ids)  # noqa: S608
        return dict(cursor.fetchall())


def _is_final(row: Mapping[str, Any]) -> bool:
    return bool(row["result"] != Result.UNDECIDED)


def _settle(row: Mapping[str, Any]) -> None:
    facts = {"engine": row["engine"] or "", "result": row["result"], "body": dict(row)}
    OutcomeRecord.objects.filter(request_id=row["request_id"], result=Result.UNDECIDED).update(**facts)


def bucket_start(at: float) -> datetime:
    """`at` in Unix seconds."""
    return datetime.fromtimestamp(at - at % BUCKET_SECONDS, UTC)


def _insert(rows: Sequence[Mapping[str, Any]]) -> None:
    """Plain SQL: on a gateway under load the ORM's rows would cost more than the requests (bench/gateway.py)."""
    stamp = connection.ops.adapt_datetimefield_value
    values = [
        (
            row["request_id"],
            stamp(datetime.fromtimestamp(row["assigned_at"], UTC)),
            row["route"],
            row["engine"] or "",
            row["source"],
            row["result"],
            orjson.dumps(row).decode(),
        )
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {TABLE} ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)", values)  # noqa: S608


def _cell(row: Mapping[str, Any]) -> Cell:
    return (
        bucket_start(row["assigned_at"]),
        row["route"],
        row["engine"] or "",
        row["arm"] or "",
        row["source"],
    )


def _count(cell: Cell, rows: Iterable[Mapping[str, Any]]) -> None:
    start, route, engine, arm, source = cell
    Bucket.objects.get_or_create(start=start, route=route, engine=engine, arm=arm, source=source)
    bucket = Bucket.objects.select_for_update().get(start=start, route=route, engine=engine, arm=arm, source=source)
    for row in rows:
        _add(bucket, row)
    bucket.save()


def _add(bucket: Bucket, row: Mapping[str, Any]) -> None:
    result = Result(row["result"])
    bucket.total += 1
    bucket.input_tokens += row["input_tokens"] or 0
    bucket.output_tokens += row["output_tokens"] or 0
    if result in BLAMELESS:
        bucket.blameless += 1
        return
    ok = result is Result.OK
    bucket.ok += ok
    bucket.failed += not ok
    if row["ttft"] is not None:
        bucket.ttft_good += ok and not row["ttft_late"]
        sketch.add(bucket.ttft, row["ttft"])
    elif ok and not row["stream"]:
        bucket.ttft_good += not row["ttft_late"]
    if ok:
        bucket.e2e_good += not row["e2e_late"]
        if row["e2e"] is not None:
            sketch.add(bucket.e2e, row["e2e"])
        if row["tpot"] is not None:
            sketch.add(bucket.tpot, row["tpot"])


def _suspects(rows: Iterable[Mapping[str, Any]]) -> set[int]:
    return {attempt["replica"] for row in rows for attempt in row["attempts"] if attempt["result"] in SUSPECT}
