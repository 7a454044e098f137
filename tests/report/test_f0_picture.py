"""The picture of F0 shows every voice where it sings, and asks nobody for anything."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from partbook.audio import excerpt, recording_from_array
from partbook.ensemble import parse_voices
from partbook.pitch import Track, Tracks
from partbook.report.f0 import f0_picture, write_f0_picture

SVG = "{http://www.w3.org/2000/svg}"
RATE = 8000


def voice(hz, seconds, start_s=0.0, sure=0.9):
    times_s = start_s + np.arange(0, seconds, 0.008)
    return Track(times_s, np.broadcast_to(hz, len(times_s)).astype(float), np.broadcast_to(sure, len(times_s)))


def recording(seconds, channels=2):
    times_s = np.arange(int(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * k * hz * times_s) / k for hz in (440, 220) for k in range(1, 6))
    return recording_from_array(0.1 * np.stack([chord] * channels), RATE, 'Trio <b> &"絆')


def lines(svg):
    """Return the points of every line of every voice, and its class."""
    root = ElementTree.fromstring(svg)
    found = [line for line in root.iter(f"{SVG}polyline") if line.get("class") != "halo"]
    return [(line.get("class"), np.array([p.split(",") for p in line.get("points").split()], float)) for line in found]


def test_an_octave_and_a_second_have_the_same_size_wherever_they_are():
    tracks = Tracks(parse_voices("SAT"), (voice(880, 2), voice(440, 2), voice(220, 2)))
    (_, high), (_, middle), (_, low) = lines(f0_picture(recording(2), tracks))
    assert low[0, 1] - middle[0, 1] == pytest.approx(middle[0, 1] - high[0, 1], abs=0.2)
    assert np.ptp(np.diff(high[:, 0])) < 0.21 and np.ptp(high[:, 1]) == 0


def test_rests_part_a_line_and_doubt_makes_it_faint():
    hz = np.where(np.abs(np.arange(250) - 100) < 10, 0.0, 440.0)
    sure = np.where(np.arange(250) > 200, 0.2, 0.9)
    drawn = lines(f0_picture(recording(2), Tracks(parse_voices("SA"), (voice(hz, 2, 0, sure), voice(220, 2)))))
    assert [kind for kind, _ in drawn] == ["track", "track", "track faint", "track"]


def test_a_stretch_begins_at_the_left_and_tells_the_times_of_the_recording():
    whole = recording(8)
    tracks = Tracks(parse_voices("SA"), (voice(440, 2, 5.0), voice(220, 2, 5.0)))
    svg = f0_picture(excerpt(whole, 5, 7), tracks)
    clip = next(ElementTree.fromstring(svg).iter(f"{SVG}clipPath"))[0]
    left, width = float(clip.get("x")), float(clip.get("width"))
    _, points = lines(svg)[0]
    assert points[0, 0] == pytest.approx(left, abs=0.2) and points[-1, 0] == pytest.approx(left + width, rel=0.01)
    assert "0:06.0" in svg and "0:04.0" not in svg


def test_names_are_quoted_and_silent_voices_are_named_so(tmp_path):
    tracks = Tracks(parse_voices("Ann & Bo,Cy"), (voice(440, 1), voice(0, 1)))
    write_f0_picture(tmp_path / "f0.svg", recording(1), tracks)
    text = " ".join(ElementTree.parse(tmp_path / "f0.svg").getroot().itertext())
    assert "Ann & Bo" in text and "Cy (not heard)" in text and 'Trio <b> &"絆' in text


@pytest.mark.parametrize("samples", [1, 100, RATE])
def test_silence_and_single_samples_can_be_drawn(samples):
    tracks = Tracks(parse_voices("SA"), (voice(0, 0.008), voice(0, 0.008)))
    assert lines(f0_picture(recording_from_array(np.zeros(samples), RATE), tracks)) == []


def test_a_long_recording_is_read_in_pieces_and_drawn_in_bounds(monkeypatch):
    long = recording(60, 1)
    sizes = []
    read = type(long).read
    monkeypatch.setattr(type(long), "read", lambda self, a, b: sizes.append(b - a) or read(self, a, b))
    svg = f0_picture(long, Tracks(parse_voices("SA"), (voice(440, 60), voice(220, 60))))
    assert max(sizes) < 20 * RATE and sum(sizes) == long.length
    assert float(re.search(r'width="(\d+)"', svg)[1]) < 4200
