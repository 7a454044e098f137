import io
import json
import subprocess
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from partbook import cli
from partbook.errors import Cancelled
from partbook.pitch.tracks import Track, write_f0


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, engines):
    """Work in an empty folder, without engines and pages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("partbook.report.write_report", lambda folder: (folder / "report.html").write_text("page"))
    return tmp_path


@pytest.fixture
def mix(here, rng):
    soundfile.write(here / "mix.wav", rng.uniform(-0.5, 0.5, (8000, 2)), 8000)
    return "mix.wav"


@pytest.fixture
def partbook(capsys):
    """Run a command in this process; return exit code, standard output and standard error."""

    def run(*tokens):
        code = cli.main([str(token) for token in tokens])
        return code, *capsys.readouterr()

    return run


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_becomes_a_folder_of_parts(partbook, mix, here):
    code, out, err = partbook("separate", mix, "--voices", "SATB")
    assert (code, out, err) == (0, "separated/mix\n", "")
    assert sorted(path.name for path in (here / "separated/mix").iterdir()) == [
        "manifest.json", "mix_alto.flac", "mix_bass.flac", "mix_residual.flac", "mix_soprano.flac", "mix_tenor.flac",
        "report.html", "run.json"]  # fmt: skip
    assert partbook("verify", "separated/mix")[0] == 0


def test_guessed_voices_are_said(partbook, mix):
    assert "soprano, alto, tenor, bass" in partbook("separate", mix)[2]
    assert partbook("separate", mix, "--quiet") == (0, "", "")


def test_a_session_is_separated_at_every_microphone(partbook, here, rng):
    folder = here / "My concert"
    folder.mkdir()
    for name in ("Left", "Right", "Violin1", "Cello"):
        soundfile.write(folder / f"{name}.wav", rng.uniform(-0.5, 0.5, 900), 8000)
    code, _, _ = partbook("separate", folder, "--spots", "Cello, Violin1", "--main", "Left,Right", "--out", "out dir")
    assert code == 0
    assert soundfile.info(here / "out dir/My concert/My concert_violin1.flac").channels == 4
    manifest = json.loads((here / "out dir/My concert/manifest.json").read_text())
    assert [m["name"] for m in manifest["microphones"]] == ["Left", "Right", "Cello", "Violin1"]
    assert partbook("verify", "out dir/My concert", folder)[0] == 0


def test_every_flag_reaches_its_place(partbook, mix, engines, here):
    threads = torch.get_num_threads()
    flags = f"--voices SA --from 0.25 --to 0.5 --seed 3 --threads {threads} --memory 500MB --format wav --out a/b"
    code, _, _ = partbook("separate", mix, "--name", "Take 1", *flags.split())
    assert code == 0
    assert (engines["recording"].start, engines["recording"].length) == (2000, 2000)
    options = engines["options"]
    assert (options.seed, options.threads, options.memory_bytes, options.device) == (3, threads, 500_000_000, "cpu")
    manifest = json.loads((here / "a/b/Take 1/manifest.json").read_text())
    assert manifest["seed"] == 3 and manifest["config"]["memory_bytes"] == 500_000_000
    assert (here / "a/b/Take 1/Take 1_alto.wav").is_file()


def test_f0_files_of_a_result_can_be_given_back(partbook, mix, engines, here):
    for name, f0_hz in (("soprano", 440.0), ("alto", 330.0), ("bass", 110.0)):
        write_f0(here / f"{name}.csv", Track(np.arange(200) * 0.005, np.full(200, f0_hz), np.ones(200)))
    f0 = ["alto.csv", "bass.csv", "soprano.csv"]
    assert partbook("separate", mix, "--voices", "SAB", "--f0", *f0)[0] == 0
    edited = sorted((here / "separated/mix/f0").glob("*.csv"))
    assert partbook("separate", mix, "--f0", *edited) == (0, "separated/mix\n", "")
    assert [voice.id for voice in engines["voices"]] == ["soprano", "alto", "bass"]
    assert {id: track.f0_hz[9] for id, track in engines["f0"].items()} == {"soprano": 440, "alto": 330, "bass": 110}


def test_json_says_what_was_done(partbook, mix):
    code, out, _ = partbook("separate", mix, "absent.wav", "--json", "--voices", "SA")
    first, second = json.loads(out)["results"]
    assert code == 3
    assert first == {"input": "mix.wav", "folder": "separated/mix", "sources": ["soprano", "alto"]}
    assert second["input"] == "absent.wav" and "does not exist" in second["error"]
    code, out, _ = partbook("verify", "separated/mix", "--json")
    assert code == 0 and all(check["passed"] for check in json.loads(out)["checks"])
    code, out, _ = partbook("doctor", "--json")
    assert code == 0 and json.loads(out)["writing flac"] == {"found": "exact", "passed": True}


def test_a_batch_goes_on_after_a_failure_and_says_so(partbook, mix, here):
    (here / "bad.wav").write_bytes(b"")
    soundfile.write(here / "last.wav", np.zeros(100), 8000)
    code, out, err = partbook("separate", "bad.wav", mix, "last.wav")
    assert code == 3
    assert out.split() == ["separated/mix", "separated/last"]
    assert err.splitlines()[0].startswith("partbook: bad.wav: expected")
    assert partbook("separate", mix, "last.wav")[0] == 0


def test_the_same_command_gives_the_same_files(partbook, mix, here):
    for out in ("one", "two"):
        assert partbook("separate", mix, "--out", out)[0] == 0
    one, two = contents(here / "one"), contents(here / "two")
    assert {name for name in one if one[name] != two[name]} <= {"mix/run.json"}


@pytest.mark.parametrize("samples", [1, 2, 7999])
@pytest.mark.parametrize(("rate", "channels"), [(1000, 1), (44_100, 2), (192_000, 32)])
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_silence_single_samples_and_odd_shapes_are_fine(partbook, here, rng, samples, rate, channels, scale):
    soundfile.write(here / "x.wav", scale * rng.uniform(-1, 1, (samples, channels)), rate)
    assert partbook("separate", "x.wav", "--quiet")[0] == 0
    assert partbook("verify", "separated/x")[0] == 0


def test_a_failed_check_exits_with_1(partbook, mix, here):
    partbook("separate", mix)
    (here / "separated/mix/mix_alto.flac").unlink()
    code, out, _ = partbook("verify", "separated/mix")
    assert code == 1 and "BAD" in out


MISTAKES = [
    ("separate",),
    ("separate", "absent.wav"),
    ("separate", "folder"),
    ("separate", "empty.wav"),
    ("separate", "text.wav"),
    ("separate", "short.wav"),
    ("separate", "nan.wav"),
    ("separate", "wide.wav"),
    ("separate", "session.toml"),
    ("separate", "mix.wav", "--voices", "0"),
    ("separate", "mix.wav", "--voices", "40"),
    ("separate", "mix.wav", "--voices", "SATX"),
    ("separate", "mix.wav", "--voices", ""),
    ("separate", "mix.wav", "--voices"),
    ("separate", "mix.wav", "--voice", "SATB"),
    ("separate", "mix.wav", "--voices", "SATB", "--f0", "good.csv"),
    ("separate", "mix.wav", "--voices", "SA", "--f0", "good.csv", "absent.csv"),
    ("separate", "mix.wav", "--voices", "SA", "--f0", "good.csv", "backwards.csv"),
    ("separate", "mix.wav", "--voices", "SA", "--f0", "good.csv", "late.csv"),
    ("separate", "mix.wav", "--voices", "SA", "--f0", "good.csv", "text.wav"),
    ("separate", "mix.wav", "--f0", "good.csv"),
    ("separate", "mix.wav", "--spots", "A"),
    ("separate", "mix.wav", "--spots", "A=3"),
    ("separate", "mix.wav", "--spots", "A=1,A=2"),
    ("separate", "mix.wav", "--spots", "A=1", "--voices", "SATB"),
    ("separate", "session", "--spots", "Flut"),
    ("separate", "session", "--spots", "Flute,Flute"),
    ("separate", "session", "--spots", "Flute,Short"),
    ("separate", "session", "--spots", "Flute,Slow"),
    ("separate", "session", "--main", "Flut"),
    ("separate", "session"),
    ("separate", "mix.wav", "--from", "9"),
    ("separate", "mix.wav", "--from", "nan"),
    ("separate", "mix.wav", "--from", "0.5", "--to", "0.5"),
    ("separate", "mix.wav", "--to", "soon"),
    ("separate", "mix.wav", "--seed", "-1"),
    ("separate", "mix.wav", "--seed", "x"),
    ("separate", "mix.wav", "--threads", "0"),
    ("separate", "mix.wav", "--memory", "lots"),
    ("separate", "mix.wav", "--memory", "1KB"),
    ("separate", "mix.wav", "--device", "abacus"),
    ("separate", "mix.wav", "--format", "mp3"),
    ("separate", "mix.wav", "--name", "../mix"),
    ("separate", "mix.wav", "--out", "empty.wav"),
    ("separate", "mix.wav", "--out", "."),
    ("separate", "mix.wav", "--name", "session", "--out", "."),
    ("separate", "mix.wav", "good.wav", "--name", "x"),
    ("separate", "mix.wav", "folder/mix.wav"),
    ("verify",),
    ("verify", "absent"),
    ("verify", "folder"),
    ("sepparate", "mix.wav"),
]


@pytest.fixture
def junk(mix, here, rng):
    """Fill the folder with everything that the mistakes name."""
    noise = rng.uniform(-0.5, 0.5, 8000)
    (here / "folder").mkdir()
    (here / "session").mkdir()
    (here / "mix").mkdir()
    (here / "mix" / "mine.txt").write_text("mine")
    soundfile.write(here / "folder/mix.wav", noise, 8000)
    soundfile.write(here / "good.wav", noise, 8000)
    for name, samples, rate in (("Flute", 8000, 8000), ("Short", 7999, 8000), ("Slow", 8000, 7000)):
        soundfile.write(here / f"session/{name}.wav", noise[:samples], rate)
    (here / "session/session.toml.bak").touch()
    (here / "empty.wav").touch()
    (here / "text.wav").write_text("no sound")
    (here / "session.toml").write_text("[[mikrophone]]")
    data = (here / "good.wav").read_bytes()
    (here / "short.wav").write_bytes(data[:9000])
    soundfile.write(here / "nan.wav", np.append(noise, np.nan), 8000, subtype="FLOAT")
    soundfile.write(here / "wide.wav", np.zeros((9, 33)), 8000)
    (here / "good.csv").write_text("0,220\n0.5,220\n")
    (here / "backwards.csv").write_text("0,220\n0.5,220\n0.4,220\n")
    (here / "late.csv").write_text("10,220\n20,220\n")


@pytest.mark.parametrize("command", MISTAKES, ids=" ".join)
def test_a_mistake_gives_one_line_and_exit_code_2_and_writes_nothing(partbook, junk, here, command):
    before = contents(here)
    code, out, err = partbook(*command)
    assert code == 2
    assert out == ""
    assert err.startswith("partbook: ") and err.count("\n") == 1 and err.endswith("\n")
    assert contents(here) == before
    assert not (here / "separated").exists()


def test_a_cancelled_run_exits_with_130_and_leaves_nothing(partbook, mix, here, monkeypatch):
    for error in (KeyboardInterrupt, Cancelled("cancelled")):

        def stop(folder, error=error):
            raise error

        monkeypatch.setattr("partbook.report.write_report", stop)
        code, out, err = partbook("separate", mix)
        assert (code, out, err) == (130, "", "partbook: cancelled\n")
        assert not (here / "separated").exists()


def test_bars_are_shown_on_a_terminal_only(mix, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert cli.main(["separate", "mix.wav"]) == 0
        assert ("write" in stream.getvalue()) == shown


def test_help_imports_nothing_heavy_and_names_every_verb():
    heavy = "{'torch', 'scipy', 'numpy', 'soundfile', 'soxr'}"
    code = f"import sys; from partbook.cli import main; main(sys.argv[1:]); print(*sorted({heavy} & set(sys.modules)))"
    for command, words in ((["--help"], "separate"), (["separate", "--help"], "--voices")):
        done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
        assert words in done.stdout
        assert done.stdout.splitlines()[-1] == ""


def test_the_module_and_the_script_are_the_same_command(mix, here):
    done = subprocess.run([sys.executable, "-m", "partbook", "separate", "absent.wav"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("partbook: expected a sound file") and not done.stdout
    assert subprocess.run([sys.executable, "-m", "partbook", "--version"], capture_output=True).returncode == 0


def test_the_demo_says_where_to_listen_and_how_near_it_came(partbook, monkeypatch):
    @dataclass(frozen=True)
    class Shown:
        title: str = "Chorale"
        recording: Path = Path("demo/recordings/chorale.flac")
        folder: Path = Path("demo/chorale")
        before_db: dict = field(default_factory=lambda: {"Alto": -5.0})
        after_db: dict = field(default_factory=lambda: {"Alto": 9.0})

    module = types.ModuleType("partbook.demo")
    module.run = lambda out, on_progress, options: (Shown(),)
    monkeypatch.setitem(sys.modules, "partbook.demo", module)
    code, out, _ = partbook("demo")
    assert code == 0 and "-5.0 dB in the recording, 9.0 dB alone" in out and "demo/chorale/report.html" in out
    code, out, _ = partbook("demo", "--json")
    assert code == 0 and json.loads(out)["results"][0]["report"] == "demo/chorale/report.html"
    assert partbook("demo", "--quiet") == (0, "", "")
