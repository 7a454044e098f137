"""Who sings: the voices of an ensemble, high to low, and their ranges."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import OptionError, nearest

FEWEST_VOICES, MOST_VOICES = 2, 8

RANGES_HZ = {
    "soprano": (220.0, 1100.0),
    "mezzo": (190.0, 950.0),
    "alto": (150.0, 750.0),
    "tenor": (110.0, 560.0),
    "baritone": (80.0, 450.0),
    "bass": (65.0, 380.0),
    "flute": (240.0, 1950.0),
    "violin": (190.0, 1950.0),
    "oboe": (225.0, 1800.0),
    "clarinet": (140.0, 1800.0),
    "viola": (125.0, 1400.0),
    "horn": (60.0, 800.0),
    "cello": (62.0, 1000.0),
    "bassoon": (55.0, 700.0),
}
"""Lowest and highest F0 of voices and instruments. Generous: they keep octaves apart, not singers in bounds."""

CLEARLY = 1.15
"""A range lies clearly higher where both its ends are more than this times as high: neighbouring voices of a choir do,
few instruments that play together."""

OTHER_WORDS = {
    "soprano": "cantus superius discantus canto treble sopran dessus",
    "mezzo": "mezzosoprano mezzo-soprano",
    "alto": "altus contratenor countertenor contralto alt haute-contre",
    "tenor": "tenore ténor taille",
    "baritone": "bariton baritono baryton",
    "bass": "bassus basso basse",
}
"""What the voices are called elsewhere, and were in part books."""

_WORD_OF = {other: word for word, others in OTHER_WORDS.items() for other in others.split()}

ANY_RANGE_HZ = (55.0, 1950.0)
"""Range of a voice whose name says nothing."""

LETTERS = {"S": "soprano", "M": "mezzo", "A": "alto", "T": "tenor", "R": "baritone", "B": "bass"}
"""The letters of ``--voices SATB``, high to low."""

Voices = str | int | Iterable[str] | None
"""Ways of naming voices: the text of ``--voices``, a number, names; None is not to name them."""

_EXAMPLES = "SATB, soprano,alto,tenor or 4"


@dataclass(frozen=True)
class Voice:
    """One voice of an ensemble.

    Attributes
    ----------
    id
        Name in lower case; used in file names.
    name
        Spelled as given.
    low_hz, high_hz
        Range of its F0.
    """

    id: str
    name: str
    low_hz: float
    high_hz: float


def parse_voices(text: str) -> tuple[Voice, ...]:
    """Return the voices that a ``--voices`` argument names, high to low.

    Parameters
    ----------
    text
        Two to eight letters over ``S M A T R B`` from high to low (``SATB``; repeats are numbered), or names separated
        by commas (voices of a choir and instruments take their range; where ranges overlap, and for other names, the
        order is meant from high to low), or a number from 2 to 8.

    Raises
    ------
    OptionError
        If it is none of these.

    Examples
    --------
    >>> [voice.id for voice in parse_voices("SSAT")]
    ['soprano1', 'soprano2', 'alto', 'tenor']
    >>> [voice.id for voice in parse_voices("Lead,Bass")]
    ['lead', 'bass']
    >>> [voice.id for voice in parse_voices("3")]
    ['voice1', 'voice2', 'voice3']
    """
    text = text.strip()
    if re.fullmatch(r"[+-]?\d+", text):
        return named_voices(f"voice{k + 1}" for k in range(_checked_count(int(text), text)))
    if "," in text:
        return named_voices(text.split(","))
    unknown = [letter for letter in text if letter.upper() not in LETTERS]
    if unknown:
        raise OptionError("letters of S M A T R B in --voices", f"{text!r}", f"--voices {_letters_hint(text)}")
    _checked_count(len(text), text)
    order = list(LETTERS)
    if sorted(text.upper(), key=order.index) != list(text.upper()):
        hint = "".join(sorted(text.upper(), key=order.index))
        raise OptionError("--voices from high to low", f"{text!r}", f"--voices {hint}")
    return named_voices(LETTERS[letter.upper()] for letter in text)


def named_voices(names: Iterable[str]) -> tuple[Voice, ...]:
    """Return voices of these names; a voice word that comes several times is numbered.

    Raises
    ------
    OptionError
        If there are too few or too many, or a name is empty, taken twice or unfit for a file name.
    """
    names = [name.strip() for name in names]
    _checked_count(len(names), ",".join(names))
    counts = Counter(name.lower() for name in names)
    seen: Counter[str] = Counter()
    voices = []
    for name in names:
        word = name.lower()
        seen[word] += 1
        if counts[word] > 1 and word in RANGES_HZ:
            name = f"{name}{seen[word]}"
        voices.append(Voice(source_id(name), name, *range_hz(word)))
    check_ids(voice.id for voice in voices)
    return tuple(voices)


def named_singers(voices: Voices) -> tuple[Voice, ...] | None:
    """Return the voices as they are named, in any of the ways of naming them."""
    if voices is None:
        return None
    return parse_voices(str(voices)) if isinstance(voices, str | int) else named_voices(voices)


def high_to_low(voices: tuple[Voice, ...]) -> tuple[Voice, ...]:
    """Return voices high to low: as given, but whose range lies clearly higher than another's comes before it.

    Ranges of instruments overlap so far that who plays above whom is better told by the order in which they are named.
    Where a name says nothing of its range all stay as given.

    Examples
    --------
    >>> [voice.id for voice in high_to_low(parse_voices("bass,tenor,soprano"))]
    ['soprano', 'tenor', 'bass']
    >>> [voice.id for voice in high_to_low(parse_voices("cello,violin,flute,horn"))]
    ['violin', 'flute', 'cello', 'horn']
    """
    if any((voice.low_hz, voice.high_hz) == ANY_RANGE_HZ for voice in voices):
        return voices
    left, ordered = list(voices), []
    while left:
        ordered.append(next(voice for voice in left if not any(_clearly_higher(other, voice) for other in left)))
        left.remove(ordered[-1])
    return tuple(ordered)


def _clearly_higher(voice: Voice, other: Voice) -> bool:
    return voice.low_hz > CLEARLY * other.low_hz and voice.high_hz > CLEARLY * other.high_hz


def range_hz(name: str) -> tuple[float, float]:
    """Return the range that a name says: that of a voice word, possibly numbered, else the widest.

    Examples
    --------
    >>> range_hz("Tenor 2"), range_hz("Altus"), range_hz("Lead")
    ((110.0, 560.0), (150.0, 750.0), (55.0, 1950.0))
    """
    word = re.sub(r"([ _.-]*\d+|[ _.-]+(i{1,3}|iv))\.?$", "", name.lower())
    return RANGES_HZ.get(_WORD_OF.get(word, word), ANY_RANGE_HZ)


def source_id(name: str) -> str:
    """Return the id of a source: its name in lower case.

    Raises
    ------
    OptionError
        If no file could be named after it on some system, or it is kept for the residual.
    """
    if not name or re.search(r'[/\\:*?"<>|\x00-\x1f]', name) or name.startswith(".") or name.lower() == "residual":
        raise OptionError("names that can stand in a file name (and not 'residual')", f"{name!r}")
    return name.lower()


def check_ids(ids: Iterable[str]) -> None:
    """Raise OptionError if an id comes twice."""
    twice = [id for id, count in Counter(ids).items() if count > 1]
    if twice:
        raise OptionError("a name of its own for every source", f"{twice[0]!r} twice (spelling in capitals aside)")


def _checked_count(count: int, text: str) -> int:
    if not FEWEST_VOICES <= count <= MOST_VOICES:
        raise OptionError(f"{FEWEST_VOICES} to {MOST_VOICES} voices", f"{text!r}", f"--voices {_EXAMPLES}")
    return count


def _letters_hint(text: str) -> str:
    """Return what was probably meant by letters that are none."""
    found = nearest(text.lower(), RANGES_HZ)
    return f"{found},…" if found in RANGES_HZ else _EXAMPLES


__all__ = [
    "ANY_RANGE_HZ",
    "LETTERS",
    "RANGES_HZ",
    "Voice",
    "Voices",
    "check_ids",
    "high_to_low",
    "named_singers",
    "named_voices",
    "parse_voices",
    "range_hz",
    "source_id",
]
