"""The demo makes its recordings, separates them and tells the truth about the parts."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from shares import split

from partbook import demo
from partbook.audio.writing import FULL_SCALE_24
from partbook.data.render import choir, session
from partbook.data.scores import bundled_score
from partbook.errors import Cancelled
from partbook.separate import open_input
from partbook.stems import verify, write


def split_into(out, source, *, voices="", main=(), spots=(), options, **how):
    """Write fixed shares of a recording in the place of its parts."""
    names = voices.split(",") if voices else spots
    return write(split(open_input(source, main=main, spots=spots), names, block=1 << 17), out, **how)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The demo without engines: every part is a share of the recording."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "separate_into", split_into)
        yield demo.run(tmp_path_factory.mktemp("demo") / "out")


def test_demo_of_singers_and_players_lies_in_folders_with_reports(shown):
    singers, players = shown
    assert list(singers.after_db) == ["Soprano", "Alto", "Tenor", "Bass"]
    assert list(players.after_db) == ["Violin", "Clarinet", "Cello"]
    assert singers.folder.parent == players.folder.parent
    for each in shown:
        assert (each.folder / "report.html").stat().st_size > 100_000
        assert all(check.passed for check in verify(each.folder))


def test_recordings_are_the_sums_of_their_parts(shown):
    singers, players = shown
    heard = soundfile.read(singers.recording, always_2d=True)[0].T
    truth = choir(bundled_score("jesu"), demo.SAMPLE_RATE).parts.sum(0)
    assert np.abs(heard - truth).max() < 1 / FULL_SCALE_24
    stage = session(bundled_score("grave"), demo.SAMPLE_RATE)
    for mic, expected in zip(stage.microphones, stage.parts.sum(0), strict=True):
        assert np.abs(soundfile.read(players.recording / mic.file)[0] - expected).max() < 1 / FULL_SCALE_24


def test_part_that_is_the_recording_as_it_is_scores_as_the_recording(shown):
    for each in shown:
        for name, before_db in each.before_db.items():
            assert each.after_db[name] == pytest.approx(before_db, abs=0.01)


def test_cancelled_demo_leaves_no_result(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "separate_into", split_into)
    with pytest.raises(Cancelled):
        demo.run(tmp_path, lambda event: False)
    assert [path.name for path in tmp_path.iterdir()] == ["recordings"]
