"""Scores read what is written, and the bundled ones are whole."""

from __future__ import annotations

import pytest

from partbook.data.phones import CONSONANTS, FORMANTS_HZ
from partbook.data.playing import INSTRUMENTS
from partbook.data.scores import Syllable, bundled_score, read_score
from partbook.data.singing import TRACTS
from partbook.errors import InputError

HEAD = 'title = "T"\ntempo_bpm = 120\nsyllables = ["m-a-n", "-o"]\n[[part]]\nname = "Alto"\n'


def test_notes_follow_one_another_in_beats():
    (part,) = read_score(HEAD + 'notes = "C4 ~Bb3/.5 r/1.5 F#5/2"').parts
    assert [(note.start_s, note.stop_s, note.midi) for note in part.notes] == [
        (0, 0.5, 60),
        (0.5, 0.75, 58),
        (1.5, 2.5, 78),
    ]


def test_slurred_notes_keep_their_syllable_and_the_last_one_stays():
    (part,) = read_score(HEAD + 'notes = "C4 ~D4 E4 F4"').parts
    first, second = Syllable("m", "a", "n"), Syllable("", "o", "")
    assert [note.syllable for note in part.notes] == [first, first, second, second]
    assert [note.slurred for note in part.notes] == [False, True, False, False]


@pytest.mark.parametrize("wrong", ["H4", "C", "C4/x", "c4", "~~C4"])
def test_what_is_no_note_is_named(wrong):
    with pytest.raises(InputError, match=wrong):
        read_score(HEAD + f'notes = "C4 {wrong}"')


def test_unknown_score_gets_the_nearest_name():
    with pytest.raises(InputError, match="try jesu"):
        bundled_score("jesus")


@pytest.mark.parametrize("name", ["jesu", "grave"])
def test_parts_of_a_bundled_score_end_together_and_stay_in_order(name):
    score = bundled_score(name)
    assert {part.notes[-1].stop_s for part in score.parts} == {score.duration_s}
    assert 8 <= score.duration_s <= 11
    for upper, lower in zip(score.parts, score.parts[1:], strict=False):
        highest, lowest = (sum(n.midi for n in part.notes) / len(part.notes) for part in (upper, lower))
        assert highest > lowest
    known = TRACTS if name == "jesu" else INSTRUMENTS
    assert all(part.name.lower() in known for part in score.parts)


def test_every_sound_of_the_chorale_is_known_and_all_voices_sing_all_syllables():
    score = bundled_score("jesu")
    sung = [[note.syllable for note in part.notes if not note.slurred] for part in score.parts]
    assert all(one == sung[0] for one in sung)
    assert len(sung[0]) == 12
    for syllable in sung[0]:
        assert set(syllable.onset + syllable.coda) <= set(CONSONANTS)
        assert set(syllable.vowel) <= set(FORMANTS_HZ)
