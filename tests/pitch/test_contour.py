import math

import pytest
import torch

from partbook.errors import OptionError
from partbook.pitch.contour import METHODS, extracted

BINS_HZ = 100 * 2 ** (torch.arange(180, dtype=torch.float64) / 60)
"""Three octaves in steps of 20 cents."""

PUBLISHED = ("sigmoid", "straight-through", "amplitude", "reconstruction", "softmax", "threshold")
CARRYING = ("local", "path")


def bump(at=90.0, frames=7, height=0.8, width=1.5):
    """Return a salience with one peak of a few bins."""
    bins = torch.arange(len(BINS_HZ), dtype=torch.float64)
    return (height * torch.exp(-0.5 * ((bins - at) / width) ** 2))[:, None].expand(-1, frames).clone()


def cents(f0_hz, other_hz):
    return 1200 * torch.log2(f0_hz / other_hz)


def gradient(salience, method, threshold=0.3):
    leaf = salience.clone().requires_grad_()
    extracted(leaf, BINS_HZ, threshold, method).sum().backward()
    return torch.zeros_like(salience) if leaf.grad is None else leaf.grad


def moved(method, wanted_cents):
    """Return by how many cents 150 steps of descent on the distance in cents move the loudest bin of a contour."""
    logits = torch.logit(bump().clamp(0.01, 0.99)).requires_grad_()
    before = BINS_HZ[90]
    optimiser = torch.optim.Adam([logits], 0.1)
    for _ in range(150):
        optimiser.zero_grad()
        f0_hz = extracted(torch.sigmoid(logits), BINS_HZ, 0.3, method)
        cents(f0_hz.clamp_min(1e-3), before * 2 ** (wanted_cents / 1200)).square().mean().backward()
        optimiser.step()
    salience = torch.sigmoid(logits.detach())
    peaks = BINS_HZ[salience.argmax(0)]
    still_voiced = salience.amax(0) >= 0.3
    return torch.where(still_voiced, cents(peaks, before), torch.nan)


@pytest.mark.parametrize("method", CARRYING)
@pytest.mark.parametrize("wanted", [30.0, -30.0])
def test_a_loss_moves_a_contour_that_carries_pitch(method, wanted):
    assert torch.allclose(moved(method, wanted), torch.full((7,), wanted).double(), atol=11)


@pytest.mark.parametrize("method", PUBLISHED)
def test_no_loss_moves_a_published_contour_both_ways(method):
    arrived = [bool((moved(method, wanted) - wanted).abs().max() <= 11) for wanted in (30.0, -30.0)]
    assert not all(arrived)


@pytest.mark.parametrize("method", ["straight-through", "amplitude", "reconstruction"])
def test_hard_contours_name_the_loudest_bin(method):
    assert torch.allclose(extracted(bump(), BINS_HZ, 0.3, method), BINS_HZ[90].expand(7))
    assert not extracted(bump(height=0.2), BINS_HZ, 0.3, method).any()


def test_sigmoid_has_no_gradient_a_hundredth_off_the_threshold():
    assert gradient(bump(height=0.31), "sigmoid").abs().max() < 1e-1 * BINS_HZ[90]
    at = gradient(bump(height=0.3), "sigmoid")
    assert torch.allclose(at[90], 250 * BINS_HZ[90].expand(7)) and at.abs().sum(0).allclose(at[90])


def test_straight_through_sends_its_gradient_to_the_loudest_bin_even_if_unvoiced():
    for height in (0.8, 0.1):
        expected = torch.zeros_like(bump())
        expected[90] = BINS_HZ[90]
        assert torch.allclose(gradient(bump(height=height), "straight-through"), expected)


def test_amplitude_has_no_gradient_and_survives_silence():
    assert not gradient(bump(), "amplitude").any()
    assert not gradient(torch.zeros_like(bump()), "amplitude").any()


def test_reconstruction_copies_one_gradient_to_every_bin():
    assert torch.equal(gradient(bump(), "reconstruction"), torch.ones_like(bump()))


def test_softmax_is_a_sum_and_grows_with_the_salience():
    assert torch.allclose(gradient(bump(), "softmax"), BINS_HZ[:, None].expand(-1, 7))
    once, twice = (extracted(scale * bump(), BINS_HZ, 0.3, "softmax") for scale in (1, 2))
    assert torch.allclose(twice, 2 * once)


def test_threshold_scales_the_pitch_by_the_salience():
    assert torch.allclose(extracted(bump(), BINS_HZ, 0.3, "threshold"), 0.8 * BINS_HZ[90].expand(7))
    assert torch.allclose(gradient(bump(), "threshold")[90], BINS_HZ[90].expand(7))


@pytest.mark.parametrize("method", CARRYING)
def test_gradients_point_to_the_side_where_salience_was_added(method):
    slope = gradient(bump(), method)
    assert (slope[91:94] > 0).all() and (slope[87:90] < 0).all()


@pytest.mark.parametrize("method", CARRYING)
def test_gradients_are_right(method):
    generator = torch.Generator().manual_seed(0)
    salience = (0.1 + 0.05 * torch.rand(24, 4, dtype=torch.float64, generator=generator)).requires_grad_()
    with torch.no_grad():
        salience[11:14] += 0.5 * torch.tensor([0.6, 1.0, 0.7]).double()[:, None]
    assert torch.autograd.gradcheck(lambda s: extracted(s, BINS_HZ[:24], 0.3, method), (salience,))


@pytest.mark.parametrize("method", CARRYING)
@pytest.mark.parametrize("at", [90.0, 90.3, 90.5, 100.8])
def test_a_peak_between_bins_is_found_between_bins(method, at):
    true_hz = 100 * 2 ** (torch.tensor(at).double() / 60)
    assert cents(extracted(bump(at), BINS_HZ, 0.3, method), true_hz).abs().max() < 3


@pytest.mark.parametrize("method", CARRYING)
def test_transposed_salience_gives_transposed_f0(method):
    low, high = (extracted(bump(at), BINS_HZ, 0.3, method) for at in (60.2, 120.2))
    assert torch.allclose(high, 2 * low, rtol=1e-6)


def test_path_passes_over_a_peak_that_does_not_continue():
    salience = bump(90.0, frames=9)
    salience[:, 4] += bump(150.0, 1, height=0.9)[:, 0]
    assert cents(extracted(salience, BINS_HZ, 0.3, "local")[4], BINS_HZ[90]) > 1000
    assert cents(extracted(salience, BINS_HZ, 0.3, "path")[4], BINS_HZ[90]).abs() < 30


@pytest.mark.parametrize("method", METHODS)
def test_voices_are_extracted_one_by_one(method):
    both = torch.stack([bump(80.0), bump(100.4, height=0.25)])
    together = extracted(both, BINS_HZ, torch.tensor([0.3, 0.2]), method)
    alone = [extracted(salience, BINS_HZ, tau, method) for salience, tau in zip(both, (0.3, 0.2), strict=True)]
    assert torch.allclose(together, torch.stack(alone))


def test_an_unknown_method_gets_the_nearest_name():
    with pytest.raises(OptionError, match="try local"):
        extracted(bump(), BINS_HZ, 0.3, "locale")


def test_bins_need_not_begin_anywhere():
    assert math.isclose(float(extracted(bump(), 2 * BINS_HZ, 0.3, "local")[0]), 2 * float(BINS_HZ[90]), rel_tol=1e-6)
