"""The page in a real browser: it plays, switches, seeks, loops and draws, and asks nobody for anything."""

from __future__ import annotations

import shutil
from itertools import pairwise

import numpy as np
import pytest

from partbook.audio import recording_from_array
from partbook.ensemble import parse_voices
from partbook.pitch import Track, Tracks
from partbook.report import write_f0_picture, write_report

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

LOUDNESS = """
const samples = new Float32Array(partbook.engine.analyser.fftSize);
partbook.engine.analyser.getFloatTimeDomainData(samples);
return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
"""
RECORD_STARTS = """
window.starts = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, offset) {
  window.starts.push([when, offset]);
  return start.call(this, when, offset);
};
"""
COUNT_COLOUR = """
const [id, name, hz] = arguments;
const canvas = document.getElementById(id);
const scale = canvas.height / canvas.clientHeight;
const wanted = colourOf(name).slice(1).match(/../g).map((pair) => parseInt(pair, 16));
const y = Math.round(partbook.score.y(hz, canvas.clientHeight) * scale);
const pixels = canvas.getContext("2d").getImageData(0, y - 3, canvas.width, 7).data;
let count = 0;
for (let i = 0; i < pixels.length; i += 4)
  if (wanted.every((value, c) => Math.abs(pixels[i + c] - value) < 24)) count++;
return count / canvas.width;
"""
PIXELS = """
const [shot, x, done] = arguments;
const bytes = Uint8Array.from(atob(shot), (letter) => letter.charCodeAt(0));
createImageBitmap(new Blob([bytes], {type: "image/png"})).then((image) => {
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  done([...context.getImageData(x, 0, 1, image.height).data]);
}, (problem) => done(String(problem)));
"""


@pytest.fixture(scope="module")
def browser():
    """A browser without a window; skips with the reason if there is none."""
    binary = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} with chromedriver was found")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    try:
        opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    except WebDriverException as error:
        pytest.skip(f"no browser: {error.msg.splitlines()[0]}")
    yield opened
    opened.quit()


@pytest.fixture
def page(browser, trio):
    """The report of three voices, freshly loaded from its file; afterwards nothing must have gone wrong in it."""
    yield from visited(browser, trio)


@pytest.fixture
def session_page(browser, session):
    yield from visited(browser, session)


def visited(browser, folder):
    browser.get(write_report(folder).as_uri())
    until(browser, "return Boolean(partbook.score.pictures.recording)")
    yield browser
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def until(browser, script, *arguments):
    """Wait until a script returns something true, and return it."""
    return WebDriverWait(browser, 20, 0.02).until(lambda one: one.execute_script(script, *arguments))


def click(browser, selector):
    browser.find_element(By.CSS_SELECTOR, selector).click()


def press(browser, keys):
    browser.find_element(By.TAG_NAME, "body").send_keys(keys)


def play(browser):
    click(browser, "#play")
    until(browser, "return partbook.engine.playing && partbook.engine.position > 0.1")


def loudness(browser, low, high):
    """Wait until the output has a loudness between two bounds."""
    return until(browser, f"const rms = (() => {{{LOUDNESS}}})(); return rms > {low} && rms < {high} && rms;")


def test_play_moves_the_clock_and_the_position(page):
    play(page)
    script = "return [partbook.engine.context.currentTime, partbook.engine.position, position.textContent]"
    first = page.execute_script(script)
    until(page, f"return partbook.engine.position > {first[1] + 0.15}")
    second = page.execute_script(script)
    assert second[0] > first[0]
    assert second[1] - first[1] == pytest.approx(second[0] - first[0], abs=0.05)
    assert second[2] != first[2]
    click(page, "#play")
    assert page.execute_script("return partbook.engine.playing") is False


def test_all_parts_start_at_one_instant_and_solo_does_not_restart_them(page):
    page.execute_script(RECORD_STARTS)
    play(page)
    starts = page.execute_script("return window.starts")
    assert len(starts) == 4 and len({tuple(start) for start in starts}) == 1
    everything = loudness(page, 0.01, 1)
    click(page, "[data-source=bass] .solo")
    alone = loudness(page, 0.01, 0.8 * everything)
    click(page, "[data-source=bass] .mute")
    click(page, "[data-source=bass] .solo")
    loudness(page, alone / 2, 0.95 * everything)
    assert len(page.execute_script("return window.starts")) == 4
    gains = page.execute_script("return partbook.engine.wanted")
    assert gains == [1, 1, 0, 1]


def test_muting_everything_is_silence(page):
    play(page)
    loudness(page, 0.01, 1)
    for id in ("soprano", "alto", "bass", "residual"):
        click(page, f"[data-source={id}] .mute")
    loudness(page, -1, 1e-5)
    press(page, "0")
    loudness(page, 0.01, 1)


def test_recording_is_heard_whatever_is_soloed(page):
    play(page)
    everything = loudness(page, 0.01, 1)
    click(page, "[data-source=residual] .solo")
    loudness(page, -1, 0.1 * everything)
    click(page, "#recording")
    loudness(page, 0.5 * everything, 1)
    assert page.find_element(By.ID, "recording").get_attribute("aria-pressed") == "true"


def test_volume_changes_the_gain_of_one_part(page):
    slider = page.find_element(By.CSS_SELECTOR, "[data-source=alto] input")
    slider.send_keys(Keys.ARROW_LEFT * 6)
    gains = page.execute_script("return partbook.engine.wanted")
    assert gains == pytest.approx([1, 10 ** (-6 / 20), 1, 1])


def test_click_in_the_picture_seeks_while_playing_and_while_not(page):
    seek = """
    const score = document.getElementById("score"), box = score.getBoundingClientRect();
    const event = {clientX: box.left + arguments[0] * box.width, clientY: box.top + box.height / 2, pointerId: 1};
    score.setPointerCapture = () => {};
    score.dispatchEvent(new PointerEvent("pointerdown", event));
    score.dispatchEvent(new PointerEvent("pointerup", event));
    return partbook.engine.position;
    """
    assert page.execute_script(seek, 0.5) == pytest.approx(2, abs=0.02)
    assert page.find_element(By.ID, "position").text == "0:02.0"
    play(page)
    assert page.execute_script(seek, 0.25) == pytest.approx(1, abs=0.02)
    until(page, "return partbook.engine.playing && partbook.engine.position > 1.1 && partbook.engine.position < 3")


def test_keyboard_does_everything(page):
    press(page, Keys.ARROW_RIGHT)
    assert page.execute_script("return partbook.engine.position") == pytest.approx(1)
    press(page, Keys.END + Keys.ARROW_LEFT)
    assert page.execute_script("return partbook.engine.position") == pytest.approx(3)
    press(page, Keys.HOME + "2")
    assert page.execute_script("return partbook.engine.wanted") == [0, 1, 0, 0]
    press(page, "r")
    assert page.execute_script("return partbook.engine.wanted") == [1, 1, 1, 1]
    press(page, "r20")
    press(page, Keys.SPACE)
    until(page, "return partbook.engine.playing")
    press(page, Keys.SPACE)
    assert page.execute_script("return partbook.engine.playing") is False


def test_loop_stays_inside_its_marks(page):
    page.execute_script("partbook.engine.seek(1)")
    press(page, "[")
    page.execute_script("partbook.engine.seek(1.4)")
    press(page, "]")
    play(page)
    started = page.execute_script("return partbook.engine.context.currentTime")
    seen = []
    while page.execute_script("return partbook.engine.context.currentTime") < started + 1:
        seen.append(page.execute_script("return partbook.engine.position"))
    assert min(seen) >= 1 - 1e-6 and max(seen) < 1.4
    assert any(later < earlier for earlier, later in pairwise(seen))
    assert page.execute_script("return partbook.engine.nodes.every((node) => node.loop && node.loopEnd === 1.4)")


def test_end_stops_and_goes_back_to_the_start(page):
    page.execute_script("partbook.engine.seek(3.8)")
    click(page, "#play")
    until(page, "return partbook.engine.playing")
    until(page, "return !partbook.engine.playing && partbook.engine.position === 0")


def test_tracks_lie_at_their_frequencies_and_can_be_hidden(page):
    for name, hz in (("--c0", 440), ("--c1", 311.1), ("--c2", 110)):
        assert page.execute_script(COUNT_COLOUR, "score", name, hz) > 0.9
    click(page, ".legend [data-source=alto]")
    assert page.execute_script(COUNT_COLOUR, "score", "--c1", 311.1) < 0.05
    assert page.execute_script(COUNT_COLOUR, "score", "--c0", 440) > 0.9


def test_picture_follows_what_is_heard(page):
    assert page.execute_script("return partbook.score.shown") == "recording"
    click(page, "[data-source=soprano] .solo")
    assert page.execute_script("return partbook.score.shown") == "soprano"
    assert page.find_element(By.ID, "shown").text == "Soprano, alone"


def test_zoom_shows_less_time_around_the_position(page):
    page.execute_script("partbook.engine.seek(2)")
    press(page, "++")
    view = page.execute_script("return [partbook.view.from, partbook.view.span]")
    assert view[1] == pytest.approx(4 / 1.6**2)
    assert view[0] < 2 < view[0] + view[1]


def test_session_is_heard_at_the_main_microphones_or_at_the_spots_before_and_after(session_page):
    gains = """
    return partbook.engine.lines.filter((line, i) => partbook.engine.wanted[i])
      .map((line) => line.bank + line.kind + line.source)
    """
    assert session_page.execute_script(gains) == ["mainpartflute", "mainpartcello", "mainpartresidual"]
    session_page.execute_script("bank.value = 'spots'; bank.dispatchEvent(new Event('change'))")
    assert session_page.execute_script(gains) == ["spotspartflute", "spotspartcello"]
    click(session_page, "[data-source=cello] .solo")
    click(session_page, "#recording")
    assert session_page.execute_script(gains) == ["spotsrawcello"]


def test_picture_of_f0_draws_dark_partials_on_light_paper_and_lines_in_their_colours(browser, tmp_path):
    times_s = np.arange(0, 4, 0.008)
    track = Track(times_s, np.full(len(times_s), 440.0), np.ones(len(times_s)))
    tracks = Tracks(parse_voices("SA"), (track, Track(times_s, 0 * times_s, times_s)))
    partials = sum(np.sin(2 * np.pi * k * 220 * np.arange(64_000) / 16_000) for k in (1, 2, 3))
    write_f0_picture(tmp_path / "f0.svg", recording_from_array(0.2 * partials, 16_000), tracks)
    browser.get((tmp_path / "f0.svg").as_uri())
    box = "return ['x', 'y', 'width', 'height'].map((a) => +document.querySelector('clipPath rect').getAttribute(a))"
    left, top, width, height = browser.execute_script(box)
    browser.set_script_timeout(20)
    pixels = browser.execute_async_script(PIXELS, browser.get_screenshot_as_base64(), int(left + width / 2))
    column = np.reshape(pixels, (-1, 4))[int(top) : int(top + height), :3]
    red = np.flatnonzero(np.abs(column - [0xC2, 0x41, 0x0F]).sum(1) < 30)
    low_hz, high_hz = 440 / 1.26, 880
    wanted = height * (1 - np.log2(440 / low_hz) / np.log2(high_hz / low_hz))
    assert abs(np.mean(red) - wanted) < 2
    dark = column.sum(1)
    third = int(height * (1 - np.log2(660 / low_hz) / np.log2(high_hz / low_hz)))
    assert dark[third - 4 : third + 5].min() < 450 and np.median(dark) > 700
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [340, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen_and_text_stands_out(page, width, theme):
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        until(page, f"return [innerWidth, document.documentElement.clientWidth].includes({width})")
        widths = "const root = document.documentElement; return [root.scrollWidth, root.clientWidth]"
        assert len(set(page.execute_script(widths))) == 1
        contrast = """
        const light = (name) => colourOf(name).slice(1).match(/../g).map((pair) => parseInt(pair, 16) / 255)
          .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
          .reduce((sum, v, c) => sum + v * [0.2126, 0.7152, 0.0722][c], 0);
        const [a, b] = [...arguments].map(light).sort((p, q) => q - p);
        return (a + 0.05) / (b + 0.05);
        """
        assert page.execute_script(contrast, "--ink", "--paper") > 12
        assert page.execute_script(contrast, "--soft", "--paper") > 4.5
        for colour in range(8):
            assert page.execute_script(contrast, f"--c{colour}", "--panel") > 4.5
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
