import math

import numpy as np
import pytest
import scipy.stats
import torch

from partbook.pitch.contour import extracted
from partbook.singer.bands import Sight
from partbook.singer.judging import Asked, likelihood, masked_error
from partbook.singer.spectra import Spectra
from partbook.train.losses import (
    commitment,
    damped,
    multi_resolution,
    outside_range,
    salience_sum,
    transport,
)

BINS_HZ = 100 * 2 ** (torch.arange(120, dtype=torch.float64) / 60)
LINES_HZ = torch.linspace(0, 2000, 801, dtype=torch.float64)


def lines(f0_hz):
    """Return spectra of five partials, as wide as a window's main lobe: all that a rendered voice shows of its F0."""
    partials_hz = f0_hz[..., None, None] * torch.arange(1, 6)[:, None]
    return torch.exp(-0.5 * ((LINES_HZ - partials_hz) / 6) ** 2).sum(-2)


def contour(cents, loss, steps=250):
    """Return by how many cents descent on a loss between spectra moves a contour that should move by so many."""
    logits = torch.logit((0.9 * torch.exp(-0.5 * ((torch.arange(120.0).double() - 40) / 2) ** 2)).clamp(0.02, 0.98))
    logits = logits[:, None].repeat(1, 2).requires_grad_()
    start_hz = BINS_HZ[40]
    target = lines((start_hz * 2 ** (cents / 1200)).expand(2))
    optimiser = torch.optim.Adam([logits], 0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(lines(extracted(torch.sigmoid(logits), BINS_HZ, 0.3, "local")), target).mean().backward()
        optimiser.step()
    f0_hz = extracted(torch.sigmoid(logits.detach()), BINS_HZ, 0.3, "local")
    return 1200 * torch.log2(f0_hz.clamp_min(1) / start_hz)


@pytest.mark.parametrize("cents", [30.0, -30.0, 300.0])
def test_transport_moves_a_contour(cents):
    assert torch.allclose(
        contour(cents, lambda x, y: transport(x, y, LINES_HZ) / 1e3), torch.tensor(cents).double(), atol=10
    )


def slope(loss, apart_hz):
    """Return the derivative of a loss in the frequency of a line that lies so far above the one it should be."""
    f0_hz = torch.tensor(900.0 + apart_hz, dtype=torch.float64, requires_grad=True)
    line, target = (torch.exp(-0.5 * ((LINES_HZ - each) / 6) ** 2) for each in (f0_hz, torch.tensor(900.0)))
    loss(line, target).backward()
    return float(f0_hz.grad)


@pytest.mark.parametrize("apart_hz", [-600, -150, -20, 20, 150, 600])
def test_transport_slopes_towards_the_target_at_any_distance(apart_hz):
    assert slope(lambda x, y: transport(x, y, LINES_HZ), apart_hz) == pytest.approx(2 * apart_hz, abs=6)


@pytest.mark.parametrize("apart_hz", [-600, -150, 150, 600])
def test_a_distance_of_magnitudes_has_no_slope_where_lines_do_not_overlap(apart_hz):
    near = abs(slope(lambda x, y: (x - y).abs().sum(), 5))
    assert abs(slope(lambda x, y: (x - y).abs().sum(), apart_hz)) < 1e-6 * near


def test_damped_sinusoids_move_by_thirty_cents_and_by_an_octave():
    samples = 512
    for semitones in (0.3, -0.3, 12.0):
        wanted = 0.3 * 2 ** (semitones / 12)
        target = torch.fft.rfft(torch.cos(wanted * torch.arange(samples).double())).abs()
        z = torch.polar(torch.tensor(0.99).double(), torch.tensor(0.3).double()).requires_grad_()
        optimiser = torch.optim.Adam([z], 3e-3)
        for _ in range(1000):
            optimiser.zero_grad()
            (torch.fft.rfft(damped(z, samples)).abs() - target).square().mean().backward()
            optimiser.step()
        assert abs(1200 * math.log2(abs(float(z.detach().angle())) / wanted)) < 10


def test_damped_gradients_are_right():
    z = torch.tensor([0.9 + 0.3j, 0.5 - 0.2j], dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: damped(z, 20), (z,))


@pytest.mark.parametrize("seed", range(3))
def test_transport_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.random((2, 40))
    frequency = np.sort(rng.random(40)) * 100
    expected = scipy.stats.wasserstein_distance(frequency, frequency, x, y)
    found = transport(*(torch.from_numpy(each) for each in (x, y, frequency)), exponent=1.0)
    assert math.isclose(float(found), expected, rel_tol=1e-9)


def test_transport_gradients_are_right():
    x, y = torch.rand(2, 3, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    frequency = torch.arange(12, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: transport(x, y, frequency), (x.requires_grad_(),))


def test_transport_does_not_hear_level():
    x, y = torch.rand(2, 50, generator=torch.Generator().manual_seed(1))
    frequency = torch.arange(50.0)
    assert torch.allclose(transport(x, y, frequency), transport(7 * x, 0.1 * y, frequency), rtol=1e-3)


def test_multi_resolution_is_zero_for_a_copy_and_grows_with_the_difference():
    x, noise = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    far, near, none = (float(multi_resolution(x, x + level * noise)) for level in (0.3, 0.1, 0.0))
    assert far > near > none == 0


def test_likelihood_is_least_at_the_truth():
    x = torch.rand(3, 20, generator=torch.Generator().manual_seed(0))
    assert float(likelihood(x, x, 0.25, 1e-6)) == pytest.approx(0, abs=1e-6)
    assert float(likelihood(x, 2 * x, 0.25, 1e-6)) > 0


def test_masked_error_of_the_right_mask_is_small():
    parts = torch.randn(2, 1, 30, 20, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    parts[0, :, 15:], parts[1, :, :15] = 0, 0
    mask = (torch.arange(30) < 15).float()[None, :, None].expand(1, 30, 20)
    asked = Asked.of(parts.sum(0), parts)
    assert masked_error(asked, [mask, 1 - mask]).tolist() == pytest.approx([-40, -40], abs=0.1)
    assert masked_error(asked, [0 * mask, 0 * mask]).tolist() == pytest.approx([0, 0], abs=0.1)


def test_what_goes_to_a_silent_recording_is_an_error_of_the_mixture():
    x = torch.ones(1, 30, 20, dtype=torch.complex64)
    asked, mask = Asked.of(x, torch.stack([x, 0 * x])), torch.full((1, 30, 20), 0.1)
    assert float(masked_error(asked, [1 - mask, mask])[1]) == pytest.approx(10, abs=0.1)


def test_masked_error_is_that_of_the_masked_spectra():
    generator = torch.Generator().manual_seed(1)
    parts = torch.randn(2, 3, 30, 20, dtype=torch.complex64, generator=generator)
    masks = torch.rand(2, 3, 30, 20, generator=generator)
    left = (parts - masks * parts.sum(0)).abs().square().sum((-1, -2)) / parts.abs().square().sum((-1, -2))
    assert torch.allclose(masked_error(Asked.of(parts.sum(0), parts), masks), (10 * left.log10()).mean(1), atol=2e-2)


def test_a_mask_of_wide_bins_errs_as_it_does_on_each_of_them():
    generator = torch.Generator().manual_seed(2)
    parts = torch.randn(2, 3, 31, 20, dtype=torch.complex64, generator=generator)
    sight, masks = Sight(10, 4), torch.rand(2, 3, 16, 20, generator=generator)
    place = torch.cat([torch.arange(10), 10 + torch.arange(21) // 4])
    wide, all_ = Asked.of(parts.sum(0), parts, sight), Asked.of(parts.sum(0), parts)
    assert torch.allclose(masked_error(wide, masks), masked_error(all_, masks[:, :, place]), atol=1e-4)
    assert torch.allclose(
        likelihood(all_.power_GBFT, all_.power_GBFT[:, :, place * 0], 2.0, 0.0, all_.width_F),
        likelihood(all_.power_GBFT, all_.power_GBFT[:, :, place * 0], 2.0, 0.0),
    )


def test_masks_of_frames_taken_together_err_as_they_do_on_each_of_them():
    generator = torch.Generator().manual_seed(3)
    parts = torch.randn(2, 3, 31, 20, dtype=torch.complex64, generator=generator)
    asked, masks = Asked.of(parts.sum(0), parts), torch.rand(2, 3, 31, 6, generator=generator)
    logs, bins = torch.zeros(3, 1, 4, 6), torch.zeros(3, 1, 31, 6)
    said = Spectra(logs, logs, logs, torch.zeros(3, 4), torch.zeros(31, 4), bins, bins, first=4, pace=2)
    some = Asked.of(parts[..., 4:16].sum(0), parts[..., 4:16])
    of_each = masked_error(some, masks.repeat_interleave(2, -1))
    assert torch.allclose(masked_error(asked.about(said), masks), of_each, atol=1e-4)


def test_salience_losses_vanish_where_all_is_said_and_stay_inside_the_range():
    f0_hz = torch.stack([BINS_HZ[40:45], BINS_HZ[80:85]])
    f0_hz[1, 2] = 0
    voices = ((BINS_HZ[:, None] / f0_hz[:, None].clamp_min(1)).log().abs() < 1e-3).double()
    assert float(commitment(voices, BINS_HZ, f0_hz)) == 0
    assert float(salience_sum(voices, voices.sum(0))) == 0
    ranges_hz = torch.tensor([[100.0, 200.0], [200.0, 400.0]]).double()
    assert float(outside_range(voices, BINS_HZ, ranges_hz)) == 0
    assert float(outside_range(voices, BINS_HZ, ranges_hz.flip(0))) > 0


def test_salience_losses_do_not_move_what_they_compare_with():
    mixture = torch.rand(5, 4, requires_grad=True)
    voices = torch.rand(2, 5, 4, requires_grad=True)
    salience_sum(voices, mixture).backward()
    assert mixture.grad is None and voices.grad.abs().sum() > 0
