import hashlib
import json

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shares import split

from partbook.audio import excerpt, open_recording, recording_from_array
from partbook.errors import Cancelled, OptionError, OutputError
from partbook.pitch.tracks import Track, read_f0
from partbook.stems import Block, Separation, Source, collect, write


def recording(rng, channels=1, samples=3001, rate=8000, scale=0.5):
    return recording_from_array(scale * rng.uniform(-1, 1, (channels, samples)), rate, "mix")


def parts(folder):
    """Return every sound file of a result as (info, samples of shape (M, S))."""
    return {path.name: (soundfile.info(path), soundfile.read(path, always_2d=True)[0].T)
            for path in sorted(folder.iterdir()) if path.suffix in (".wav", ".flac")}  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    channels=st.sampled_from([1, 2, 8, 9, 32]),
    samples=st.sampled_from([1, 2, 999, 1000, 1001, 2500]),
    rate=st.sampled_from([1000, 11_025, 48_000, 176_401, 192_000]),
    scale=st.sampled_from([0.0, 1e-4, 0.5, 1.0, 3.0, 100.0]),
    gain=st.sampled_from([1.0, 10.0, -7.0]),
    format=st.sampled_from(["flac", "wav"]),
    seed=st.integers(0, 99),
)
def test_stems_and_residual_sum_to_the_recording(tmp_path, channels, samples, rate, scale, gain, format, seed):
    mix = recording(np.random.default_rng(seed), channels, samples, rate, scale)
    files = parts(write(split(mix, gain=gain), tmp_path, format=format))
    total = sum(audio for _, audio in files.values())
    assert np.abs(total - mix.read(0, samples)).max() <= 1e-6 * max(1, scale * abs(gain))
    assert {(info.samplerate, info.frames, info.channels) for info, _ in files.values()} == {(rate, samples, channels)}
    assert len({(info.format, info.subtype) for info, _ in files.values()}) == 1
    assert {info.subtype for info, _ in files.values()} <= {"PCM_24", "FLOAT"}


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_integer_recordings_are_given_back_bit_by_bit(tmp_path, rng, subtype):
    soundfile.write(tmp_path / "mix.wav", rng.uniform(-1, 1, (5000, 2)), 8000, subtype=subtype)
    mix = open_recording(tmp_path / "mix.wav")
    files = parts(write(split(mix), tmp_path / "out"))
    np.testing.assert_array_equal(sum(audio for _, audio in files.values()), mix.read(0, 5000))


def test_flac_gives_way_to_float_wav_where_it_cannot_hold_the_result(tmp_path, rng):
    quiet, loud = recording(rng), recording(rng, scale=0.99)
    wide, odd = recording(rng, channels=9), recording(rng, rate=176_401)

    def formats(separation, **options):
        return {info.format for info, _ in parts(write(separation, tmp_path, **options)).values()}

    assert formats(split(quiet)) == {"FLAC"}
    assert formats(split(quiet), format="wav") == {"WAV"}
    assert formats(split(loud, gain=9.0)) == {"WAV"}
    # Only the residual passes full scale.
    assert formats(split(loud, gain=-1.0)) == {"WAV"}
    assert formats(split(wide)) == formats(split(odd)) == {"WAV"}


def test_what_was_written_before_full_scale_was_passed_is_kept(tmp_path, rng):
    samples = rng.uniform(-0.4, 0.4, (2, 9000))
    samples[1, 8500] = 1.75
    mix = recording_from_array(samples, 8000, "mix")
    folder = write(split(mix, block=700), tmp_path)
    files = parts(folder)
    assert sorted(files) == ["mix_bass.wav", "mix_residual.wav", "mix_soprano.wav"]
    np.testing.assert_allclose(files["mix_bass.wav"][1], samples * 2 / 9, atol=2**-23)
    assert np.abs(sum(audio for _, audio in files.values()) - samples).max() < 1e-6


def test_a_result_holds_exactly_what_is_promised(tmp_path, rng):
    times_s = np.arange(100) * 0.01
    f0 = {"bass": Track(times_s, np.full(100, 110.0), np.ones(100))}
    separation = split(recording(rng, 2, 8000), f0=f0, seed=7)
    folder = write(separation, tmp_path, extras=lambda folder: (folder / "report.html").write_text("page"),
                   run=lambda: {"seconds": {"total": 1.0}})  # fmt: skip
    assert sorted(str(path.relative_to(tmp_path)) for path in folder.rglob("*")) == [
        "mix/f0", "mix/f0/bass.csv", "mix/manifest.json", "mix/mix_bass.flac", "mix/mix_residual.flac",
        "mix/mix_soprano.flac", "mix/report.html", "mix/run.json"]  # fmt: skip
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["schema"] == "partbook/1"
    assert manifest["input"] == {"name": "mix", "sha256": separation.recording.sha256(), "rate": 8000, "length": 8000,
                                 "start": 0}  # fmt: skip
    assert manifest["microphones"] == [
        {"name": f"mix.{c}", "file": "", "channel": c, "role": "mono", "source": None} for c in (1, 2)
    ]
    assert [(s["id"], s["name"], s["confidence"]) for s in manifest["sources"]] == [
        ("soprano", "Soprano", 1.0), ("bass", "Bass", 1.0)]  # fmt: skip
    for entry in [*manifest["sources"], manifest["residual"]]:
        assert hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    assert manifest["seed"] == 7 and manifest["config"] == separation.config
    assert {"partbook", "torch", "numpy", "python"} <= set(manifest["versions"])
    assert json.loads((folder / "run.json").read_text()) == {"paths": [], "seconds": {"total": 1.0}}
    written = read_f0(folder / "f0" / "bass.csv")
    assert np.diff(written.times_s).max() <= 0.008 + 1e-6


def test_f0_of_an_excerpt_counts_from_the_start_of_the_original(tmp_path, rng):
    mix = excerpt(recording(rng, samples=8000), 0.5, 0.75)
    track = Track(np.array([0.0, 0.005]), np.array([110.0, 111.0]), np.ones(2))
    folder = write(split(mix, f0={"bass": track}), tmp_path)
    np.testing.assert_allclose(read_f0(folder / "f0/bass.csv").times_s, [0.5, 0.505])
    assert json.loads((folder / "manifest.json").read_text())["input"]["start"] == 4000


def test_the_same_separation_gives_the_same_bytes(tmp_path, rng):
    mix = recording(rng, 2)
    for format in ("flac", "wav"):
        folders = [write(split(mix), tmp_path / each, format=format) for each in ("one", "two")]
        files = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
        assert files[0] == files[1]


def test_names_may_hold_any_language(tmp_path, rng):
    folder = write(split(recording(rng), names=["Flöte 1", "古筝"]), tmp_path / "né à côté", name="Trio für 2")
    assert (folder / "Trio für 2_flöte 1.flac").is_file() and (folder / "Trio für 2_古筝.flac").is_file()


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a\nb"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path, rng, name):
    with pytest.raises(OptionError):
        write(split(recording(rng)), tmp_path, name=name)
    assert not any(tmp_path.iterdir())


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def failing(kind):
    """Return a hook and a callback that stop the writing in their way."""

    def fail(*_):
        raise kind

    return fail


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    "kind", [KeyboardInterrupt, Cancelled("x"), OSError(28, "No space left on device"), ValueError]
)
def test_whatever_fails_leaves_the_old_result_and_nothing_else(tmp_path, rng, kind, before):
    out = tmp_path / "out"
    if before:
        write(split(recording(rng)), out)
    old = snapshot(tmp_path)
    expected = OutputError if isinstance(kind, OSError) else kind if isinstance(kind, type) else type(kind)
    with pytest.raises(expected):
        write(split(recording(rng)), out, extras=failing(kind))
    if not isinstance(kind, OSError):
        events = iter([None, None, failing(kind)])
        with pytest.raises(expected):
            write(split(recording(rng)), out, on_progress=lambda event: (next(events) or (lambda: None))())
    assert snapshot(tmp_path) == old
    assert out.exists() == before
    assert sorted(path.name for path in out.glob("*")) == (["mix"] if before else [])


def test_a_new_result_replaces_the_old_one_whole(tmp_path, rng):
    write(split(recording(rng), names=["Old", "Older"]), tmp_path)
    (tmp_path / "mix" / "own notes.txt").write_text("x")
    write(split(recording(rng), names=["New", "Newer"]), tmp_path, format="wav")
    assert sorted(path.name for path in (tmp_path / "mix").iterdir()) == [
        "manifest.json", "mix_new.wav", "mix_newer.wav", "mix_residual.wav", "run.json"]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["mix"]


def test_two_renames_replace_a_result_where_exchanging_is_impossible(tmp_path, rng, monkeypatch):
    monkeypatch.setattr("partbook.stems.folder._exchanged_at_once", lambda *_: False)
    test_a_new_result_replaces_the_old_one_whole(tmp_path, rng)


def test_a_result_moved_away_by_a_killed_run_comes_back(tmp_path, rng):
    write(split(recording(rng)), tmp_path)
    old = snapshot(tmp_path / "mix")
    (tmp_path / "mix").rename(tmp_path / ".partbook-old-mix")
    write(split(recording(rng)), tmp_path, name="other")
    assert snapshot(tmp_path / "mix") == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mix", "other"]


def test_what_partbook_did_not_write_is_never_replaced(tmp_path, rng):
    (tmp_path / "mix").mkdir()
    write(split(recording(rng)), tmp_path)
    for name in ("session", "file"):
        path = tmp_path / name
        if name == "file":
            path.write_text("mine")
        else:
            path.mkdir()
            (path / "Violin.wav").write_text("mine")
        with pytest.raises(OutputError, match="another --name or --out"):
            write(split(recording(rng)), tmp_path, name=name)
    assert (tmp_path / "session" / "Violin.wav").read_text() == (tmp_path / "file").read_text() == "mine"
    with pytest.raises(OutputError):
        write(split(recording(rng)), tmp_path / "file" / "deeper")


def test_an_engine_that_breaks_its_contract_is_found_out(tmp_path, rng):
    mix = recording(rng, samples=100)
    one = (Source("a", "a"),)

    def broken(*blocks):
        return Separation(mix, one, lambda: iter(blocks))

    half = Block(0, np.zeros((1, 1, 50), np.float32))
    for separation in (
        broken(half),
        broken(half, half),
        broken(half, Block(60, half.images)),
        broken(half, Block(50, np.zeros((1, 1, 51), np.float32))),
        broken(half, Block(50, np.zeros((2, 1, 50), np.float32))),
        broken(half, Block(50, np.full((1, 1, 50), np.nan, np.float32))),
    ):
        with pytest.raises(RuntimeError):
            write(separation, tmp_path)
    assert not any(tmp_path.iterdir())


def test_stems_in_memory_are_those_of_the_files(tmp_path, rng):
    mix = recording(rng, 2, 2500)
    stems = collect(split(mix))
    files = parts(stems.save(tmp_path))
    assert list(stems) == ["soprano", "bass"] and len(stems) == 2
    for id in stems:
        assert stems[id].shape == (2, 2500) and stems[id].dtype == np.float32
        np.testing.assert_allclose(files[f"mix_{id}.flac"][1], stems[id], atol=2**-23)
    np.testing.assert_allclose(sum(stems.values()) + stems.residual, mix.read(0, 2500), atol=1e-6)
    assert "soprano" in repr(stems)
    with pytest.raises(KeyError, match="try soprano"):
        stems["sopran"]
    flat = collect(split(recording(rng)), mono=True)
    assert flat["bass"].shape == flat.residual.shape == (3001,)
