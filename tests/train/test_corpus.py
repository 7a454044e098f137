"""Recordings to learn from: what is found, what is left out and said, and how excerpts are sped."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from partbook.audio import recording_from_array
from partbook.errors import InputError
from partbook.train.corpus import Told, heard_excerpt, open_corpus
from partbook.train.mixtures import UNHEARD, sped
from partbook.train.teacher import learned, lesson


@pytest.fixture
def folder(tmp_path):
    """Return a folder with two recordings, one of them deeper, and files that are none."""
    (tmp_path / "deeper").mkdir()
    for name in ("b.wav", "deeper/a.flac"):
        soundfile.write(tmp_path / name, np.zeros(8000), 8000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF but nothing else")
    (tmp_path / "empty.flac").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not sound")
    return tmp_path


def test_files_that_cannot_be_read_are_left_out_counted_and_named(folder):
    told = []
    corpus = open_corpus([folder], lambda event: told.append(event.message))
    assert sorted(recording.name for recording in corpus.recordings) == ["a", "b"]
    assert sorted(name.rsplit("/")[-1] for name in corpus.skipped) == ["broken.wav", "empty.flac"]
    said = [message for message in told if message]
    assert len(said) == 3 and "broken.wav" in said[0] and said[-1] == "2 of 4 files left out"
    assert corpus.described()["recordings"] == {"a": [8000, 8000], "b": [8000, 8000]}


def test_a_file_that_is_named_twice_is_heard_once(folder):
    assert len(open_corpus([folder / "b.wav", folder / "b.wav"]).recordings) == 1


@pytest.mark.parametrize("name", ["none", "notes.txt", "broken.wav", "void"])
def test_a_corpus_that_is_missing_or_has_no_recordings_is_refused(folder, name):
    (folder / "void").mkdir()
    with pytest.raises(InputError, match=rf"recordings.*{name}.*try --corpus FOLDER"):
        open_corpus([folder / name])


def sine(hz, seconds=2.0, rate=22_050):
    return recording_from_array(np.stack([np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)] * 2), rate)


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.25])
def test_a_faster_excerpt_is_higher_by_as_much(ratio):
    heard = heard_excerpt(sine(440), 0.3, 1.0, 16_000, ratio)
    assert heard.shape == (16_000,) and heard.dtype == np.float32
    assert np.abs(np.fft.rfft(heard)).argmax() == round(440 * ratio)


def test_an_excerpt_beyond_the_end_is_silent():
    heard = heard_excerpt(sine(440, 1.0), 0.5, 1.0, 16_000)
    assert np.abs(heard[:7900]).max() > 0.9 and np.abs(heard[8100:]).max() == 0


def told(frames=200, rows=60):
    heard = np.full((rows, frames), -3.0, np.float32)
    heard[20] = 2.0
    return Told(np.full((1, frames), 200.0), np.linspace(0, 1, frames)[None], heard)


@pytest.mark.parametrize(("ratio", "row"), [(1.0, 20), (2 ** (1 / 12), 25), (2 ** (-1 / 12), 15)])
def test_what_is_told_is_sped_as_the_sound_is(ratio, row):
    f0_NT, confidence_NT, heard_GT = sped(told(), 10, 50, ratio, 60)
    assert torch.allclose(f0_NT, torch.tensor(200.0 * ratio)) and heard_GT.shape == (60, 50)
    assert (heard_GT.argmax(0) == row).all()
    assert confidence_NT[0, 40] == pytest.approx((10 + 40 * ratio) / 199, abs=0.005)


def test_nobody_sings_beyond_the_end_of_what_is_told():
    f0_NT, _, heard_GT = sped(told(), 180, 50, 1.0, 60)
    assert (f0_NT[0, :20] > 0).all() and (f0_NT[0, 20:] == 0).all() and (heard_GT[:, 20:] == UNHEARD).all()


def test_a_lesson_wants_the_paths_by_their_confidence_and_doubts_the_rest():
    rows = torch.tensor([[[30.0, 30.0], [-1e3, 10.0]]])
    confidence = torch.tensor([[[0.9, 0.4], [0.1, 1.0]]])
    heard = torch.full((1, 60, 2), -20.0)
    heard[0, 50], heard[0, 32] = 3.0, 3.0
    wanted, weight = lesson(rows, confidence, heard)
    assert wanted[0, 30].tolist() == [1, 1] and weight[0, 30].tolist() == pytest.approx([0.9, 0.4])
    assert wanted[0, 10].tolist() == pytest.approx([0, 1], abs=1e-3) and weight[0, 10].tolist() == [1, 1]
    assert 0.4 < wanted[0, 50, 0] < 0.5, "somebody may be there whom the decoder did not want"
    assert wanted[0, 34, 0] < 1e-3, "beside a path there is nobody else"
    right, wrong = (learned(sign * (wanted - 0.5) * 8, wanted, weight) for sign in (1, -1))
    assert right < wrong
