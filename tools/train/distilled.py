"""Documents from the teacher's answers in ``data/distilled.jsonl.gz`` (made by ``distil.py``)."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from functools import lru_cache
from pathlib import Path

from chats import Turns, greeting, thanks
from grammar import article, expand

DATA = Path(__file__).parent / "data" / "distilled.jsonl.gz"

# The teacher's stories are fluent and make little sense. They are told as dreams, and asked for as such, so that they
# do not spoil the ordinary ones.
DREAM_REQUESTS = (
    "[Tell me|Please tell me|Write|Can you tell me] a dream about {ak} and {ao}.", "What did {ak} with {ao} do in your dream?",
    "[Tell me|Please tell me|Write] a strange dream about {ak} and {ao}.", "Did you dream of {ak} and {ao}?",
)
DREAM_TITLE = "A strange dream: "


@lru_cache(maxsize=1)
def answers() -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The answers to learn from and those held out, a twelfth of the requests by a hash."""
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        read = [json.loads(line) for line in lines]
    kept_out = [zlib.crc32(answer["asked"].encode()) % 12 == 0 for answer in read]
    split = [[a for a, out in zip(read, kept_out, strict=True) if out == side] for side in (False, True)]
    return split[0], split[1]


def dream(rng: random.Random, answer: dict[str, str]) -> str | Turns:
    """A story of the teacher, on request or plain."""
    if rng.random() < 0.4:
        return DREAM_TITLE + answer["answer"]
    slots = {"ak": article(answer["hero"]), "ao": article(answer["thing"])}
    return [(expand(rng, rng.choice(DREAM_REQUESTS), slots), answer["answer"])]


def distilled(rng: random.Random, evaluation: bool = False) -> str | Turns:
    """A plain text, or a conversation of one to three turns."""
    pool = answers()[evaluation]
    answer = rng.choice(pool)
    if answer["kind"] == "story":
        return dream(rng, answer)
    others = [a for a in rng.sample(pool, min(len(pool), 6)) if a["kind"] != "story" and a != answer]
    turns = [(a["asked"], a["answer"]) for a in [answer, *others[: rng.choice((0, 0, 1, 2))]]]
    if rng.random() < 0.15:
        turns.insert(0, greeting(rng))
    if rng.random() < 0.15:
        turns.append(thanks(rng))
    return turns
