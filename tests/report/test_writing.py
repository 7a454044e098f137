"""The page is complete, self-contained, small and always the same."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile

from partbook.audio.recording import ArrayRecording
from partbook.errors import InputError
from partbook.report import PAGE_BYTES, write_report
from partbook.report.measure import measure
from partbook.report.players import players
from partbook.report.result import read_result


class Page(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, str] = {}
        self._id = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._id = dict(attributes).get("id") if tag == "script" else None

    def handle_data(self, data):
        if self._id:
            self.text[self._id] = self.text.get(self._id, "") + data

    def payload(self) -> dict:
        return json.loads(self.text["result"])

    def line(self, i: int) -> tuple[np.ndarray, int]:
        return soundfile.read(io.BytesIO(base64.b64decode(self.text[f"line-{i}"])), always_2d=True)


def read(path) -> Page:
    return Page(path.read_text("utf-8"))


def test_page_refers_to_nothing_outside_but_the_files_beside_it(trio):
    text = write_report(trio).read_text("utf-8")
    page = Page(text)
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    policy = next(tag["content"] for name, tag in page.tags if name == "meta" and "http-equiv" in tag)
    assert policy.startswith("default-src 'none'")
    assert not any("src" in attributes for _, attributes in page.tags)
    links = [attributes["href"] for name, attributes in page.tags if name == "a"]
    assert len(links) == 4
    assert all((trio / unquote(link)).is_file() for link in links)


def test_markup_in_a_name_stays_text(trio):
    page = read(write_report(trio))
    known = {"html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "div", "p", "h1"}
    known |= {"h2", "button", "svg", "path", "output", "span", "canvas", "i", "ul", "li", "input", "dl", "dt", "dd"}
    known |= {"table", "thead", "tbody", "tr", "th", "td", "a", "em", "code", "details", "summary", "kbd", "script"}
    assert {name for name, _ in page.tags} <= known | {"select", "option", "small"}
    assert page.payload()["sources"][2]["name"] == "Bass</script><b>"


def test_players_hold_every_part_and_the_residual_in_time(trio):
    page = read(write_report(trio))
    result = read_result(trio)
    lines = [line for bank in page.payload()["banks"] for line in bank["lines"]]
    assert [line["source"] for line in lines] == ["soprano", "alto", "bass", "residual"]
    stems = [file.read(0, result.length)[0] for file in result.files]
    heard = [page.line(i)[0][:, 0] for i in range(4)]
    gain = np.abs(heard[0]).max() / np.abs(stems[0]).max()
    for stem, line in zip(stems, heard, strict=True):
        assert np.allclose(line, gain * stem, atol=2e-4)


def test_sum_of_the_players_is_within_full_scale(trio, session):
    for folder in (trio, session):
        page = read(write_report(folder))
        lines = page.payload()["banks"][0]["lines"]
        total = sum(page.line(i)[0] for i in range(len(lines)))
        assert 0.7 < np.abs(total).max() <= 1


def test_f0_of_the_page_is_that_of_the_files(trio):
    source = read(write_report(trio)).payload()["sources"][0]
    cents = np.frombuffer(base64.b64decode(source["f0"]["cents"]), "<u2")
    assert np.allclose(10 * 2 ** (cents[10:-10] / 1200), 440, rtol=1e-3)
    assert len(cents) * source["f0"]["step_s"] == pytest.approx(4, abs=0.01)


def test_same_result_gives_the_same_page(trio):
    assert write_report(trio).read_bytes() == write_report(trio).read_bytes()


@pytest.mark.parametrize(("channels", "voices"), [(1, 2), (2, 3), (32, 4)])
def test_any_page_stays_below_its_limit_by_playing_an_excerpt_if_need_be(tmp_path, written, channels, voices):
    # What the sound of the page may take is made small here instead of the recording long.
    rng = np.random.default_rng(channels)
    images = {f"voice{n}": 0.05 * rng.standard_normal((channels, 60_000)).astype(np.float32) for n in range(voices)}
    result = read_result(written(tmp_path, "noise", images, 8000))
    levels, _ = measure(result, 200)
    sizes = [5_000_000, 600_000, 250_000, 100_000, 40_000, 12_000, 1_700 * (voices + 1)]
    made = [players(result, levels, size) for size in sizes]
    assert all(sum(map(len, one.data)) <= size for one, size in zip(made, sizes, strict=True))
    assert (made[0].start, made[0].stop) == (0, result.length)
    assert made[-1].stop - made[-1].start < result.length
    assert all(0 <= one.start < one.stop <= result.length for one in made)


def test_excerpt_is_where_the_voices_sound(tmp_path, written, tone):
    rate = 8000
    silent = np.zeros((1, 4 * rate), np.float32)
    images = {id: np.hstack([silent, tone(hz, 2, rate)[None], silent]) for id, hz in (("high", 400), ("low", 150))}
    result = read_result(written(tmp_path, "pause", images, rate))
    made = players(result, measure(result, 200)[0], 20_000)
    middle = (made.start + made.stop) / 2 / rate
    assert 3.5 < middle < 6.5


def test_longest_page_is_below_20_megabytes(tmp_path, written):
    rng = np.random.default_rng(0)
    images = {f"v{n}": 0.05 * rng.standard_normal((1, 30 * 44_100)).astype(np.float32) for n in range(6)}
    folder = written(tmp_path, "noise", images, 44_100)
    assert PAGE_BYTES / 4 < write_report(folder).stat().st_size <= PAGE_BYTES


def test_configuration_as_long_as_a_book_is_cut(trio, tmp_path):
    wordy = shutil.copytree(trio, tmp_path / "wordy")
    manifest = json.loads((wordy / "manifest.json").read_text())
    manifest["config"]["book"] = "word " * 100_000
    (wordy / "manifest.json").write_text(json.dumps(manifest))
    assert write_report(wordy).stat().st_size < write_report(trio).stat().st_size + 2000


@pytest.mark.parametrize(("rate", "samples"), [(1000, 1), (1000, 700), (8000, 3), (192_000, 50_001), (44_100, 44_099)])
@pytest.mark.parametrize("level", [0.0, 0.3])
def test_any_rate_and_length_has_a_page(tmp_path, written, rate, samples, level):
    images = {"a": np.full((1, samples), level, np.float32), "b": np.zeros((1, samples), np.float32)}
    page = read(write_report(written(tmp_path, "odd", images, rate)))
    assert page.payload()["seconds"] == pytest.approx(samples / rate)
    assert len(page.line(0)[0]) >= 1


def test_silent_session_has_a_page_without_numbers_that_are_none(tmp_path, written, session):
    microphones = read_result(session).microphones
    silence = np.zeros((len(microphones), 5000), np.float32)
    recording = ArrayRecording("silence", 8000, 5000, microphones, silence)
    folder = written(tmp_path, "silence", {"flute": silence, "cello": silence}, 8000, recording=recording)
    text = write_report(folder).read_text("utf-8")
    assert "nan" not in re.sub(r"<script.*?</script>", "", text, flags=re.S).lower()


def test_folder_that_is_no_result_is_refused_with_a_hint(tmp_path, trio):
    with pytest.raises(InputError, match=r"expected a folder with a manifest.json, got '.*'; try"):
        write_report(tmp_path)
    broken = shutil.copytree(trio, tmp_path / "broken")
    next(broken.glob("*_alto.flac")).unlink()
    with pytest.raises(InputError, match="alto"):
        write_report(broken)


def test_excerpt_of_a_recording_keeps_its_f0_in_place(trio, tmp_path):
    shifted = shutil.copytree(trio, tmp_path / "shifted")
    manifest = json.loads((shifted / "manifest.json").read_text())
    manifest["input"]["start"] = 5 * 16_000
    (shifted / "manifest.json").write_text(json.dumps(manifest))
    for path in (shifted / "f0").iterdir():
        path.write_text("# start_s 5.0\n" + path.read_text())
    here, there = (read_result(folder).f0["alto"] for folder in (trio, shifted))
    assert np.allclose(here.times_s, there.times_s) and np.allclose(here.f0_hz, there.f0_hz)


def test_no_control_without_a_name(session):
    page = read(write_report(session))
    text = re.sub(r"<script.*?</script>", "", (session / "report.html").read_text("utf-8"), flags=re.S)
    for name, attributes in page.tags:
        if name in ("input", "canvas", "select"):
            assert attributes.get("aria-label"), attributes
    assert not re.search(r"<button[^>]*></button>", text)
