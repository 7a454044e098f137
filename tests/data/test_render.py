"""Sung and played parts have the F0, the levels and the randomness that they are said to have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import soxr

from partbook.data.playing import INSTRUMENTS, play
from partbook.data.render import PEAK, choir, played_dry, session, sung_dry
from partbook.data.scores import Note, Part, Score, Syllable, bundled_score
from partbook.data.singing import TRACTS, sing, some_singer, tract_response
from partbook.errors import OptionError
from partbook.evaluate.separation import si_sdr

RATE = 16_000
PITCHES = {"soprano": 74, "mezzo": 69, "alto": 65, "tenor": 58, "baritone": 53, "bass": 47}
REGISTERS = {"violin": 76, "viola": 64, "cello": 48, "flute": 79, "oboe": 72, "clarinet": 70, "bassoon": 46, "horn": 55}


def tune(lowest, syllables=(("m", "a", ""), ("s", "o", "n"), ("", "ai", ""))):
    """Return five notes, two of them slurred, with a rest before the last."""
    words = [Syllable(*each) for each in syllables]
    steps = [(0, 0.6, 0, 0, False), (0.6, 1.0, 2, 0, True), (1.0, 1.7, 4, 1, False), (2.0, 2.8, 5, 2, False)]
    return [Note(a, b, lowest + up, words[k % len(words)], slurred) for a, b, up, k, slurred in steps]


def score(*names, lowest=60):
    return Score("T", tuple(Part(name, tuple(tune(lowest + 12 * (len(names) - n)))) for n, name in enumerate(names)))


def deviation_cents(samples, track, rate):
    """Measure how far the fundamental is from a track, in cents, where the track sounds.

    The sound is turned back by the phase of the track and low-pass filtered: what is left of its fundamental turns by
    the difference of their frequencies.
    """
    times_s = np.arange(len(samples)) / rate
    filled = np.interp(times_s, track.times_s[track.f0_hz > 0], track.f0_hz[track.f0_hz > 0])
    turned = samples * np.exp(-2j * np.pi * np.cumsum(filled) / rate)
    slow = scipy.signal.oaconvolve(turned, np.hanning(round(0.05 * rate)), mode="same")
    turning_hz = np.gradient(np.unwrap(np.angle(slow))) * rate / (2 * np.pi)
    sounding = (
        scipy.ndimage.minimum_filter1d(np.interp(times_s, track.times_s, track.f0_hz > 0), round(0.06 * rate)) > 0.99
    )
    return 1200 * np.log2(1 + turning_hz[sounding] / filled[sounding])


@pytest.mark.parametrize("voice", TRACTS)
def test_f0_of_a_singer_is_exact(voice):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        samples, track = sing(tune(PITCHES[voice]), some_singer(voice, rng), 3.0, RATE, rng)
        assert np.median(np.abs(deviation_cents(samples, track, RATE))) < 5


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_f0_of_an_instrument_is_exact(name):
    samples, track = play(tune(REGISTERS[name]), name, 3.0, RATE, np.random.default_rng(1))
    assert np.median(np.abs(deviation_cents(samples, track, RATE))) < 5


def test_measure_of_f0_sees_an_error_of_ten_cents():
    rng = np.random.default_rng(0)
    samples, track = sing(tune(60), some_singer("alto", rng), 3.0, RATE, rng)
    wrong = replace(track, f0_hz=track.f0_hz * 2 ** (10 / 1200))
    assert np.median(deviation_cents(samples, wrong, RATE)) == pytest.approx(-10, abs=2)


def test_f0_follows_the_notes_within_what_singers_do():
    rng = np.random.default_rng(0)
    _, track = sing(tune(60), some_singer("tenor", rng), 3.0, RATE, rng)
    for time_s, midi in ((0.4, 60), (0.85, 62), (1.4, 64), (2.5, 65)):
        here = track.f0_hz[np.abs(track.times_s - time_s) < 0.1]
        assert abs(12 * np.log2(np.median(here[here > 0]) / 440) + 69 - midi) < 0.7


def test_rests_and_voiceless_consonants_have_no_f0_and_no_fundamental():
    rng = np.random.default_rng(0)
    singer = replace(some_singer("bass", rng), late_s=0.0)
    samples, track = sing(tune(48), singer, 3.0, RATE, rng)
    unvoiced = np.abs(track.times_s[:, None] - [0.95, 1.9]).min(1) < 0.02
    assert not track.f0_hz[unvoiced].any()
    low = scipy.signal.sosfiltfilt(scipy.signal.butter(4, 400, fs=RATE, output="sos"), samples)
    level = np.interp(track.times_s, np.arange(len(low)) / RATE, scipy.ndimage.uniform_filter1d(low**2, 400))
    assert level[unvoiced].mean() < 1e-3 * level[track.f0_hz > 0].mean()
    hiss = scipy.signal.sosfiltfilt(scipy.signal.butter(4, 4500, "high", fs=RATE, output="sos"), samples)
    power = np.interp(track.times_s, np.arange(len(hiss)) / RATE, scipy.ndimage.uniform_filter1d(hiss**2, 400))
    assert power[np.abs(track.times_s - 0.95) < 0.02].mean() > 10 * power[np.abs(track.times_s - 0.4) < 0.05].mean()


def test_formants_are_where_the_vowel_has_them():
    singer = some_singer("bass", np.random.default_rng(0))
    singer = replace(singer, tract=1.0, ringing=0.0)
    bins = np.arange(0, 5000, 5.0)
    formants_hz = np.array([[600.0, 1300.0, 2500.0, 3400.0, 4300.0]])
    gain = np.abs(tract_response(singer, formants_hz, np.array([100.0]), bins))[0]
    peaks_hz = bins[scipy.signal.argrelmax(gain)[0]]
    assert np.allclose(peaks_hz[:5], formants_hz[0], rtol=0.02)


def test_first_formant_is_never_below_f0():
    singer = replace(some_singer("soprano", np.random.default_rng(0)), tract=1.0)
    bins = np.arange(0, 5000, 5.0)
    formants_hz = np.array([[300.0, 900.0, 2500.0, 3400.0, 4300.0]])
    gain = np.abs(tract_response(singer, formants_hz, np.array([800.0]), bins))[0]
    assert bins[scipy.signal.argrelmax(gain)[0][0]] == pytest.approx(824, abs=20)


@pytest.mark.parametrize("render", [sung_dry, choir])
def test_parts_sum_to_the_mixture_whose_peak_is_known(render):
    performed = render(score("Soprano", "Bass"), RATE)
    assert np.allclose(performed.parts.sum(0), performed.mixture)
    assert np.abs(performed.mixture).max() == pytest.approx(PEAK, rel=1e-5)
    assert performed.parts.shape[:2] == (2, len(performed.microphones))


def test_same_seed_gives_the_same_sound_and_another_seed_another():
    first, again, other = (sung_dry(score("Alto", "Tenor"), RATE, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.parts, again.parts)
    assert np.array_equal(first.tracks[0].f0_hz, again.tracks[0].f0_hz)
    assert np.abs(si_sdr(first.parts[0, 0], other.parts[0, 0])) > 3


def test_singers_of_one_voice_differ():
    performed = sung_dry(Score("T", (Part("Alto1", tuple(tune(65))), Part("Alto2", tuple(tune(65))))), RATE)
    assert si_sdr(performed.parts[0, 0], performed.parts[1, 0]) < 3


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_f0_does_not_depend_on_the_sample_rate_nor_does_the_voice(rate):
    quiet = replace(some_singer("tenor", np.random.default_rng(0)), breath_db=-100.0)
    notes = tune(55, (("m", "a", ""), ("", "o", "n")))
    sound, track = sing(notes, quiet, 3.0, RATE, np.random.default_rng(1))
    other, same = sing(notes, quiet, 3.0, rate, np.random.default_rng(1))
    assert len(other) == 3 * rate
    assert np.array_equal(track.f0_hz, same.f0_hz)
    here, there = (soxr.resample(x, r, 8000) for x, r in ((sound, RATE), (other, rate)))
    assert si_sdr(here, there) > 25


def test_loudest_tenth_of_a_second_of_a_voice_has_an_rms_of_one():
    rng = np.random.default_rng(0)
    samples, _ = sing(tune(50, (("", "a", ""),)), some_singer("bass", rng), 3.0, RATE, rng)
    tenths = samples[: len(samples) // 1600 * 1600].reshape(-1, 1600)
    assert np.sqrt((tenths**2).mean(1)).max() == pytest.approx(1, abs=0.05)


def test_unknown_singers_and_instruments_get_the_nearest_name():
    with pytest.raises(OptionError, match="try soprano"):
        some_singer("soprani", np.random.default_rng(0))
    with pytest.raises(OptionError, match="try cello"):
        play(tune(48), "celo", 1.0, RATE, np.random.default_rng(0))


def test_player_is_loudest_at_its_own_spot_and_heard_at_all_microphones():
    performed = session(score("Violin", "Clarinet", "Cello", lowest=50), RATE)
    roles = [mic.role for mic in performed.microphones]
    assert roles == ["main"] * 3 + ["spot"] * 3
    level_db = 10 * np.log10((performed.parts**2).mean(-1))
    for n in range(3):
        others = np.delete(level_db[n], 3 + n)
        assert level_db[n, 3 + n] > others.max() + 6
        assert others.min() > level_db[n, 3 + n] - 30


def test_instruments_of_the_bundled_trio_have_the_colour_of_their_kind():
    performed = played_dry(bundled_score("grave"), RATE)
    clarinet, track = performed.parts[1, 0], performed.tracks[1]
    times_s = np.arange(len(clarinet)) / RATE
    f0_hz = np.interp(times_s, track.times_s, track.f0_hz)
    sounding = (times_s > 0.2) & (times_s < 0.7)
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE
    level = [abs((clarinet * np.exp(-1j * k * phase))[sounding].mean()) for k in (1, 2, 3)]
    assert level[1] < 0.2 * level[0] and level[1] < 0.6 * level[2]
