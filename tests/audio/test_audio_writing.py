import numpy as np
import pytest
import soundfile

from partbook.audio import flac_holds, open_recording, open_writer
from partbook.audio.writing import wav_header


def written(path, samples, rate=8000, pieces=3):
    writer = open_writer(path, rate, *samples.shape)
    for piece in np.array_split(samples, pieces, axis=1):
        writer.write(piece)
    writer.close()
    return path


@pytest.mark.parametrize("suffix", ["flac", "wav"])
@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("length", [1, 5000])
def test_24_bits_are_kept_exactly(tmp_path, rng, suffix, channels, length):
    steps = rng.integers(-(2**23), 2**23, (channels, length))
    steps.flat[0] = -(2**23)
    path = written(tmp_path / f"x.{suffix}", steps / 2**23, pieces=min(3, length))
    np.testing.assert_array_equal(open_recording(path).read(0, length), (steps / 2**23).astype(np.float32))


def test_float_wav_keeps_what_lies_beyond_full_scale(tmp_path, rng):
    samples = (100 * rng.standard_normal((12, 999))).astype(np.float32)
    np.testing.assert_array_equal(open_recording(written(tmp_path / "x.wav", samples)).read(0, 999), samples)


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_the_same_samples_give_the_same_bytes(tmp_path, rng, suffix, monkeypatch):
    samples = rng.uniform(-0.5, 0.5, (2, 9000)).astype(np.float32)
    first = written(tmp_path / f"a.{suffix}", samples)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert first.read_bytes() == written(tmp_path / f"b.{suffix}", samples, pieces=7).read_bytes()


@pytest.mark.parametrize("length", [2**29 - 20, 2**29, 2**31])
def test_a_wav_beyond_4_gb_is_rf64_and_read_as_long_as_it_is(tmp_path, length):
    path = tmp_path / "long.wav"
    header = wav_header(48_000, 2, length)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + 8 * length)
    info = soundfile.info(path)
    assert (info.frames, info.channels, info.samplerate) == (length, 2, 48_000)
    assert (header[:4] == b"RF64") == (len(header) + 8 * length > 2**32)


@pytest.mark.parametrize("rate", [1000, 11_025, 65_535, 65_537, 88_200, 176_400, 176_401, 192_000])
@pytest.mark.parametrize("channels", [1, 8, 9])
def test_flac_is_chosen_exactly_where_it_can_be_read_back(tmp_path, rate, channels):
    samples = np.full((channels, 10), 0.25)
    try:
        path = written(tmp_path / "x.flac", samples, rate)
        kept = np.array_equal(open_recording(path).read(0, 10), samples)
    except ValueError:
        kept = False
    assert kept == flac_holds(rate, channels)
