import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from partbook.ensemble import parse_voices
from partbook.errors import TrackError
from partbook.pitch.tracks import Track, match_f0_files, read_f0, voices_of_files, within, write_f0


def track(f0_hz, step_s=0.01, start_s=0.0):
    f0_hz = np.asarray(f0_hz, float)
    return Track(start_s + step_s * np.arange(len(f0_hz)), f0_hz, np.ones(len(f0_hz)))


f0_values = arrays(float, st.integers(1, 40), elements=st.one_of(st.just(0.0), st.floats(50, 1000)))


@given(f0_values)
def test_a_track_at_its_own_times_is_itself(f0_hz):
    given_track = track(f0_hz)
    np.testing.assert_allclose(given_track.at(given_track.times_s).f0_hz, f0_hz, rtol=1e-9)


@given(f0_values, st.floats(0.1, 3), st.lists(st.floats(-0.1, 0.5), min_size=1))
def test_resampling_commutes_with_transposition(f0_hz, factor, times_s):
    times_s = np.sort(times_s)
    once, transposed = track(f0_hz).at(times_s).f0_hz, track(factor * f0_hz).at(times_s).f0_hz
    np.testing.assert_allclose(transposed, factor * once, rtol=1e-9)


@given(f0_values, st.lists(st.floats(-0.1, 0.5), min_size=1))
def test_nothing_is_invented(f0_hz, times_s):
    times_s = np.sort(times_s)
    resampled = track(f0_hz).at(times_s).f0_hz
    voiced = f0_hz[f0_hz > 0]
    outside = (times_s < -1e-6) | (times_s > 0.01 * (len(f0_hz) - 1) + 1e-6)
    assert not resampled[outside].any()
    if len(voiced):
        sounding = resampled[resampled > 0]
        assert (sounding >= 0.999999 * voiced.min()).all() and (sounding <= 1.000001 * voiced.max()).all()
    else:
        assert not resampled.any()


def test_f0_runs_straight_in_cents_between_voiced_frames_and_jumps_at_edges():
    resampled = track([200, 400, 0, 0, 300]).at(np.array([0.0025, 0.005, 0.0075, 0.0149, 0.0151, 0.03, 0.0349, 0.0351]))
    np.testing.assert_allclose(
        resampled.f0_hz, [200 * 2**0.25, 200 * 2**0.5, 200 * 2**0.75, 400, 0, 0, 0, 300], rtol=1e-9
    )


def test_a_hole_between_frames_is_silence():
    times_s = np.array([0.0, 0.01, 0.02, 0.5, 0.51, 0.52])
    holed = Track(times_s, np.full(6, 220.0), np.ones(6))
    np.testing.assert_array_equal(holed.at(np.array([0.01, 0.025, 0.2, 0.49, 0.495, 0.51])).f0_hz > 0,
                                  [True, True, False, True, True, True])  # fmt: skip
    assert not holed.at(np.array([0.2])).confidence.any()


def test_where_a_voice_would_be_is_negative_in_files_and_no_f0(tmp_path):
    told = Track(0.01 * np.arange(4), np.array([220.0, 0, 0, 330]), np.ones(4), np.array([0, 221.0, 0, 0]))
    np.testing.assert_array_equal(told.signed_hz, [220, -221, 0, 330])
    write_f0(tmp_path / "f0.csv", told)
    assert "-0.0" not in (tmp_path / "f0.csv").read_text()
    read = read_f0(tmp_path / "f0.csv")
    np.testing.assert_array_equal(read.signed_hz, told.signed_hz)
    np.testing.assert_array_equal(read.f0_hz, told.f0_hz)
    np.testing.assert_array_equal(read.at(np.array([0.011, 0.021])).signed_hz, [-221, 0])
    np.testing.assert_array_equal(read.between(0.01, 0.02).signed_hz, [-221, 0])
    np.testing.assert_array_equal(read.fine(0.005).signed_hz[[0, 2, 4, 6]], told.signed_hz)
    assert track([220, 0]).signed_hz.tolist() == [220, 0]


def test_written_tracks_are_no_coarser_than_8_ms():
    coarse = track([200, 210, 0, 0, 220], step_s=0.025)
    fine = coarse.fine()
    assert np.diff(fine.times_s).max() <= 0.008 + 1e-9
    np.testing.assert_allclose(coarse.f0_hz, fine.at(coarse.times_s).f0_hz, rtol=1e-9)
    already = track([200, 210], step_s=0.005)
    assert already.fine() is already


@given(f0_values, st.sampled_from([0.0, 12.5]))
def test_a_track_survives_its_file(tmp_path_factory, f0_hz, start_s):
    path = tmp_path_factory.mktemp("f0") / "été alto.csv"
    write_f0(path, track(f0_hz), start_s)
    back = read_f0(path)
    np.testing.assert_allclose(back.f0_hz, f0_hz, atol=1e-4)
    np.testing.assert_allclose(back.times_s, start_s + track(f0_hz).times_s, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "0,220\n0.01,0\n0.02,230\n",
        "time,frequency,confidence\n0,220,0.9\n0.01,0,0.1\n0.02,230,1\n",
        "# made by hand\n\n0\t220\n0.01\t-220\n0.02\t230\n",
        "0 220\n0.01  nan\n  0.02 230",
        "\ufeff0;220;1\r\n0.01;NaN;0\r\n0.02;230;1\r\n",
        "0,0;220,0\n0,01;0,0\n0,02;230,0\n",
        "Time F0\n0 220\n0.01 inf\n0.02 230",
        "0,220,label a\n0.01,,label b\n0.02,230,label c\n",
        "time_s,f0_hz\n0.000000000,2.2e2\n1e-2,0.0\n0.02,230.000\n",
    ],
)
def test_all_customary_formats_are_understood(tmp_path, text):
    (tmp_path / "f0.csv").write_text(text, encoding="utf-8")
    read = read_f0(tmp_path / "f0.csv")
    np.testing.assert_allclose(read.times_s, [0, 0.01, 0.02])
    np.testing.assert_allclose(read.f0_hz, [220, 0, 230])
    assert ((read.confidence >= 0) & (read.confidence <= 1)).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "none in"),
        ("# nothing\ntime,f0\n", "none in"),
        ("0,220\n0.02,220\n0.01,220\n", "times that increase"),
        ("0,220\n0,220\n", "times that increase"),
        ("nan,220\n", "times that increase"),
        ("0,220\nnan,220\n", "times that increase"),
        ("0,220\nhello\n", "line 2"),
        ("0\n1\n", "line 1"),
        ("0,220\n0.01,2x0\n", "line 2"),
    ],
)
def test_f0_files_that_cannot_be_are_refused_in_one_line(tmp_path, text, words):
    (tmp_path / "f0.csv").write_text(text)
    with pytest.raises(TrackError, match=words) as caught:
        read_f0(tmp_path / "f0.csv")
    assert "\n" not in str(caught.value)


def test_missing_folders_and_binaries_are_no_f0_files(tmp_path):
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    for name in ("absent.csv", ".", "binary.csv"):
        with pytest.raises(TrackError):
            read_f0(tmp_path / name)


def test_files_belong_to_the_voices_they_name_wherever_they_stand():
    voices = parse_voices("SATB")
    files = ["f0/bass.csv", "f0/mix_Alto.csv", "f0/soprano-v2.csv", "f0/Tenor f0.txt"]
    assert {id: str(path) for id, path in match_f0_files(files, voices).items()} == {
        "bass": files[0], "alto": files[1], "soprano": files[2], "tenor": files[3]}  # fmt: skip
    files = ["myalto1.csv", "mysoprano.csv"]
    assert match_f0_files(files, parse_voices("soprano,alto"))["alto"].name == "myalto1.csv"
    numbered = parse_voices("SSB")
    assert match_f0_files(["soprano2.csv", "bass.csv", "soprano1.csv"], numbered)["soprano2"].name == "soprano2.csv"


def test_files_that_name_nobody_belong_to_the_voices_in_order():
    files = ["DCS_S1.csv", "DCS_A1.csv", "DCS_T1.csv", "DCS_B1.csv"]
    assert [path.name for path in match_f0_files(files, parse_voices("SATB")).values()] == files
    both = ["soprano_alto_1.csv", "soprano_alto_2.csv"]
    assert [path.name for path in match_f0_files(both, parse_voices("SA")).values()] == both


def test_files_that_contradict_the_voices_are_refused():
    with pytest.raises(TrackError, match="2 F0 files"):
        match_f0_files(["a.csv"], parse_voices("SA"))
    with pytest.raises(TrackError, match="F0 of soprano"):
        match_f0_files(["alto.csv", "x.csv"], parse_voices("SA"))


def test_voices_can_be_named_after_their_files():
    assert [voice.id for voice in voices_of_files(["x/mix_alto.csv", "x/tenor2.csv"])] == ["alto", "tenor2"]
    assert [voice.name for voice in voices_of_files(["x/Anna.csv", "x/Ben.csv"])] == ["Anna", "Ben"]


def test_a_track_beside_the_recording_is_refused():
    late = track([220, 220, 220], start_s=10.0)
    np.testing.assert_allclose(within(late, "alto", 10.005, 20.0).times_s, [0.005, 0.015])
    for from_s, to_s in ((0.0, 9.9), (10.03, 20.0)):
        with pytest.raises(TrackError, match="F0 of alto"):
            within(late, "alto", from_s, to_s)


def test_a_voice_may_rest_throughout():
    assert not within(track([0, 0, 220]), "alto", 0, 0.015).f0_hz.any()
    apart = Track(np.array([1.0, 9.0]), np.array([220.0, 220.0]), np.ones(2))
    assert within(apart, "alto", 4.0, 6.0).f0_hz.tolist() == [0]
