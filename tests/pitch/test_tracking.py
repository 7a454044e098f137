"""All voices in one call, a salience by its name, and as many voices as are asked for, whatever is heard."""

import numpy as np
import pytest
import soundfile

import partbook
from partbook.audio import recording_from_array
from partbook.config import SALIENCES, Options
from partbook.errors import Cancelled, OptionError
from partbook.pitch.following import SALIENCES as HEARINGS
from partbook.pitch.following import track_voices

RATE = 8000


def chord(*f0_hz, seconds=1.5):
    times_s = np.arange(int(seconds * RATE)) / RATE
    return 0.1 * sum(np.cos(2 * np.pi * k * f * times_s + k) / k for f in f0_hz for k in range(1, int(3500 / f)))


@pytest.fixture(scope="module")
def duet():
    return recording_from_array(chord(370.0, 130.8), RATE)


def test_voices_are_named_in_every_way_and_come_high_to_low(duet):
    for voices, ids in (("SB", ["soprano", "bass"]), (2, ["voice1", "voice2"]), (["bass", "alto"], ["alto", "bass"])):
        tracks = partbook.pitch.track(duet, voices=voices)
        assert list(tracks) == ids and tracks.messages == ()
        assert [tracks[id].median_hz for id in ids] == pytest.approx([370, 130.8], rel=0.01)
    with pytest.raises(KeyError, match="try bass"):
        tracks["bas"]


def test_more_voices_than_are_heard_come_out_and_the_likely_number_is_said(duet):
    for voices in ("SSATB", 8):
        tracks = partbook.pitch.track(duet, voices=voices)
        (message,) = tracks.messages
        assert "about 2 voices are heard" in message and "--voices 2" in message
        sounding = [np.mean(track.f0_hz > 0) > 0.5 for track in tracks.values()]
        assert 1 <= sum(sounding) <= 3 and len(tracks) == (8 if voices == 8 else 5)


def test_fewer_voices_than_are_heard_are_followed_and_the_likely_number_is_said():
    f0_hz = np.array([440.0, 277.2, 174.6, 116.5])
    quartet = recording_from_array(chord(*f0_hz), RATE)
    tracks = partbook.pitch.track(quartet, voices="SB")
    assert "about 4 voices are heard, 2 were asked for" in tracks.messages[0]
    for track in tracks.values():
        assert np.abs(track.median_hz / f0_hz - 1).min() < 0.01
    assert partbook.pitch.track(quartet).messages == () and len(partbook.pitch.track(quartet)) == 4


def test_silence_is_unvoiced_and_nothing_is_said_of_it():
    for samples in (1, 100, RATE):
        tracks = partbook.pitch.track(recording_from_array(np.zeros(samples), RATE), voices="SATB")
        assert not any(track.f0_hz.any() for track in tracks.values()) and tracks.messages == ()
        assert tracks.confidence("alto") == 0


def test_times_are_those_of_the_recording_with_a_stretch_too(tmp_path):
    soundfile.write(tmp_path / "duet.wav", chord(370.0, 130.8), RATE)
    tracks = partbook.pitch.track(tmp_path / "duet.wav", voices="SB", from_s=0.5, to_s=1.25)
    for track in tracks.values():
        assert track.times_s[0] == pytest.approx(0.5) and 1.23 < track.times_s[-1] <= 1.25


def test_every_salience_that_options_know_has_something_that_follows_voices_through_it(duet):
    assert set(HEARINGS) == set(SALIENCES)
    for wrong in (lambda: partbook.pitch.track(duet, salience="harmnic"), lambda: Options(salience="harmnic")):
        with pytest.raises(OptionError, match="try --salience harmonic"):
            wrong()


def test_the_salience_that_is_asked_for_is_used(duet, monkeypatch):
    asked = []

    def listen(recording, on_progress=None):
        asked.append(recording)
        return HEARINGS["harmonic"][0](recording, on_progress)

    other = {**HEARINGS, "mine": (listen, HEARINGS["harmonic"][1])}
    monkeypatch.setitem(track_voices.__globals__, "SALIENCES", other)
    monkeypatch.setattr("partbook.config.SALIENCES", ("mine", "harmonic"))
    partbook.pitch.track(duet, voices="SB", salience="mine")
    partbook.track(duet.samples, RATE, voices="SB", options=Options(salience="mine"))
    assert len(asked) == 2


def test_listening_can_be_cancelled(duet):
    with pytest.raises(Cancelled):
        partbook.pitch.track(duet, voices="SB", on_progress=lambda event: False)
