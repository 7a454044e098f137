import numpy as np
import pytest
import torch

from partbook.engine.plays import playing, read_plays
from partbook.errors import OptionError, TrackError


def test_lines_say_who_plays_when(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("player,start,end\n# the flute rests at first\nFlute,12.5,30\ncello,0,4\nFlute,2,3\n")
    assert read_plays(path, ["flute", "cello", "oboe"]) == {"flute": [(2.0, 3.0), (12.5, 30.0)], "cello": [(0.0, 4.0)]}


@pytest.mark.parametrize(
    "line, error",
    [("Flute,3", TrackError), ("Flute,4,3", TrackError), ("Tuba,1,2", OptionError), ("Flute,1,x", TrackError)],
)
def test_a_wrong_line_is_the_users_mistake(tmp_path, line, error):
    path = tmp_path / "plays.csv"
    path.write_text(f"Flute,0,1\n{line}\n")
    with pytest.raises(error, match="expected"):
        read_plays(path, ["flute"])


def test_notes_of_a_midi_track_say_when_its_player_plays(tmp_path):
    mido = pytest.importorskip("mido")
    file = mido.MidiFile(ticks_per_beat=100)
    head = file.add_track()
    head.append(mido.MetaMessage("set_tempo", tempo=1_000_000))
    head.append(mido.MetaMessage("set_tempo", tempo=500_000, time=200))
    flute = file.add_track("Flute")
    flute += [mido.Message("note_on", note=70, velocity=64, time=100), mido.Message("note_off", note=70, time=200)]
    file.save(tmp_path / "score.mid")
    assert read_plays(tmp_path / "score.mid", ["flute", "cello"]) == {"flute": [(1.0, 2.5)]}


def test_players_that_are_not_told_of_may_always_play():
    times_s = torch.arange(10.0)
    may_NT = playing([[(2.0, 3.0), (7.0, 7.0)], None, [(0.0, 1.0)]], times_s, 0.5, 1.0)
    assert may_NT[0].tolist() == [0, 0, 1, 1, 1, 0, 0, 1, 1, 0]
    assert may_NT[1].all() and np.count_nonzero(may_NT[2]) == 3
