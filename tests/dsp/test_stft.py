import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from partbook.dsp.stft import Stft


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5000), st.sampled_from([(64, 16), (512, 128), (2048, 256), (2016, 504)]), st.integers(0, 99))
def test_inverse_is_exact_for_any_length(samples, sizes, seed):
    stft = Stft(*sizes)
    x = torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))
    spectra = stft(x)
    assert spectra.shape == (2, stft.bins, stft.frames(samples))
    assert torch.allclose(stft.inverse(spectra, samples), x, atol=2e-6)


@pytest.mark.parametrize("sample_rate", [1000, 8000, 16000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("multiple", [1, 2, 12])
def test_window_lasts_what_was_asked_and_divides_as_asked(sample_rate, multiple):
    stft = Stft.lasting(0.128, sample_rate, 4, multiple)
    assert 0.128 <= stft.n_fft / sample_rate <= 0.128 * 1.1 + 8 * multiple / sample_rate
    assert stft.n_fft % (2 * multiple) == 0 and stft.hop_samples % multiple == 0
    assert stft.hop_samples * 4 == stft.n_fft


def test_frames_are_centred_on_multiples_of_the_hop():
    stft = Stft(256, 64)
    x = torch.zeros(2000)
    x[640] = 1.0
    assert int(stft(x).abs().sum(0).argmax()) == 640 // 64


def test_a_hop_that_cannot_be_inverted_is_refused():
    with pytest.raises(ValueError, match="hop"):
        Stft(64, 48)
