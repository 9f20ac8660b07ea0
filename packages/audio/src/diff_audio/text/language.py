"""The language of a text, guessed by its commonest words."""

from __future__ import annotations

import re
from itertools import islice

__all__ = ["other_language"]

_WORDS = {
    "German": "der die das und ist nicht ein eine ich sie er es wir mit auf für von dem den zu im "
    "sich auch wie war aber wenn nach bei aus einen hat haben wird sind noch über dass",
    "French": "le la les et est un une des du que qui dans pour pas sur avec je il elle nous vous "
    "ce cette ne se au aux plus mais par sont ont été être où comme",
    "Spanish": "el la los las y es un una de que en por con para no se su lo como más pero del al "
    "muy está son fue ha sin sobre este esta cuando yo",
    "Italian": "il la gli e è un una di che in per con non si del della le lo come più ma "
    "sono nel "
    "alla questo questa ha anche dei delle io",
    "Portuguese": "o a os as e é um uma de que em por com para não se do da no na como mais mas "
    "dos das ao foi são ele ela isso muito eu você",
    "Dutch": "de het een en is niet van ik je dat die in op te zijn met voor er aan ook maar als "
    "bij nog naar dan wat hij ze werd heeft",
    "Swedish": "och är en ett att det som på inte jag av med för den har till de om var han hon "
    "men så kan från vi",
    "Polish": "i w nie na się z do to jest że jak ale co za po tak od przez był być dla jego",
    "Latin": "et in est non ad cum ut sed quod qui ex sunt per ab esse hoc aut enim ac si",
}
_ENGLISH = frozenset(
    "the of and to a in is it that was he for on are with as i his they be at one have this "
    "from or "
    "had by but what some we can out other were all there when up use your how said an each she "
    "which do their if will way about many then them would like so these her has him no not my me "
    "you who more could did been its than only".split()
)
_OTHERS = {name: frozenset(words.split()) for name, words in _WORDS.items()}
_LOOKED_AT = 2000
_FEWEST, _SHARE = 5, 0.15
_WORD = re.compile(r"[^\W\d_]+")


def other_language(text: str) -> str | None:
    """Return the name of the language of a text, if its commonest words say that it is not
    English; None for English, a short text, and where they say nothing.

    The first 2,000 words are looked at. At least five of them, and 15 %, must be among the
    commonest words of that language, and twice as many as are among those of English.
    """
    words = [m[0].lower() for m in islice(_WORD.finditer(text), _LOOKED_AT)]
    english = sum(word in _ENGLISH for word in words)
    best, name = max(
        (sum(word in known for word in words), name) for name, known in _OTHERS.items()
    )
    if best < max(_FEWEST, _SHARE * len(words)) or best < 2 * english:
        return None
    return name
