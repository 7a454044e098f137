import struct
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from partbook.audio import excerpt, open_recording, recording_from_array
from partbook.errors import AudioError, OptionError

SUBTYPES = [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "PCM_32"), ("wav", "FLOAT"), ("wav", "DOUBLE"),
            ("flac", "PCM_16"), ("flac", "PCM_24"), ("aiff", "PCM_24"), ("w64", "PCM_16"), ("rf64", "PCM_16"),
            ("caf", "PCM_16"), ("wav", "PCM_U8"), ("au", "PCM_16")]  # fmt: skip
CHUNKED = [pair for pair in SUBTYPES if pair[0] in ("wav", "aiff", "w64", "rf64", "caf")]


def sound(path, rng, samples=3001, channels=2, rate=8000, subtype="PCM_24"):
    """Write noise and return it as shape (M, S)."""
    noise = rng.uniform(-0.5, 0.5, (samples, channels))
    soundfile.write(path, noise, rate, subtype=subtype)
    return noise.T


@pytest.mark.parametrize(("suffix", "subtype"), SUBTYPES)
def test_every_format_reads_as_it_was_written(tmp_path, rng, suffix, subtype):
    noise = sound(tmp_path / f"x.{suffix}", rng, subtype=subtype)
    recording = open_recording(tmp_path / f"x.{suffix}")
    assert (recording.sample_rate, recording.length, recording.subtype) == (8000, 3001, subtype)
    step = {"PCM_U8": 2**-7, "PCM_16": 2**-15}.get(subtype, 2**-23)
    np.testing.assert_allclose(recording.read(0, 3001), noise, atol=step)


def test_a_recording_reads_the_same_in_any_pieces(tmp_path, rng):
    sound(tmp_path / "x.flac", rng)
    recording = open_recording(tmp_path / "x.flac")
    cuts = [0, 1, 2, 700, 701, 3001]
    pieces = [recording.read(a, b) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(pieces, 1), recording.read(0, 3001))


def test_microphones_are_named_by_the_stem_and_numbered_from_two_channels_on(tmp_path, rng):
    folder = tmp_path / "Chœur d’été"
    folder.mkdir()
    sound(folder / "été mix.wav", rng, channels=1)
    sound(folder / "stereo.wav", rng)
    mono, stereo = open_recording(folder / "été mix.wav"), open_recording(str(folder / "stereo.wav"))
    assert [(m.name, m.file, m.channel, m.role) for m in mono.microphones] == [("été mix", "été mix.wav", 1, "mono")]
    assert [(m.name, m.channel) for m in stereo.microphones] == [("stereo.1", 1), ("stereo.2", 2)]
    assert mono.name == "été mix"


@pytest.mark.parametrize("rate", [1000, 11025, 192_000])
@pytest.mark.parametrize("channels", [1, 3, 32])
@pytest.mark.parametrize("samples", [1, 2, 1001])
def test_any_rate_length_and_number_of_channels_can_be_read(tmp_path, rng, rate, channels, samples):
    noise = sound(tmp_path / "x.wav", rng, samples, channels, rate)
    recording = open_recording(tmp_path / "x.wav")
    np.testing.assert_allclose(recording.read(0, samples), noise, atol=2**-23)


@pytest.mark.parametrize(("suffix", "subtype"), CHUNKED)
@pytest.mark.parametrize("lost", [1, 2, 100, 4000])
def test_a_file_shorter_than_its_header_says_is_refused(tmp_path, rng, suffix, subtype, lost):
    path = tmp_path / f"x.{suffix}"
    sound(path, rng, subtype=subtype)
    # Some formats end in a chunk of their own behind the sound: everything from the last sample on goes as well.
    data = path.read_bytes()
    tail = len(data) - data_end(data)
    path.write_bytes(data[: len(data) - tail - lost])
    with pytest.raises(AudioError, match="shorter than its header"):
        open_recording(path)


def data_end(data):
    """Return where the sound of a WAV file with chunks behind it ends; the end of the file for other formats."""
    if data[:4] != b"RIFF":
        return len(data)
    at = data.index(b"data")
    return at + 8 + struct.unpack("<I", data[at + 4 : at + 8])[0]


@pytest.mark.parametrize("odd", [1, 2, 3])
def test_a_file_cut_short_is_found_behind_chunks_of_any_size(tmp_path, rng, odd):
    path = tmp_path / "x.wav"
    sound(path, rng, subtype="PCM_16")
    data = path.read_bytes()
    note = b"note" + struct.pack("<I", odd) + b"data"[:odd] + bytes(odd % 2)
    path.write_bytes(data[:12] + note + data[12:])
    assert open_recording(path).length == 3001
    path.write_bytes(data[:12] + note + data[12:-2])
    with pytest.raises(AudioError, match="2 more bytes"):
        open_recording(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_flac_file_cut_short_is_refused(tmp_path, rng, kept):
    path = tmp_path / "x.flac"
    sound(path, rng, samples=30_000)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(AudioError):
        open_recording(path)


def test_a_flac_file_damaged_in_the_middle_is_refused(tmp_path, rng):
    path = tmp_path / "x.flac"
    sound(path, rng, samples=30_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    path.write_bytes(data)
    with pytest.raises(AudioError):
        open_recording(path)


def test_a_stream_of_unknown_size_is_read_as_far_as_it_goes(tmp_path, rng):
    path = tmp_path / "x.wav"
    noise = sound(path, rng, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = b"\xff" * 4
    path.write_bytes(data)
    assert open_recording(path).length == noise.shape[1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_nan_and_infinity_are_refused_with_their_place(tmp_path, value, subtype):
    samples = np.zeros((2000, 2))
    samples[1234, 1] = value
    soundfile.write(tmp_path / "x.wav", samples, 8000, subtype=subtype)
    with pytest.raises(AudioError, match="1234"):
        open_recording(tmp_path / "x.wav")


def test_what_is_no_sound_file_is_refused_in_one_line(tmp_path, rng):
    sound(tmp_path / "quartet.wav", rng)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no sound\n" * 100)
    (tmp_path / "x.raw").write_bytes(bytes(100))
    soundfile.write(tmp_path / "nothing.wav", np.zeros((0, 1)), 8000)
    soundfile.write(tmp_path / "slow.wav", np.zeros((9, 1)), 999)
    soundfile.write(tmp_path / "fast.wav", np.zeros((9, 1)), 192_001)
    soundfile.write(tmp_path / "wide.wav", np.zeros((9, 33)), 8000)
    expected = {"quartett.wav": "does not exist; try 'quartet.wav'", "empty.wav": "empty", "text.wav": "none",
                ".": "folder",
                "x.raw": "none", "nothing.wav": "at least one sample", "slow.wav": "999", "fast.wav": "192001",
                "wide.wav": "33"}  # fmt: skip
    for name, words in expected.items():
        with pytest.raises(AudioError) as caught:
            open_recording(tmp_path / name)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_arrays_of_any_kind_are_taken_at_full_scale_1():
    ramp = np.array([-1.0, -0.5, 0.0, 0.5])
    for array in (ramp, ramp.astype(np.float32), (ramp * 2**15).astype(np.int16), (ramp * 2**31).astype(np.int32),
                  (128 + 128 * ramp).astype(np.uint8), ramp[None], ramp.tolist()):  # fmt: skip
        recording = recording_from_array(array, 8000)
        np.testing.assert_array_equal(recording.read(0, 4), ramp[None].astype(np.float32))
    # What was read does not reach back into what was given.
    recording.read(0, 4)[:] = 9
    np.testing.assert_array_equal(recording.read(0, 4), ramp[None])


@pytest.mark.parametrize(
    "array", [np.zeros(0), np.zeros((2, 0)), np.zeros((1000, 2)), np.zeros((1, 1, 9)), np.array([0, np.nan]),
              np.array([1e300]), np.zeros(9, complex), np.array(["a"]), np.float32(1)]
)  # fmt: skip
def test_unusable_arrays_are_refused(array):
    with pytest.raises(AudioError):
        recording_from_array(array, 8000)


def test_an_excerpt_is_the_stretch_between_its_times(tmp_path, rng):
    noise = sound(tmp_path / "x.wav", rng, samples=8000)
    for whole in (open_recording(tmp_path / "x.wav"), recording_from_array(noise, 8000)):
        part = excerpt(excerpt(whole, 0.25, 0.75), 0.125)
        assert (part.start, part.length) == (3000, 3000)
        np.testing.assert_array_equal(part.read(10, 20), whole.read(3010, 3020))
        for from_s, to_s in ((1.0, None), (-0.1, None), (0.5, 0.5), (0.5, 1.1), (float("nan"), None)):
            with pytest.raises(OptionError):
                excerpt(whole, from_s, to_s)


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path, rng):
    import hashlib

    sound(tmp_path / "x.wav", rng)
    assert open_recording(tmp_path / "x.wav").sha256() == hashlib.sha256((tmp_path / "x.wav").read_bytes()).hexdigest()
