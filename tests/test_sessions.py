"""What a session can be told on the command line."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from partbook import cli
from partbook.separate import separate
from partbook.stems import verify

NAMES = ("Left", "Right", "Flute", "Cello")


@pytest.fixture
def folder(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("write_report", "write_project"):
        monkeypatch.setattr(f"partbook.report.{name}", lambda folder: None)
    (tmp_path / "hall").mkdir()
    for name in NAMES:
        soundfile.write(tmp_path / "hall" / f"{name}.wav", rng.uniform(-0.3, 0.3, 8000), 8000, "FLOAT")
    return tmp_path / "hall"


SESSION = ("--spots", "Flute,Cello", "--main", "Left,Right")


def separated(folder, *flags):
    assert cli.main(["separate", str(folder), *SESSION, *flags, "--quiet"]) == 0
    return json.loads((folder.parent / "separated/hall/manifest.json").read_text())


@pytest.mark.parametrize("at, names", [("main", ["Left", "Right"]), ("spot", ["Flute", "Cello"]), ("all", list(NAMES))])
def test_players_are_written_at_the_microphones_asked_for(folder, engines, at, names):
    manifest = separated(folder, "--at", at)
    assert [microphone["name"] for microphone in manifest["microphones"]] == names
    checks = verify(folder.parent / "separated/hall")
    assert all(check.passed for check in checks), checks
    assert engines["recording"].microphones[0].name == "Left"


def test_flags_reach_the_engine(folder, engines):
    (folder.parent / "plays.csv").write_text("Flute,0,1\n")
    separated(folder, "--plays", "plays.csv")
    assert engines["session"].plays.name == "plays.csv" and not engines["session"].align


def test_an_aligned_session_is_verified(folder, engines, rng):
    """A burst of noise at uneven times, recorded by a second machine 0.2 s late."""
    take = 0.1 * rng.standard_normal(80_000) * np.repeat(rng.uniform(0, 1, 200) ** 4, 400)
    for name in NAMES:
        soundfile.write(folder / f"{name}.wav", np.roll(take, 1600 if name == "Cello" else 0), 8000, "FLOAT")
    manifest = separated(folder, "--align")
    told = {each["file"]: each["offset_ms"] for each in manifest["setup"]["alignment"]}
    assert told == {"Right.wav": 0, "Flute.wav": 0, "Cello.wav": pytest.approx(200, abs=0.1)}
    assert all(check.passed for check in verify(folder.parent / "separated/hall"))


def test_microphones_nobody_named_are_kept_in_mind(folder, engines):
    soundfile.write(folder / "Balcony.wav", np.zeros(8000), 8000)
    separated(folder)
    assert engines["recording"].setup["unnamed"] == ["Balcony"]


@pytest.mark.parametrize("mains", ["Left", "Left,Right"])
def test_a_session_without_spots_takes_the_names_of_voices(folder, engines, mains):
    named = ["--main", mains, "--voices", "flute,cello", "--quiet"]
    assert cli.main(["separate", str(folder), *named]) == 0
    assert [voice.id for voice in engines["voices"]] == ["flute", "cello"]
    assert all(check.passed for check in verify(folder.parent / "separated/hall"))


def test_voices_are_refused_where_spots_name_the_players(folder, engines, capsys):
    assert cli.main(["separate", str(folder), *SESSION, "--voices", "SA"]) == 2
    assert "session with spots" in capsys.readouterr().err


def test_flags_of_sessions_are_refused_for_voices(folder, engines, capsys):
    assert cli.main(["separate", str(folder / "Left.wav"), "--voices", "SA", "--at", "main"]) == 2
    assert "expected a session" in capsys.readouterr().err
    assert cli.main(["separate", str(folder), "--spots", "Flute", "--at", "main"]) == 2


def test_every_command_of_the_page_works(tmp_path, rng, engines, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("write_report", "write_project"):
        monkeypatch.setattr(f"partbook.report.{name}", lambda folder: None)
    monkeypatch.setattr("partbook.engine.calibration.calibrate", _Saved)
    monkeypatch.setattr("partbook.engine.measured.measured", _Saved)
    take = 0.1 * rng.standard_normal(80_000) * np.repeat(rng.uniform(0, 1, 200) ** 4, 400)
    for folder in ("My concert", "solo/violin1", "solo/cello", "ir/violin1", "ir/cello"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("Left", "Right", "Violin1", "Cello"):
            soundfile.write(tmp_path / folder / f"{name}.wav", take, 8000, "FLOAT")
    page = (Path(__file__).parents[1] / "docs" / "sessions.md").read_text("utf-8")
    commands = [line for line in page.splitlines() if line.startswith("partbook ")]
    assert len(commands) >= 7
    for command in commands:
        assert cli.main(shlex.split(command)[1:]) == 0, command


class _Saved:
    """In the place of a calibration."""

    players, microphones = ("violin1", "cello"), ()

    def __init__(self, takes, **settings):
        assert list(takes) == list(self.players)

    def save(self, path):
        path.touch()


def test_a_stretch_of_an_aligned_session_is_that_stretch(folder, engines):
    stems = separate(folder, spots=["Flute"], main=["Left"], from_s=0.25, to_s=0.5)
    np.testing.assert_array_equal(stems.separation.recording.read(0, 100)[0], soundfile.read(
        folder / "Left.wav", dtype="float32")[0][2000:2100])  # fmt: skip
