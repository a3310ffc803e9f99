"""Changes of texts word by word: prototxt, JSON, Python literals and lists keep most of their grammar."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from .mutate import NUMBERS, mutated

_WORD = re.compile(r"""[A-Za-z_]\w*|-?\d+\.?\d*(?:[eE][+-]?\d+)?|"[^"\n]*"|'[^'\n]*'|\s+|.""", re.DOTALL)
_OPEN, _CLOSE = "{[(<", "}])>"
_STRANGE = (
    '""', '"\\400"', '"\\uD800"', "'\\x'", '"../../etc/passwd"', "nan", "-inf", "1e400", "0x", "-0", "1e",
    "true", "null", "None", "#", "\\", ";", ":", ",", "\ufeff", "\u2028", "\0", "\udcff", *"{}[]<>",
)  # fmt: skip
_DEEP = (3, 50, 99, 101, 3000, 20000)


def varied(rng: random.Random, corpus: Sequence[bytes], names: Sequence[str] = ()) -> bytes:
    """One of the texts with some of its words changed. names: words of the format that may come in."""
    if rng.random() < 0.2:
        return mutated(rng, corpus)
    text = rng.choice(corpus).decode("utf-8", "surrogateescape")
    words = _WORD.findall(text)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        if words:
            _change(rng, words, names)
    return "".join(words)[: 1 << 17].encode(
        "utf-8", "surrogateescape" if rng.random() < 0.5 else "surrogatepass"
    )


def with_names(names: Callable[[], Sequence[str]]) -> Callable[[random.Random, Sequence[bytes]], bytes]:
    """`varied` with the words of a format, which are asked for at each input."""
    return lambda rng, corpus: varied(rng, corpus, names())


def _change(rng: random.Random, words: list[str], names: Sequence[str]) -> None:
    """One change in place."""
    at = rng.randrange(len(words))
    kind = rng.randrange(8)
    if kind == 0:
        del words[at : at + rng.choice((1, 1, 3, 10))]
    elif kind == 1:
        words[at:at] = words[at : at + rng.choice((1, 3, 10, 40))]
    elif kind == 2:
        other = rng.randrange(len(words))
        words[at], words[other] = words[other], words[at]
    elif kind == 3:
        words[at] = rng.choice(_STRANGE)
    elif kind == 4:
        _renumber(rng, words)
    elif kind == 5 and names:
        _rename(rng, words, names)
    elif kind == 6:
        _deepen(rng, words, at)
    else:
        words[at:at] = [rng.choice((*_STRANGE, *map(str, NUMBERS)))]


def _renumber(rng: random.Random, words: list[str]) -> None:
    places = [i for i, word in enumerate(words) if word[-1].isdigit()]
    if places:
        sign = rng.choice(("", "", "-"))
        words[rng.choice(places)] = sign + rng.choice((str(rng.choice(NUMBERS)), "0.5", "1e39", "9" * 400))


def _rename(rng: random.Random, words: list[str], names: Sequence[str]) -> None:
    places = [i for i, word in enumerate(words) if word.isidentifier() or word[0] in "\"'"]
    if places:
        place = rng.choice(places)
        name = rng.choice(names)
        words[place] = f'"{name}"' if words[place][0] in "\"'" else name


def _deepen(rng: random.Random, words: list[str], at: int) -> None:
    """What stands before the next bracket, again and again: messages in messages."""
    brackets = [i for i in range(at, len(words)) if words[i] in _OPEN]
    if not brackets:
        return
    place, times = brackets[0], rng.choice(_DEEP)
    name = [words[place]] if rng.random() < 0.5 else words[max(place - 2, 0) : place + 1]
    close = _CLOSE[_OPEN.index(words[place])]
    words[place + 1 : place + 1] = [*name * times, *[close] * (times if rng.random() < 0.5 else 0)]
