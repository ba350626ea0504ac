"""What the teacher of ``distil.py`` is asked, and the examples that show it the form of an answer."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace

import words
from data import chat_text
from grammar import article, expand, upper_first
from stories import held_out, pick_actor

GROUP = 20

STORY_EXAMPLES: tuple[tuple[str, str], ...] = (
    ("a mouse and a bell",
     "Pip the mouse found a bell in the grass. It was bigger than he was. \"How can I carry it home?\" he asked. A crow "
     "came by and picked it up. Together they hung it over Pip's door. Now, when a friend comes to visit, the bell rings, "
     "and Pip puts the tea on the table."),
    ("a bear and a blanket",
     "It was the first cold night of the year. Nora the bear could not sleep, because her old blanket had a hole. Her "
     "neighbour, the hedgehog, saw the light in her window. He came with a needle and red thread. They sewed and told "
     "jokes until it was done. Then Nora gave him soup, and they both slept until noon."),
    ("a frog and a boat",
     "Otto the frog built a boat out of a leaf. The other frogs laughed at him. \"You can swim,\" they said. \"Why do you "
     "need a boat?\" One day the snail wanted to cross the pond to see her mother. Otto took her in his boat. After that, "
     "nobody laughed any more, and everybody wanted a ride."),
    ("a dragon and a candle",
     "Ella was a small dragon who was afraid of the dark. Every night she lit a candle with her breath. One windy night "
     "the candle went out again and again. Then she heard crying. A lost lamb was outside, and it was afraid too. Ella sat "
     "down beside it. She found that the dark was not so bad with two."),
    ("a squirrel and a map",
     "Finn the squirrel had hidden so many nuts that he forgot where. This winter he drew a map. But the wind took the map "
     "and blew it into the river. \"All my nuts are lost!\" he cried. His sister smiled. She had watched where he put each "
     "one. They found them all, and Finn gave her half."),
    ("a hen and a ladder",
     "Molly the hen wanted to see the stars up close, so she put a ladder against the barn. She climbed all night. At the "
     "top, the stars were as far away as ever. But from the roof she could see the whole farm, and the sun came up all "
     "gold and pink. \"That is better than stars,\" said Molly, and she woke everyone."),
    ("a robot and a flower",
     "Max the robot saw a flower in the crack of a wall. He did not know what it was for. He gave it oil, and it did not "
     "like that. Then it rained, and the flower stood up tall. \"You drink water!\" said Max. Now he brings it a cup of "
     "water every morning and asks how it is."),
    ("a wolf and a flute",
     "Every time Hugo the wolf howled, the sheep ran away. He only wanted to sing with someone. An old shepherd gave him a "
     "flute. Hugo played it softly at the edge of the meadow. First one lamb came near, and then another. By evening the "
     "whole flock was listening, and some of them sang."),
)

THING_EXAMPLES: tuple[tuple[str, str], ...] = (
    ("What is a tower?", "A tower is a tall building from which you can see far."),
    ("What is a bird?", "A bird is an animal with wings and feathers."),
    ("What is a tent for?", "A tent is for sleeping outside and staying dry."),
    ("What is a butcher?", "A butcher is a person who cuts and sells meat."),
    ("What is a knife for?", "A knife is for cutting bread and other things."),
    ("What does a mountain look like?", "A mountain is very big, and it often has snow on top."),
    ("What does a hawk look like?", "A hawk has brown feathers, sharp eyes and strong claws."),
    ("Where can you find a towel?", "You can find a towel in the bathroom."),
    ("What does a hawk do all day?", "A hawk flies high in the sky and looks for mice."),
    ("What is special about a bat?", "A bat can fly in the dark and sleeps upside down."),
    ("What does a judge do?", "A judge listens to people and says who is right."),
)

TALK_EXAMPLES: tuple[tuple[str, str], ...] = (
    ("I had a bad day.", "I am sorry to hear that. I hope tomorrow will be better."),
    ("My cat is asleep.", "That sounds cosy. Let her dream a little."),
    ("I made a cake today.", "Well done! I am sure it tastes very good."),
    ("What should I do today?", "You could go for a walk and look for birds."),
    ("I can not find my shoe.", "Did you look under the bed? Things like to hide there."),
)

STORY_FORMS = (
    "Tell me a very short story about {ak} and {ao}.", "Write a tiny story about {ak} and {ao}.",
    "Please tell a small story about {ak} and {ao}.", "Make up a very short story about {ak} and {ao}.",
)
OPENINGS = (
    "There was once {ak} named {n} who [had|wanted|found|loved] {ao}.", "{n} the {k} had {ao}.",
    "[One day|One morning|One night], {n} the {k} found {ao}.", "{n} was {at}.", "{n} the {k} [wanted|needed] {ao}.",
    "{p_up} lived {at} named {n}.", "It was [raining|snowing|a hot day|a windy night]. {n} the {k}",
    "{n} the {k} was [sad|happy|tired|afraid|bored|lost].", "Nobody liked the {o} of {n} the {k}.",
    "\"[Where is my {o}|What a strange {o}|Look, {ao}]!\" said {n} the {k}.", "The {o} was [old|broken|magic|too big].",
)
TALK = (
    "It is [raining|snowing|sunny|windy|cold|hot] [today|outside].", "I am going to [bed|school|the park|work|the sea|the zoo].",
    "I [found|lost|broke|bought|made] {ao}.", "I saw {ak} [today|in the garden|in my dream|by the road].",
    "I [like|love] {pl}.", "I am afraid of {pl}.", "I [want|would like] {ao}.", "My [mother|father|sister|brother|friend] is {feel}.",
    "I am {feel} today.", "It is my birthday [today|tomorrow].", "I can't sleep.", "I am [learning to|going to] [swim|read|cook|draw|sing|dance|count].",
    "Where could my {o} be?", "What could I give to my [mother|father|friend|teacher]?", "What do you think about {pl}?",
    "Can {ak} be a friend?", "Why do people like {pl}?", "What would you do with {ao}?", "I told a lie.", "I had a quarrel with my friend.",
    "What makes you happy?", "What is a good name for {ak}?", "I [ate|baked|cooked] {ao}.", "I miss my [friend|grandmother|dog|cat].",
    "How do I [make a friend|say sorry|wait for spring|stay warm|catch {ak}|look after {ak}]?", "I am proud of my {o}.",
)
OBJECT_FORMS = (
    ("What is {a}?", "{a} is"), ("What is {a} for?", "{a} is for"), ("What does {a} look like?", "{a}"),
    ("Where can you find {a}?", "you can find {a}"),
)
ANIMAL_FORMS = (
    ("What is {a}?", "{a} is"), ("What does {a} look like?", "{a} has"), ("What does {a} do all day?", "{a}"),
    ("What is special about {a}?", "{a}"),
)
PEOPLE_FORMS = (("What is {a}?", "{a} is"), ("What does {a} do?", "{a}"))
FEELINGS = ("sad", "happy", "tired", "ill", "angry", "bored", "lonely", "nervous", "proud", "hungry", "busy")


@dataclass(frozen=True)
class Job:
    """One completion; ``opening`` is the beginning of the answer that the teacher is given."""

    id: int
    kind: str
    asked: str
    opening: str
    hero: str
    thing: str
    limit: int
    temperature: float

    def line(self) -> dict[str, object]:
        """What the teacher is given."""
        return {"id": self.id, "prompt": prompt(self.asked, self.opening), "limit": self.limit,
                "temperature": self.temperature, "seed": self.id + 1}

    def as_dict(self) -> dict[str, object]:
        """Everything."""
        return asdict(self)


def prompt(asked: str, opening: str) -> str:
    """A request and the beginning of its answer."""
    return f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n{opening}"


def story_job(rng: random.Random) -> Job:
    """A story about a pair that is not held out."""
    while True:
        actor, thing = pick_actor(rng), rng.choice(words.ALL_OBJECTS)
        if not held_out(actor.kind, thing):
            break
    place = rng.choice(sorted(words.PLACES))
    slots = {
        "ak": article(actor.kind), "k": actor.kind, "n": actor.name, "o": thing, "ao": article(thing),
        "at": article(f"{rng.choice(words.TRAITS)} {actor.kind}"),
        "p_up": upper_first(f"{words.PLACES[place]} {place}"),
    }
    opening = expand(rng, rng.choice(OPENINGS), slots)
    return Job(0, "story", expand(rng, rng.choice(STORY_FORMS), slots), opening, actor.kind, thing, 130, 0.6)


def thing_jobs(rng: random.Random) -> list[Job]:
    """Every question about every thing, animal and person, in random order."""
    made = []
    for nouns, forms in ((words.ALL_OBJECTS, OBJECT_FORMS), (words.ANIMALS, ANIMAL_FORMS), (words.PEOPLE, PEOPLE_FORMS)):
        for noun in nouns:
            for asked, opening in forms:
                a = article(noun)
                made.append(Job(0, "what", asked.format(a=a), upper_first(opening.format(a=a)), "", noun, 40, 0.3))
    rng.shuffle(made)
    return made


def talk_job(rng: random.Random) -> Job:
    """Small talk."""
    animal, thing = rng.choice(words.ANIMALS), rng.choice(words.ALL_OBJECTS)
    slots = {
        "ak": article(animal), "ao": article(thing), "o": thing, "feel": rng.choice(FEELINGS),
        "pl": rng.choice(("rain", "music", "snow", "stories", "winter", "summer", "the moon", "the sea", "dogs", "cats",
                          "birds", "spiders", "cake", "books", "games", "the dark", "trains", "flowers", "stars")),
    }
    return Job(0, "talk", expand(rng, rng.choice(TALK), slots), "", "", "", 50, 0.6)


def prefix(rng: random.Random, kind: str) -> str:
    """Some examples as a conversation."""
    if kind == "story":
        turns = [(rng.choice(STORY_FORMS).replace("{ak} and {ao}", pair), text) for pair, text in rng.sample(STORY_EXAMPLES, 3)]
    else:
        turns = rng.sample(THING_EXAMPLES if kind == "what" else TALK_EXAMPLES, 5)
    return chat_text(turns)


def groups(seed: int, stories: int, talks: int) -> list[tuple[str, list[Job]]]:
    """All jobs in groups, each with its prefix; stories, which take longest, come last."""
    rng = random.Random(f"distil/{seed}")
    jobs = [story_job(rng) for _ in range(stories)] + thing_jobs(rng)
    jobs += {(job.asked): job for job in (talk_job(rng) for _ in range(talks))}.values()
    jobs = [replace(job, id=number) for number, job in enumerate(jobs)]
    made = []
    for kind in ("story", "what", "talk"):
        wanted = [job for job in jobs if job.kind == kind]
        parts = [wanted[start : start + GROUP] for start in range(0, len(wanted), GROUP)]
        made += [(prefix(rng, kind), part) for part in parts]
    return sorted(made, key=lambda group: group[1][0].kind == "story")
