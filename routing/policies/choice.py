"""Which policy picks the replica of the engine that the rules chose, and what is said of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from engines.adapters import get_adapter
from engines.client import Answer, Feature
from routing.decision import Loads, RequestFacts
from routing.policies.least_outstanding import IDLE, costs, rank, slowness
from routing.policies.prefix_affinity import BOUND, Home, Placed, chain, home
from routing.table import EngineEntry, ReplicaEntry, Settings


class Policy(StrEnum):
    """How the replica was found among those that may answer."""

    ONLY_REPLICA = "only_replica"
    PREFIX_AFFINITY = "prefix_affinity"
    LEAST_OUTSTANDING = "least_outstanding"


@dataclass(frozen=True, slots=True)
class Choice:
    """Replicas to try, best first. `beginnings` is what the first of them has cached when it has answered."""

    order: list[ReplicaEntry]
    policy: Policy
    why: str = ""
    beginnings: tuple[int, ...] = ()


def choose(
    engine: EngineEntry,
    usable: Sequence[ReplicaEntry],
    facts: RequestFacts,
    *,
    loads: Loads,
    placed: Placed,
    settings: Settings,
    tie: int,
    now: float,
) -> Choice:
    if len(usable) == 1 and len(engine.replicas) == 1:
        return Choice(list(usable), Policy.ONLY_REPLICA)
    order = rank(usable, facts, loads, tie=tie, now=now)
    hashes = chain(facts.leading, f"{engine.name}:{engine.served_model}") if _caches(engine, settings) else ()
    if not hashes:
        return Choice(order, Policy.LEAST_OUTSTANDING, _fewest(order, loads, now))
    paid = costs(usable, facts.expected_tokens, loads, now)
    ids = [replica.id for replica in usable]
    found = home(hashes, dict(zip(ids, paid, strict=True)), placed)
    first = usable[ids.index(found.replica)]
    order = [first, *(replica for replica in order if replica is not first)]
    return Choice(order, Policy.PREFIX_AFFINITY, _kept(found), hashes)


def _caches(engine: EngineEntry, settings: Settings) -> bool:
    """Only where the engine is known to keep prefixes: without that, staying somewhere gains nothing."""
    if not settings.enable_prefix_cache:
        return False
    return get_adapter(engine.kind).supports(Feature.PREFIX_CACHE, engine.features).answer is Answer.YES


def _kept(found: Home) -> str:
    if found.known_bytes:
        why = f"Replica {found.replica} was sent the first {found.known_bytes:,} bytes of this prompt before"
    elif found.full is None:
        return f"This beginning is new here; by its hash it belongs to replica {found.replica}."
    else:
        why = f"Replica {found.replica} has room"
    if found.full is None:
        return f"{why}."
    return f"{why}; replica {found.full} comes first but would have over {BOUND:g} times the mean load."


def _fewest(order: Sequence[ReplicaEntry], loads: Loads, now: float) -> str:
    if len(order) == 1:
        return f"Replica {order[0].id} is the only one that may answer."
    seen = [loads.get(replica.id, IDLE) for replica in order]
    slow = slowness(seen, now)
    first, second = (
        f"{load.in_flight_tokens:,} tokens outstanding" + (f" ({times:.1f} times slower)" if times > 1.0 else "")
        for load, times in zip(seen[:2], slow[:2], strict=True)
    )
    return f"Of two drawn, replica {order[0].id} has {first}, replica {order[1].id} has {second}."
