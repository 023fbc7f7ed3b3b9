"""What bench/routing.py routes between: simulated replicas with a prefix cache, and conversations that begin alike.

A replica works in steps as a continuously batching engine does: each step reads up to BUDGET prompt tokens and writes
one token of every running answer. Nothing here knows how a replica was chosen.
"""

import hashlib
import random
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

BYTES_PER_TOKEN = 4
BLOCK_TOKENS = 16
BUDGET = 2048
RUNNING = 64
# An 8 B model on a 24 GB card: about 16,000 tokens/s reading, 100 tokens/s writing alone, room for 48,000 tokens.
STEP_SECONDS, READ_SECONDS, WRITE_SECONDS = 0.010, 0.00006, 0.0002
CACHE_TOKENS = 48_000
OPENING_BYTES = (6000, 12_000)


@dataclass(slots=True, eq=False)
class Call:
    """One request on its way. Times are seconds of the simulation."""

    number: int
    talk: "Talk"
    text: str
    output: int
    arrived: float
    turn: int
    replica: int = -1
    cached: int = 0
    left: int = 0  # prompt tokens still to read
    written: int = 0
    first: float = 0.0
    ended: float = 0.0

    @property
    def whole(self) -> str:
        """Prompt and answer, as the next turn repeats them."""
        return f"{self.text}\n{self.talk.turns[self.turn][2]}"

    @property
    def input(self) -> int:
        return len(self.text) // BYTES_PER_TOKEN


@dataclass(slots=True, eq=False)
class Talk:
    """One conversation: an application's own beginning, then turns that each repeat all before them."""

    opening: str
    turns: list[tuple[str, int, str, float]] = field(default_factory=list)  # question, output tokens, answer, pause

    def text(self, turn: int) -> str:
        said = [part for question, _, answer, _ in self.turns[:turn] for part in (question, answer)]
        return "\n".join([self.opening, *said, self.turns[turn][0]])


def talks(seed: int, count: int, *, applications: int, rate: float, skew: float) -> Iterator[tuple[float, Talk]]:
    """(start, conversation) in order of time. The k-th application has 1 / k**skew of the first one's popularity."""
    rng = random.Random(seed)
    openings = [words(rng, rng.randint(*OPENING_BYTES)) for _ in range(applications)]
    weights = [1 / (place + 1) ** skew for place in range(applications)]
    now = 0.0
    for _ in range(count):
        now += rng.expovariate(rate)
        talk = Talk(rng.choices(openings, weights)[0])
        for _ in range(rng.randint(1, 8)):
            output = rng.randint(30, 200)
            answer = words(rng, output * BYTES_PER_TOKEN)
            talk.turns.append((words(rng, rng.randint(100, 1200)), output, answer, rng.expovariate(1 / 8)))
        yield now, talk


def words(rng: random.Random, size: int) -> str:
    return rng.randbytes(size // 2).hex()


class PrefixCache:
    """Blocks of BLOCK_TOKENS by the hash of everything up to their end; the one used longest ago goes first."""

    def __init__(self, tokens: int) -> None:
        self._room = tokens // BLOCK_TOKENS
        self._blocks: OrderedDict[bytes, None] = OrderedDict()

    def find(self, text: str) -> int:
        """Tokens of the beginning that are here, at least one less than all."""
        found = 0
        for key in self._keys(text):
            if key not in self._blocks:
                break
            self._blocks.move_to_end(key)
            found += BLOCK_TOKENS
        return min(found, len(text) // BYTES_PER_TOKEN - 1)

    def keep(self, text: str) -> None:
        for key in reversed(self._keys(text)):  # ends go before beginnings
            self._blocks[key] = None
            self._blocks.move_to_end(key)
        while len(self._blocks) > self._room:
            self._blocks.popitem(last=False)

    @staticmethod
    def _keys(text: str) -> list[bytes]:
        data, size = text.encode(), BLOCK_TOKENS * BYTES_PER_TOKEN
        digest, keys = hashlib.blake2b(digest_size=12), []
        for start in range(0, len(data) - size + 1, size):
            digest.update(data[start : start + size])
            keys.append(digest.digest())
        return keys


class Replica:
    """`slow`: how many times longer each step takes."""

    def __init__(self, slow: float) -> None:
        self.slow = slow
        self.cache = PrefixCache(CACHE_TOKENS)
        self.waiting: deque[Call] = deque()
        self.reading: list[Call] = []
        self.writing: list[Call] = []
        self.busy = False

    def begin(self) -> float | None:
        """Seconds that the next step takes; None with nothing to do."""
        while self.waiting and len(self.reading) + len(self.writing) < RUNNING:
            call = self.waiting.popleft()
            call.cached = self.cache.find(call.text)
            call.left = call.input - call.cached
            self.reading.append(call)
        self.busy = bool(self.reading or self.writing)
        if not self.busy:
            return None
        read = min(BUDGET, sum(call.left for call in self.reading))
        return self.slow * (STEP_SECONDS + read * READ_SECONDS + len(self.writing) * WRITE_SECONDS)

    def end(self, now: float) -> tuple[list[Call], list[Call]]:
        """The calls whose first token this step wrote, and those that it finished."""
        for call in self.writing:
            call.written += 1
        budget = BUDGET
        for call in self.reading:
            taken = min(call.left, budget)
            call.left, budget = call.left - taken, budget - taken
            if call.left == 0:
                call.first, call.written = now, 1
                self.cache.keep(call.text)
                self.writing.append(call)
        begun = [call for call in self.reading if not call.left]
        self.reading = [call for call in self.reading if call.left]
        done = [call for call in self.writing if call.written >= call.output]
        for call in done:
            self.cache.keep(call.whole)
        self.writing = [call for call in self.writing if call.written < call.output]
        return begun, done
