"""Everyday and news sentences, made from patterns: questions, lists, numbers in words, replies.

The patterns and the words were written for this project. Numbers are spelled out, so that the
text says exactly what a voice speaks.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

__all__ = ["number_words", "sentences"]

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
_ODD = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
        "nine": "ninth", "twelve": "twelfth"}  # fmt: skip


def number_words(value: int) -> str:
    """Return a number from 0 to 999,999,999 in words: 342 is "three hundred forty-two".

    Raises ValueError outside that range.
    """
    if not 0 <= value < 1_000_000_000:
        raise ValueError(f"number: {value} is not from 0 to 999999999")
    if value < 20:
        return _ONES[value]
    if value < 100:
        tens, ones = divmod(value, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    for scale, name in _SCALES:
        if value >= scale:
            many, rest = divmod(value, scale)
            return f"{number_words(many)} {name}" + (f" {number_words(rest)}" if rest else "")
    raise AssertionError(value)


def ordinal_words(value: int) -> str:
    """Return an ordinal in words: 21 is "twenty-first"."""
    head, sep, last = re.split(r"([- ])(?=\w+$)", f" {number_words(value)}")
    last = _ODD.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return f"{head}{sep}{last}".strip()


def _pick(text: str) -> Callable[[random.Random], str]:
    words = [word.strip() for word in text.split("|")]
    return lambda dice: dice.choice(words)


def _year(dice: random.Random) -> str:
    century = dice.choice((17, 18, 19, 19, 19, 20, 20))
    rest = dice.randrange(30 if century == 20 else 100)
    if century == 20 and rest < 10:
        return "two thousand" + (f" {_ONES[rest]}" if rest else "")
    tail = "hundred" if rest == 0 else f"oh {_ONES[rest]}" if rest < 10 else number_words(rest)
    return f"{number_words(century)} {tail}"


def _time(dice: random.Random) -> str:
    hour, minute = dice.randint(1, 12), dice.choice((0, 0, 5, 10, 15, 20, 30, 30, 40, 45, 50))
    tail = " o'clock" if minute == 0 else f" oh {_ONES[minute]}" if minute < 10 else (
        f" {number_words(minute)}"
    )  # fmt: skip
    return f"{_ONES[hour]}{tail}"


def _money(dice: random.Random) -> str:
    dollars, cents = dice.choice((dice.randint(1, 20), dice.randint(20, 900))), dice.choice(
        (0, 0, 25, 50, 95, 99)
    )  # fmt: skip
    unit = dice.choice(("dollar", "dollar", "pound", "euro"))
    head = f"{number_words(dollars)} {unit}{'s' * (dollars != 1)}"
    return head + (
        f" and {number_words(cents)} {'pence' if unit == 'pound' else 'cents'}" * bool(cents)
    )


def _big(dice: random.Random) -> int:
    return dice.choice(
        (dice.randint(20, 999), dice.randint(10, 900) * 100, dice.randint(1_000, 99_999))
    )


def _phone(dice: random.Random) -> str:
    groups = ((3, 3, 4), (3, 4), (2, 4, 4))
    return ", ".join(
        " ".join(_ONES[dice.randrange(10)] for _ in range(length))
        for length in dice.choice(groups)
    )


def _list(of: str) -> Callable[[random.Random], str]:
    words = [word.strip() for word in of.split("|")]

    def made(dice: random.Random) -> str:
        *head, last = dice.sample(words, dice.randint(3, 5))
        return (
            f"{', '.join(head)}{dice.choice((',', ''))} {dice.choice(('and', 'and', 'or'))} {last}"
        )

    return made


_FOOD = (
    "bread|cheese|oranges|carrots|rice|a jar of honey|smoked fish|butter|green beans|mushrooms|"
    "two lemons|fresh basil|yogurt|a chocolate cake|onions|vinegar|peaches|walnuts|sausages|"
    "ginger|a bunch of grapes|oatmeal|spinach|cherries|a loaf of rye|mustard|pears|garlic"
)
_THINGS = (
    "a torch|the blue umbrella|thick socks|a sharp pencil|the spare keys|a measuring tape|"
    "sunscreen|a charger|an extra blanket|the tickets|your passport|the garden hose|a ladder|"
    "some string|the old camera|a pair of scissors|batteries|a towel|the leather gloves|a map|"
    "a yellow raincoat|the green suitcase|a folding chair|an envelope|a bicycle pump"
)
_SLOTS: dict[str, Callable[[random.Random], str]] = {
    "name": _pick(
        "Anna|Marcus|Julia|Oliver|Priya|Thomas|Grace|Victor|Sophie|George|Yasmin|Daniel|"
        "Charlotte|Hugo|Beatrice|Patrick|Naomi|Walter|Ingrid|Leonard|Zoe|Vincent|Judith|"
        "Raymond|Fiona|Jerome|Mister Hughes|Missus Parker|Doctor Chang|Professor Doyle|"
        "Aunt Rosie|Uncle Fred|Keith|Joy"
    ),
    "place": _pick(
        "the harbor|the library|the bus station|the bakery on the corner|the old bridge|"
        "the airport|the swimming pool|our school|the town hall|the railway museum|"
        "the post office|the garage|the hospital|the theater|the fish market|the university|"
        "the beach|the mountain hut|the park|the chemist's shop|the garden center|"
        "the village church|the stadium|the ferry"
    ),
    "city": _pick(
        "Boston|Chicago|Toronto|Dublin|Vienna|Sydney|Denver|Oxford|Geneva|Lisbon|Seattle|Oslo|"
        "Rome|Glasgow|New Orleans|Singapore|Cape Town|Warsaw|Philadelphia|Jerusalem|Hong Kong|"
        "Brussels"
    ),
    "day": _pick("Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"),
    "month": _pick(
        "January|February|March|April|May|June|July|August|September|October|November|December"
    ),
    "job": _pick(
        "a nurse|an engineer|the mayor|a bus driver|the plumber|our neighbor|a young lawyer|"
        "the chef|a geography teacher|the electrician|a retired judge|my cousin|the librarian|"
        "a shepherd|the beekeeper|a violin player|the youngest pupil|an architect|a jeweler|"
        "the goalkeeper"
    ),
    "food": _pick(_FOOD),
    "foods": _list(_FOOD),
    "thing": _pick(_THINGS),
    "things": _list(_THINGS),
    "animals": _list(
        "foxes|geese|two donkeys|a heron|owls|hedgehogs|sheep|squirrels|a lazy cat|bees"
    ),
    "adj": _pick(
        "quiet|strange|cheap|beautiful|awful|narrow|curious|enormous|gentle|noisy|pleasant|"
        "rough|smooth|thick|useful|vague|wise|young|ancient|brilliant|clumsy|dusty|fresh|"
        "genuine|humid"
    ),
    "mood": _pick("cheerful|tired|nervous|delighted|puzzled|calm|furious|grateful|bored|jealous"),
    "adv": _pick(
        "slowly|quietly|at once|without a word|carefully|rather badly|this morning|after lunch|"
        "in a hurry|as usual|for the third time|before sunrise|just in time|all by herself|"
        "again"
    ),
    "verb": _pick(
        "repair|paint|measure|borrow|return|choose|wash|finish|describe|move|open|count|"
        "photograph|forget|sell|weigh|wrap|unlock|carry|hide"
    ),
    "did": _pick(
        "fixed the fence|lost the keys|won the prize|burned the toast|changed the locks|"
        "caught a cold|watered the plants|missed the train|found a purse|heard a noise|"
        "bought a new stove|wrote a long letter|sold the boat|climbed the tower|"
        "chose the wrong door|cut the hedge|cooked supper|told a joke|"
        "threw the ball over the wall|fed the horses|measured the shelf"
    ),
    "weather": _pick(
        "heavy rain|thick fog|light snow|strong winds|bright sunshine|scattered showers|"
        "thunder|freezing drizzle|a warm breeze|hail|long dry spells|clear skies"
    ),
    "body": _pick(
        "the city council|a group of scientists|the health ministry|the school board|the union|"
        "the weather service|a local charity|the transport authority|the central bank|police|"
        "the fire department|a panel of judges|the power company|farmers in the valley"
    ),
    "said": _pick("said|announced|confirmed|reported|warned|admitted|explained|promised"),
    "plan": _pick(
        "close two lanes of the highway|raise fares|plant a thousand trees|reopen the museum|"
        "build a footbridge|cut taxes on small firms|test a new vaccine|ban fireworks|"
        "replace the water pipes|offer free buses to pupils|delay the vote|"
        "protect the wetlands|hire more nurses|review the budget|"
        "install solar panels on every school"
    ),
    "event": _pick(
        "the flood|the election|the marathon|the strike|the book fair|the fire|the storm|"
        "the merger|the exhibition|the championship|the eclipse|the harvest|the power cut"
    ),
    "small": lambda dice: number_words(dice.randint(2, 19)),
    "big": lambda dice: number_words(_big(dice)),
    "two": lambda dice: number_words(dice.randint(20, 99)),
    "digit": lambda dice: _ONES[dice.randrange(10)],
    "ordinal": lambda dice: ordinal_words(dice.randint(1, 31)),
    "year": _year,
    "time": _time,
    "money": _money,
    "phone": _phone,
}  # fmt: skip

PATTERNS = """
Could you {verb} {thing} {adv}?
Did {name} really {verb} {thing}?
Where did you put {thing}?
When does the train to {city} leave, at {time} or at {time}?
Why was {name} so {mood} on {day}?
Who {did} on {day}?
How many {animals} did you see?
How much is it? {thing} for {money}.
Is {name} coming to {place} on {day}, or not until {month}?
Would you rather go to {place} or stay at home?
Have you ever been to {city} in {month}?
What time is it? It's {time}.
Isn't that {job} from {city}?
Do we need {foods}?
Shall I {verb} {thing}, or will you?
Which is more {adj}, {city} or {city}?
Can you hear that {adj} sound near {place}?
You {did}, didn't you?
Are you {mood}, {name}?
What on earth is {thing} doing in {place}?
Please buy {foods} on your way home.
Bring {things}; we'll meet at {place} at {time}.
For the soup you need {foods}.
I packed {things}.
Behind {place} we saw {animals}.
First {verb} {thing}, then {verb} {thing}, and don't forget {food}.
My number is {phone}.
Call the front desk at {phone}, and ask for {name}.
The code is {digit}, {digit}, {digit}, {digit}.
On {month} {ordinal}, {year}, {job} {did}.
{name} was born in {year} and moved to {city} in {year}.
The bill comes to {money}, and the tip is {money}.
There were {big} people at {place}, and {big} more outside.
It takes {small} minutes to walk from {place} to {place}.
The meeting on {day} the {ordinal} starts at {time}.
Turn left at {place}, go on for {big} meters, and then turn right.
Gate {small} is closed; the flight to {city} now leaves from gate {small}.
Chapter {small}.
Page {two}, line {small}.
Take {small} drops every {small} hours, with food.
The answer is {small} point {digit} {digit}.
About {two} percent of that is water, isn't it?
Nearly {small} out of {two} houses have {thing}.
{name} {did} {adv}.
{name} and {name} {did}, but nobody told {job}.
If it weren't for {name}, we'd have {did}.
After {name} {did}, {job} felt {mood}.
I think {job} is {mood} because {name} {did}.
She said that {place} was too {adj} for {name}.
He never wanted to {verb} {thing}, let alone {verb} it {adv}.
The {adj} road to {place} is closed until {month}.
Although the room was {adj}, {name} looked {mood}.
Between {city} and {city} the valley grows {adj} and {adj}.
My sister, who lives near {place}, {did} {adv}.
Their {adj} house smells of {food} and {food}.
It's {adj}, but it isn't {adj}.
There's {thing} under the chair, and {food} on the shelf.
What a {adj} morning!
Watch out, {name}!
Stop that at once!
How {adj} it is here!
Happy birthday, {name}!
Oh no, {name} {did} again!
Well done! You {did} all by yourself.
Yes.
No, thank you.
Not yet.
Of course, {name}.
Good morning, {name}.
Good night, and sleep well.
Thank you very much, {name}.
I'm not so sure.
That's right, on {day}.
Maybe {small}, maybe {small}.
Excuse me, is this the way to {place}?
I beg your pardon?
Never mind.
See you on {day}.
Here you are: {foods}.
"I {did}," {name} said, "and then I went to {place}."
"Don't {verb} {thing}," she whispered, "not before {time}."
"Are you {mood}?" asked {name}.
To {verb} {thing}, press the button for {small} seconds.
Your order of {foods} will arrive on {day} between {time} and {time}.
Dear {name}, thank you for {thing}; it was very {adj}.
We open at {time} on weekdays, and at {time} on {day}.
In {city}, {body} {said} on {day} that it would {plan}.
{body} voted {small} to {small} to {plan}.
More than {big} people were at {place} when {event} began.
{event} of {year} was the worst in {small} years, {body} {said}.
Expect {weather} in {city}, with highs near {two} degrees.
After {weather} overnight, {place} stays closed on {day}.
By {time} there will be {weather} along the coast and {weather} inland.
Shares fell {small} percent after {body} {said} it might {plan}.
{body} hopes to {plan} by {month} at a cost of {big} dollars.
{job} from {city} won {event} {adv}, {small} seconds ahead of {name}.
The home team lost {small} to {small} in front of {big} fans.
Because of {event}, trains between {city} and {city} run every {small} minutes.
{name}, {job} for {small} years, {said} nothing about {event}.
Nobody was hurt, {body} {said}, but {big} homes lost power.
Researchers measured {big} samples and found {food} in only {small}.
Prices of {food} rose by {small} percent in {month}, the {ordinal} rise in a row.
Not {name}, but {name} {did}.
I said {day}, not {day}.
It was the {adj} one, the one by {place}, that I wanted.
We have {foods}, but no {food}.
The further we walked, the more {adj} it seemed.
Neither {name} nor {name} could {verb} {thing}.
Whether or not it's {adj}, {name} will {verb} it.
Somewhere near {place}, {job} {did}, and {animals} ran off.
Measure the width: it should be {small} and a half inches.
Once {body} had decided to {plan}, {event} was soon forgotten.
""".strip().splitlines()


def _fill(pattern: str, dice: random.Random) -> str:
    text = re.sub(r"\{(\w+)\}", lambda found: _SLOTS[found[1]](dice), pattern)
    text = re.sub(r"\b(a) (?=[aeio]|u(?!se|ni))", "an ", text, flags=re.IGNORECASE)
    return re.sub(r"(?:^|(?<=[.!?] ))[a-z]", lambda found: found[0].upper(), text)


def sentences(seed: int) -> Iterator[str]:
    """Yield sentences, each once, patterns in turn, until none is left that differs.

    The same `seed` gives the same sentences.
    """
    dice = random.Random(seed)
    made: set[str] = set()
    while True:
        before = len(made)
        for pattern in dice.sample(PATTERNS, len(PATTERNS)):
            text = _fill(pattern, dice)
            if text not in made:
                made.add(text)
                yield text
        if len(made) == before:
            return
