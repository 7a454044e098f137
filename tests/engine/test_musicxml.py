import zipfile

import pytest

from partbook.engine.plays import read_plays
from partbook.errors import OptionError, TrackError

NOTE, REST = "<note><pitch/><duration>{}</duration></note>", "<note><rest/><duration>{}</duration></note>"
TEMPO = '<direction><sound tempo="{}"/></direction>'


def score(*parts):
    """Return a score of parts, each a name and its measures."""
    listed = "".join(
        f'<score-part id="P{n}"><part-name>{name}</part-name></score-part>' for n, (name, *_) in enumerate(parts)
    )
    body = "".join(
        f'<part id="P{n}">'
        + "".join(f'<measure number="{k + 1}">{m}</measure>' for k, m in enumerate(measures))
        + "</part>"
        for n, (_, *measures) in enumerate(parts)
    )
    return f'<?xml version="1.0"?><score-partwise><part-list>{listed}</part-list>{body}</score-partwise>'


DIVISIONS = "<attributes><divisions>{}</divisions></attributes>"
DUET = score(
    ("Flute", DIVISIONS.format(2) + TEMPO.format(60) + REST.format(4) + NOTE.format(4), REST.format(8), NOTE.format(8)),
    (
        "Cello",
        DIVISIONS.format(1) + NOTE.format(4),
        TEMPO.format(120) + NOTE.format(2) + REST.format(2),
        REST.format(4),
    ),
)
PLAYED = {"flute": [(2.0, 4.0), (6.0, 8.0)], "cello": [(0.0, 5.0)]}


def read(text, tmp_path, name="score.musicxml"):
    (tmp_path / name).write_text(text)
    return read_plays(tmp_path / name, ["flute", "cello"])


def test_notes_of_a_part_say_when_its_player_plays(tmp_path):
    """Two measures at 60 and 120 quarters a minute, the parts in units of their own."""
    assert read(DUET, tmp_path) == PLAYED


def test_a_compressed_score_says_the_same(tmp_path):
    with zipfile.ZipFile(tmp_path / "score.mxl", "w") as file:
        file.writestr(
            "META-INF/container.xml", '<container><rootfiles><rootfile full-path="a.xml"/></rootfiles></container>'
        )
        file.writestr("a.xml", DUET)
    assert read_plays(tmp_path / "score.mxl", ["flute", "cello"]) == PLAYED


def test_voices_chords_and_grace_notes_take_their_time(tmp_path):
    grace = "<note><grace/><pitch/></note>"
    chord = "<note><chord/><pitch/><duration>1</duration></note>"
    back = "<backup><duration>4</duration></backup><forward><duration>3</duration></forward>"
    measure = DIVISIONS.format(1) + grace + NOTE.format(1) + chord + REST.format(3) + back + NOTE.format(1)
    assert read(score(("Flute", measure)), tmp_path) == {"flute": [(0.0, 0.5), (1.5, 2.0)]}


def test_a_metronome_mark_is_a_tempo(tmp_path):
    mark = "<beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>40</per-minute>"
    direction = f"<direction><direction-type><metronome>{mark}</metronome></direction-type></direction>"
    assert read(score(("Flute", direction + NOTE.format(3))), tmp_path) == {"flute": [(0.0, 3.0)]}


@pytest.mark.parametrize(
    "text, error, words",
    [
        (score(("Flute", '<barline><repeat direction="backward"/></barline>')), TrackError, "a repeat in measure 1"),
        (score(("Flute", NOTE.format(1), '<sound dacapo="yes"/>')), TrackError, "dacapo in measure 2"),
        (score(("Flute", NOTE.format("x"))), TrackError, "durations"),
        (score(("Tuba", NOTE.format(1))), OptionError, "players of the session"),
        ("<score-timewise/>", TrackError, "part by part"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><score-partwise/>', TrackError, "without entities"),
        ("no score", TrackError, "a MusicXML score"),
    ],
)
def test_what_is_no_straight_score_is_the_users_mistake(tmp_path, text, error, words):
    with pytest.raises(error, match=words) as caught:
        read(text, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_compressed_file_without_a_score_is_the_users_mistake(tmp_path):
    with zipfile.ZipFile(tmp_path / "score.mxl", "w") as file:
        file.writestr("a.xml", DUET)
    with pytest.raises(TrackError, match="a MusicXML score"):
        read_plays(tmp_path / "score.mxl", ["flute"])
