import json
import shutil

import numpy as np
import pytest
import soundfile
from shares import split

from partbook.audio import excerpt, open_recording, open_session
from partbook.errors import OptionError
from partbook.pitch.tracks import Track
from partbook.stems import verify, write


@pytest.fixture
def mix(tmp_path, rng):
    soundfile.write(tmp_path / "mix.wav", rng.uniform(-0.5, 0.5, (5000, 2)), 8000)
    return tmp_path / "mix.wav"


@pytest.fixture
def result(tmp_path, mix):
    f0 = {"bass": Track(np.array([0.0, 0.005]), np.array([110.0, 0.0]), np.ones(2))}
    return write(split(open_recording(mix), f0=f0), tmp_path / "out")


def failed(checks):
    return [check.name for check in checks if not check.passed]


def test_a_result_as_it_was_written_passes(result, mix, tmp_path):
    for original in (None, mix, shutil.copy(mix, tmp_path / "a copy.wav")):
        checks = verify(result, original)
        assert not failed(checks)
        assert checks[-1] == ("sum", True, "exact")


def test_every_damage_is_found(result, mix):
    def spoil(name, data):
        path = result / name
        before = path.read_bytes()
        path.write_bytes(data(before))
        found = failed(verify(result))
        path.write_bytes(before)
        return found

    assert spoil("mix_bass.flac", lambda data: data[:-1]) == ["mix_bass.flac"]
    assert spoil("mix_bass.flac", lambda _: (result / "mix_soprano.flac").read_bytes()) == ["mix_bass.flac"]
    assert spoil("f0/bass.csv", lambda _: b"nonsense") == ["f0/bass.csv"]
    assert spoil("run.json", lambda _: b"{}") == []
    assert failed(verify(result)) == []
    (result / "mix_tenor.flac").touch()
    assert failed(verify(result)) == ["other sound files"]
    (result / "mix_tenor.flac").unlink()
    (result / "mix_residual.flac").unlink()
    assert failed(verify(result)) == ["mix_residual.flac"]


def test_files_that_do_not_sum_to_the_recording_are_found(result):
    manifest = json.loads((result / "manifest.json").read_text())
    soprano, bass = manifest["sources"]
    (result / bass["file"]).write_bytes((result / soprano["file"]).read_bytes())
    bass["sha256"] = soprano["sha256"]
    (result / "manifest.json").write_text(json.dumps(manifest))
    assert failed(verify(result)) == ["sum"]


def test_another_recording_is_found(result, mix, rng):
    soundfile.write(mix, rng.uniform(-0.5, 0.5, (5000, 2)), 8000)
    assert failed(verify(result)) == ["recording"]
    soundfile.write(mix, rng.uniform(-0.5, 0.5, (400, 2)), 8000)
    assert failed(verify(result)) == ["recording"]
    soundfile.write(mix, rng.uniform(-0.5, 0.5, 5000), 8000)
    assert failed(verify(result)) == ["recording"]
    mix.unlink()
    assert not failed(verify(result))
    assert failed(verify(result, mix)) == ["recording"]


def test_sessions_and_excerpts_are_checked_against_their_microphones(tmp_path, rng):
    folder = tmp_path / "concert"
    folder.mkdir()
    for name in ("Main", "Flute", "Cello", "Other"):
        soundfile.write(folder / f"{name}.wav", rng.uniform(-0.5, 0.5, 5000), 8000)
    session = excerpt(open_session(folder, spots=["Flute", "Cello"], main=["Main"]), 0.1, 0.5)
    result = write(split(session, names=["Flute", "Cello"]), tmp_path / "out")
    for original in (None, folder):
        assert verify(result, original)[-1] == ("sum", True, "exact")
    soundfile.write(folder / "Main.wav", np.zeros(5000), 8000)
    assert failed(verify(result)) == ["recording"]


def test_what_partbook_did_not_write_cannot_be_checked(tmp_path):
    for text in (None, "", "[]", "{}", '{"schema": "other"}', '{"schema": "partbook/1"}'):
        if text is not None:
            (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(OptionError):
            verify(tmp_path)
