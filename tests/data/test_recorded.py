"""Voices made of a person's sound at the F0 that they claim, with formants where the tract has them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from partbook.data import recorded
from partbook.data.choirs import RECORDED, piece
from partbook.data.recorded import HIGHEST_MIDI, LOWEST_MIDI, TRACT, score_xml, sing_recorded, stretched
from partbook.data.scores import Note, Syllable
from partbook.data.singing import Singer, f0_sung_hz
from partbook.errors import OptionError

RATE = 16_000
NOTES = (
    Note(0.3, 1.0, 45, Syllable("l", "a")),
    Note(1.0, 1.8, 49, Syllable("", "e")),
    Note(1.8, 2.4, 47, Syllable("", "e"), slurred=True),
    Note(3.0, 4.0, 50, Syllable("m", "o")),
)


@pytest.fixture(scope="module")
def pyworld():
    pytest.importorskip("pysinsy", exc_type=ImportError)
    return pytest.importorskip("pyworld", exc_type=ImportError)


def sung(seed=0, **habits):
    return sing_recorded(NOTES, Singer(1.0, **habits), 4.5, RATE, np.random.default_rng(seed))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("shift", [0, 24])
def test_f0_is_that_of_the_sound(pyworld, shift):
    """As a second author's tracker hears it, with vibrato, far below the person who was recorded and at her pitch."""
    notes = [Note(n.start_s, n.stop_s, n.midi + shift, n.syllable, n.slurred) for n in NOTES]
    samples, track = sing_recorded(notes, Singer(1.0, vibrato_cents=50), 4.5, RATE, np.random.default_rng(1))
    heard_hz, times_s = pyworld.dio(samples, RATE, f0_floor=60, f0_ceil=900)
    heard_hz = pyworld.stonemask(samples, heard_hz, times_s, RATE)
    told_hz = track.at(times_s).f0_hz
    both = (heard_hz > 0) & (told_hz > 0)
    off = np.abs(1200 * np.log2(heard_hz[both] / told_hz[both]))
    assert both.mean() > 0.5
    assert np.median(off) < 4 and np.mean(off < 30) > 0.95
    assert np.mean((heard_hz > 0) == (told_hz > 0)) > 0.93


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_f0_is_that_of_a_singer_of_formulas(pyworld):
    """Vibrato, glides and drift are those of the other singers; only where it sounds is the voice's own affair."""
    habits = Singer(1.0, late_s=0.02)
    _, track = sing_recorded(NOTES, habits, 4.5, RATE, np.random.default_rng(5))
    times_s = np.arange(round(4.5 * 500) + 1) / 500
    wanted_hz = f0_sung_hz(NOTES, habits, times_s, np.random.default_rng(5))[::2][: len(track.f0_hz)]
    sounds = track.f0_hz > 0
    np.testing.assert_allclose(track.f0_hz[sounds], wanted_hz[sounds])
    resting = (track.times_s > 2.6) & (track.times_s < 2.9)
    assert not sounds[resting].any() and sounds[(track.times_s > 1.2) & (track.times_s < 2.3)].mean() > 0.8


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_singers_differ_in_size_and_in_when_they_begin(pyworld, monkeypatch):
    """Formants are those of the singer's tract, and who is late begins late."""
    asked = []
    monkeypatch.setattr(recorded, "stretched", lambda envelope, ratio: asked.append(ratio) or envelope)
    for tract in (1.2, 0.95):
        sing_recorded(NOTES, Singer(tract), 4.5, RATE, np.random.default_rng(2))
    np.testing.assert_allclose(asked, np.array([1.2, 0.95]) / TRACT)
    onsets_s = [sung(2, late_s=late_s)[1] for late_s in (0.0, 0.08)]
    first_s, later_s = (track.times_s[track.f0_hz > 0][0] for track in onsets_s)
    assert abs(later_s - first_s - 0.08) < 0.015


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_seed_says_everything_and_nothing_is_said_aloud(pyworld, capfd):
    samples, track = sung(3)
    again, track_again = sung(3)
    other, _ = sung(4)
    np.testing.assert_array_equal(samples, again)
    np.testing.assert_array_equal(track.f0_hz, track_again.f0_hz)
    assert np.abs(samples - other).max() > 0.1
    assert len(samples) == round(4.5 * RATE)
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_pieces_from_a_seed_on_are_sung_so(pyworld, monkeypatch):
    asked = []

    def silent(notes, singer, duration_s, sample_rate, rng):
        asked.append(singer.tract)
        return sung(1)

    monkeypatch.setattr("partbook.data.choirs.sing_recorded", silent)
    for seed in range(4):
        piece(seed, duration_s=1.0)
    assert not asked
    monkeypatch.setattr(
        "partbook.data.choirs.performed", lambda score, rate, seed, one: one("tenor1", NOTES, 1.0, seed)
    )
    monkeypatch.setattr("partbook.data.choirs.any_singer", lambda voice, rng: Singer(1.04))
    for seed in range(RECORDED, RECORDED + 8):
        piece(seed, duration_s=1.0)
    assert asked == [1.04] * 8


def test_formants_move_with_the_tract(rng):
    """A bump of the envelope lies at so many times its frequency, as high as it was; a flat one stays flat."""
    bins = np.arange(513)
    envelope = np.exp(-(((bins - 100) / 12.0) ** 2))[None] + 1e-3
    for ratio in (0.8, 1.0, 1.25):
        moved = stretched(envelope, ratio)
        assert moved.argmax() == round(100 * ratio)
        np.testing.assert_allclose(moved.max(), envelope.max(), rtol=0.02)
    np.testing.assert_allclose(stretched(envelope, 1.0), envelope)
    np.testing.assert_allclose(stretched(np.full((2, 9), 3.0), 0.7), 3.0)


def test_scores_say_every_tick():
    """Notes and rests fill the bar, and sharps are sharps."""
    from xml.etree import ElementTree

    bar = ElementTree.fromstring(score_xml([(128, 200, 61, "ら"), (230, 384, 72, "み")], 512)).find(".//measure")
    notes = bar.findall("note")
    assert [int(note.findtext("duration")) for note in notes] == [128, 72, 30, 154, 128]
    assert [note.find("rest") is not None for note in notes] == [True, False, True, False, True]
    told = [[note.findtext(f"pitch/{part}") for part in ("step", "alter", "octave")] for note in (notes[1], notes[3])]
    assert told == [["C", "1", "4"], ["C", "0", "5"]]
    assert bar.findtext("attributes/time/beats") == "4"


def test_every_part_is_brought_to_where_the_voice_is(monkeypatch, rng):
    """Whatever a part's register, its notes are asked for between the limits, each in its pitch class."""
    told = []
    monkeypatch.setattr(recorded, "score_xml", lambda notes, ticks: told.append(notes) or b"")

    class Silent:
        @staticmethod
        def synthesize(path):
            return np.zeros(10 * 48_000), 48_000

    monkeypatch.setattr(recorded, "_packages", lambda: (Silent, None))
    for shift in (-9, 0, 13, 31):
        notes = [Note(n.start_s, n.stop_s, n.midi + shift, n.syllable, n.slurred) for n in NOTES]
        sound = recorded._sung(notes, 0.0, 4.5, rng)
        assert np.abs(sound).max() < 1e-4
        pitches = [midi for _, _, midi, _ in told[-1]]
        assert all(LOWEST_MIDI <= midi <= HIGHEST_MIDI for midi in pitches)
        moves = np.diff(pitches) - np.diff([note.midi for note in NOTES])
        assert not (moves % 12).any()
        assert [syllable == "ー" for *_, syllable in told[-1]] == [False, False, True, False]


def test_what_is_missing_is_named(monkeypatch):
    recorded._packages.cache_clear()
    monkeypatch.setitem(sys.modules, "pysinsy", None)
    with pytest.raises(OptionError, match=r"pysinsy.*partbook\[recorded\]"):
        sung()
    recorded._packages.cache_clear()
