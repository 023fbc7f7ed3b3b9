"""Why this engine: the recorded decision of one playground request, in words for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from routing.models import OutcomeRecord
from routing.outcomes import Source

OWN_ID = "pg-"
RULES = {
    "explicit": "chosen by you",
    "long_input": "long input",
    "big_model": "big model",
    "split": "split",
    "fallback": "fallback",
    "fail_open": "nothing healthy, tried anyway",
}
POLICIES = {
    "prefix_affinity": "replica by prefix affinity",
    "least_outstanding": "replica by least outstanding tokens",
}
REASONS = {
    "unhealthy": "health below the limit",
    "saturated": "saturated",
    "in_flight_cap": "at its limit of requests in flight",
    "disabled": "disabled",
    "draining": "draining",
    "no_replica": "no replica",
    "never_probed": "not probed yet",
    "lacks_feature": "lacks a feature the request needs",
    "context_too_short": "context too short",
    "out_of_route": "takes no traffic of this route",
    "weight_zero": "weight 0 %",
    "tripped": "failed just now",
    "lease_expired": "its release was not watched",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate and what became of it."""

    engine: str
    slot: int | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Why:
    engine: str
    rule: str
    sentence: str
    facts: str
    rows: tuple[Row, ...]


def find(identifier: str) -> OutcomeRecord | None:
    """By the gateway's request id, or by ours where no answer told us that. Only the playground's last hour."""
    since = timezone.now() - timedelta(hours=1)
    own = Q(body__decision__client_request_id=identifier) if identifier.startswith(OWN_ID) else Q(request_id=identifier)
    return OutcomeRecord.objects.filter(own, source=Source.PLAYGROUND, assigned_at__gte=since).first()


def recorded_result(request_id: str) -> str | None:
    record = find(request_id)
    return record.result if record else None


def explain(body: Mapping[str, Any], slots: Mapping[str, int]) -> Why:
    """`body` is a routing.outcomes.Outcome as JSON; `slots` gives each engine its colour."""
    decision = body.get("decision") or {}
    engine = body.get("engine") or ""
    rows = tuple(_row(candidate, engine, slots) for candidate in decision.get("candidates") or ())
    return Why(
        engine=engine or "no engine",
        rule=rule_in_words(body.get("rule") or decision.get("refused") or "", canary=bool(body.get("canary"))),
        sentence=" ".join(filter(None, (decision.get("why"), decision.get("policy_why")))),
        facts=_facts(body, decision),
        rows=tuple(sorted(rows, key=lambda row: row.engine != engine)),
    )


def rule_in_words(rule: str, *, canary: bool = False) -> str:
    words = RULES.get(rule, rule.replace("_", " ") or "not recorded")
    return f"{words}, canary" if canary else words


def _facts(body: Mapping[str, Any], decision: Mapping[str, Any]) -> str:
    tokens = decision.get("input_tokens")
    parts = []
    if tokens is not None:
        about = "about " if decision.get("tokens_estimated") else ""
        parts.append(f"{about}{tokens:,} input tokens".replace(",", "\u202f"))
    if body.get("arm"):  # elsewhere the bucket decided nothing
        parts.append(f"bucket {body['sticky_bucket']} of 10\u202f000 by {body.get('sticky_unit') or 'request'}")
    if decision.get("policy") in POLICIES:
        parts.append(POLICIES[decision["policy"]])
    parts.append(f"routing table {body.get('table_version')}, health snapshot {body.get('health_sequence')}")
    tried = body.get("attempts") or ()
    if len(tried) > 1:
        parts.append("tried " + ", then ".join(f"{attempt['engine']} ({attempt['result']})" for attempt in tried))
    return " · ".join(parts)


def _row(candidate: Mapping[str, Any], chosen: str, slots: Mapping[str, int]) -> Row:
    score = candidate.get("score")
    health = [] if score is None else [f"health {score:.2f}"]
    role = f"split {candidate.get('weight')} %" if candidate.get("role") == "split" else str(candidate.get("role"))
    reasons = [REASONS.get(reason, str(reason)) for reason in candidate.get("reasons") or ()]
    verdict = ["answered"] if candidate["engine"] == chosen else []
    detail = [candidate["detail"]] if candidate.get("detail") else []
    name = candidate["engine"]
    return Row(name, slots.get(name), " · ".join([*verdict, role, *health, *reasons, *detail]))
