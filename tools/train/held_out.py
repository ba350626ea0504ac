"""What training never saw. Run as a script it writes a plain text of it: ``python held_out.py FILE``."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from chats import FACTS, SMALL_TALK, hard, story_turn
from data import as_text, chat_text
from distilled import distilled
from stories import tell

SEED = 7
KINDS = ("stories", "asked stories", "short answers", "distilled")
PLAIN_BYTES = 8000


def held_out_documents(kind: str, count: int) -> list[str]:
    """Documents of one kind.

    Stories are about pairs of character and object that training never saw; distilled answers are to requests that it
    never saw. Short answers are drawn anew from the same lists, so that most of them did occur.
    """
    rng = random.Random(f"{SEED}/{kind}")
    if kind == "stories":
        return [tell(rng, evaluation=True).text for _ in range(count)]
    if kind == "asked stories":
        return [chat_text([story_turn(rng, True)[0]]) for _ in range(count)]
    if kind == "distilled":
        return [as_text(distilled(rng, evaluation=True)) for _ in range(count)]
    return [chat_text([rng.choice(FACTS + SMALL_TALK + (hard,))(rng)]) for _ in range(count)]


def in_order(count: int) -> list[str]:
    """Stories, requested stories and short answers by turns, as one conversation after another would come."""
    kinds = [held_out_documents(kind, count) for kind in KINDS[:3]]
    return [text for texts in zip(*kinds, strict=True) for text in texts]


def plain_text(size: int = PLAIN_BYTES) -> str:
    """Stories and conversations without any control token, about ``size`` bytes: paragraphs with a line between."""
    rng = random.Random(f"{SEED}/plain")
    parts: list[str] = []
    while sum(map(len, parts)) < size:
        (asked, answered), _ = story_turn(rng, True)
        question, answer = rng.choice(FACTS + SMALL_TALK + (hard,))(rng)
        parts += [tell(rng, evaluation=True).text, f"{question}\n{answer}", f"{asked}\n{answered}"]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the plain text."""
    Path(sys.argv[1]).write_text(plain_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
