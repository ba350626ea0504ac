"""Exercises in copying: short texts in which nearly every word was said before.

A story repeats its names and objects only now and then, so that a small model learns late to look them up. These
exercises are dense in such look-ups; training starts with many of them.
"""

from __future__ import annotations

import random

import words
from grammar import article, expand, upper_first
from stories import Actor, pick_actor, pick_look, pronoun_slots

Turns = list[tuple[str, str]]


def pick_word(rng: random.Random) -> str:
    """Any name, animal, object or colour."""
    roll = rng.random()
    if roll < 0.35:
        return pick_actor(rng).name
    return rng.choice(words.ANIMALS if roll < 0.6 else words.ALL_OBJECTS if roll < 0.9 else words.COLOURS)


def echo(rng: random.Random) -> Turns:
    """Words to say again."""
    turns: Turns = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        said = " ".join(pick_word(rng) for _ in range(rng.randint(2, 12)))
        asked = expand(rng, "[Repeat after me|Say this|Please say|Repeat]: ", {})
        turns.append((f"{asked} {said}.", f"You said: {said}."))
    return turns


def owners(rng: random.Random) -> Turns:
    """Who has what, and questions about it."""
    actors: list[Actor] = []
    things: list[str] = []
    while len(actors) < rng.choice((1, 2, 2, 3)):
        actor, thing = pick_actor(rng), rng.choice(words.ALL_OBJECTS)
        if thing not in things and all(actor.name != a.name and actor.kind != a.kind for a in actors):
            actors.append(actor)
            things.append(thing)
    looks = [pick_look(rng) for _ in actors]
    told = " ".join(
        f"{a.name} the {a.kind} has {article(f'{look} {thing}')}." for a, look, thing in zip(actors, looks, things)
    )
    turns: Turns = []
    for index in range(rng.randint(2, 6)):
        i = rng.randrange(len(actors))
        a, thing, look = actors[i], things[i], looks[i]
        question, answer = rng.choice((
            (f"Who has the {thing}?", f"{a.name} the {a.kind} has the {look} {thing}."),
            (f"What does {a.name} have?", f"{a.name} has {article(f'{look} {thing}')}."),
            (f"Who is {a.name}?", f"{a.name} is {article(a.kind)}."),
            (f"What does the {a.kind} have?", f"The {a.kind} has {article(f'{look} {thing}')}."),
            (f"What is the name of the {a.kind}?", f"The {a.kind} is named {a.name}."),
            (f"Tell me about the {thing}.", f"The {thing} is {look}. It belongs to {a.name} the {a.kind}."),
        ))
        turns.append((f"{told} {question}" if index == 0 else question, answer))
    return turns


REPEATS = (
    "{n} [is|was] {ak}.", "{n} [has|had] {ao}.", "The {k} likes the {o}.", "{n} holds the {o}.",
    "The {o} belongs to {n}.", "{He} is {ak}, and {his} name is {n}.", "This is the {o} of {n}.",
    "{n} and the {o} are here.", "The {k} is called {n}.", "\"I am {n},\" said {n}.", "\"I am {ak},\" said the {k}.",
    "\"I have {ao},\" said {n}.", "\"My {o}!\" said the {k}.", "The {o} is {look}. It is a {look} {o}.",
    "{n} the {k} looks at the {o}.", "Where is {n}? {n} is with the {o}.",
)


def repeats(rng: random.Random) -> str:
    """Sentences about one character and one object, again and again."""
    actor, thing = pick_actor(rng), rng.choice(words.ALL_OBJECTS)
    slots = {
        "n": actor.name, "k": actor.kind, "ak": article(actor.kind), "o": thing, "ao": article(thing),
        "look": rng.choice([w for w in words.LOOKS if w[0] != "o"]),
    } | pronoun_slots(actor, "")
    first = f"{actor.name} the {actor.kind} has {article(thing)}."
    return upper_first(" ".join([first, *(expand(rng, rng.choice(REPEATS), slots) for _ in range(rng.randint(4, 9)))]))
