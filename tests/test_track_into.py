"""The verb ``f0`` and what it writes: complete or not at all, the same every time, in the place of nothing else."""

import io
import json
import re
import sys

import mido
import mir_eval
import numpy as np
import pytest
import soundfile
from shares import steady

import partbook
from partbook import cli
from partbook.errors import Cancelled, OptionError

FILES = ["f0/alto.csv", "f0/alto.svl", "f0/soprano.csv", "f0/soprano.svl", "manifest.json", "mix_f0.mid", "mix_f0.svg",
         "mix_f0.tsv", "run.json"]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sung(engines):
    """Engines that hear steady voices."""
    engines["sung"] = steady
    return engines


@pytest.fixture
def mix(here, rng):
    soundfile.write(here / "mix.wav", rng.uniform(-0.5, 0.5, (8000, 2)), 8000)
    return "mix.wav"


@pytest.fixture
def f0(capsys):
    """Run the verb in this process; return exit code, standard output and standard error."""

    def run(*tokens):
        code = cli.main(["f0", *(str(token) for token in tokens)])
        return code, *capsys.readouterr()

    return run


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_becomes_a_folder_of_f0(f0, sung, mix, here):
    assert f0(mix, "--voices", "SA") == (0, "tracked/mix\n", "")
    assert sorted(contents(here / "tracked/mix")) == FILES
    track = partbook.read_f0(here / "tracked/mix/f0/alto.csv")
    assert np.diff(track.times_s).max() <= 0.008 + 1e-9 and track.median_hz == pytest.approx(440)
    times_s, f0_hz = mir_eval.io.load_ragged_time_series(str(here / "tracked/mix/mix_f0.tsv"))
    assert len(times_s) == len(track.times_s) and list(f0_hz[9]) == [660, 440]
    assert [t.name for t in mido.MidiFile(here / "tracked/mix/mix_f0.mid").tracks[1:]] == ["soprano", "alto"]
    manifest = json.loads((here / "tracked/mix/manifest.json").read_text())
    assert [(voice["id"], voice["notes"], voice["confidence"]) for voice in manifest["voices"]] == [
        ("soprano", 1, 0.9), ("alto", 1, 0.9)]  # fmt: skip


def test_every_flag_reaches_its_place(f0, sung, mix, here):
    flags = "--voices SA --from 0.25 --to 0.75 --seed 3 --memory 500MB --format csv,mid --out a/b --bend-range 5"
    code, out, _ = f0(mix, "--name", "Take 1", "--tuning", "415", "--json", *flags.split())
    (result,) = json.loads(out)["results"]
    assert code == 0 and result["folder"] == "a/b/Take 1" and [v["id"] for v in result["voices"]] == ["soprano", "alto"]
    assert (sung["recording"].start, sung["recording"].length) == (2000, 4000)
    assert (sung["options"].seed, sung["options"].memory_bytes, sung["options"].salience) == (3, 5 * 10**8, "network")
    assert sorted(contents(here / "a/b/Take 1")) == ["Take 1_f0.mid", "f0/alto.csv", "f0/soprano.csv",
                                                     "manifest.json", "run.json"]  # fmt: skip
    assert partbook.read_f0(here / "a/b/Take 1/f0/alto.csv").times_s[[0, -1]] == pytest.approx([0.25, 0.746], abs=0.01)
    alto = mido.MidiFile(here / "a/b/Take 1/Take 1_f0.mid").tracks[2]
    assert [message.note for message in alto if message.type == "note_on"] == [70]
    assert [message.value for message in alto if message.type == "control_change"][2] == 5


def test_what_is_said_of_the_voices_reaches_people_and_programs(f0, engines, mix, capsys):
    engines["sung"], engines["message"] = steady, "about 3 voices are heard"
    code, out, err = f0(mix, "--voices", "SA", "--json")
    assert code == 0 and err == "partbook: about 3 voices are heard\n"
    assert json.loads(out)["results"][0]["messages"] == ["about 3 voices are heard"]
    assert f0(mix, "--voices", "SA", "--quiet") == (0, "", "")
    assert "soprano, alto, tenor, bass" in f0(mix)[2]
    assert cli.main(["separate", mix, "--voices", "SA"]) == 0
    assert "partbook: about 3 voices are heard\n" in capsys.readouterr().err


def test_messages_stand_above_the_bars_of_a_terminal(engines, mix, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    engines["sung"], engines["message"] = steady, "about 3 voices [are heard]"
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert cli.main(["f0", mix, "--voices", "SA"]) == 0
    assert "partbook: about 3 voices [are heard]" in sys.stderr.getvalue()


def test_a_batch_goes_on_after_a_failure_and_says_so(f0, sung, mix, here):
    (here / "bad.wav").write_bytes(b"")
    code, out, err = f0("bad.wav", mix)
    assert (code, out) == (3, "tracked/mix\n") and err.startswith("partbook: bad.wav: expected")


def test_the_same_command_gives_the_same_files(f0, sung, mix, here):
    for out in ("one", "two"):
        assert f0(mix, "--out", out)[0] == 0
    one, two = contents(here / "one"), contents(here / "two")
    assert {name for name in one if one[name] != two[name]} <= {"mix/run.json"}


@pytest.mark.parametrize(
    "flags",
    ["", "absent.wav", "mix.wav --voices SATX", "mix.wav --format cvs", "mix.wav --format ", "mix.wav --tuning 44",
     "mix.wav --bend-range 0", "mix.wav --salience harmonc", "mix.wav --from 9", "mix.wav --device abacus", "session",
     "mix.wav mix.wav", "mix.wav --name ../x", "mix.wav --out empty.wav", "mix.wav --out .", "mix.wav --seed -1"],
)  # fmt: skip
def test_a_mistake_gives_one_line_and_exit_code_2_and_writes_nothing(f0, sung, mix, here, flags):
    (here / "empty.wav").touch()
    (here / "mix").mkdir()
    (here / "mix/mine.txt").write_text("mine")
    (here / "session").mkdir()
    soundfile.write(here / "session/A.wav", np.zeros(9), 8000)
    before = contents(here)
    code, out, err = f0(*flags.split(" ") if flags else ())
    assert (code, out) == (2, "") and err.startswith("partbook: ") and err.count("\n") == 1
    assert contents(here) == before and not (here / "tracked").exists()


def test_separated_parts_are_never_replaced_by_f0(f0, sung, mix, here, monkeypatch):
    monkeypatch.setattr("partbook.report.write_report", lambda folder: None)
    assert cli.main(["separate", mix, "--voices", "SA"]) == 0
    before = contents(here / "separated")
    code, _, err = f0(mix, "--out", "separated")
    assert code == 2 and "separated parts" in err and contents(here / "separated") == before
    assert f0(mix, "--voices", "SA")[0] == f0(mix, "--voices", "SATB")[0] == 0
    assert len(list((here / "tracked/mix/f0").glob("*.csv"))) == 4


def test_a_cancelled_run_leaves_what_was_there(f0, sung, mix, here, monkeypatch):
    assert f0(mix, "--voices", "SA")[0] == 0
    before = contents(here)

    def stop(path, recording, tracks):
        raise Cancelled("cancelled")

    monkeypatch.setattr("partbook.report.write_f0_picture", stop)
    assert f0(mix, "--voices", "SATB") == (130, "", "partbook: cancelled\n")
    assert contents(here) == before


def test_f0_alone_is_that_of_a_separation(here):
    times_s = np.arange(8000) / 8000
    chord = 0.1 * sum(np.cos(2 * np.pi * k * f * times_s) / k for f in (392.0, 130.8) for k in range(1, 9))
    soundfile.write(here / "mix.wav", chord, 8000)
    tracks = partbook.track(here / "mix.wav", voices="SB")
    stems = partbook.separate(here / "mix.wav", voices="SB")
    for id, track in tracks.items():
        np.testing.assert_array_equal(track.f0_hz, stems.f0[id].f0_hz)
    assert tracks["bass"].median_hz == pytest.approx(130.8, rel=0.003)
    with pytest.raises(OptionError):
        partbook.track_into(here / "tracked", here / "mix.wav", formats=["pdf"])


def test_a_voice_that_rests_is_negative_in_its_table_and_nowhere_else(here):
    """What is told of it changes no stem: separated with the tables, the stems are those of voiced frames alone."""
    times_s = np.arange(16_000) / 8000
    voices = [sum(np.cos(2 * np.pi * k * f * times_s) / k for k in range(1, 9)) for f in (392.0, 130.8)]
    voices[0] *= (times_s < 0.8) | (times_s > 1.2)
    soundfile.write(here / "mix.wav", 0.1 * sum(voices), 8000)
    folder = partbook.track_into(here / "tracked", here / "mix.wav", voices="SB", formats=("csv", "tsv"))
    seconds, f0_hz = np.loadtxt(folder / "f0" / "soprano.csv", delimiter=",", skiprows=1, usecols=(0, 1)).T
    assert (f0_hz[(seconds > 0.9) & (seconds < 1.1)] < 0).all()
    assert -f0_hz[(seconds > 0.88) & (seconds < 0.9)] == pytest.approx(392, rel=0.02)
    _, ragged = mir_eval.io.load_ragged_time_series(str(folder / "mix_f0.tsv"))
    assert all((each > 0).all() for each in ragged)
    tables = sorted((folder / "f0").glob("*.csv"))
    told = partbook.separate(here / "mix.wav", voices="SB", f0=tables)
    for table in tables:
        table.write_text(re.sub(r",-[\d.]+,", ",0,", table.read_text()))
    plain = partbook.separate(here / "mix.wav", voices="SB", f0=tables)
    for id in ("soprano", "bass"):
        np.testing.assert_array_equal(told[id], plain[id])
    assert told.f0["soprano"].resting_hz.any()
