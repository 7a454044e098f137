"""A MIDI file, read back by its own rules, sounds as sung."""

import mido
import numpy as np
import pytest

from partbook.errors import OptionError
from partbook.pitch.midi import write_midi
from partbook.pitch.tracks import Track

TIMES_S = np.arange(0, 2, 0.008)


def voice(midi):
    """Return a track of a MIDI number with a fraction per frame; NaN is unvoiced."""
    f0_hz = 440 * 2 ** ((midi - 69) / 12)
    return Track(TIMES_S, np.nan_to_num(f0_hz), np.ones(len(TIMES_S)))


@pytest.fixture
def duet():
    shaking = 72.3 + 0.6 * np.sin(2 * np.pi * 5.5 * TIMES_S)
    sliding = np.interp(TIMES_S, [0.95, 1.05], [55.0, 59.0])
    sliding[(TIMES_S > 1.5) & (TIMES_S < 1.7)] = np.nan
    return {"Soprano": voice(shaking), "Bass ♭": voice(sliding)}


def played(track):
    """Return (seconds, pitch) at every event of a track of a file while a note sounds, and the bend range."""
    at, key, bend, range_semitones, chosen, sound = 0, None, 0.0, None, {}, []
    for message in track:
        at += message.time
        if message.type == "control_change":
            chosen[message.control] = message.value
            if message.control == 6 and (chosen[101], chosen[100]) == (0, 0):
                range_semitones = message.value
        elif message.type == "note_on":
            assert key is None, "a voice has one note at a time"
            key = message.note
        elif message.type == "note_off":
            assert message.note == key
            key = None
        elif message.type == "pitchwheel":
            bend = message.pitch / 8192
        if key is not None:
            sound.append((at / 1000, key + bend * range_semitones))
    assert key is None
    return np.array(sound), range_semitones


@pytest.mark.parametrize("bend_semitones", [2, 12])
def test_notes_and_bends_together_are_the_pitch_that_was_sung(tmp_path, duet, bend_semitones):
    write_midi(tmp_path / "duet.mid", duet, bend_semitones=bend_semitones)
    file = mido.MidiFile(tmp_path / "duet.mid", charset="utf-8")
    assert [track.name for track in file.tracks[1:]] == ["Soprano", "Bass ♭"]
    assert file.type == 1 and file.ticks_per_beat * 1_000_000 == 1000 * file.tracks[0][0].tempo
    for track, name in zip(file.tracks[1:], duet, strict=True):
        sound, range_semitones = played(track)
        assert range_semitones == bend_semitones
        truth = 69 + 12 * np.log2(np.maximum(duet[name].at(sound[:, 0]).f0_hz, 1) / 440)
        # A cent of the grid of bends, and what a millisecond of a vibrato or glide is worth.
        assert np.quantile(np.abs(sound[:, 1] - truth), 0.98) < 0.05


def test_a_slide_beyond_the_range_stays_at_its_edge(tmp_path, duet):
    write_midi(tmp_path / "duet.mid", duet, bend_semitones=1)
    bends = [
        message.pitch for message in mido.MidiFile(tmp_path / "duet.mid").tracks[2] if message.type == "pitchwheel"
    ]
    assert max(bends) <= 8191 and min(bends) >= -8192 and {8191, -8192} & set(bends)


def test_what_is_returned_is_what_is_written(tmp_path, duet):
    notes = write_midi(tmp_path / "duet.mid", duet)
    starts = [
        [m.note for m in track if m.type == "note_on"] for track in mido.MidiFile(tmp_path / "duet.mid").tracks[1:]
    ]
    assert starts == [[note.midi for note in each] for each in notes] and len(starts[1]) == 3


def test_eight_silent_voices_are_a_file_without_notes_on_channels_of_their_own(tmp_path):
    silent = {f"voice{n}": voice(np.full(len(TIMES_S), np.nan)) for n in range(11)}
    assert write_midi(tmp_path / "silent.mid", silent) == [[]] * 11
    file = mido.MidiFile(tmp_path / "silent.mid")
    channels = [{message.channel for message in track if not message.is_meta} for track in file.tracks[1:]]
    assert len(set.union(*channels)) == 11 and 9 not in set.union(*channels)


def test_a_range_out_of_bounds_is_refused(tmp_path, duet):
    for bend_semitones in (0, 25):
        with pytest.raises(OptionError, match="--bend-range"):
            write_midi(tmp_path / "duet.mid", duet, bend_semitones=bend_semitones)
    assert not (tmp_path / "duet.mid").exists()
