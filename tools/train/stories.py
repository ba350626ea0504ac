"""Short stories: a cast, an object, a place, a plot, told with the templates below."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass

import words
from grammar import article, expand, upper_first

ANY = tuple(words.OBJECTS)

# Every plot: the kinds of object it suits, and its steps. Slots: a main character (n name, k kind, he/him/his), a
# friend (f, fk, fhe/fhim/fhis), an object (o, ao, ado), a place (p), two hiding places (s, s2), a colour (c).
OWN = (
    "{n} had {ado}. [{He} loved it very much.|It was {his} favourite thing.|{He} took it everywhere.|"
    "{His} [grandmother|grandfather|uncle|aunt] had given it to {him}.]"
)
MEET = "[{His} friend {f} the {fk}|{f} the {fk}, who lived [nearby|next door|across the path],]"
THANK = (
    "[\"Thank you, {f}!\" said {n}. \"[You are a true friend.|You are so kind.|I could not have done it alone.]\"|"
    "{n} gave {f} a big hug. \"Thank you,\" {he} said.]"
)

PLOTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "lost": (ANY, (
        OWN,
        "[One morning|One day|One evening|After lunch], {n} [could not find the {o}|looked for the {o}, but it "
        "was gone].",
        "\"[Oh no|Oh dear]! Where is my {o}?\" {n} [cried|said]. [{He} felt very sad.|A tear ran down {his} cheek.|]",
        MEET + " [heard {him} and came to help|came by and asked what was wrong].",
        "\"[Do not worry|Don't be sad], {n},\" said {f}. \"[We will find it together.|Let's look for it together.]\"",
        "[They looked {s2}, but it was not there.|First they looked {s2}. Nothing!|They looked high and low.]",
        "[Then|At last] {f} looked {s}. There it was! [The {o} was a little dusty, but it was safe.|The {o} was "
        "safe.|]",
        THANK,
    )),
    "broken": (("toy", "music", "ride", "tool", "light"), (
        OWN,
        "[One day|One windy day|One morning], the {o} [fell down and broke|hit a stone and broke|broke with a "
        "loud crack].",
        "{n} [began to cry|was very sad|did not know what to do]. \"[My poor {o}|Oh no, my {o}|Now it is "
        "broken]!\" {he} said.",
        MEET + " [saw what had happened|heard the noise and came to see].",
        "\"[I can help you fix it|Let me look at it|We can mend it],\" said {f}. [{fHe} was good at fixing things.|]",
        "[They worked all [afternoon|day] with [glue and string|a bit of wire and some tape|nails and wood].|"
        "{f} brought some [glue|string|tape] and they got to work.]",
        "[Soon|At last|Before dinner] the {o} was as good as new. [It was even better than before!|{n} jumped "
        "for joy.|]",
        THANK,
    )),
    "found": (("music", "toy", "wear", "tool", "treasure", "light"), (
        "[One day|One morning|One sunny day], {n} went for a walk {p} and saw something {s}. It was {ado}!",
        "\"[What a nice {o}!|Look at this {o}!|Who left this {o} here?]\" said {n}.",
        "{n} wanted to keep the {o}. [But then {he} thought about it.|But was that right?] "
        "\"[Someone must miss it|Somebody lost it],\" {he} said.",
        "[So {n} asked everyone {he} met.|So {he} went from door to door.] \"Is this your {o}?\" {he} asked. "
        "[\"No,\" they said.|Everyone said no.]",
        "[Then {n} met {f} the {fk}, who was crying.|At last {n} met {f} the {fk}. {fHe} looked very sad.] "
        "\"I lost my {o},\" said {f}.",
        "\"Is this it?\" asked {n}, and {he} held up the {o}. \"Yes! [That is my {o}|You found it]!\" {f} "
        "[cried|said].",
        "{f} was so happy that {fhe} [danced|hugged {n}|laughed out loud]. \"Thank you for being so honest,\" "
        "{fhe} said.",
        "[{f} gave {n} a warm bun to say thank you.|Giving it back felt better than keeping it.|{n} felt warm inside.]",
    )),
    "dark": (("light",), (
        OWN,
        "[One night|One dark night|One evening], {n} heard a [small|sad|strange] voice outside. \"Help! [I am "
        "lost|I can't see]!\"",
        "It was [very|so] dark {p}. {n} was [a little|] afraid, but {he} took the {o} and went out.",
        "The {o} [shone like a little star|glowed warm and bright|made a small circle of light]. {n} walked "
        "[slowly|on and on].",
        "{s_up} {he} found {f} the {fk}. [{fHe} was shaking.|{fHe} was cold and afraid.]",
        "\"[Do not be afraid|You are safe now],\" said {n}. \"My {o} will show us the way home.\"",
        "They held hands and followed the light. [Soon they were home.|Step by step, they came back to the house.]",
        "\"[You are so brave|You saved me], {n},\" said {f}. \"[I was afraid too|So are you],\" said {n}, and "
        "they both laughed.",
    )),
    "music": (("music",), (
        OWN,
        "Every [morning|evening|day] {n} played the {o}. [But {he} was shy and played only when nobody could hear.|]",
        "One day a thick fog came {p}. [Nobody could see anything.|Everything was white.] {f} the {fk} could not "
        "find the way home.",
        "\"[Where are you, {f}?|{f}! Can you hear me?]\" called {n}. [There was no answer.|Only a small voice "
        "came back.]",
        "Then {n} had an idea. {He} [ran to get|picked up|took out] the {o} and played as loud as {he} could.",
        "{f} heard the {o} and walked [to|towards] the sound. [Closer and closer {fhe} came.|Soon {fhe} was out "
        "of the fog.]",
        "\"Your {o} showed me the way!\" said {f}. \"[It is the best music in the world.|Please play it again!]\"",
        "[After that, {n} was not shy any more.|So {n} played one more song, and {f} danced.|{n} smiled and "
        "played all night.]",
    )),
    "song": (("music",), (
        "{n} wanted to play the {o}. [But every time {he} tried, it sounded [bad|terrible|very funny].|It was "
        "very hard.]",
        "\"[I will never learn|It is too hard|I give up],\" said {n}, and put the {o} {s}.",
        MEET + " [heard this|shook {fhis} head]. \"Try a little every day,\" {fhe} said. "
        "\"[That is how I learned.|I will help you.]\"",
        "So {n} played the {o} every [day|morning|evening]. [On Monday it was bad. On Friday it was "
        "better.|Little by little, it got better.]",
        "[After many days|At the end of the summer|In the spring], there was a party {p}, and {n} played the {o} "
        "for everyone.",
        "[Everyone clapped and danced.|Even the birds stopped to listen.|The people cheered and asked for more.]",
        "\"[You did it|I knew you could do it], {n}!\" said {f}. {n} was [very proud|so happy that {he} played "
        "it again].",
    )),
    "share": (("food",), (
        "{n} had {ado}. [It smelled so good!|It was {his} lunch.|{He} had waited all day to eat it.]",
        "{He} sat down {p} and was [just about|ready] to take a bite. Then {he} saw {f} the {fk} {s}.",
        "\"Why are you so [sad|quiet]?\" asked {n}. \"I am hungry,\" said {f}, \"and I have nothing to eat.\"",
        "{n} looked at the {o}. [It was not very big.|{He} was hungry too.] {He} thought for a moment.",
        "\"[Let's share|We can share] it,\" said {n}. {He} cut the {o} in two and gave {f} [half|the bigger part].",
        "[They ate it together in the sun.|They sat side by side and ate.] \"[It is the best {o} I ever "
        "had|Yum]!\" said {f}.",
        "The next day, {f} came back with [a basket of berries|some warm bread|a pot of soup]. \"[This is for "
        "us|Now I share with you],\" {fhe} said.",
    )),
    "bake": (("food",), (
        "{n} wanted to [make|bring] the best {o} in the world for the [spring|summer|village] party {p}.",
        "{He} [worked|got up early and worked] all morning. [Then {he} put the {o} in the window.|It smelled "
        "wonderful.]",
        "But when {n} [came back|turned around], the {o} was gone! [Only some crumbs were left.|There was only "
        "an empty plate.]",
        "{n} followed the [crumbs|small footprints] and found {f} the {fk} {s}. [{fHe} looked very sorry.|{fHis} "
        "cheeks were full.]",
        "\"[Did you take my {o}?|Where is my {o}?]\" asked {n}. \"Yes. I am sorry,\" said {f}. \"[I was so "
        "hungry.|It smelled so good.]\"",
        "{n} was [angry|cross] at first. But then {he} said, \"[Come, help me make a new one|We can make a new "
        "one together].\"",
        "[Together they made an even bigger {o}.|They mixed and stirred and laughed.] At the party everyone "
        "wanted [some|a bite].",
    )),
    "cold": (("wear",), (
        "{n} had {ado}. [It was soft and warm.|{His} mother had made it for {him}.] {He} wore it every day.",
        "One [cold|snowy|windy] [day|morning|evening], {n} walked {p} and met {f} the {fk}.",
        "{f} was shaking from the cold. \"[I have no {o}|My {o} is full of holes|I am so cold],\" {fhe} said.",
        "{n} [thought for a moment|looked at {his} {o}]. Then {he} took it off. \"[Here, take my {o}|You can "
        "have it],\" {he} said.",
        "\"But then you will be cold!\" said {f}. \"[I can run and jump to get warm|It is big enough for both of "
        "us],\" said {n}.",
        "[{f} put on the {o} and smiled.|Soon {f} was warm again.] [They walked home together.|They made hot "
        "soup and sat by the fire.|]",
        "[The next week, {f} gave {n} a new {o} that {fhe} had made.|{n} was not cold at all. {His} heart was warm.]",
    )),
    "wind": (("wear", "toy"), (
        OWN,
        "One day a [strong|big|wild] wind came {p}. [Whoosh!|] It took the {o} and blew it away, up into the sky.",
        "\"Come back, {o}!\" shouted {n}. {He} ran after it, [over the fence and down the path|faster and faster].",
        "The {o} landed {s}. But {n} could not reach it. [{He} jumped and jumped.|{He} was too small.]",
        MEET + " [was|came] there too. \"[Climb on my back|Stand on my shoulders|I have an idea],\" said {f}.",
        "Together they [reached up|stretched] and [pulled|pushed], and down came the {o}. [Plop!|It fell on "
        "{f}'s nose!|]",
        "They laughed so much that [they fell over|they forgot the wind]. " + THANK,
    )),
    "stuck": (("tool",), (
        OWN,
        "One day {n} heard [someone call|a cry] for help. {f} the {fk} was stuck [in a deep hole|in the mud|in a "
        "well|up in a tree]!",
        "\"[Please help me|Help, help]!\" cried {f}. \"I have been here [all day|since the morning].\"",
        "{n} [ran home as fast as {he} could|thought hard]. \"I know! I can use my {o},\" {he} said.",
        "{n} came back with the {o}. [It was hard work.|{He} was tired, but {he} did not stop.] \"[Hold on|Be "
        "careful], {f}!\" {he} said.",
        "[One, two, three!|They pulled and pulled.] [And at last|And then] {f} was free. [They both fell down on "
        "the grass.|]",
        "\"[You saved me|You and your {o} saved me]!\" said {f}. [From then on|After that], {f} [brought {n} "
        "berries every week|helped {n} every day].",
    )),
    "work": (("tool",), (
        OWN,
        "[One spring day|One morning], {n} wanted to build a [bridge|little house|boat|playground] {p}.",
        "\"It is too much work for one {k},\" said {f} the {fk}. \"[You will never finish.|You need more than {ao}.]\"",
        "But {n} took the {o} and began. [{He} worked on Monday. {He} worked on Tuesday.|{He} worked every day, "
        "in the sun and the rain.]",
        "{f} watched {him}. [Then {fhe} felt bad about {fhis} words.|{fHe} saw how hard {he} worked.] \"Can I "
        "help?\" {fhe} asked.",
        "\"Of course!\" said {n}. {He} gave {f} the {o}, and [they took turns|the work went twice as fast].",
        "[After a week|At the end of the month], it was done. [Everyone came to see it.|They had a big party.] "
        "\"[We did it together|Well done],\" said {n}.",
    )),
    "grow": (("plant",), (
        "[One day|In the spring], {n} found {ao} {s}. [It was very small.|\"What will it be?\" {he} asked.]",
        "{He} took the {o} home and put it in the [soft|dark|warm] earth {p}. \"[Grow, little {o}|Sleep well, "
        "little {o}],\" {he} said.",
        "Every day {n} gave it water. [But nothing happened.|Day after day, nothing came up.] {n} was [sad|worried].",
        "\"[Be patient|Wait a little longer],\" said {f} the {fk}. \"[Good things take time.|Plants need sun, "
        "water and time.]\"",
        "So {n} waited. [It rained, and the sun came out.|{He} sang to it every night.] [Then one morning|And "
        "one day], there was a tiny green leaf!",
        "It grew and grew. [By summer it was taller than {n}.|In the summer it was the most beautiful plant {p}.]",
        "\"[You were right|Look, {f}]!\" said {n}. \"[It only needed time.|It was worth the wait.]\" [They sat "
        "next to it all evening.|{f} smiled.]",
    )),
    "race": (("ride",), (
        OWN,
        "[One day|In the summer], there was a big race {p}. {n} wanted to win it with the {o}.",
        "\"My {o} is the fastest!\" said {f} the {fk}, [who had a new one too|and laughed]. \"[You will "
        "lose.|You cannot win.]\"",
        "\"One, two, three, go!\" [The race began.|Off they went!] {f} was fast, but {n} was [close behind|not "
        "far behind].",
        "Then [{f} hit a stone and fell down|{f} went too fast and fell into the water|{f}'s {o} lost a part]. "
        "\"Ouch!\" {fhe} cried.",
        "{n} could win now! But {he} stopped. \"Are you hurt?\" {he} asked, and helped {f} [get up|stand].",
        "\"[Why did you stop|Why do you help me]?\" asked {f}. \"[A friend is more than a race|You need help],\" "
        "said {n}.",
        "They [finished the race together|crossed the line hand in hand], and everyone [cheered|clapped]. [They "
        "both got a prize.|]",
    )),
    "ride": (("ride",), (
        OWN,
        "\"[Let's see the world|I want to go far away|Today I will find something new],\" said {n}. {f} the {fk} "
        "wanted to come too.",
        "So they got on the {o} and went [over the hills|past the fields|a long, long way]. [They sang a song on "
        "the way.|The sun was warm.]",
        "[After a while|At noon], it began to rain. [The {o} got stuck.|They could not see the way.] \"[Are we "
        "lost?|I want to go home],\" said {f}.",
        "\"[Don't be afraid|Let's not give up],\" said {n}. [They pushed the {o}|They pulled and pushed] until "
        "they came to [a small house|a warm cave|an old barn].",
        "[There they waited for the rain to stop and told each other stories.|They sat there and shared some bread.]",
        "When the sun came back, there was a rainbow {p}! \"[It was worth it|This is the best day], {n},\" said {f}.",
    )),
    "gift": (ANY, (
        "It was the birthday of {f} the {fk}, {his} best friend. {n} [wanted to give {fhim} something "
        "special|had no present yet].",
        "{He} looked [everywhere|in every shop|{p}]. [A hat? No. A cake? No.|Nothing was right.] Then {he} saw {ado}.",
        "\"[That is it|It is perfect]!\" said {n}. [But {he} had no money.|But it cost ten coins.] So {he} "
        "[helped the shop owner all day|worked hard all week] to get it.",
        "{n} put the {o} in a box with {ac} ribbon and [ran|walked] to {f}'s house.",
        "\"Happy birthday, {f}!\" said {n}. {f} opened the box, and {fhis} eyes [grew wide|shone].",
        "\"{Ao}! [I always wanted one!|How did you know?]\" {f} [cried|said]. [{fHe} held it tight.|]",
        "\"[But the best gift is you, {n}|Thank you for being my friend],\" said {f}. [They ate cake and played "
        "until dark.|They both smiled.]",
    )),
    "quarrel": (("toy", "treasure", "wear", "music", "ride"), (
        "[One day|One morning], {n} and {his} friend {f} the {fk} found {ado} {p}.",
        "\"[It is mine|I saw it first]!\" said {n}. \"No, [it is mine|I saw it first]!\" said {f}. They both "
        "pulled at the {o}.",
        "[They shouted and pushed.|They were so angry!] Then {f} went home, and {n} sat alone with the {o}.",
        "[But it was no fun to be alone.|But the {o} was not much fun without a friend.] {n} felt [bad|sad].",
        "{He} [went|ran] to {f}'s house and knocked at the door. \"I am sorry,\" {he} said. \"[You can have the "
        "{o}.|I was not nice.]\"",
        "\"I am sorry too,\" said {f}. \"[Let's share it|We can take turns]. [You on one day and me on the "
        "next.|Today you, and tomorrow me.]\"",
        "So they shared the {o}, and [it was twice as much fun|they never fought about it again].",
    )),
    "trick": (("treasure", "food", "toy"), (
        OWN,
        "One day, {f} the {fk} [took|came and took] the {o} when {n} was asleep and hid it {s}.",
        "When {n} woke up, the {o} was gone. \"[Who took my {o}|Has anyone seen my {o}]?\" {he} asked. {f} "
        "[laughed quietly|said nothing].",
        "{n} looked [{s2}|all day long]. [{He} was so sad that {he} did not eat.|{He} began to cry.]",
        "When {f} saw that, {fhe} did not laugh any more. [{fHe} felt bad.|It was not funny at all.]",
        "\"[I am sorry|Please don't cry], {n},\" said {f}. \"[I took your {o}. It was a bad joke.|I hid your "
        "{o}. I only wanted to play.]\"",
        "{f} [ran to get it|brought it back]. {n} looked at {fhim} for a moment. \"[Thank you for telling the "
        "truth|I forgive you],\" {he} said.",
        "[\"Next time, just ask me to play!\"|\"Do you want to play with me?\" {he} asked.] [And they did.|And "
        "so they became friends.]",
    )),
    "wish": (("treasure", "light"), (
        "[One day|One night|One morning], {n} found {ado} {s}. {He} [cleaned it|picked it up], and it began to "
        "[shine|glow|speak]!",
        "\"I am a magic {o},\" it said. \"[You can make one wish|I will give you one wish]. Think about it well.\"",
        "{n} thought of [toys and cakes|gold and silver|a big house]. [So many things!|What a hard choice!]",
        "Then {he} thought of {f} the {fk}, {his} friend, who was [sick|very lonely|sad] and lived {p}.",
        "\"I wish that {f} [is well and happy|feels well again|can laugh again],\" said {n}. The {o} "
        "[flashed|glowed] and then it was dark.",
        "{n} ran to {f}'s house. {f} [was at the door, laughing|jumped out of bed]! \"[I feel so good today|I "
        "don't know why, but I am so happy],\" {fhe} said.",
        "{n} [smiled and told {fhim} about the {o}|said nothing and smiled]. It was [only a plain {o} now|the "
        "best wish of all].",
    )),
    "secret": (("treasure",), (
        "[One day|One rainy day], {n} found {ado} {s}. There was a [small|strange] [picture|sign] on it: [a "
        "tree|a star|a tower|a fish].",
        "\"[What does it mean?|I wonder what this is for.]\" said {n}. {He} showed the {o} to {f} the {fk}.",
        "\"I have seen that [picture|sign] {p}!\" said {f}. \"[Come with me|Let's go and look]!\" And off they went.",
        "[They walked for a long time.|They went up a path and through a gate.] Then they saw [an old door|a "
        "little door in the wall].",
        "{n} put the {o} on the door. [Click!|Creak!] It opened. [Inside it was dark.|They held hands and went in.]",
        "There was [a room full of books|a garden full of butterflies|a big table with cakes and a note|a tiny "
        "house] inside! "
        "[\"Welcome, friends,\" said a sign.|\"Wow!\" they both said.]",
        "\"[This will be our secret place|Let's come here every day],\" said {f}. {n} put the {o} safely in "
        "{his} [pocket|bag].",
    )),
    "want": (("toy", "music", "wear", "ride", "treasure", "tool"), (
        "{n} wanted {ao} more than anything. [Every night {he} dreamed of it.|{He} saw {ado} in the shop every day.]",
        "But {he} [had only one coin|had no money]. \"[I will earn it|I will work for it],\" {he} said.",
        "So {n} helped {f} the {fk} [carry water|pick apples|sweep the floor|paint the fence] {p}. [It was hard, "
        "but {he} did it well.|]",
        "[On the first day|At first] {he} was very tired. [On the second day|Then] it was easier. [{He} sang "
        "while {he} worked.|]",
        "[After a week|On the last day], {f} said, \"You worked so well! [What would you like?|What do you wish "
        "for?]\" \"{Ao},\" said {n} [softly|shyly].",
        "{f} smiled and [went into the house|opened a big box]. {fHe} came back with {ado}! \"[It is yours "
        "now|This was mine when I was small],\" {fhe} said.",
        "{n} could not believe it. [{He} danced all the way home.|{He} held the {o} all night.] \"[Work and "
        "wait, and good things come|I did it]!\" {he} said.",
    )),
    "rain": (ANY, (
        OWN,
        "One day, {n} was out {p} with the {o} when a big storm came. [Boom! went the thunder.|The rain fell and "
        "fell.]",
        "{n} ran {s_short} to hide. [{He} was wet and afraid.|\"I want to go home,\" {he} said.] [{He} held the "
        "{o} tight.|]",
        "Then a door opened. \"Come in, come in!\" said {f} the {fk}. \"[It is warm and dry here.|You can wait "
        "in my house.]\"",
        "{f} gave {n} [a cup of tea|hot milk|warm soup] and a [towel|blanket]. [{n} showed {fhim} the "
        "{o}.|\"What a nice {o} you have,\" said {f}.]",
        "They [talked and laughed|played a game|told stories] until the storm was over. [Then the sun came "
        "out.|Outside, there was a rainbow.]",
        "\"[Come back soon|Visit me again], {n},\" said {f}. \"[I will|I would like that],\" said {n}. [And {he} "
        "did, every week.|]",
    )),
}

OPENINGS = (
    "[Once upon a time|Long ago|Once|One summer|One spring], there was {atk} named {n}. [{He} lived {p}.|{n} "
    "lived {p}.|]",
    "{n} was {atk}. {He} lived {p}[| with {his} family|, in a [small|cosy|little] house].",
    "[Once upon a time|A long time ago], {p}, there lived {atk} named {n}.",
    "There was once {atk} called {n}, who lived {p}.",
    "In a [small|little|cosy] house {p} lived {atk}. {His} name was {n}." ,
)

SHORT_PLOTS = (
    "{n} had {ado}. One day {he} gave the {o} to {f} the {fk}. {f} was so happy that {fhe} [danced|sang a song].",
    "One day {he} found {ado} {s}. {He} showed it to {f} the {fk}. [They played together until dark.|\"How "
    "nice!\" said {f}.]",
    "One day {n} lost {his} {o}. {f} the {fk} found it {s}. \"Thank you, {f}!\" said {n}, and they [laughed|hugged].",
    "{n} met {f} the {fk}, who had {ado}. \"[May I see your {o}?|What a nice {o}!]\" said {n}. {f} smiled and "
    "shared it with {him}.",
    "{n} had {ado}, but nobody to share it with. Then {f} the {fk} came by. \"[Come and sit with me|Be my "
    "friend]!\" said {n}.",
)

MOODS = (
    "[It was a [warm|sunny|cold|bright|quiet] day.|The sun was shining.|The birds were singing.|Snow was falling.|"
    "The wind was soft.|The sky was {c}.]"
)

ENDINGS = (
    "[From that day on|After that], {n} and {f} were [best|good|the best of] friends.",
    "That night, {n} [slept well|went to bed with a smile|had a happy dream].",
    "And {n} [never forgot|always remembered] that day.",
    "{n} and {f} [went home happy|laughed and laughed|smiled at each other].",
    "{n} learned that [it is good to help others|friends make everything better|kind words can do a lot|"
    "it is good to share|it is never too late to say sorry|even a small {k} can do big things].",
    "And they lived happily ever after.",
)


@dataclass(frozen=True)
class Actor:
    """A character of a story."""

    kind: str
    name: str
    pronoun: str


@dataclass(frozen=True)
class Story:
    """A told story with what a later question may ask about."""

    text: str
    hero: Actor
    friend: Actor
    thing: str
    place: str
    plot: str
    look: str
    trait: str


def held_out(kind: str, thing: str) -> bool:
    """Whether stories about this pair are kept out of training."""
    return zlib.crc32(f"{kind}|{thing}".encode()) % 16 == 0


def invented_name(rng: random.Random) -> str:
    """A name that is in no list, so that names must be copied from the text and not recalled."""
    return upper_first("".join(rng.choice(words.SYLLABLES) for _ in range(rng.choice((2, 2, 3)))))


def pick_actor(rng: random.Random, kind: str | None = None, name: str | None = None) -> Actor:
    """A character; what is given stays as it is."""
    if kind is None:
        kind = rng.choice(words.ANIMALS) if rng.random() < 0.75 else rng.choice(sorted(words.PEOPLE))
    pronoun = words.PEOPLE.get(kind, "")
    if name in words.HE_NAMES:
        pronoun = pronoun or "he"
    elif name in words.SHE_NAMES:
        pronoun = pronoun or "she"
    pronoun = pronoun or rng.choice(("he", "she"))
    if name is None:
        listed = words.HE_NAMES if pronoun == "he" else words.SHE_NAMES
        name = rng.choice(listed) if rng.random() < 0.9 else invented_name(rng)
    return Actor(kind, name, pronoun)


def pronoun_slots(actor: Actor, prefix: str) -> dict[str, str]:
    """The pronoun slots of a character."""
    he, him, his = ("he", "him", "his") if actor.pronoun == "he" else ("she", "her", "her")
    slots = {f"{prefix}he": he, f"{prefix}him": him, f"{prefix}his": his}
    capital = {f"{prefix}{upper_first(k[len(prefix):])}": upper_first(v) for k, v in slots.items()}
    return slots | capital


def place_phrase(place: str) -> str:
    """A place with its preposition."""
    return f"{words.PLACES[place]} {place}"


def pick_look(rng: random.Random) -> str:
    """How an object looks."""
    if rng.random() < 0.25:
        return f"{rng.choice(('small', 'big', 'little'))} {rng.choice(words.COLOURS)}"
    return rng.choice(words.LOOKS + words.COLOURS)


def story_slots(
    rng: random.Random, hero: Actor, friend: Actor, thing: str, place: str, look: str, trait: str
) -> dict[str, str]:
    """Every slot of the templates."""
    spot, spot2 = rng.sample(words.SPOTS, 2)
    slots = {
        "n": hero.name, "k": hero.kind, "f": friend.name, "fk": friend.kind, "o": thing, "ao": article(thing),
        "Ao": upper_first(article(thing)), "ado": article(f"{look} {thing}"), "p": place_phrase(place), "s": spot,
        "s2": spot2, "s_up": upper_first(spot),
        "s_short": rng.choice(("under a tree", "to a big tree", "to an old shed")),
        "c": (colour := rng.choice(words.COLOURS)), "ac": article(colour),
        "atk": article(f"{trait} {hero.kind}" if trait else hero.kind),
    }
    return slots | pronoun_slots(hero, "") | pronoun_slots(friend, "f")


def plots_for(thing: str) -> list[str]:
    """The plots that suit an object; those made for its kind come more often."""
    kind = words.KIND_OF[thing]
    names: list[str] = []
    for name, (kinds, _) in PLOTS.items():
        if kind in kinds:
            names.extend([name] * (3 if len(kinds) < 3 else 1))
    return names


def wants(kind: str, thing: str, evaluation: bool) -> bool:
    """Whether this pair belongs to the asked side of the split."""
    return held_out(kind, thing) == evaluation


def tell(
    rng: random.Random,
    evaluation: bool = False,
    short: bool = False,
    kind: str | None = None,
    thing: str | None = None,
    avoid: str = "",
) -> Story:
    """Tell one story. ``evaluation`` takes only held-out pairs of character and object, otherwise only the others."""
    while True:
        hero = pick_actor(rng, kind)
        chosen = thing or rng.choice(words.ALL_OBJECTS)
        if wants(hero.kind, chosen, evaluation) and hero.name != avoid:
            break
        if kind and thing:
            raise ValueError("the pair is on the other side of the split")
    friend = pick_actor(rng)
    while friend.kind == hero.kind or friend.name == hero.name:
        friend = pick_actor(rng)
    place = rng.choice(sorted(words.PLACES))
    look, trait = pick_look(rng), rng.choice(words.TRAITS) if rng.random() < 0.7 else ""
    slots = story_slots(rng, hero, friend, chosen, place, look, trait)
    plot = rng.choice(plots_for(chosen))
    text = tell_plot(rng, slots, plot, short)
    return Story(text, hero, friend, chosen, place, plot, look, trait)


def tell_plot(rng: random.Random, slots: dict[str, str], plot: str, short: bool) -> str:
    """Opening, steps and ending; a new paragraph now and then."""
    steps = list(PLOTS[plot][1])
    if not short and rng.random() < 0.2:
        steps.insert(0, MOODS)
    if short:
        steps = [rng.choice(SHORT_PLOTS)]
    sentences = [expand(rng, rng.choice(OPENINGS), slots)]
    sentences += [expand(rng, step, slots) for step in steps]
    if not short or rng.random() < 0.5:
        sentences.append(expand(rng, rng.choice(ENDINGS), slots))
    breaks = {3, 6} if not short and rng.random() < 0.5 else set()
    text = ""
    for index, sentence in enumerate(sentences):
        text += ("\n\n" if index in breaks else " " if text else "") + sentence
    return text + ("" if rng.random() < 0.7 else " The end.")
