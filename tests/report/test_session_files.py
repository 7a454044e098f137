"""What a session leaves beside its stems: a Reaper project, and how every player reaches every microphone."""

import csv
import re
import shutil

import numpy as np
import pytest
import scipy.signal

from partbook.audio import Microphone
from partbook.audio.recording import ArrayRecording
from partbook.report import write_project, write_report
from partbook.report.bleed import arrival
from partbook.report.result import read_result


@pytest.fixture
def folder(session, tmp_path):
    return shutil.copytree(session, tmp_path / "hall")


def lines(folder):
    write_report(folder)
    with (folder / "bleed.csv").open(encoding="utf-8") as file:
        return {(row["player"], row["microphone"]): row for row in csv.DictReader(file)}


def test_the_project_has_every_player_at_every_microphone(folder):
    text = write_project(folder).read_text("utf-8")
    result = read_result(folder)
    names = re.findall(r'<TRACK\n    NAME "(.*)"', text)
    at = [f"{source.name} at {mic.name}" for source in result.sources for mic in result.microphones]
    assert [name for name in names if " at " in name] == at
    assert [name for name in names if " at " not in name] == [source.name for source in result.sources]
    files = re.findall(r'FILE "(.*)"', text)
    assert len(files) == len(at) and all((folder / file).is_file() for file in files)
    assert re.findall(r"CHANMODE (\d+)", text)[:4] == ["3", "4", "5", "6"]


def test_chunks_and_folders_of_the_project_are_closed(folder):
    text = write_project(folder).read_text("utf-8")
    assert len(re.findall(r"^ *<", text, re.MULTILINE)) == len(re.findall(r"^ *>$", text, re.MULTILINE))
    assert sum(int(depth) for depth in re.findall(r"ISBUS \d (-?\d)", text)) == 0


def test_players_have_colours_of_their_own(folder):
    colours = re.findall(r"PEAKCOL (\d+)", write_project(folder).read_text("utf-8"))
    assert len(set(colours)) == 3


def test_voices_have_no_project(trio, tmp_path):
    assert write_project(shutil.copytree(trio, tmp_path / "trio")) is None


def test_levels_of_images_are_told_relative_to_the_own_spot(folder):
    table = lines(folder)
    assert float(table["Flute", "Flute"]["level_db"]) == 0
    assert float(table["Flute", "Left"]["level_db"]) == pytest.approx(20 * np.log10(0.3), abs=0.1)
    assert float(table["Cello", "Right"]["db_125"]) == pytest.approx(20 * np.log10(0.3), abs=0.2)
    assert table["Cello", "Flute"]["before_db"] and not table["Cello", "Left"]["before_db"]


@pytest.mark.parametrize("polarity", [1.0, -1.0])
def test_delay_and_polarity_of_every_path_are_found(written, tmp_path, polarity):
    rng, rate = np.random.default_rng(0), 8000
    dry = scipy.signal.lfilter([1], [1, -0.7], rng.standard_normal((2, 2 * rate)))
    far = polarity * 0.5 * np.roll(dry, 40, -1) + 0.1 * np.roll(dry, 133, -1)
    images = {"a": np.stack([far[0], dry[0], 0.1 * far[0]]), "b": np.stack([far[1], 0.1 * far[1], dry[1]])}
    images = {id: (0.02 * image).astype(np.float32) for id, image in images.items()}
    microphones = (Microphone("Main", "", 1, "main"), Microphone("A", "", 2, "spot", "a"),
                   Microphone("B", "", 3, "spot", "b"))  # fmt: skip
    mixture = sum(images.values())
    recording = ArrayRecording("pair", rate, mixture.shape[1], microphones, mixture)
    table = lines(written(tmp_path, "pair", images, rate, recording=recording))
    for player in "AB":
        row = table[player, "Main"]
        assert float(row["delay_ms"]) == pytest.approx(5.0, abs=0.1)
        assert float(row["polarity"]) == polarity
        assert float(row["confidence"]) > 0.5
        assert float(table[player, player]["delay_ms"]) == 0


def test_what_has_no_peak_is_told_without_confidence():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(2001) + 1j * rng.standard_normal(2001)
    assert arrival(noise, np.ones(2001), 8000)[2] < 0.3
    assert np.isnan(arrival(np.zeros(2001, complex), np.ones(2001), 8000)).all()


def test_the_page_draws_the_bleed_before_and_after(folder):
    text = write_report(folder).read_text("utf-8")
    assert text.count("<rect") == 8 and "in the recording" in text and "in the parts" in text
