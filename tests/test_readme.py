"""What the README and the page on F0 promise is true of the program."""

import re
import shlex
from pathlib import Path

import numpy as np
import soundfile
from shares import steady

from partbook import cli
from partbook.pitch.tracks import Track, write_f0

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
ON_F0 = (REPOSITORY / "docs/f0.md").read_text(encoding="utf-8")


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def recordings(folder, rng):
    """Make every input that the README names."""
    for path, channels in (("quartet", 2), ("mix", 1), ("one", 1), ("two", 1), ("three", 1), ("multitrack", 4),
                           ("My concert/Violin1", 1), ("My concert/Cello", 1), ("My concert/Left", 1),
                           ("My concert/Right", 1), ("violin 1", 1)):  # fmt: skip
        path = folder / f"{path}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, rng.uniform(-0.5, 0.5, (400_000, channels)), 10_000)
    (folder / "session.toml").write_text(blocks("toml")[0])
    f0 = folder / "separated/mix/f0"
    f0.mkdir(parents=True)
    (f0.parent / "manifest.json").touch()
    for name, f0_hz in (("soprano", 440.0), ("alto", 330.0)):
        write_f0(f0 / f"{name}.csv", Track(np.arange(9) * 0.005, np.full(9, f0_hz), np.ones(9)))


def run_all(text, folder):
    """Run every command of a page in the working folder; return how many there are."""
    commands = [line for block in blocks("sh", text) for line in block.splitlines() if line.startswith("partbook ")]
    for command in commands:
        tokens = shlex.split(command, comments=True)[1:]
        expanded = [str(path) for token in tokens for path in (sorted(folder.glob(token)) if "*" in token else [token])]
        assert cli.main([*expanded]) == 0, command
    return len(commands)


def test_every_command_of_the_readme_works(tmp_path, rng, engines, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("partbook.report.write_report", lambda folder: None)
    recordings(tmp_path, rng)
    engines["sung"] = steady
    assert run_all(README, tmp_path) >= 13
    assert sorted(path.name for path in (tmp_path / "separated").iterdir()) == sorted(
        ["mix", "quartet", "one", "two", "three", "My concert", "multitrack", tmp_path.name]
    )


def test_the_python_of_the_readme_runs(tmp_path, rng, engines, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recordings(tmp_path, rng)
    for name in ("soprano", "alto", "tenor", "bass"):
        write_f0(tmp_path / f"{name}.csv", Track(np.arange(9) * 0.005, np.full(9, 220.0), np.ones(9)))
    f0 = [tmp_path / f"{name}.csv" for name in ("soprano", "alto", "tenor", "bass")]
    # The engine behind the test invents no F0; it hands back what it was given.
    code = blocks("python")[0].replace('"quartet.wav", voices="SATB"', '"quartet.wav", voices="SATB", f0=f0')
    exec(compile(code, "README.md", "exec"), {"f0": f0})
    assert (tmp_path / "separated/quartet/quartet_alto.flac").is_file()


def test_the_commands_that_set_themselves_up_exist():
    for script in re.findall(r"sh (scripts/\w+\.sh)", README):
        assert (REPOSITORY / script).is_file()
    test_command = next(line for line in blocks("sh")[0].splitlines() if "test" in line).split("#")[0].strip()
    assert test_command in (REPOSITORY / ".ci/run").read_text()


def test_every_command_of_the_page_on_f0_works(tmp_path, rng, engines, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("partbook.report.write_report", lambda folder: None)
    recordings(tmp_path, rng)
    engines["sung"] = steady
    assert run_all(ON_F0, tmp_path) >= 8
    table = re.findall(r"^\| (`.*?) \|", ON_F0, re.MULTILINE)
    promised = {name for cell in table for name in re.findall(r"`(.*?)`", cell)}
    written = {str(path.relative_to("tracked/quartet")) for path in Path("tracked/quartet").rglob("*.*")}
    assert len(promised) == 7 and promised <= written


def test_the_python_of_the_page_on_f0_runs(tmp_path, engines, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engines["sung"] = steady
    times_s = np.arange(16_000) / 16_000
    chord = sum(np.sin(2 * np.pi * k * hz * times_s) / k for hz in (523, 330, 262, 131) for k in range(1, 8))
    soundfile.write("quartet.wav", 0.1 * chord, 16_000)
    scope = {}
    exec(compile(blocks("python", ON_F0)[0], "f0.md", "exec"), scope)
    assert list(scope["tracks"]) == list(scope["heard"]) == ["soprano", "alto", "tenor", "bass"]
    assert abs(scope["heard"]["bass"].median_hz - 131) < 2
    assert sorted(path.suffix for path in (tmp_path / "tracked/quartet").rglob("*.*")).count(".csv") == 4
