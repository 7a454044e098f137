"""Drawn pieces are music that the ensemble could sing or play."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partbook.data.counterpoint import RANGES_MIDI, some_score, some_style, some_syllable
from partbook.data.phones import CONSONANTS, FORMANTS_HZ

WIDEST_STEP = 3
"""Semitones from the sixth to the seventh degree of the minor scale."""

ENSEMBLES = st.lists(st.sampled_from(sorted(RANGES_MIDI)), min_size=1, max_size=8)
SEEDS = st.integers(0, 2**32)


def drawn(words, seed, duration_s=8.0):
    names = [f"{word}{count}" for count, word in enumerate(words, 1)]
    return names, some_score(names, duration_s, np.random.default_rng(seed))


@settings(max_examples=60, deadline=None)
@given(ENSEMBLES, SEEDS)
def test_any_ensemble_stays_in_its_ranges_give_or_take_an_ornament(words, seed):
    for part in drawn(words, seed)[1].parts:
        low, high = RANGES_MIDI[part.name.rstrip("0123456789")]
        midi = np.array([note.midi for note in part.notes])
        assert low - WIDEST_STEP - 0.5 <= midi.min() and midi.max() <= high + WIDEST_STEP + 0.5


@settings(max_examples=60, deadline=None)
@given(ENSEMBLES, SEEDS)
def test_the_notes_of_a_part_follow_one_another(words, seed):
    names, score = drawn(words, seed)
    assert [part.name for part in score.parts] == [name for name in names if name in {p.name for p in score.parts}]
    for part in score.parts:
        assert all(note.stop_s > note.start_s >= 0 for note in part.notes)
        for before, after in zip(part.notes, part.notes[1:], strict=False):
            assert after.start_s >= before.stop_s - 1e-9
            if after.slurred:
                assert after.syllable == before.syllable


@settings(max_examples=30, deadline=None)
@given(ENSEMBLES, SEEDS)
def test_a_piece_follows_from_its_seed(words, seed):
    assert drawn(words, seed) == drawn(words, seed)
    assert drawn(words, seed) != drawn(words, seed + 1)


@pytest.mark.parametrize("seed", [54, 139, 246])
def test_somebody_always_sings(seed):
    assert drawn(["bass"], seed, 2.0)[1].parts, "the first draw was silent"


def test_all_are_tuned_alike_and_near_the_tempered_scale():
    for seed in range(20):
        off = {round(note.midi % 1, 9) for part in drawn(["alto", "cello"], seed)[1].parts for note in part.notes}
        assert len(off) == 1
    tunings = np.array([some_style(np.random.default_rng(seed)).tuning for seed in range(200)])
    assert tunings.min() < -0.4 and tunings.max() > 0.4 and np.abs(tunings).max() <= 0.5


def test_pieces_last_about_as_long_as_asked():
    lasting_s = [drawn(["soprano", "bass"], seed, 24.0)[1].duration_s for seed in range(40)]
    assert 18 < np.median(lasting_s) < 26 and max(lasting_s) < 32


def test_chords_are_consonant_far_more_often_than_by_chance():
    """Two voices that move together stand in thirds, fifths, sixths and octaves."""
    consonant, whole = 0, 0
    for seed in range(60):
        names, score = drawn(["soprano", "tenor"], seed)
        if len(score.parts) < len(names):
            continue
        above, below = ({round(note.start_s, 6): note.midi for note in part.notes} for part in score.parts)
        apart = [round(above[start_s] - below[start_s]) % 12 for start_s in above.keys() & below.keys()]
        consonant, whole = consonant + sum(each in (0, 3, 4, 7, 8, 9) for each in apart), whole + len(apart)
    assert whole > 300 and consonant / whole > 0.75


def test_syllables_are_of_sounds_that_can_be_sung():
    rng = np.random.default_rng(0)
    for syllable in (some_syllable(rng) for _ in range(100)):
        assert 1 <= len(syllable.vowel) <= 2 and set(syllable.vowel) <= set(FORMANTS_HZ)
        assert set(syllable.onset + syllable.coda) <= set(CONSONANTS)
