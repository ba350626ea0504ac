"""Expansion of templates: ``[a|b|c]`` picks one (they nest), ``{slot}`` takes a value."""

from __future__ import annotations

import random
import re

_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_SPACES = re.compile(r" {2,}")


def article(noun: str) -> str:
    """The noun with ``a`` or ``an`` before it."""
    an = noun.startswith("honest") or (noun[0] in "aeiou" and not noun.startswith("uni"))
    return f"{'an' if an else 'a'} {noun}"


def upper_first(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def expand(rng: random.Random, template: str, slots: dict[str, str]) -> str:
    """Pick the alternatives, then fill the slots."""
    while True:
        expanded, count = _INNERMOST.subn(lambda m: rng.choice(m.group(1).split("|")), template)
        if count == 0:
            break
        template = expanded
    text = template.format_map(slots)
    return _SPACES.sub(" ", text).strip()
