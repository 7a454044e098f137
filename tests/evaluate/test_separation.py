import importlib.util
from pathlib import Path

import mir_eval.separation
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from partbook.evaluate.bss_eval import bss_eval_images, bss_eval_sources, bss_eval_windows, reader
from partbook.evaluate.separation import best_permutation, is_silent, sdr, si_sdr, si_sdr_improvement
from partbook.evaluate.spectral import mel_bands, mel_cepstral_distance, spectral_snr

AGREEMENT_DB = 1e-3


def museval_metrics():
    """Return museval's metrics without its package, which refuses to load where FFmpeg is missing."""
    found = importlib.util.find_spec("museval")
    if found is None:
        pytest.skip("museval is not installed")
    spec = importlib.util.spec_from_file_location(
        "museval_metrics", Path(found.submodule_search_locations[0]) / "metrics.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scene(seed, sources=3, channels=1, samples=6000):
    """Return coloured references (N, C, S) and estimates that leak, are filtered and are noisy."""
    rng = np.random.default_rng(seed)
    references = rng.standard_normal((sources, channels, samples))
    references[:, :, 1:] += 0.9 * references[:, :, :-1]
    estimates = references + 0.3 * np.roll(references, 1, 0) + 0.1 * rng.standard_normal(references.shape)
    estimates[:, :, 2:] += 0.4 * references[:, :, :-2]
    return references, estimates


# ------------------------------------------------------------------------------------------------ SI-SDR


def test_si_sdr_of_orthogonal_noise_is_the_ratio_of_energies():
    t = np.arange(1000) / 1000
    target, noise = np.sin(2 * np.pi * 10 * t), 0.01 * np.sin(2 * np.pi * 20 * t)
    assert si_sdr(target, target + noise) == pytest.approx(40, abs=1e-6)


@given(gain=st.floats(1e-6, 1e6), seed=st.integers(0, 100))
def test_si_sdr_does_not_change_with_the_scale_of_either_signal(gain, seed):
    references, estimates = scene(seed, samples=200)
    expected = si_sdr(references, estimates)
    assert si_sdr(references, gain * estimates) == pytest.approx(expected, abs=1e-9)
    assert si_sdr(-gain * references, estimates) == pytest.approx(expected, abs=1e-9)


def test_an_offset_counts_unless_the_mean_is_removed():
    references, estimates = scene(0)
    assert si_sdr(references, estimates + 5) == pytest.approx(si_sdr(references, estimates), abs=1e-9)
    assert (si_sdr(references, estimates + 5, mean_removed=False) < -5).all()


def test_scores_are_those_of_a_loop_over_the_batch():
    references, estimates = scene(1, sources=4)
    batched = si_sdr(references[:, None], estimates[None])
    assert batched.shape == (4, 4, 1)
    for i in range(4):
        for j in range(4):
            assert batched[i, j] == pytest.approx(si_sdr(references[i], estimates[j]), abs=1e-9)


def test_tensors_give_tensors_with_a_gradient_and_arrays_give_arrays():
    references, estimates = scene(2)
    estimate = torch.tensor(estimates, requires_grad=True)
    score = si_sdr(torch.tensor(references), estimate)
    score.sum().backward()
    assert torch.isfinite(estimate.grad).all() and estimate.grad.abs().sum() > 0
    assert isinstance(si_sdr(references, estimates), np.ndarray)
    assert si_sdr(references, estimates) == pytest.approx(score.detach().numpy())


def test_silence_and_nan_follow_the_rules():
    references, estimates = scene(3)
    silence = np.zeros_like(references)
    assert np.isnan(si_sdr(silence, estimates)).all()
    assert np.isnan(si_sdr(silence + 1, estimates)).all()
    assert np.isneginf(si_sdr(references, silence)).all()
    assert np.isneginf(si_sdr(references, silence, mean_removed=False)).all()
    assert np.isnan(si_sdr(references, estimates * np.nan)).all()
    assert (si_sdr(references, 2 * references) > 250).all()
    assert is_silent(silence).all() and not is_silent(references).any()


def test_improvement_of_the_mixture_itself_is_zero():
    references, _ = scene(4)
    mixture = references.sum(0, keepdims=True)
    assert si_sdr_improvement(references, mixture, mixture) == pytest.approx(np.zeros((3, 1)))


def test_plain_sdr_counts_a_wrong_gain():
    references, _ = scene(5)
    assert sdr(references, 0.9 * references) == pytest.approx(np.full((3, 1), 20.0))
    assert sdr(references, 0 * references) == pytest.approx(np.zeros((3, 1)))


def test_best_permutation_undoes_a_shuffle():
    references, estimates = scene(6, sources=5)
    order = [3, 0, 4, 1, 2]
    found = best_permutation(si_sdr(references[:, None, 0], estimates[order][None, :, 0]))
    assert [order[i] for i in found] == list(range(5))


def test_a_silent_reference_does_not_disturb_the_permutation_of_others():
    assert best_permutation(np.array([[np.nan] * 3, [-np.inf, 1, 9], [0, np.inf, 3]])) == (0, 2, 1)


# ------------------------------------------------------------------------------------------------ BSS Eval


@pytest.mark.filterwarnings("ignore")
def test_sources_agree_with_mir_eval():
    references, estimates = (x[:, 0] for x in scene(7, samples=30001))
    theirs = mir_eval.separation.bss_eval_sources(references, estimates, compute_permutation=False)
    ours = bss_eval_sources(references, estimates)
    for mine, other in zip((ours.sdr, ours.sir, ours.sar), theirs[:3], strict=True):
        assert mine == pytest.approx(other, abs=AGREEMENT_DB)
    assert np.isnan(ours.isr).all()


@pytest.mark.filterwarnings("ignore")
def test_stereo_images_agree_with_mir_eval():
    references, estimates = scene(8, sources=2, channels=2, samples=9000)
    theirs = mir_eval.separation.bss_eval_images(
        references.swapaxes(1, 2), estimates.swapaxes(1, 2), compute_permutation=False
    )
    for mine, other in zip(bss_eval_images(references, estimates), theirs[:4], strict=True):
        assert mine == pytest.approx(other, abs=AGREEMENT_DB)


@pytest.mark.parametrize("channels", [1, 2])
def test_windows_agree_with_museval(channels):
    museval = museval_metrics()
    references, estimates = scene(9, channels=channels, samples=9100)
    theirs = museval.bss_eval(
        references.swapaxes(1, 2),
        estimates.swapaxes(1, 2),
        compute_permutation=False,
        window=3000,
        hop=2000,
        framewise_filters=False,
    )
    ours = bss_eval_windows(reader(references, estimates), 9100, 3000, 2000)
    for mine, other in zip(ours, theirs[:4], strict=True):
        assert mine.shape == other.shape
        assert mine.numpy() == pytest.approx(other, abs=AGREEMENT_DB)


def test_every_pair_agrees_with_fast_bss_eval():
    fast_bss_eval = pytest.importorskip("fast_bss_eval")
    references, estimates = (x[:, 0] for x in scene(10, samples=12000))
    _, sir, sar, permutation = fast_bss_eval.bss_eval_sources(references, estimates[[2, 0, 1]])
    ours = bss_eval_sources(references, estimates[[2, 0, 1]], pairwise=True)
    found = best_permutation(ours.sir)
    assert list(found) == list(permutation)
    assert ours.sir[range(3), found] == pytest.approx(sir, abs=AGREEMENT_DB)
    assert ours.sar[range(3), found] == pytest.approx(sar, abs=AGREEMENT_DB)


def test_sources_forgive_a_short_filter_and_images_do_not():
    references, _ = scene(11)
    filtered = np.stack([np.convolve(x, [0, 0, 1, 0.5])[: x.size] for x in references[:, 0]])
    assert (bss_eval_sources(references[:, 0], filtered).sdr > 30).all()
    images = bss_eval_images(references, filtered[:, None])
    assert (images.sdr < 5).all() and (images.isr < 5).all() and (images.sir > 30).all()


def test_a_silent_reference_is_scored_nan_and_the_others_as_if_it_were_not_there():
    references, estimates = (x[:, 0] for x in scene(12))
    padded = np.insert(references, 1, 0, axis=0), np.insert(estimates, 1, 1, axis=0)
    ours, alone = bss_eval_sources(*padded), bss_eval_sources(references, estimates)
    assert np.isnan(ours.sdr[1]) and np.isnan(ours.sir[1])
    assert ours.sdr[[0, 2, 3]] == pytest.approx(alone.sdr)
    assert ours.sir[[0, 2, 3]] == pytest.approx(alone.sir)


def test_identical_references_are_still_scored():
    references, estimates = (x[:, 0] for x in scene(13))
    scores = bss_eval_sources(np.vstack([references, references[:1]]), np.vstack([estimates, estimates[:1]]))
    assert np.isfinite(scores.sdr).all() and np.isfinite(scores.sar).all()
    assert scores.sdr[:3] == pytest.approx(bss_eval_sources(references, estimates).sdr, abs=AGREEMENT_DB)


def test_blocks_of_any_size_add_up_to_the_same_scores(monkeypatch):
    references, estimates = scene(14, samples=5003)
    expected = bss_eval_images(references, estimates, taps=64)
    monkeypatch.setattr("partbook.evaluate.bss_eval.BLOCK_FFT", 400)
    monkeypatch.setattr("partbook.evaluate.bss_eval.READ_SAMPLES", 1001)
    for mine, other in zip(bss_eval_images(references, estimates, taps=64), expected, strict=True):
        assert mine == pytest.approx(other, abs=1e-8)


def test_an_exact_estimate_has_no_error_at_all():
    references, _ = scene(15)
    assert np.isposinf(bss_eval_images(references, references).sdr).all()
    assert np.isposinf(bss_eval_sources(references[:, 0], references[:, 0]).sar).all()


# ------------------------------------------------------------------------------------------------ spectra


def test_spectral_snr_does_not_change_with_the_sign_and_counts_the_level_only_if_asked():
    references, estimates = scene(16)
    assert spectral_snr(references, -estimates) == pytest.approx(spectral_snr(references, estimates))
    scaled = spectral_snr(references, 3 * estimates, scale_invariant=True)
    assert scaled == pytest.approx(spectral_snr(references, estimates, scale_invariant=True))
    assert spectral_snr(references, 0.5 * references) == pytest.approx(np.full((3, 1), 20 * np.log10(2)))


def test_mel_cepstral_distance_agrees_with_librosa():
    librosa = pytest.importorskip("librosa")
    references, estimates = (x[0, 0] for x in scene(17, samples=16000))
    bands = librosa.filters.mel(sr=16000, n_fft=512, n_mels=128, htk=True, norm=None)
    assert mel_bands(16000, 512).numpy() == pytest.approx(bands, abs=1e-6)

    def cepstra(x):
        power = np.abs(librosa.stft(x, n_fft=512, hop_length=256, pad_mode="reflect")) ** 2
        return librosa.feature.mfcc(S=np.log(bands @ power + 1e-6), n_mfcc=13)

    theirs = np.linalg.norm(cepstra(references) - cepstra(estimates), axis=0).mean()
    assert mel_cepstral_distance(references, estimates, 16000) == pytest.approx(theirs, rel=1e-5)
    assert mel_cepstral_distance(references, references, 16000) == 0
