"""The words that are written alike and spoken differently, chosen by the words around them.

Three families and a table. Where the neighbours do not decide, the default is taken:

* record, object, present: stress on the first syllable as a noun or adjective (the default but
  for `_RATHER_VERBS`), on a later one as a verb: after "to" and "I", before "me", and at the start
  of a sentence before "the";
* estimate, separate, graduate: -ate as in "climate" as a noun or adjective (the default but for
  `_RATHER_VERBS`), as in "late" as a verb;
* use, abuse, excuse, house: a voiceless end as a noun, a voiced one as a verb;
* read, lead, live, wound, wind, tear, bow, close, minute ...: see `_TABLE`, the default last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from diff_audio.text.pronunciation.dictionary import Phones, lookup
from diff_audio.text.symbols import PUNCTUATION

__all__ = ["choose"]

_TO_VERB = (
    "to will would can could may might must shall should not don't doesn't didn't can't cannot "
    "won't wouldn't couldn't shouldn't i you we they who please let's i'll you'll he'll she'll "
    "it'll we'll they'll i'd you'd he'd she'd we'd they'd never did do does"
)
_TO_NOUN = (
    "the a an this that these those my your his her its our their whose some any no every each "
    "another of in on for with by at from as without one two three four five first last next "
    "new old good bad big small is are was were be been fresh local organic make makes made "
    "making much little more daily common public personal heavy"
)
_OBJECTS = frozenset("me him us them it myself yourself himself herself itself themselves".split())
_DETERMINERS = frozenset("a an the this that these those my your his her our their some".split())
_STARTS = frozenset(("", "and", "then", "or", "now", "just", "please", "first", *PUNCTUATION))
_BEFORE_VERB = frozenset(_TO_VERB.split())
_BEFORE_NOUN = frozenset(_TO_NOUN.split())
_BEFORE_THIRD = frozenset(("he", "she", "it", "who", "also", "never", "always"))

_STRESS = frozenset(
    "abstract addict address attribute combine compact compound compress conduct conflict console "
    "construct contest contract contrast converse convert convict decrease defect desert "
    "digest discount escort exploit export extract implant import impact incline increase insult "
    "object perfect permit pervert present produce progress project protest rebel record refund "
    "refuse reject research segment subject survey suspect torment transfer transplant transport "
    "update".split()
)
_ATE = frozenset(
    "advocate alternate animate appropriate approximate articulate associate coordinate delegate "
    "deliberate degenerate duplicate elaborate estimate graduate intimate laminate moderate "
    "separate subordinate syndicate".split()
)
_VOICED = frozenset(("use", "abuse", "excuse", "house"))
_RATHER_VERBS = frozenset(
    "attribute combine compress construct converse convert exploit extract implant permit "
    "produce refuse reject animate coordinate use suspect".split()
)

_HAVE = "(?:have|has|had|having|i've|you've|we've|they've|haven't|hasn't|hadn't|i'd)"
_BE = "(?:is|are|was|were|be|been|being|am|i'm|it's|isn't|wasn't|aren't|weren't)"
_MODAL = "(?:to|will|would|can|could|may|might|must|shall|should|don't|didn't|can't|won't|let's)"
_WHO = "(?:i|you|we|they|who|people|and)"

# The context is ` four words before _ three words after `; the first pattern found decides.
_TABLE: dict[str, tuple[tuple[str, str], ...]] = {
    "read": (
        (rf" {_HAVE} (?:\S+ )?_|{_BE} (?:\w+ )?_| (?:well|widely) _", "R EH1 D"),
        (rf" {_MODAL} (?:\w+ly |never |always )?_", "R IY1 D"),
        (r" (?:he|she|it|once|already) _| _ .*(?:yesterday|ago|last) ", "R EH1 D"),
        ("", "R IY1 D"),
    ),
    "lead": (
        (r" _ (?:paint|pipes?|poisoning|pencils?|acid|bullets?|free|mine|oxide|lined)", "L EH1 D"),
        (r" (?:of|tin|copper|zinc|molten) (?:and )?_|_ (?:and|or) (?:zinc|tin|copper)", "L EH1 D"),
        ("", "L IY1 D"),
    ),
    "live": (
        (
            r" _ (?:music|show|shows|audience|concerts?|broadcast|stream|streams|coverage|tv|"
            r"television|performances?|animals?|recording|wires?|ammunition|bait|updates?|from)",
            "L AY1 V",
        ),
        (rf" (?:a|go|goes|went|going|broadcast|streamed|recorded) _|{_BE} _ ", "L AY1 V"),
        ("", "L IH1 V"),
    ),
    "lives": (
        (r" (?:he|she|it|who|which|nobody|everyone|somebody|also|still) _", "L IH1 V Z"),
        (r" _ (?:in|at|on|with|here|there|near|alone|next|by|under|across|upstairs)", "L IH1 V Z"),
        ("", "L AY1 V Z"),
    ),
    "wound": (
        (r" _ (?:up|around|round|down|its|their|back|through|tightly|into|along)", "W AW1 N D"),
        ("", "W UW1 N D"),
    ),
    "wind": (
        (rf" (?:{_MODAL}|{_WHO}) _| _ (?:up|down|back) (?:the|a|his|her|my|your)", "W AY1 N D"),
        (r" _ (?:the|a|his|her|my|your|its) (?:clock|watch|toy|yarn|rope|wool|cable|way)",
         "W AY1 N D"),
        ("", "W IH1 N D"),
    ),
    "winds": ((r" (?:he|she|it|which|road|river|path) _", "W AY1 N D Z"), ("", "W IH1 N D Z")),
    "tear": (
        (r" _ (?:gas|drops?|ducts?|stained|rolled|ran|fell|trickled|slid)| (?:single|her) _ ",
         "T IH1 R"),
        (r" _ (?:in|from|down|on) (?:\w+ )?(?:eyes?|cheeks?|face)", "T IH1 R"),
        (r" _ of (?:joy|grief|sorrow|relief)", "T IH1 R"),
        (r" (?:sheds?|shedding|wiped?|wiping|brushed|without|cried|cry) (?:\w+ )?a _ ",
         "T IH1 R"),
        (r" (?:away|not) (?:the|a|one|that) _ ", "T IH1 R"),
        ("", "T EH1 R"),
    ),
    "tears": ((r" (?:he|she|it|which|that) _| _ (?:up|down|apart|off|at)", "T EH1 R Z"),
              ("", "T IH1 R Z")),
    "bow": (
        (rf" (?:{_MODAL}|{_WHO}) _| _ (?:down|before|out|of) ", "B AW1"),
        (r" (?:his|her|take|took) (?:a )?_ ", "B AW1"),
        ("", "B OW1"),
    ),
    "close": (
        (rf" (?:{_MODAL}|{_WHO}|please) _", "K L OW1 Z"),
        (r" _ (?:the|your|my|his|her|it|all|that|this|down)", "K L OW1 Z"),
        (r" (?:at|the|day's) _ (?:of|[.,;])", "K L OW1 Z"),
        (r" (?:shops?|stores?|doors?|banks?|markets?|gates?|offices|schools?|museums?) _",
         "K L OW1 Z"),
        ("", "K L OW1 S"),
    ),
    "minute": ((r" (?:so|very|extremely|too|most|in) _ ", "M AY0 N UW1 T"), ("", "M IH1 N AH0 T")),
    "used": (
        (rf" {_BE} (?:\w+ )?_ to (?:make|create|build|treat|describe|measure)", "Y UW1 Z D"),
        (r" _ to ", "Y UW1 S T"),
        ("", "Y UW1 Z D"),
    ),
    "uses": ((r" (?:he|she|it|who|which|that|also) _", "Y UW1 Z IH0 Z"), ("", "Y UW1 S IH0 Z")),
    "dove": ((r" (?:he|she|i|we|they|it|and) _| _ (?:into|in|down|off)", "D OW1 V"),
             ("", "D AH1 V")),
    "bass": (
        (r" (?:sea|striped|largemouth|caught|catch|fried|grilled) (?:a )?_| _ (?:fish|boat|lake)",
         "B AE1 S"),
        ("", "B EY1 S"),
    ),
    "content": (
        (rf" (?:{_BE}|feels?|felt|seem|seems|seemed|quite|perfectly|remain|remained|looked) _ ",
         "K AH0 N T EH1 N T"),
        (r" _ (?:with|to|themselves|himself|herself|yourself)", "K AH0 N T EH1 N T"),
        ("", "K AA1 N T EH0 N T"),
    ),
    "upset": (
        (r" (?:an|the|big|major|huge|stunning|biggest) _ ", "AH1 P S EH2 T"),
        ("", "AH0 P S EH1 T"),
    ),
    "learned": (
        (r" (?:a|the|my|his|her|very|most|more|and) _ (?:man|men|woman|women|scholars?|professor|"
         r"judge|society|societies|friend|colleague|counsel|gentleman|journals?|people|person)",
         "L ER1 N AH0 D"),
        ("", "L ER1 N D"),
    ),
    "aged": (
        (r" (?:an|the|my|his|her|their) _ (?:man|woman|parents?|father|mother|person|people|aunt|"
         r"uncle|relatives?|servant|king|and)", "EY1 JH AH0 D"),
        ("", "EY1 JH D"),
    ),
    "does": (("", "D AH1 Z"),),
    "sow": ((rf" (?:{_MODAL}|{_WHO}) _| _ (?:the|seeds?)", "S OW1"), ("", "S AW1")),
    "invalid": ((r" (?:an|the|poor|old) _ (?:[.,;?!]|was|who|had|is|and)", "IH1 N V AH0 L AH0 D"),
                ("", "IH2 N V AE1 L AH0 D")),
    "putting": ((r" _ green", "P AH1 T IH0 NG"), ("", "P UH1 T IH0 NG")),
    "polish": (
        (r" _ (?:sausages?|people|language|border|government|president|parliament|army|food|town|"
         r"city|village|king|queen|prince|pianist|composer|poet|writer|director|film|jews?|"
         r"citizens?|immigrants?|national|team|history|culture|literature|zloty|translation|prime|"
         r"soldiers?|workers?|american|descent|origin|born|lithuanian|german|woman|man)",
         "P OW1 L IH0 SH"),
        (r" (?:speaks?|speaking|spoke|learn|learning|in|of|both) _ (?:[.,;?!]|and|or|is)",
         "P OW1 L IH0 SH"),
        ("", "P AA1 L IH0 SH"),
    ),
    "resume": ((r" (?:my|your|his|her|a|the) _ ", "R EH1 Z AH0 M EY2"), ("", "R IH0 Z UW1 M")),
    "august": (("", "AO1 G AH0 S T"),),
    "houses": (("", "HH AW1 Z IH0 Z"),),
}  # fmt: skip


@cache
def _table(word: str) -> tuple[tuple[re.Pattern[str], Phones], ...]:
    return tuple((re.compile(pattern), tuple(p.split())) for pattern, p in _TABLE.get(word, ()))


def choose(tokens: Sequence[str], place: int) -> Phones | None:
    """The pronunciation of the word at `place`; None if it is spoken one way wherever it stands.

    tokens: words and punctuation of the text, as `normalise.tokens` gives them
    """
    word = tokens[place]
    if rules := _table(word):
        before = " ".join(tokens[max(0, place - 4) : place])
        after = " ".join(tokens[place + 1 : place + 4])
        context = f" {before} _ {after} " if before else f" _ {after} "
        return next(phones for pattern, phones in rules if pattern.search(context))
    stem = word if word in _FAMILIES else word.removesuffix("s")
    if stem not in _FAMILIES:
        return None
    last = tokens[place - 1] if place else ""
    after = tokens[place + 1] if place + 1 < len(tokens) else ""
    verb = _is_verb(last, after, stem in _RATHER_VERBS, third=stem != word)
    return _FAMILIES[stem](word, verb)


def _is_verb(last: str, after: str, rather: bool, *, third: bool) -> bool:
    if last in _BEFORE_NOUN:
        return False
    if last in (_BEFORE_THIRD if third else _BEFORE_VERB):
        return True
    if after == "of":
        return False
    if after in _OBJECTS and (after != "it" or third or last in _STARTS or rather):
        return True
    if after in _DETERMINERS and (third or last in _STARTS):
        return True
    return rather and not third


def _by_stress(word: str, verb: bool) -> Phones | None:
    for phones in lookup(word):
        vowels = [phone for phone in phones if phone[-1].isdigit()]
        if (not vowels[0].endswith("1")) == verb:
            return phones
    return None


def _by_ate(word: str, verb: bool) -> Phones | None:
    for phones in lookup(word):
        if any(phone.startswith("EY") for phone in phones[-3:]) == verb:
            return phones
    return None


def _by_voice(word: str, verb: bool) -> Phones | None:
    stem = lookup(word.removesuffix("s") if word != "use" else word)
    if not stem:
        return None
    sound = (*stem[0][:-1], "Z" if verb else "S")
    return sound if word.endswith("e") else (*sound, "IH0", "Z")


_FAMILIES = {
    **dict.fromkeys(_STRESS, _by_stress),
    **dict.fromkeys(_ATE, _by_ate),
    **dict.fromkeys(_VOICED, _by_voice),
}
