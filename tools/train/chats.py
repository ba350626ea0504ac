"""Small conversations: stories on request, questions about them, simple facts, greetings, honest refusals."""

from __future__ import annotations

import random
from collections.abc import Callable

import words
from grammar import article, expand, upper_first
from stories import Story, pick_actor, place_phrase, tell

Turn = tuple[str, str]
Turns = list[Turn]

SYSTEM_LINES = (
    "You are a kind storyteller.", "You are a helpful assistant.", "You are a friendly little model.",
    "Answer in simple words.", "You tell short stories to children.",
)

LEAD_INS = ("", "", "", "Here is a story about {ak} and {ao}.\n\n", "Of course! ", "I would love to. ")

STORY_REQUESTS = (
    "[Tell me|Please tell me|Can you tell me|I want to hear|Could you tell me|I would like] a story about {ak} "
    "and {ao}",
    "[Write|Make up|Please write] a story about {ak} and {ao}",
    "[Tell me|Please tell me|Write] a story with {ak} and {ao}",
    "[A|Another] story about {ak} and {ao}, please",
)

HERO_REQUESTS = (
    "[Tell me|Please tell me|Write|Can you tell me] a story about {ak}", "[A|Another] story about {ak}, please",
)
THING_REQUESTS = ("[Tell me|Please tell me|Write|Can you tell me] a story about {ao}",)
NAME_REQUESTS = (
    "[Tell me|Please tell me|Write] a story about {ak} [named|called] {n} and {ao}",
    "[Tell me|Please tell me|Write] a story about {n} the {k} and {ao}",
)
FREE_REQUESTS = (
    "[Tell me|Please tell me|Can you tell me] a story", "[Tell|Write] a story, please",
    "[I am bored|I can't sleep]. Tell me a story",
    "Another one, please", "[One more|Another] story, please", "Once upon a time", "[Can|Could] you tell stories",
)
PLACE_REQUESTS = (
    "[Tell me|Please tell me|Write|Can you tell me] a story about {ak} and {ao} {p}",
    "[Tell me|Please tell me|Write|Can you tell me] a story about {ak} {p}",
)
MOOD_REQUESTS = (
    "[Tell me|Please tell me|Write|Can you tell me] a {mood} story about {ak} and {ao}",
    "[Tell me|Please tell me|Write|Can you tell me] a {mood} story[| about {ak}| about {ao}]",
)
THEME_REQUESTS = (
    "[Tell me|Please tell me|Write|Can you tell me] a story about {theme}",
    "[Tell me|Please tell me|Write|Can you tell me] a story about {ak} and {theme}",
)
ASIDES = ("Hi! ", "Hello! ", "Hello Sluice, ", "Hey, ", "OK, ", "Now ", "Nice! ", "I love stories. ")
SHORT_REQUESTS = (
    "[Tell me|Please tell me|Write] a [short|very short|little] story about {ak} and {ao}",
    "[A|Another] short story about {ak} and {ao}, please",
)

REFUSALS = (
    "[I do not know that|I don't know|That is too hard for me|I never learned that]. I am a very small model. "
    "[But I can tell you a story!|Ask me for a story about {ak} and {ao}!|Shall I tell you a story about {ak}?]"
)

HARD_QUESTIONS = (
    "What is the capital of {country}?", "Who is the president of {country}?", "How do I get to {country}?",
    "How many people live in {country}?", "What is the [best|biggest|oldest] city in {country}?",
    "Write a [program|function|script] in {lang}.",
    "How do I [sort a list|read a file|fix a bug|write a loop] in {lang}?",
    "Explain {science}.", "What is {science}?", "How does {science} work?", "Can you explain {science} to me?",
    "What is {big} times {big2}?", "How much is {big} plus {big2}?", "What is the square root of {big}?",
    "Who [wrote|painted|invented] the {work}?", "When was the {work} [made|invented|written]?",
    "What is the weather [today|tomorrow|like today]?", "What [time|day|year] is it [now|today]?",
    "What is the news today?", "How much does {ao} cost?", "Where can I buy {ao}?", "What is the meaning of life?",
    "Translate this into {tongue}.", "How do you say {o} in {tongue}?", "Do you speak {tongue}?",
    "Who won the [game|match|election|world cup]?", "What [film|book|song] should I [see|read|hear]?",
    "Can you help me with my [homework|taxes|work|essay]?", "Should I [buy|sell] [gold|a car|a house]?",
    "Who was {person}?", "When was {person} born?", "Tell me about {person}.", "Tell me about {country}.",
)

HARD_SLOTS: dict[str, list[str]] = {
    "country": "France Spain Italy Japan China India Brazil Canada Egypt Kenya Peru Norway Germany Australia".split(),
    "lang": "Python JavaScript Rust Java C Go TypeScript".split(),
    "tongue": "French Spanish German Italian Japanese Latin Chinese".split(),
    "science": [
        "gravity", "quantum physics", "electricity", "the economy", "a black hole", "photosynthesis", "a computer",
        "DNA", "machine learning", "a neural network", "the internet", "chemistry", "WebGPU", "a volcano", "energy",
        "history",
    ],
    "work": ["telephone", "piano", "Bible", "Mona Lisa", "wheel", "light bulb", "computer", "first book", "first car"],
    "person": [
        "Einstein", "Shakespeare", "Napoleon", "Newton", "Mozart", "Darwin", "Cleopatra", "Marie Curie", "Plato",
    ],
}


def request(rng: random.Random, templates: tuple[str, ...], slots: dict[str, str]) -> str:
    """A request as people type it: with or without capitals and a full stop."""
    text = expand(rng, rng.choice(templates), slots)
    question = text.lower().startswith(("can ", "could "))
    text += rng.choice(("?", "?", "")) if question else rng.choice((".", ".", ".", "", "!"))
    if rng.random() < 0.08:
        aside = rng.choice(ASIDES)
        text = aside + (text if aside[-2] in "!." else text[0].lower() + text[1:])
    return text.lower() if rng.random() < 0.15 else text


def hero_slots(rng: random.Random, story: Story) -> dict[str, str]:
    """The slots of a request; a look or a trait is asked for only where the story tells it."""
    kind, thing, place = story.hero.kind, story.thing, story.place
    look = f"{story.look} {thing}"
    trait = f"{story.trait} {kind}"
    return {
        "ak": article(trait if trait in story.text and rng.random() < 0.2 else kind), "k": kind, "n": story.hero.name,
        "ao": article(look if look in story.text and rng.random() < 0.2 else thing), "o": thing,
        "p": place_phrase(place) if place in story.text else "", "mood": rng.choice(words.MOODS),
        "theme": rng.choice(words.THEMES[story.plot]),
    }


def story_turn(rng: random.Random, evaluation: bool) -> tuple[Turn, Story]:
    """A request and the story that fits it."""
    roll = rng.random()
    short = 0.90 < roll
    story = tell(rng, evaluation, short=short)
    slots = hero_slots(rng, story)
    lead = ""
    if short:
        asked = request(rng, SHORT_REQUESTS, slots)
    elif roll < 0.45:
        asked = request(rng, STORY_REQUESTS, slots)
        lead = rng.choice(LEAD_INS).format_map(slots) if rng.random() < 0.3 else ""
    else:
        templates = rng.choice((
            NAME_REQUESTS, NAME_REQUESTS, HERO_REQUESTS, HERO_REQUESTS, THING_REQUESTS, PLACE_REQUESTS, MOOD_REQUESTS,
            THEME_REQUESTS, FREE_REQUESTS,
        ))
        asked = request(rng, templates, slots)
    return (asked, lead + story.text), story


def about_story(rng: random.Random, story: Story) -> Turn:
    """A question about the story just told."""
    hero, friend = story.hero, story.friend
    plain = [
        (f"What was the name of the {hero.kind}?", f"The {hero.kind} was named {hero.name}."),
        (f"Who was {hero.name}?", f"{hero.name} was {article(hero.kind)}."),
        (
            "[Who|What] was the story about?",
            f"It was about {article(hero.kind)} named {hero.name} and {article(story.thing)}.",
        ),
    ]
    if friend.name in story.text and f"{friend.name} the {friend.kind}" in story.text:
        plain.append((f"Who was {friend.name}?", f"{friend.name} was {article(friend.kind)}."))
        plain.append((f"What was the name of the {friend.kind}?", f"The {friend.kind} was named {friend.name}."))
    question, answer = rng.choice(plain)
    return expand(rng, question, {}), answer


def more(rng: random.Random) -> Turn:
    """A word of praise."""
    return (
        expand(rng, "[That was nice|I liked that|What a lovely story|Nice story|Good story|That was good][!|.]", {}),
        expand(rng, "[Thank you!|I am glad you liked it!|Thank you very much!] "
               "[Do you want another one?|Shall I tell you another one?|]", {}),
    )


def greeting(rng: random.Random) -> Turn:
    """Hello."""
    return (
        expand(rng, "[Hello|Hi|Hey|Good morning|Good evening|Hello there|Hi there][!|.|]", {}),
        expand(rng, "[Hello!|Hi!|Hello there!|Hi there!] "
               "[How are you today?|What story would you like?|It is nice to meet you.|"
               "Shall I tell you a story?|I am happy to see you.]", {}),
    )


def who(rng: random.Random) -> Turn:
    """What it is."""
    question = expand(rng, "[Who are you|What are you|What is your name|Tell me about yourself|Are you a robot|"
                      "Are you real|Are you a person|who are you|what's your name|What model are you|"
                      "Do you have a name]?", {})
    answer = expand(rng, "[I am Sluice, a tiny language model.|My name is Sluice. I am a very small language model.] "
                    "[I live in your browser and tell little stories.|I run right here in your browser.|"
                    "I am made of many small experts, and I love stories.]", {})
    return question, answer


def what_can(rng: random.Random) -> Turn:
    """What it can do."""
    slots = {"ak": article(rng.choice(words.ANIMALS)), "ao": article(rng.choice(words.ALL_OBJECTS))}
    return (
        expand(rng, "[What can you do|What do you know|How can you help me|What should I ask you|Help|"
               "What can I ask]?", {}),
        expand(rng, "I can tell little stories and answer very simple questions. "
               "[Ask me for a story about {ak} and {ao}!|Try this: tell me a story about {ak} and {ao}.|"
               "I know colours, numbers, animals and opposites.]", slots),
    )


def feeling(rng: random.Random) -> Turn:
    """How are you; I am sad."""
    if rng.random() < 0.5:
        return (
            expand(rng, "[How are you|How do you feel|How are you today|how are you|Are you happy]?", {}),
            expand(rng, "I am [very well|well|happy|fine], thank you! [And you?|How are you?|]", {}),
        )
    mood = rng.choice(("sad", "tired", "bored", "happy", "lonely", "angry", "hungry", "afraid"))
    answers = {
        "sad": "I am sorry that you are sad. Maybe a story can help.", "tired": "Then it is time to rest. Sleep well!",
        "bored": "Then let me tell you a story!", "happy": "That is wonderful! I am happy too.",
        "lonely": "I am here with you. Let's talk a little.", "angry": "Take a deep breath. It will be better soon.",
        "hungry": "Then you should eat something nice, like a warm soup.",
        "afraid": "Do not be afraid. You are braver than you think.",
    }
    return expand(rng, f"[I am|I'm|i am] [very |so |]{mood}[.|!|]", {}), answers[mood]


def thanks(rng: random.Random) -> Turn:
    """Thanks."""
    return (
        expand(rng, "[Thank you|Thanks|Thank you very much|Thanks a lot|thanks|thank you][!|.|]", {}),
        expand(rng, "[You are welcome!|You're welcome!|My pleasure!] [Come back soon.|I liked it too.|]", {}),
    )


def goodbye(rng: random.Random) -> Turn:
    """Goodbye."""
    return (
        expand(rng, "[Goodbye|Bye|Good night|See you|See you later|bye|Bye bye][!|.|]", {}),
        expand(rng, "[Goodbye!|Bye!|Good night!|See you soon!] [Sleep well.|Come back soon.|Have a nice day.|]", {}),
    )


def colour(rng: random.Random) -> Turn:
    """The colour of a thing."""
    thing, value = rng.choice(sorted(words.THING_COLOURS.items()))
    question = expand(rng, f"[What colour is|What color is|Which colour is|what colour is] {thing}?", {})
    return question, f"{upper_first(thing)} is {value}."


def sound(rng: random.Random) -> Turn:
    """The sound of an animal."""
    animal, value = rng.choice(sorted(words.SOUNDS.items()))
    if rng.random() < 0.25:
        return f"Which animal says {value}?", f"{upper_first(article(animal))} says {value}."
    slots = {"ak": article(animal)}
    question = expand(rng, "[What does {ak} say|What sound does {ak} make|How does {ak} go]?", slots)
    return question, f"{upper_first(article(animal))} says {value}."


def opposite(rng: random.Random) -> Turn:
    """An opposite."""
    left, right = rng.choice(words.OPPOSITES)
    if rng.random() < 0.3 and right != "light":
        left, right = right, left
    question = expand(rng, f"[What is|Tell me|what is] the opposite of {left}?", {})
    return question, f"The opposite of {left} is {right}."


def after(rng: random.Random) -> Turn:
    """What comes next: numbers, days, months."""
    series: list[str] = rng.choice((words.NUMBERS, words.DAYS, words.MONTHS))
    index = rng.randrange(len(series) - 1)
    first, second = series[index], series[index + 1]
    if rng.random() < 0.3:
        return f"What comes before {second}?", f"{upper_first(first)} comes before {second}."
    return f"What comes after {first}?", f"{upper_first(second)} comes after {first}."


def counting(rng: random.Random) -> Turn:
    """Counting."""
    start = rng.choice((1, 1, 1, 2, 3, 4, 5))
    end = start + rng.randint(2, 7)
    span = words.NUMBERS[start : end + 1]
    how = f"from {span[0]} to {span[-1]}" if start > 1 or rng.random() < 0.4 else f"to {span[-1]}"
    answer = f"{upper_first(', '.join(span[:-1]))} and {span[-1]}."
    return expand(rng, f"[Count {how}.|Can you count {how}?|Please count {how}.]", {}), answer


def plus(rng: random.Random) -> Turn:
    """Small sums."""
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    sign = "plus"
    result = a + b
    if rng.random() < 0.35:
        a, b = max(a, b), min(a, b)
        sign, result = "minus", a - b
    x, y, z = words.NUMBERS[a], words.NUMBERS[b], words.NUMBERS[result]
    question = expand(rng, f"[What is {x} {sign} {y}|How much is {x} {sign} {y}]?", {})
    return question, f"{upper_first(x)} {sign} {y} is {z}."


def home(rng: random.Random) -> Turn:
    """Where an animal lives."""
    animal, value = rng.choice(sorted(words.HOMES.items()))
    return f"Where does {article(animal)} live?", f"{upper_first(article(animal))} lives {value}."


def food(rng: random.Random) -> Turn:
    """What an animal eats."""
    animal, value = rng.choice(sorted(words.FOODS.items()))
    return f"What does {article(animal)} eat?", f"{upper_first(article(animal))} eats {value}."


def legs(rng: random.Random) -> Turn:
    """How many legs."""
    animal, value = rng.choice(sorted(words.LEGS.items()))
    question = expand(rng, f"How many legs does {article(animal)} have[?|]", {})
    return question, f"{upper_first(article(animal))} has {value} legs."


def hard(rng: random.Random) -> Turn:
    """A question that it cannot answer, and an answer that says so."""
    slots = {key: rng.choice(values) for key, values in HARD_SLOTS.items()}
    slots |= {"big": str(rng.randint(12, 999)), "big2": str(rng.randint(12, 999))}
    thing = rng.choice(words.ALL_OBJECTS)
    slots |= {"o": thing, "ao": article(thing), "ak": article(rng.choice(words.ANIMALS))}
    question = expand(rng, rng.choice(HARD_QUESTIONS), slots)
    if rng.random() < 0.15:
        question = question.lower()
    return question, expand(rng, REFUSALS, slots)


def likes(rng: random.Random) -> Turn:
    """What the user likes or has."""
    thing, animal = rng.choice(words.ALL_OBJECTS), rng.choice(words.ANIMALS)
    slots = {"o": thing, "ao": article(thing), "k": animal, "ak": article(animal), "n": pick_actor(rng).name}
    question, answer = rng.choice((
        ("Do you like [{ak}|{ao}|stories|music|rain|cake|me]?", "Yes, [very much!|of course!|I do!] [Do you?|]"),
        (
            "[I like|I love|I have|I found|I saw] {ao}[.|!]",
            "[How nice!|That is wonderful!] [Shall I tell you a story about {ao}?|]",
        ),
        ("I have {ak} [named|called] {n}[.|!]", "[How nice!|Oh!] {n} is a [lovely|good|fine] name for {ak}."),
        ("My [friend|dog|cat|brother|sister] is [named|called] {n}.", "{n} is a [lovely|good|fine] name!"),
        ("[What is your favourite animal|Which animal do you like]?", "I like {ak} very much."),
    ))
    return expand(rng, question, slots), expand(rng, answer, slots)


JOKES = (
    "Why did the duck cross the road? It wanted to show the hen how it is done!",
    "What is black and white and red all over? A zebra with a cold!",
    "Why was the book so sad? It had too many problems!",
    "What do you call a bear with no teeth? A gummy bear!",
    "Why do bees hum? They do not know the words!",
    "What time is it when an elephant sits on your clock? Time to get a new clock!",
)
POEMS = (
    "The moon is high, the night is deep,\nthe little {k} has gone to sleep.\nThe wind is soft, the stars are bright,\n"
    "sleep well, my friend, good night, good night.",
    "A {k} sat down upon a hill\nand looked at all the world so still.\nIt sang a song of sun and rain,\n"
    "and then it sang the song again.",
    "I saw a {k}, it looked at me,\nit danced around the apple tree.\nI laughed and danced along all day,\n"
    "and then the {k} ran away.",
)


def rhyme(rng: random.Random) -> Turn:
    """A joke or a small poem."""
    if rng.random() < 0.5:
        question = "[Tell me a joke|Do you know a joke|Make me laugh|Another joke, please][.|!|]"
        return expand(rng, question, {}), rng.choice(JOKES)
    animal = rng.choice(words.ANIMALS)
    question = expand(rng, "[Write|Tell me|Make up] a poem[ about {ak}|][.|, please.]", {"ak": article(animal)})
    return question, rng.choice(POEMS).format(k=animal)


def named(rng: random.Random) -> Turns:
    """The user's name, remembered."""
    name = pick_actor(rng).name
    turns = [(
        expand(rng, f"[My name is {name}|I am {name}|Hi, I am {name}|Hello, my name is {name}][.|!]", {}),
        expand(rng, f"[Nice to meet you|Hello|Hi], {name}! [I am Sluice.|What story would you like?|How are you?]", {}),
    )]
    if rng.random() < 0.6:
        turns.append(rng.choice(FACTS)(rng))
    turns.append((rng.choice(("What is my name?", "Do you know my name?")), f"Your name is {name}."))
    return turns


FACTS: tuple[Callable[[random.Random], Turn], ...] = (
    colour, sound, opposite, after, counting, plus, home, food, legs,
)
SMALL_TALK: tuple[Callable[[random.Random], Turn], ...] = (who, who, what_can, feeling, likes, likes, rhyme)


def conversation(rng: random.Random, evaluation: bool = False) -> Turns:
    """One conversation of one to five turns."""
    roll = rng.random()
    if roll < 0.5:
        turn, _ = story_turn(rng, evaluation)
        return [turn]
    if roll < 0.68:
        turn, story = story_turn(rng, evaluation)
        turns = [turn]
        if rng.random() < 0.3:
            turns.insert(0, greeting(rng))
        turns.append(about_story(rng, story) if rng.random() < 0.7 else more(rng))
        if rng.random() < 0.25:
            turns.append(story_turn(rng, evaluation)[0])
        if rng.random() < 0.4:
            turns.append(rng.choice((thanks, goodbye))(rng))
        return turns
    if roll < 0.73:
        return named(rng)
    turns = [greeting(rng)] if rng.random() < 0.25 else []
    for _ in range(rng.choice((1, 2, 2, 3))):
        turns.append(rng.choice(FACTS + FACTS + SMALL_TALK + (hard, hard, hard))(rng))
    if rng.random() < 0.3:
        turns.append(rng.choice((thanks, goodbye))(rng))
    return turns


def system_line(rng: random.Random) -> str:
    """A system message, mostly none."""
    return rng.choice(SYSTEM_LINES) if rng.random() < 0.06 else ""
