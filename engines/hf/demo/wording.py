"""Small changes of wording for training: phrases swapped, politeness added, words lost, letters mistyped."""

import random

SWAPS: tuple[tuple[str, ...], ...] = (
    ("what is the meaning of", "what does it mean to say", "explain"),
    ("what is", "what's", "define", "explain", "tell me what is", "describe", "can you explain"),
    ("what are", "explain", "tell me what are", "list", "describe"),
    ("how do i", "how can i", "how to", "how would i", "what is the way to", "where do i", "i want to"),
    ("how does", "in what way does", "explain how does", "tell me how"),
    ("why does", "why would", "what is the reason that", "for what reason does"),
    ("why is", "what is the reason that", "how come"),
    ("what happens", "what occurs", "what goes on", "what does the system do"),
    ("what should i do", "what do i do", "what can i do", "how should i react", "what now", "what to do"),
    ("when does", "at what point does", "in which case does"),
    ("does the", "will the", "can the"),
    ("tell me about", "explain", "describe", "what about", "say something about"),
    ("explain", "what is", "describe", "tell me about"),
    ("which", "what"),
    ("show me", "give me", "tell me"),
    ("purpose of", "point of", "use of", "reason for"),
    ("mean", "stand for", "say"),
)
BEFORE = (
    "please",
    "hi,",
    "hello,",
    "hey,",
    "so",
    "ok,",
    "quick question:",
    "can you tell me:",
    "please tell me",
    "and",
    "I wonder,",
    "could you say",
    "question:",
    "in short,",
    "briefly,",
    "tell me,",
    "sorry,",
    "help:",
)
AFTER = (
    "please",
    "thanks",
    "in this console",
    "here",
    "exactly",
    "in short",
    "please explain",
    "again",
    "then",
    "for me",
)
SMALL = frozenset(
    ("a", "an", "the", "is", "are", "do", "does", "of", "in", "to", "for", "on", "this", "that", "it", "i", "my", "me")
)


def vary(wording: str, rng: random.Random) -> str:
    """A wording as a hurried person might type it; about one in four stays untouched."""
    if rng.random() < 0.25:
        return wording
    text = _swap(wording, rng) if rng.random() < 0.4 else wording
    text = _drop_words(text, rng) if rng.random() < 0.4 else text
    text = _surround(text, rng) if rng.random() < 0.35 else text
    text = _mistype(text, rng) if rng.random() < 0.15 else text
    return _dress(text, rng)


def _swap(text: str, rng: random.Random) -> str:
    lowered = text.lower()
    for phrase, *others in SWAPS:
        if lowered.startswith(phrase + " "):
            return rng.choice(others) + text[len(phrase) :]
    return text


def _drop_words(text: str, rng: random.Random) -> str:
    words = text.split()
    kept = [word for word in words if rng.random() > (0.35 if word.lower() in SMALL else 0.06)]
    return " ".join(kept) if len(kept) >= min(3, len(words)) else text


def _surround(text: str, rng: random.Random) -> str:
    if rng.random() < 0.6:
        return f"{rng.choice(BEFORE)} {text}"
    return f"{text.rstrip('?.!')} {rng.choice(AFTER)}?"


def _mistype(text: str, rng: random.Random) -> str:
    at = rng.randrange(max(1, len(text) - 1))
    kind = rng.randrange(3)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at : at + 2][::-1] + text[at + 2 :]
    return text[:at] + text[at] + text[at:]


def _dress(text: str, rng: random.Random) -> str:
    text = text.rstrip("?.! ") + rng.choice(("?", "?", "", "", ".", " ?", "!"))
    style = rng.random()
    if style < 0.35:
        return text.lower()
    if style < 0.4:
        return text.upper()
    return text[:1].upper() + text[1:]
