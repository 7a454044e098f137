"""Files of F0 are read by the programs they are for."""

from xml.etree import ElementTree

import mir_eval
import numpy as np

from partbook.pitch.files import on_one_grid, write_layer, write_multi_f0
from partbook.pitch.tracks import Track


def track(f0_hz, step_s=0.008, start_s=0.0):
    f0_hz = np.asarray(f0_hz, float)
    return Track(start_s + step_s * np.arange(len(f0_hz)), f0_hz, np.ones(len(f0_hz)))


def test_mir_eval_reads_all_voices_and_finds_them_right(tmp_path, rng):
    f0_hz = rng.uniform(100, 400, (4, 200)) * (rng.uniform(size=(4, 200)) > 0.3)
    write_multi_f0(tmp_path / "f0.tsv", map(track, f0_hz))
    times_s, read = mir_eval.io.load_ragged_time_series(str(tmp_path / "f0.tsv"))
    np.testing.assert_allclose(times_s, 0.008 * np.arange(200), atol=1e-6)
    for frame, hz in enumerate(read):
        np.testing.assert_allclose(hz, f0_hz[:, frame][f0_hz[:, frame] > 0], atol=1e-4)
    scores = mir_eval.multipitch.evaluate(times_s, read, times_s, [hz[hz > 0] for hz in f0_hz.T])
    assert scores["Accuracy"] == 1


def test_voices_on_other_grids_come_to_the_finest_of_at_most_8_ms():
    coarse, fine = on_one_grid([track(np.full(11, 220.0), 0.05), track(np.full(101, 110.0), 0.005)])
    np.testing.assert_array_equal(coarse.times_s, fine.times_s)
    np.testing.assert_allclose(np.diff(coarse.times_s), 0.005)
    np.testing.assert_allclose(coarse.f0_hz / fine.f0_hz, 2)


def test_a_layer_holds_every_voiced_frame_where_it_sounds(tmp_path):
    name, rate = '"Alt & <Tenor>"', 44_100
    f0_hz = np.where(np.arange(100) % 20 < 5, 0, np.linspace(200, 300, 100))
    write_layer(tmp_path / "alto.svl", track(f0_hz, 0.007, 3.0), name, rate, 10 * rate, "#123456")
    root = ElementTree.parse(tmp_path / "alto.svl").getroot()
    model, dataset, layer = root.find("data/model"), root.find("data/dataset"), root.find("display/layer")
    assert root.tag == "sv" and (model.get("type"), model.get("dimensions"), model.get("units")) == (
        "sparse",
        "2",
        "Hz",
    )
    assert (model.get("dataset"), layer.get("model")) == (dataset.get("id"), model.get("id"))
    assert layer.get("type") == "timevalues" and layer.get("name") == name
    frames = np.array([int(point.get("frame")) for point in dataset])
    values = np.array([float(point.get("value")) for point in dataset])
    voiced = f0_hz > 0
    np.testing.assert_allclose(frames / rate, 3 + 0.007 * np.flatnonzero(voiced), atol=1 / rate)
    np.testing.assert_allclose(values, f0_hz[voiced], atol=1e-4)
    # Discrete curves have a gap where points are two resolutions apart: exactly at the rests.
    gaps = np.diff(frames) >= 2 * int(model.get("resolution"))
    np.testing.assert_array_equal(gaps, np.diff(np.flatnonzero(voiced)) > 1)


def test_a_silent_voice_is_an_empty_layer_and_lines_without_pitch(tmp_path):
    silent = track(np.zeros(5))
    write_layer(tmp_path / "silent.svl", silent, "Alto", 8000, 320, "#000000")
    assert len(ElementTree.parse(tmp_path / "silent.svl").getroot().find("data/dataset")) == 0
    write_multi_f0(tmp_path / "silent.tsv", [silent, silent])
    assert [len(hz) for hz in mir_eval.io.load_ragged_time_series(str(tmp_path / "silent.tsv"))[1]] == [0] * 5
