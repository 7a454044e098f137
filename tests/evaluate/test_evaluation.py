import csv
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from evaluate_folders import RATE, VOICES, leaky, stems, write_stems, write_tracks

from partbook import cli
from partbook.evaluate.corpora import CORPORA
from partbook.evaluate.evaluation import evaluate
from partbook.evaluate.protocols import PROTOCOLS
from partbook.evaluate.published import published_pitch
from partbook.evaluate.separation import si_sdr
from partbook.evaluate.tables import rows

SECONDS = 9


@pytest.fixture
def song(tmp_path, monkeypatch):
    """Write a piece and the stems of two systems; work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    references = stems(SECONDS)
    write_stems(tmp_path / "song", references, mixture=True)
    write_stems(tmp_path / "good", leaky(references, 0.05), prefix="song_")
    write_stems(tmp_path / "poor", leaky(references, 0.4))
    return tmp_path


@pytest.fixture
def partbook(capsys):
    """Run a command in this process; return exit code, standard output and standard error."""

    def run(*tokens):
        code = cli.main([str(token) for token in tokens])
        return code, *capsys.readouterr()

    return run


def test_the_better_system_leads_between_floor_and_ceiling(song):
    evaluation = evaluate(song / "song", song / "good", against=[song / "poor"])
    table = {row.system: row for row in rows(evaluation)}
    values = {name: row.figures["si_sdr"].value for name, row in table.items()}
    assert values["do nothing"] < values["poor"] < values["good"]
    assert next(iter(table)) == "do nothing" and table["ideal ratio mask"].kind == "ceiling"
    assert table["poor"].against_first.low > 0 and table["good"].against_first is None
    assert table["do nothing"].figures["si_sdri"].value == pytest.approx(0, abs=1e-6)
    expected = si_sdr(stems(SECONDS)[:, 0, : 4 * RATE], leaky(stems(SECONDS), 0.05)[:, 0, : 4 * RATE])
    first = [c.scores["si_sdr"] for c in evaluation.cells("good") if c.excerpt == 0]
    assert first == pytest.approx(list(expected), abs=1e-3)
    assert not evaluation.problems and not evaluation.notes


def test_the_command_prints_a_table_and_writes_three_files(song, partbook):
    code, out, err = partbook("evaluate", "song", "good", "--against", "poor", "--out", "result")
    assert code == 0 and err == ""
    assert "good is better by" in out and "ideal Wiener mask" in out
    assert sorted(path.name for path in (song / "result").iterdir()) == [
        "cells.csv", "evaluation.html", "evaluation.json"]  # fmt: skip
    written = json.loads((song / "result/evaluation.json").read_text())
    assert [system["system"] for system in written["systems"]][:3] == ["do nothing", "good", "poor"]
    table = list(csv.DictReader(io.StringIO((song / "result/cells.csv").read_text())))
    good = [float(row["si_sdr"]) for row in table if row["system"] == "good"]
    assert np.mean(good) == pytest.approx(written["systems"][1]["figures"]["si_sdr"]["value"], abs=1e-3)
    assert len(table) == 3 * 3 * 6


def test_the_command_says_json_that_can_be_read(song, partbook):
    code, out, _ = partbook("evaluate", "song", "good", "--alone", "--json")
    assert code == 0
    assert [system["system"] for system in json.loads(out)["systems"]] == ["good"]


def test_the_page_holds_everything_and_asks_the_network_for_nothing(song, partbook):
    partbook("evaluate", "song", "good", "--against", "poor", "--quiet")
    text = (song / "evaluation/evaluation.html").read_text()
    assert text.count("<figure>") == 6 and text.count("data-clip") >= 16 and "{{" not in text
    assert "http" not in text.replace("http-equiv", "") and "<link" not in text and "src=" not in text


BROKEN = {
    "other rate": (lambda e: soundfile.write("bad/alto.wav", e[1, 0], 2 * RATE), "alto: 16000 Hz, expected 8000 Hz"),
    "other length": (lambda e: soundfile.write("bad/alto.wav", e[1, 0, :-99], RATE), "alto: 71901 samples"),
    "NaN": (lambda e: soundfile.write("bad/alto.wav", np.full(RATE, np.nan), RATE, "FLOAT"), "alto"),
    "missing": (lambda e: None, "alto: no such stem"),
    "silent reference": (lambda e: soundfile.write("song/tenor.wav", 0 * e[2, 0], RATE), "tenor: silent throughout"),
    "not sound": (lambda e: Path("bad/alto.wav").write_text("words"), "alto"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_wrong_is_named_and_the_rest_scored(song, partbook, fault):
    estimates = leaky(stems(SECONDS))
    write_stems(song / "bad", estimates)
    (song / "bad/alto.wav").unlink()
    if fault == "silent reference":
        soundfile.write("bad/alto.wav", estimates[1, 0], RATE)
    change, word = BROKEN[fault]
    change(estimates)
    code, out, err = partbook("evaluate", "song", "bad", "--alone", "--json")
    assert code == 3 and word in err and len(err.splitlines()) == 1
    scored = json.loads(out)["systems"][0]["sources"]
    assert scored["soprano"]["si_sdr"]["value"] > 0


def test_references_that_are_silent_or_ragged_are_named(song, partbook):
    write_stems(song / "silent", 0 * stems(4))
    code, out, err = partbook("evaluate", "silent", "good", "--alone", "--json")
    assert code == 3 and json.loads(out)["systems"][0]["figures"]["si_sdr"]["value"] is None
    assert all(f"reference {voice}: silent throughout" in err for voice in VOICES)
    write_stems(song / "ragged", stems(SECONDS))
    soundfile.write("ragged/alto.wav", stems(SECONDS)[1, 0, : 5 * RATE], RATE)
    code, out, err = partbook("evaluate", "ragged", "good", "--alone", "--json")
    assert code == 3 and "reference alto: 40000 samples, the longest 72000" in err
    assert json.loads(out)["systems"][0]["sources"]["soprano"]["si_sdr"]["value"] > 0


def test_swapped_channels_are_named(song, partbook):
    references = stems(4, channels=2)
    estimates = leaky(references, 0.02)
    estimates[1] = estimates[1, ::-1]
    write_stems(song / "stereo", references, mixture=True)
    write_stems(song / "swapped", estimates)
    code, _, err = partbook("evaluate", "stereo", "swapped", "--alone", "--quiet")
    assert code == 3 and "alto: channels seem swapped" in err


def test_mistakes_are_one_line_and_write_nothing(song, partbook):
    for tokens in (["nowhere", "good"], ["song", "nowhere"], ["song", "good", "--protocol", "ums"], ["song"],
                   ["song", "good", "--corpus", "cantor"], ["song", "good", "--against", "good"]):  # fmt: skip
        code, out, err = partbook("evaluate", *tokens)
        assert (code, out, len(err.splitlines())) == (2, "", 1), tokens
    assert not (song / "evaluation").exists()


def test_f0_beside_stems_is_scored_and_makes_a_comb(song):
    write_tracks(song / "song", SECONDS)
    write_tracks(song / "good" / "f0", SECONDS, shift=2 ** (20 / 1200))
    write_tracks(song / "poor" / "f0", SECONDS, shift=2)
    evaluation = evaluate(song / "song", song / "poor", against=[song / "good"], protocol="umss", as_published=True)
    good, poor = (evaluation.pitch[name]["song"] for name in ("good", "poor"))
    assert good.voices["alto"].correct == 1 and good.voices["alto"].cents.median == pytest.approx(20, abs=0.1)
    assert poor.voices["alto"].octave == 1
    # Twice 220 Hz is the soprano's 440 Hz.
    assert poor.voices["tenor"].swapped == 1
    assert evaluation.published_pitch["good"]["voicing_recall"] == 1
    combs = {row.system: row.figures["si_sdr"].value for row in rows(evaluation) if "comb" in row.system}
    assert combs["comb, true F0"] > combs["comb, F0 of poor"] + 5


def test_published_f0_scores_count_rests_as_the_published_code_does():
    reference = np.where(np.arange(250) < 125, 220.0, 0.0)
    perfect = published_pitch(reference, reference)
    assert (perfect["raw_pitch"] == 1).all() and (perfect["voicing_recall"] == 1).all()
    # A perfect estimate is charged with a false alarm in every rest of the last window, which begins at frame 3.
    assert perfect["voicing_false_alarm"][3] == 1
    assert perfect["overall"][3] == pytest.approx(122 / 245)
    assert perfect["f_score"][3] == pytest.approx(1)


def test_a_corpus_is_scored_piece_by_piece(song):
    for name in ("one", "two"):
        write_stems(song / "corpus" / name, stems(4, seed=len(name)), mixture=True)
        write_stems(song / "out" / name, leaky(stems(4, seed=len(name))), prefix=f"{name}_")
    write_stems(song / "corpus" / "three", stems(4))
    evaluation = evaluate(song / "corpus", song / "out", baselines=False)
    assert list(evaluation.pieces) == ["one", "two"]
    assert [problem.where for problem in evaluation.problems] == ["three, out"]
    assert [str(note) for note in evaluation.notes] == ["three: no mixture; the sum of the references is taken"]
    assert rows(evaluation)[0].figures["si_sdr"].cells == 6


def test_a_session_is_told_by_place(song):
    rng = np.random.default_rng(0)
    gains = np.where(np.eye(3, 5, dtype=bool), 1.0, rng.uniform(0.05, 0.2, (3, 5)))[..., None]
    references = stems(4) * gains
    write_stems(song / "session", references)
    write_stems(song / "out", leaky(references, 0.02))
    evaluation = evaluate(song / "session", song / "out", protocol="session")
    places = evaluation.places["session"]
    assert places.spot == dict(zip(VOICES, range(3), strict=True)) and places.main == (3, 4)
    table = {(row.system, row.place): row for row in rows(evaluation)}
    assert table["out", "own spot"].figures["si_sdr"].cells == 3
    assert table["out", "main"].figures["si_sdr"].cells == 6
    assert table["out", ""].figures["si_sdr"].cells == 15
    spots, main = (table["do nothing", place].figures["si_sdr"].value for place in ("own spot", "main"))
    assert spots > main + 5
    spatial, mask = (table[name, "main"].figures["si_sdr"].value
                     for name in ("oracle multichannel Wiener filter", "ideal Wiener mask"))  # fmt: skip
    assert spatial > mask


def test_a_manifest_says_where_microphones_stand(song, partbook):
    references = stems(4, channels=4)
    write_stems(song / "session", references)
    write_stems(song / "out", leaky(references, 0.02))
    roles = [("Main", "main", None), ("T", "spot", "tenor"), ("A", "spot", "alto"), ("S", "spot", "soprano")]
    microphones = [{"name": name, "role": role, "source": source} for name, role, source in roles]
    (song / "out/manifest.json").write_text(json.dumps({"microphones": microphones}))
    code, _, _ = partbook("evaluate", "session", "out", "--protocol", "session", "--quiet", "--alone")
    written = json.loads((song / "evaluation/evaluation.json").read_text())
    assert code == 0
    assert written["places"]["session"]["spot"] == {"tenor": 1, "alto": 2, "soprano": 3}
    assert [system["place"] for system in written["systems"]] == ["own spot", "main", ""]
    table = list(csv.DictReader(io.StringIO((song / "evaluation/cells.csv").read_text())))
    assert {row["microphone"] for row in table} == {"Main", "T", "A", "S"}
    own = [float(row["si_sdr"]) for row in table if row["microphone"] == row["source"][0].upper()]
    assert np.mean(own) == pytest.approx(written["systems"][0]["figures"]["si_sdr"]["value"], abs=1e-3)
    assert (song / "evaluation/evaluation.html").read_text().count("data-clip") >= 9


def test_moments_play_in_a_browser_and_switch_in_time(song, partbook):
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.ui import WebDriverWait

    partbook("evaluate", "song", "poor", "--quiet")
    options = webdriver.ChromeOptions()
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--autoplay-policy=no-user-gesture-required",
    ):
        options.add_argument(flag)
    try:
        browser = webdriver.Chrome(options=options)
    except WebDriverException as error:
        pytest.skip(f"no browser: {error.msg}")
    try:
        browser.get((song / "evaluation/evaluation.html").as_uri())
        buttons = browser.find_element("class name", "moment").find_elements("tag name", "button")
        assert [button.text for button in buttons] == ["mixture", "reference", "poor"]

        def sounding():
            return browser.execute_script("return playing && playing.lines.map((line) => line.gain.gain.value)")

        for k in (0, 2, 1):
            buttons[k].click()
            only = [i == k for i in range(3)]
            WebDriverWait(browser, 10).until(lambda _, only=only: [gain > 0.9 for gain in sounding() or []] == only)
            WebDriverWait(browser, 10).until(lambda _: sum(gain > 0.01 for gain in sounding()) == 1)
            assert [b.get_attribute("aria-pressed") for b in buttons] == [str(i == k).lower() for i in range(3)]
        lengths = browser.execute_script("return playing.lines.map((line) => line.source.buffer.length)")
        assert len(set(lengths)) == 1
        buttons[1].click()
        assert browser.execute_script("return playing") is None
    finally:
        browser.quit()


def test_every_command_of_the_page_about_evaluation_works(song, partbook):
    page = (Path(__file__).parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    for folder in ("separated/song", "other/song", "song/out"):
        write_stems(song / folder, leaky(stems(SECONDS)), prefix="song_")
    write_stems(song / "corpus" / "song", stems(SECONDS), mixture=True)
    assert len(lines) == 5
    for line in lines:
        assert partbook(*shlex.split(line, comments=True)[1:])[0] == 0, line
    for name in (*PROTOCOLS, *(corpus.name for corpus in CORPORA)):
        assert re.search(rf"\b{name}\b", page), name


PUBLISHED = {
    "rossinyol_excerpts/7.984": ("UMSS-bcbsq", "UMSS-bc1song", "W-Up-bcbsq", "W-Up-bc1song", "U-Net-bcbsq"),
    "rossinyol_excerpts/27.984": ("UMSS-bcbsq", "UMSS-bc1song", "W-Up-bcbsq", "W-Up-bc1song", "U-Net-bcbsq"),
    "rossinyol_excerpts/duet_alto_bass": ("UMSS-2voices",),
    "rossinyol": ("score-informed-nmf", "score-informed-wave-u-net"),
}


@pytest.mark.parametrize("folder", PUBLISHED)
def test_published_outputs_score_as_by_an_independent_implementation(shared, tmp_path, folder):
    fast_bss_eval = pytest.importorskip("fast_bss_eval")
    song = tmp_path / "song"
    for path in (shared / "voices" / folder).rglob("*.flac"):
        samples, rate = soundfile.read(path)
        copy = song / path.relative_to(shared / "voices" / folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        # Of a whole song two excerpts will do.
        soundfile.write(copy, samples if len(samples) < 6 * rate else samples[40 * rate : 48 * rate], rate, "PCM_24")
    first, *against = [song / "published" / system for system in PUBLISHED[folder]]
    evaluation = evaluate(song, first, against=against, baselines=False)
    for system in PUBLISHED[folder]:
        cells = evaluation.cells(system)
        for number in {cell.excerpt for cell in cells}:
            own = [cell for cell in cells if cell.excerpt == number]
            part = slice(round(own[0].start_s * rate), round((own[0].start_s + own[0].duration_s) * rate))
            references, estimates = (
                torch.from_numpy(np.stack([soundfile.read(song / name.format(cell.source))[0][part] for cell in own]))
                for name in ("{}.flac", f"published/{system}_{{}}.flac")
            )
            theirs = fast_bss_eval.bss_eval_sources(references, estimates, compute_permutation=False)
            for metric, other in zip(("sdr", "sir", "sar"), theirs, strict=True):
                assert [cell.scores[metric] for cell in own] == pytest.approx(other.tolist(), abs=0.01)
            alone = [fast_bss_eval.si_sdr(references[[n]], estimates[[n]], zero_mean=True) for n in range(len(own))]
            assert [cell.scores["si_sdr"] for cell in own] == pytest.approx([float(x) for x in alone], abs=0.01)


def test_the_known_figures_of_published_systems_are_found(shared):
    known = {"7.984": {"UMSS-bcbsq": 8.57, "W-Up-bcbsq": 8.38}, "27.984": {"UMSS-bcbsq": 7.87, "W-Up-bcbsq": 8.70}}
    for piece, systems in known.items():
        song = shared / "voices/rossinyol_excerpts" / piece
        evaluation = evaluate(song, song / "published/UMSS-bcbsq", against=[song / "published/W-Up-bcbsq"])
        table = {row.system: row.figures["si_sdr"].value for row in rows(evaluation)}
        assert {name: table[name] for name in systems} == pytest.approx(systems, abs=0.01)
