import math

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st

from partbook.dsp.allpole import allpole, line_spectral_frequencies, polynomial, power_response, response

OMEGA = torch.linspace(0, math.pi, 257, dtype=torch.float64)


def frequencies(order=20, count=1, seed=0, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(count, order + 1, generator=generator, dtype=torch.float64)
    return line_spectral_frequencies(logits)


@given(st.integers(0, 100), st.sampled_from([2, 4, 10]), st.floats(0, 2))
def test_any_logits_give_frequencies_in_order_and_a_stable_filter(seed, order, spread):
    lsf = frequencies(order, 1, seed, spread)[0]
    assert lsf[0] > 0 and lsf[-1] < math.pi and (lsf.diff() > 0).all()
    assert np.abs(np.roots(polynomial(lsf).numpy())).max() < 1


def test_even_gaps_are_the_filter_that_changes_nothing():
    a = polynomial(line_spectral_frequencies(torch.zeros(13, dtype=torch.float64)))
    assert torch.allclose(a, torch.eye(13, dtype=torch.float64)[0], atol=1e-12)


def test_response_agrees_with_scipy():
    lsf = frequencies(12, seed=3)[0]
    _, expected = scipy.signal.freqz([1.0], polynomial(lsf).numpy(), worN=OMEGA.numpy(), include_nyquist=True)
    assert np.allclose(response(lsf, OMEGA).numpy(), expected, rtol=1e-8)
    assert np.allclose(power_response(lsf, OMEGA).numpy(), np.abs(expected) ** 2, rtol=1e-8)


def test_power_response_holds_in_single_precision():
    lsf = frequencies(20, seed=1)
    exact = power_response(lsf, OMEGA)
    assert torch.allclose(power_response(lsf.float(), OMEGA.float()).double(), exact, rtol=1e-3)


def test_odd_orders_are_refused():
    with pytest.raises(ValueError, match="even number"):
        power_response(torch.ones(3), OMEGA.float())


def test_constant_coefficients_agree_with_lfilter():
    a = polynomial(frequencies(20, seed=2)[0])
    x = torch.randn(2, 3000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = allpole(x, a[1:].expand(2, 3000, 20))
    assert np.allclose(y.numpy(), scipy.signal.lfilter([1.0], a.numpy(), x.numpy()), rtol=1e-9, atol=1e-9)


def test_moving_coefficients_follow_the_recursion():
    generator = torch.Generator().manual_seed(0)
    a = polynomial(frequencies(4, count=40, seed=5))[:, 1:]
    x = torch.randn(40, generator=generator, dtype=torch.float64)
    y = [0.0] * 44
    for s in range(40):
        y[s + 4] = float(x[s]) - sum(float(a[s, k]) * y[s + 3 - k] for k in range(4))
    assert np.allclose(allpole(x, a).numpy(), y[4:])


def test_gradients_are_those_of_the_recursion():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 25, dtype=torch.float64, generator=generator).requires_grad_()
    a = polynomial(frequencies(4, count=50, seed=7))[:, 1:].reshape(2, 25, 4).requires_grad_()
    assert torch.autograd.gradcheck(allpole, (x, a))


def test_gradients_reach_the_line_spectral_frequencies():
    logits = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    x = torch.randn(30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def sounded(logits):
        return allpole(x, polynomial(line_spectral_frequencies(logits))[1:].expand(30, 4))

    def heard(logits):
        return power_response(line_spectral_frequencies(logits), OMEGA[::32]).log()

    assert torch.autograd.gradcheck(sounded, (logits,))
    assert torch.autograd.gradcheck(heard, (logits,))


def test_division_in_frequency_is_the_filter_of_a_long_transform():
    lsf = frequencies(10, seed=4, spread=0.5)[0]
    pulse = torch.zeros(4096, dtype=torch.float64)
    pulse[0] = 1
    divided = torch.fft.irfft(response(lsf, torch.linspace(0, math.pi, 2049, dtype=torch.float64)))
    assert torch.allclose(allpole(pulse, polynomial(lsf)[1:].expand(4096, 10)), divided, atol=1e-6)


def test_a_signal_shorter_than_the_order_is_filtered():
    a = polynomial(frequencies(10)[0])[1:]
    assert torch.allclose(allpole(torch.ones(3, dtype=torch.float64), a.expand(3, 10))[:1], torch.ones(1).double())
