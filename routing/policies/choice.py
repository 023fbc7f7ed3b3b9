"""Which policy picks the replica of the engine that the rules chose, and what is said of it. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from engines.adapters import get_adapter
from engines.client import Answer, Feature
from routing.decision import Loads, RequestFacts
from routing.policies.least_outstanding import Weight, places, weigh
from routing.policies.prefix_affinity import BOUND, Home, Placed, chain, home
from routing.table import EngineEntry, ReplicaEntry, Settings


class Policy(StrEnum):
    """How the replica was found among those that may answer."""

    ONLY_REPLICA = "only_replica"
    PREFIX_AFFINITY = "prefix_affinity"
    LEAST_OUTSTANDING = "least_outstanding"


class Choice(NamedTuple):
    """Replicas to try, best first. `beginnings` is what the first of them has cached when it has answered.

    A tuple: a frozen dataclass costs more to make.
    """

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
    if len(engine.replicas) == 1:
        return Choice(list(usable), Policy.ONLY_REPLICA)
    weights = weigh(usable, loads, now)
    paid = [weight.cost(facts.expected_tokens) for weight in weights]
    order = places(usable, paid, facts.request_id, tie) if len(usable) > 1 else [0]
    hashes = chain(facts.leading, f"{engine.name}:{engine.served_model}") if _caches(engine, settings) else ()
    if not hashes:
        ranked = [usable[index] for index in order]
        return Choice(ranked, Policy.LEAST_OUTSTANDING, _fewest(ranked, [weights[index] for index in order]))
    found = home(hashes, {replica.id: cost for replica, cost in zip(usable, paid, strict=True)}, placed)
    ranked = sorted((usable[index] for index in order), key=lambda replica: replica.id != found.replica)
    return Choice(ranked, Policy.PREFIX_AFFINITY, _kept(found), hashes)


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


def _fewest(ranked: Sequence[ReplicaEntry], weights: Sequence[Weight]) -> str:
    if len(ranked) == 1:
        return f"Replica {ranked[0].id} is the only one that may answer."
    first, second = _outstanding(weights[0]), _outstanding(weights[1])
    return f"Of two drawn, replica {ranked[0].id} has {first}, replica {ranked[1].id} has {second}."


def _outstanding(weight: Weight) -> str:
    slow = f" ({weight.slow:.1f} times slower)" if weight.slow > 1.0 else ""
    return f"{weight.tokens:,} tokens outstanding{slow}"
