import subprocess
import sys

import numpy as np
import pytest
import soundfile

import partbook
from partbook.errors import AudioError, Cancelled, OptionError, TrackError
from partbook.pitch.tracks import Track, write_f0


@pytest.fixture
def mix(tmp_path, rng):
    soundfile.write(tmp_path / "mix.wav", rng.uniform(-0.5, 0.5, (8000, 2)), 8000)
    return tmp_path / "mix.wav"


def track(f0_hz, start_s=0.0):
    return Track(start_s + np.arange(101) * 0.01, np.full(101, f0_hz), np.ones(101))


def test_an_array_gives_stems_of_its_own_shape_that_sum_to_it(engines, rng):
    for shape in ((3000,), (1, 3000), (2, 3000)):
        mixture = rng.uniform(-0.5, 0.5, shape)
        stems = partbook.separate(mixture, 8000, voices="SATB")
        assert list(stems) == ["soprano", "alto", "tenor", "bass"]
        assert stems["alto"].shape == shape
        np.testing.assert_allclose(sum(stems.values()) + stems.residual, mixture, atol=1e-6)


def test_a_file_a_folder_and_named_channels_are_told_apart(engines, mix, tmp_path, rng):
    assert {m.role for m in partbook.separate(mix).microphones} == {"mono"}
    assert list(partbook.separate(str(mix), spots=["Flute=2", "Cello=1"])) == ["flute", "cello"]
    folder = tmp_path / "session"
    folder.mkdir()
    for name in ("Flute", "Cello"):
        soundfile.write(folder / f"{name}.wav", rng.uniform(-0.5, 0.5, 100), 8000)
    stems = partbook.separate(folder, spots=["Flute"], main=["Cello"])
    assert [(m.name, m.role, m.source) for m in stems.microphones] == [
        ("Cello", "main", None), ("Flute", "spot", "flute")]  # fmt: skip
    (folder / "session.toml").write_text('[[microphone]]\nname = "V"\nfile = "Flute.wav"\nrole = "spot"\n')
    assert list(partbook.separate(folder)) == list(partbook.separate(folder / "session.toml")) == ["v"]


def test_voices_can_be_named_in_every_way(engines, mix):
    for voices, expected in (("SB", ["soprano", "bass"]), (2, ["voice1", "voice2"]), ("Ann,Bo", ["ann", "bo"]),
                             (["Ann", "bass"], ["ann", "bass"]), ("bass,soprano", ["soprano", "bass"])):  # fmt: skip
        partbook.separate(mix, voices=voices)
        assert [voice.id for voice in engines["voices"]] == expected
    partbook.separate(mix)
    assert engines["voices"] is None


def test_given_f0_reaches_its_voice(engines, mix, tmp_path):
    files = [tmp_path / "alto.csv", tmp_path / "soprano.csv"]
    write_f0(files[0], track(220.0))
    write_f0(files[1], track(440.0))
    for voices, f0 in ((None, files), ("SA", files), ("SA", {"alto": files[0], "soprano": track(440.0)})):
        partbook.separate(mix, voices=voices, f0=f0)
        assert {id: each.f0_hz[3] for id, each in engines["f0"].items()} == {"soprano": 440, "alto": 220}
        assert [voice.id for voice in engines["voices"]] == ["soprano", "alto"]
        assert max(each.times_s.max() for each in engines["f0"].values()) <= 1.0
    write_f0(tmp_path / "y.csv", track(330.0))
    write_f0(tmp_path / "x.csv", track(110.0))
    partbook.separate(mix, f0=[tmp_path / "x.csv", tmp_path / "y.csv"])
    assert [voice.id for voice in engines["voices"]] == ["y", "x"]
    with pytest.raises(TrackError):
        partbook.separate(mix, voices="SA", f0={"soprano": files[0]})
    with pytest.raises(TrackError, match="F0 of a"):
        partbook.separate(mix, voices="a,b", f0={"a": track(220.0, start_s=1.2), "b": track(110.0)})


def test_an_excerpt_sees_its_own_stretch_of_sound_and_f0(engines, mix):
    stems = partbook.separate(
        mix, voices="SA", f0={"soprano": track(440.0), "alto": track(220.0)}, from_s=0.5, to_s=0.8
    )
    np.testing.assert_allclose(sum(stems.values()) + stems.residual, soundfile.read(mix)[0].T[:, 4000:6400], atol=1e-6)
    np.testing.assert_allclose(engines["f0"]["alto"].times_s[[0, -1]], [0.0, 0.3], atol=1e-9)


def test_f0_of_an_excerpt_can_be_given_back_to_it(engines, mix, tmp_path):
    f0 = {"soprano": track(440.0), "alto": track(220.0)}
    folder = partbook.separate_into(tmp_path / "out", mix, voices="SA", f0=f0, from_s=0.5)
    first = engines["f0"]
    partbook.separate(mix, f0=sorted((folder / "f0").glob("*.csv")), from_s=0.5)
    for id, each in engines["f0"].items():
        np.testing.assert_allclose(each.at(first[id].times_s).f0_hz, first[id].f0_hz)


def test_progress_is_told_and_can_cancel(engines, mix, tmp_path):
    events = []
    partbook.separate_into(tmp_path / "out", mix, on_progress=events.append)
    assert [event.stage for event in events][-1] == "write" and events[-1].done == events[-1].total == 8000
    with pytest.raises(Cancelled):
        partbook.separate_into(tmp_path / "out2", mix, on_progress=lambda event: event.done < 3000)
    assert not (tmp_path / "out2").exists()


def test_nothing_is_computed_for_a_place_that_cannot_be_written(engines, mix, tmp_path):
    (tmp_path / "out/mix").mkdir(parents=True)
    (tmp_path / "out/mix/mine.txt").touch()
    with pytest.raises(partbook.OutputError):
        partbook.separate_into(tmp_path / "out", mix)
    assert not engines


def test_what_does_not_fit_together_is_refused(engines, mix, tmp_path):
    for error, arguments, settings in (
        (OptionError, (mix, 8000), {}),
        (OptionError, (np.zeros(9),), {}),
        (OptionError, (np.zeros(9), 8000), {"spots": ["A=1"]}),
        (AudioError, (np.zeros(9), 10), {}),
        (OptionError, (mix,), {"spots": ["A=1"], "voices": "SATB"}),
        (OptionError, (mix,), {"voices": "SATX"}),
        (OptionError, (mix,), {"options": partbook.Options(device="abacus")}),
    ):
        with pytest.raises(error):
            partbook.separate(*arguments, **settings)
    for settings in ({"seed": -1}, {"threads": 0}, {"memory_bytes": 5}):
        with pytest.raises(OptionError):
            partbook.Options(**settings)


def test_every_public_name_can_be_had():
    for name in partbook.__all__:
        assert getattr(partbook, name) is not None
    assert callable(partbook.separate) and set(partbook.__all__) <= set(dir(partbook))
    with pytest.raises(AttributeError):
        partbook.sepparate  # noqa: B018


def test_importing_partbook_imports_nothing_heavy():
    code = "import partbook, sys; print(*sorted({'torch', 'scipy', 'numpy', 'soundfile', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
