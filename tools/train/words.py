"""The words the generated stories and chats are made of."""

from __future__ import annotations

ANIMALS: list[str] = """
fox rabbit bear mouse owl cat dog frog duck hedgehog squirrel badger otter deer wolf turtle pig goat sheep cow horse
pony donkey hen goose swan crow robin sparrow penguin seal whale crab snail bee ant spider butterfly beaver mole bat
lion tiger elephant monkey giraffe zebra camel panda koala kangaroo parrot lizard dragon unicorn kitten puppy lamb
hamster
rat ferret raccoon skunk moose reindeer llama ox rooster turkey peacock flamingo pelican eagle raven pigeon dove swallow
woodpecker ostrich dolphin shark octopus jellyfish starfish lobster goldfish toad snake crocodile dinosaur worm
caterpillar ladybird dragonfly moth beetle cricket grasshopper firefly gorilla leopard hippo rhino sloth walrus mammoth
""".split()

PEOPLE: dict[str, str] = {
    "girl": "she", "boy": "he", "baker": "", "farmer": "", "sailor": "", "painter": "", "knight": "", "wizard": "he",
    "witch": "she", "king": "he", "queen": "she", "prince": "he", "princess": "she", "robot": "he", "giant": "he",
    "fairy": "she", "pirate": "", "teacher": "", "gardener": "", "astronaut": "", "doctor": "", "cook": "",
    "tailor": "",
    "captain": "", "dancer": "", "clown": "", "shepherd": "", "inventor": "", "explorer": "", "scientist": "",
    "poet": "",
    "troll": "he", "elf": "", "ghost": "", "snowman": "he", "mermaid": "she", "monster": "", "alien": "", "child": "",
}

HE_NAMES: list[str] = """
Tom Ben Sam Max Leo Finn Jack Oscar Hugo Otto Milo Toby Felix Rufus Barney Bruno Pip Theo Noah Adam Dan Eli Gus Henry
Ivan Jasper Kit Louis Ned Olly Percy Ralph Sid Ted Victor Walt Zack Arlo Bobby Chip
""".split()

SHE_NAMES: list[str] = """
Lily Mia Anna Rosie Daisy Ruby Poppy Luna Nora Ella Zoe Hazel Ivy Clara Molly Penny Sally Tilly Willow Alice Bella Cora
Dora Emma Fern Grace Holly Iris Jane Kate Lucy Maya Nell Olive Pearl Rose Sophie Tess Vera Wendy
""".split()

SYLLABLES: list[str] = """
ba be bi bo da de di do fa fi ga go ka ki ko la le li lo lu ma me mi mo mu na ne ni no pa pe pi po ra re ri ro sa se si
so ta te ti to va vi wa wi ya yo za ze zi zo
""".split()

TRAITS: list[str] = """
kind brave clever curious shy cheerful gentle quiet busy sleepy playful careful friendly patient funny proud honest
little young small
""".split()

COLOURS: list[str] = "red blue green yellow purple orange white black brown pink golden silver".split()

LOOKS: list[str] = "small big old new shiny tiny lovely pretty strange special little bright".split()

OBJECTS: dict[str, list[str]] = {
    "light": "lantern candle lamp torch".split(),
    "music": "drum flute bell whistle trumpet fiddle guitar horn harp piano violin banjo tambourine".split(),
    "food": (
        "apple pear cake pie cookie carrot bun melon pumpkin sandwich pancake cherry peach muffin banana lemon "
        "orange mango "
        "plum doughnut waffle pizza potato tomato turnip mushroom walnut biscuit"
    ).split(),
    "toy": "ball kite doll puppet balloon boat marble puzzle teddy top train swing rocket car yoyo".split(),
    "wear": "scarf hat coat blanket sweater cloak shawl jacket cape mask glove sock".split(),
    "tool": "rope ladder shovel bucket basket hammer broom net spade hook saw brush".split(),
    "treasure": (
        "key coin ring crown shell feather stone map book letter button gem clock mirror compass pencil paintbrush box "
        "spoon teapot cup star camera radio telescope magnet pillow chair bottle jar pot plate bag suitcase wheel "
        "statue "
        "ribbon necklace medal flag diary postcard ticket needle comb tent crayon notebook globe egg bone pebble "
        "leaf stick "
        "crystal pearl ruby diamond wand sword shield watch phone computer painting carpet"
    ).split(),
    "plant": "seed flower acorn sunflower rose bean tulip pea bulb cactus daisy chestnut".split(),
    "ride": "bicycle sled cart raft wagon scooter canoe skateboard tractor ship".split(),
}

KIND_OF: dict[str, str] = {noun: kind for kind, nouns in OBJECTS.items() for noun in nouns}

ALL_OBJECTS: list[str] = sorted(KIND_OF)

PLACES: dict[str, str] = {
    "the forest": "in", "the garden": "in", "the meadow": "in", "the village": "in", "the valley": "in",
    "the mountains": "in", "the desert": "in", "the jungle": "in", "the park": "in", "the castle": "in",
    "the old barn": "in", "the big city": "in", "the orchard": "in", "the woods": "in",
    "the river": "by", "the lake": "by", "the sea": "by", "the pond": "by", "the old mill": "by",
    "the lighthouse": "by",
    "the bridge": "near", "the waterfall": "near", "the windmill": "near", "the cave": "near", "the market": "near",
    "the farm": "on", "the hill": "on", "the island": "on", "the beach": "on",
}

SPOTS: list[str] = [
    "under a bush", "behind a big rock", "under the old bridge", "beside a log", "in the tall grass", "under the bed",
    "behind the door", "inside a hollow tree", "at the bottom of a basket", "next to the well", "on top of the wall",
    "under a pile of leaves", "behind the shed", "at the edge of the path", "between two stones", "in the mud",
    "near the gate", "on a high branch", "under a wooden bench", "in a patch of flowers",
]

OPPOSITES: list[tuple[str, str]] = [
    ("hot", "cold"), ("big", "small"), ("up", "down"), ("day", "night"), ("happy", "sad"), ("fast", "slow"),
    ("open", "closed"), ("light", "dark"), ("hard", "soft"), ("wet", "dry"), ("old", "young"), ("full", "empty"),
    ("loud", "quiet"), ("long", "short"), ("near", "far"), ("left", "right"), ("first", "last"), ("early", "late"),
    ("clean", "dirty"), ("brave", "afraid"), ("heavy", "light"), ("high", "low"), ("good", "bad"), ("yes", "no"),
    ("strong", "weak"), ("inside", "outside"), ("front", "back"), ("summer", "winter"), ("warm", "cool"),
    ("asleep", "awake"), ("thick", "thin"), ("rough", "smooth"), ("sweet", "sour"), ("black", "white"),
]

SOUNDS: dict[str, str] = {
    "cow": "moo", "cat": "meow", "dog": "woof", "duck": "quack", "sheep": "baa", "pig": "oink", "hen": "cluck",
    "frog": "ribbit", "owl": "hoot", "mouse": "squeak", "lion": "roar", "bee": "buzz", "snake": "hiss",
    "horse": "neigh",
    "donkey": "hee-haw", "wolf": "howl", "crow": "caw", "goose": "honk", "sparrow": "tweet", "bear": "growl",
    "goat": "maa", "parrot": "squawk", "rooster": "cock-a-doodle-doo",
}

THING_COLOURS: dict[str, str] = {
    "the sky": "blue", "grass": "green", "snow": "white", "the sun": "yellow", "a banana": "yellow",
    "a carrot": "orange",
    "a strawberry": "red", "coal": "black", "a lemon": "yellow", "a leaf": "green", "milk": "white", "a cherry": "red",
    "the sea": "blue", "chocolate": "brown", "a frog": "green", "a crow": "black", "a swan": "white", "a fox": "red",
    "an orange": "orange", "a pumpkin": "orange", "a plum": "purple", "a tomato": "red", "a cloud": "white",
    "a flamingo": "pink", "the night": "black", "a bear": "brown", "a cucumber": "green",
}

HOMES: dict[str, str] = {
    "bird": "in a nest", "bee": "in a hive", "fox": "in a den", "rabbit": "in a burrow", "fish": "in the water",
    "spider": "in a web", "bear": "in a cave", "horse": "in a stable", "cow": "on a farm", "owl": "in a hollow tree",
    "penguin": "where it is very cold", "camel": "in the desert", "whale": "in the sea", "mole": "under the ground",
    "beaver": "in a lodge by the river", "frog": "by the pond", "monkey": "in the jungle", "ant": "in an anthill",
}

FOODS: dict[str, str] = {
    "rabbit": "carrots and grass", "cow": "grass", "bee": "nectar from flowers", "cat": "fish and mice",
    "squirrel": "nuts", "panda": "bamboo", "monkey": "bananas and other fruit", "horse": "hay and apples",
    "owl": "mice", "bear": "berries, fish and honey", "frog": "flies", "koala": "leaves", "hen": "seeds and corn",
    "mouse": "seeds and cheese", "giraffe": "leaves from tall trees", "penguin": "fish", "goat": "almost anything",
}

LEGS: dict[str, str] = {
    "spider": "eight", "dog": "four", "cat": "four", "bee": "six", "ant": "six", "duck": "two", "hen": "two",
    "horse": "four", "cow": "four", "snail": "no", "fish": "no", "snake": "no", "frog": "four", "robin": "two",
    "butterfly": "six", "person": "two", "crab": "ten",
}

NUMBERS: list[str] = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()

THEMES: dict[str, list[str]] = {
    "lost": ["something lost", "helping a friend"], "broken": ["something broken", "fixing things"],
    "found": ["honesty", "being honest"], "dark": ["the dark", "the night"], "music": ["the fog", "music"],
    "song": ["not giving up", "learning something"], "share": ["sharing", "a hungry friend"],
    "bake": ["baking", "a party"],
    "cold": ["the winter", "being kind"], "wind": ["the wind", "a windy day"],
    "stuck": ["a rescue", "being in trouble"],
    "work": ["hard work", "working together"], "grow": ["patience", "a garden"], "race": ["a race", "winning"],
    "ride": ["a journey", "an adventure"], "gift": ["a birthday", "a present"],
    "quarrel": ["a quarrel", "saying sorry"],
    "trick": ["a trick", "forgiving"], "wish": ["a wish", "magic"], "secret": ["a secret", "a mystery"],
    "want": ["a dream", "working for something"], "rain": ["a storm", "the rain"],
}

MOODS: list[str] = "nice happy funny good bedtime sweet kind new little lovely magic".split()

DAYS: list[str] = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

MONTHS: list[str] = (
    "January February March April May June July August September October November December"
).split()
