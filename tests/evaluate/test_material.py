import numpy as np
import pytest
import soundfile
from evaluate_folders import RATE, VOICES, leaky, stems, write_stems

from partbook.errors import InputError
from partbook.evaluate.corpora import CORPORA
from partbook.evaluate.material import Files, find_estimates, find_pieces, open_estimates, open_piece


def touched(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(8), RATE, format="WAV")
    return folder


@pytest.mark.parametrize(
    ("names", "ids", "mixture"),
    [
        (["alto.wav", "soprano.wav", "mix.wav"], ["soprano", "alto"], "mix.wav"),
        (["bwv269_S.wav", "bwv269_B.wav", "bwv269_mix.wav"], ["soprano", "bass"], "bwv269_mix.wav"),
        (["VIOLIN1_REF.wav", "VIOLIN2_REF.wav", "VIOLINS_MIX.wav"], ["violin1", "violin2"], "VIOLINS_MIX.wav"),
        (["AuSep_1_vn_01_Jupiter.wav", "AuSep_2_vc_01_Jupiter.wav"], ["1_vn", "2_vc"], None),
        (["song_alto.wav", "song_bass.wav", "song_residual.wav"], ["alto", "bass"], None),
        (["TENOR I.wav", "TENOR II.wav", "ALTUS.wav"], ["altus", "tenor i", "tenor ii"], None),
        (["alto2.wav", "alto1.wav"], ["alto1", "alto2"], None),
    ],
)
def test_ids_are_what_tells_stems_apart(tmp_path, names, ids, mixture):
    (piece,) = find_pieces(touched(tmp_path / "song", *names))
    assert list(piece.stems) == ids
    assert (piece.mixture and piece.mixture.name) == mixture


@pytest.mark.parametrize(
    ("files", "path"),
    [
        (["est/song_alto.wav", "est/song_bass.wav"], "est"),
        (["est/song/song_alto.wav", "est/song/song_bass.wav", "est/song/song_residual.wav"], "est"),
        (["est/x_alto.wav", "est/x_bass.wav", "est/y_alto.wav", "est/y_bass.wav"], "est/x"),
        (["est/song/x_alto.wav", "est/song/x_bass.wav"], "est/{piece}/x"),
        (["est/ALTO_SEP.wav", "est/BASS_SEP.wav"], "est"),
        (["est/1 - bass.wav", "est/2 - alto.wav"], "est"),
    ],
)
def test_estimates_are_found_by_the_ids_in_their_names(tmp_path, files, path):
    touched(tmp_path, *files)
    piece = Files("song", {"alto": tmp_path / "a.wav", "bass": tmp_path / "b.wav"})
    found = find_estimates(tmp_path / path, piece).stems
    assert sorted(found) == ["alto", "bass"]
    assert all(id in file.name.lower() for id, file in found.items())


def test_a_name_within_a_word_is_no_match(tmp_path):
    touched(tmp_path, "est/contralto.wav", "est/bass.wav")
    assert list(find_estimates(tmp_path / "est", Files("song", {"alto": None, "bass": None})).stems) == ["bass"]


def test_a_folder_of_folders_is_a_corpus(tmp_path):
    touched(tmp_path, "one/alto.wav", "one/bass.wav", "two/alto.wav", "two/bass.wav", "empty/notes.txt")
    assert [piece.piece for piece in find_pieces(tmp_path)] == ["one", "two"]


@pytest.mark.parametrize(
    ("corpus", "files", "piece", "ids"),
    [
        ("cantoria", ["Audio/Cantoria_CEA_S.wav", "Audio/Cantoria_CEA_B.wav", "Audio/Cantoria_CEA_Mix.wav",
                      "Audio/Cantoria_HCB_S.wav"], "CEA", ["soprano", "bass"]),
        ("csd", ["Nino_Dios/audio_16kHz/nino_Soprano_405.wav", "Nino_Dios/audio_16kHz/nino_tenor4-06-2.wav",
                 "Nino_Dios/audio_16kHz/nino_tenor1-06-2.wav"], "Nino_Dios", ["soprano", "tenor"]),
        ("musdb", ["test/Song/mixture.wav", "test/Song/vocals.wav", "test/Song/bass.wav"], "Song", ["bass", "vocals"]),
        ("urmp", ["01_Jupiter_vn_vc/AuSep_1_vn_01_Jupiter.wav", "01_Jupiter_vn_vc/AuSep_2_vc_01_Jupiter.wav",
                  "01_Jupiter_vn_vc/AuMix_01_Jupiter_vn_vc.wav"], "01_Jupiter_vn_vc", ["1_vn", "2_vc"]),
        ("bach10", ["01-AchGott/01-AchGott.wav", "01-AchGott/01-AchGott-violin.wav",
                    "01-AchGott/01-AchGott-bassoon.wav"], "01-AchGott", ["bassoon", "violin"]),
        ("bcbsq", ["BC/audio_16kHz/1_BC001_part12_s_1ch.wav", "BC/audio_16kHz/1_BC001_part12_a_1ch.wav"],
         "1_BC001_part12", ["soprano", "alto"]),
        ("esmuc", ["DG_FT_take1_S1.wav", "DG_FT_take1_A1.wav", "DG_FT_take1_A2.wav"], "DG_FT_take1",
         ["soprano", "alto"]),
        ("dagstuhl", ["audio_wav_22050_mono/DCS_LI_QuartetB_Take03_S1_HSM.wav",
                      "audio_wav_22050_mono/DCS_LI_QuartetB_Take03_B2_HSM.wav",
                      "audio_wav_22050_mono/DCS_LI_QuartetB_Take03_S1_LRX.wav"], "LI_QuartetB_Take03",
         ["soprano", "bass"]),
    ],
)  # fmt: skip
def test_published_corpora_are_read_as_they_are_named(tmp_path, corpus, files, piece, ids):
    touched(tmp_path, *files)
    record = {each.name: each for each in CORPORA}[corpus]
    (found,) = find_pieces(tmp_path, record)
    assert (found.piece, sorted(found.stems)) == (piece, sorted(ids))
    assert (found.mixture is not None) == (bool(record.mixture) and corpus != "dagstuhl")


def test_folders_without_stems_are_mistakes(tmp_path):
    with pytest.raises(InputError, match="a folder of reference stems"):
        find_pieces(tmp_path / "nowhere")
    with pytest.raises(InputError, match="none in"):
        find_pieces(tmp_path)
    with pytest.raises(InputError, match="no sound files"):
        find_estimates(tmp_path / "nowhere", Files("song", {}))


def opened(tmp_path, references, write):
    """Write references, let ``write`` make estimates, and return what could be opened of them."""
    (files,) = find_pieces(write_stems(tmp_path / "song", references, mixture=True))
    piece, problems = open_piece(files)
    assert not problems
    write(tmp_path / "est")
    return piece, *open_estimates(find_estimates(tmp_path / "est", files), piece, "ours")


def test_a_missing_stem_is_named_and_the_rest_is_there(tmp_path):
    write = lambda folder: write_stems(folder, leaky(stems(1))[:2], names=VOICES[:2])  # noqa: E731
    _, bundle, problems = opened(tmp_path, stems(1), write)
    assert bundle.present.tolist() == [True, True, False]
    assert [str(problem) for problem in problems] == ["song, ours, tenor: no such stem; not scored"]


def test_another_rate_or_number_of_channels_is_named_and_left_out(tmp_path):
    def write(folder):
        write_stems(folder, leaky(stems(1)))
        soundfile.write(folder / "alto.wav", np.ones(RATE), 2 * RATE)
        soundfile.write(folder / "tenor.wav", np.ones((RATE, 2)), RATE)

    _, bundle, problems = opened(tmp_path, stems(1), write)
    assert bundle.present.tolist() == [True, False, False]
    assert ["16000 Hz, expected 8000 Hz" in p.what for p in problems] == [True, False]
    assert "2 channels, expected 1" in problems[1].what


def test_another_length_is_named_and_scored_from_the_same_start(tmp_path):
    shorter = leaky(stems(1))[..., :-100]
    _, bundle, problems = opened(tmp_path, stems(1), lambda folder: write_stems(folder, shorter))
    assert bundle.present.all() and len(problems) == 3
    assert "7900 samples, the reference 8000" in problems[0].what
    samples = bundle.read(7800, 8000)
    np.testing.assert_allclose(samples[..., :100], shorter[..., 7800:], atol=1e-6)
    assert not samples[..., 100:].any()


def test_nan_in_an_estimate_is_named_and_left_out(tmp_path):
    broken = leaky(stems(1))
    broken[1, 0, 500] = np.nan
    _, bundle, problems = opened(tmp_path, stems(1), lambda folder: write_stems(folder, broken))
    assert bundle.present.tolist() == [True, False, True]
    assert "ours, alto" in problems[0].where and "nan" in problems[0].what.lower()


def test_files_read_piecewise_and_in_memory_are_alike(tmp_path, monkeypatch):
    references = stems(2, channels=2)
    (files,) = find_pieces(write_stems(tmp_path / "song", references, mixture=True))
    in_memory, _ = open_piece(files)
    monkeypatch.setattr("partbook.evaluate.material._IN_MEMORY_SAMPLES", 0)
    from_disk, _ = open_piece(files)
    np.testing.assert_array_equal(in_memory.references.read(100, 9000), from_disk.references.read(100, 9000))
    mixture = from_disk.mixture_of(0, 100, from_disk.references.read(0, 100))
    np.testing.assert_allclose(mixture, references.sum(0)[:, :100], atol=1e-6)
