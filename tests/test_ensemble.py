import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partbook.ensemble import ANY_RANGE_HZ, LETTERS, RANGES_HZ, high_to_low, parse_voices, range_hz
from partbook.errors import OptionError


def ids(text):
    return [voice.id for voice in parse_voices(text)]


def test_letters_name_voices_and_number_repeats():
    assert ids("SATB") == ["soprano", "alto", "tenor", "bass"]
    assert ids("smatrb") == ["soprano", "mezzo", "alto", "tenor", "baritone", "bass"]
    assert ids("SSAATB") == ["soprano1", "soprano2", "alto1", "alto2", "tenor", "bass"]
    assert ids("TT") == ["tenor1", "tenor2"]


def test_names_keep_their_spelling_and_give_ids_in_lower_case():
    voices = parse_voices("Lead, Tenor,Voix d’été")
    assert [voice.name for voice in voices] == ["Lead", "Tenor", "Voix d’été"]
    assert [voice.id for voice in voices] == ["lead", "tenor", "voix d’été"]
    assert [(voice.low_hz, voice.high_hz) for voice in voices] == [ANY_RANGE_HZ, RANGES_HZ["tenor"], ANY_RANGE_HZ]
    assert ids("tenor,bass,tenor") == ["tenor1", "bass", "tenor2"]


def test_numbered_voice_words_take_their_range():
    for word, expected in RANGES_HZ.items():
        for name in (word, word.upper(), f"{word}2", f"{word} 12", f"{word}_1"):
            assert range_hz(name) == expected
    assert range_hz("tenorhorn") == ANY_RANGE_HZ


def test_a_number_gives_so_many_voices():
    assert ids("3") == ["voice1", "voice2", "voice3"]


def test_lower_voices_have_lower_ranges():
    lows, highs = zip(*(RANGES_HZ[word] for word in LETTERS.values()), strict=True)
    assert list(lows) == sorted(lows, reverse=True) and list(highs) == sorted(highs, reverse=True)


def test_known_voices_are_sorted_and_unknown_ones_stay():
    assert [v.id for v in high_to_low(parse_voices("bass,soprano,tenor"))] == ["soprano", "tenor", "bass"]
    assert [v.id for v in high_to_low(parse_voices("bass,x,tenor"))] == ["bass", "x", "tenor"]


def test_voices_of_a_choir_are_sorted_from_any_order():
    choir = list(LETTERS.values())
    for named in itertools.permutations(choir):
        assert [v.id for v in high_to_low(parse_voices(",".join(named)))] == choir


@pytest.mark.parametrize(
    ("named", "ordered"),
    [
        ("violin,flute", "violin,flute"),
        ("horn,cello", "horn,cello"),
        ("cello,horn", "cello,horn"),
        ("viola,violin", "violin,viola"),
        ("cello,bassoon,violin", "violin,cello,bassoon"),
        ("bassoon,cello,violin", "violin,bassoon,cello"),
    ],
)
def test_players_whose_ranges_overlap_stay_in_the_order_of_their_names(named, ordered):
    assert ",".join(v.id for v in high_to_low(parse_voices(named))) == ordered


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "2 to 8 voices"),
        ("0", "2 to 8 voices"),
        ("1", "2 to 8 voices"),
        ("40", "2 to 8 voices"),
        ("-3", "2 to 8 voices"),
        ("S", "2 to 8 voices"),
        ("SSSAAATTB", "2 to 8 voices"),
        ("SATX", "letters of S M A T R B"),
        ("soprano", "try --voices soprano,"),
        ("4.5", "letters"),
        ("BTAS", "try --voices SATB"),
        ("SBT", "try --voices STB"),
        ("a,a", "twice"),
        ("Anna,anna", "twice"),
        ("a,", "file name"),
        (",", "file name"),
        ("a/b,c", "file name"),
        ("../a,c", "file name"),
        (".a,c", "file name"),
        ("a,Residual", "residual"),
        ("tenor1,tenor,tenor", "twice"),
    ],
)
def test_voices_that_cannot_be_are_refused_in_one_line(text, words):
    with pytest.raises(OptionError, match=words) as caught:
        parse_voices(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=12))
def test_any_text_gives_distinct_voices_or_an_option_error(text):
    try:
        voices = parse_voices(text)
    except OptionError:
        return
    assert 2 <= len(voices) <= 8
    assert len({voice.id for voice in voices}) == len(voices)
    assert all(voice.id == voice.name.lower() and 0 < voice.low_hz < voice.high_hz for voice in voices)


@pytest.mark.parametrize(
    ("name", "word"),
    [("Cantus", "soprano"), ("altus", "alto"), ("Tenor II", "tenor"), ("tenor 1.", "tenor"), ("BASSUS", "bass")],
)
def test_part_books_name_the_same_voices(name, word):
    assert range_hz(name) == RANGES_HZ[word]


@pytest.mark.parametrize("name", ["quintus", "ii", "Wii", "basset"])
def test_names_that_say_nothing_have_the_widest_range(name):
    assert range_hz(name) == ANY_RANGE_HZ
