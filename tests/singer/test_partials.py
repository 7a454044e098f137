import torch

from partbook.singer.model import Singer, SingerConfig
from partbook.singer.partials import NEAR_BINS, SEEN, nearest_other, seen_at, spread
from partbook.train.weights import seeded

BINS_HZ = torch.arange(513) * 15.625
BIN_HZ = 15.625


def scene(*f0_hz, frames=33):
    """Return the power of flat voices, combs of lines two bins wide, and F0 per frame."""
    away = BINS_HZ[:, None] - (BINS_HZ[:, None] / torch.tensor(f0_hz)).round().clamp_min(1) * torch.tensor(f0_hz)
    combs = torch.exp(-((away.T / BIN_HZ) ** 2))[None, :, :, None].expand(-1, -1, -1, frames)
    return combs.sum(1), combs, torch.tensor(f0_hz)[None, :, None].expand(1, -1, frames)


def powers(singer, *scene):
    with torch.no_grad():
        return singer(*scene, BINS_HZ)[-1].power()


def test_a_gain_belongs_to_the_bins_next_to_its_partial():
    f0 = torch.tensor([[[200.0, 0.0, 400.0]]])
    logs = torch.log(torch.tensor([2.0, 3.0, 4.0]))[None, None, :, None].expand(1, 1, 3, 3)
    gain = spread(logs, f0, 101, 10.0)[0, 0]
    assert gain[[20, 29, 31, 40, 60], 0].tolist() == [2, 2, 3, 3, 4]
    assert (gain[[0, 9, 71, 100], 0] == 1).all()
    assert (gain[:, 1] == 1).all()
    assert gain[[40, 80], 2].tolist() == [2, 3]


def test_the_nearest_partial_of_another_voice_is_found_with_its_sign():
    f0 = torch.tensor([[[200.0], [301.0], [0.0]]])
    near = nearest_other(f0, torch.arange(1.0, 5.0)[:, None], 10.0)[0, :, :, 0] * NEAR_BINS
    assert torch.allclose(near[0], torch.tensor([NEAR_BINS, NEAR_BINS, 0.2, NEAR_BINS]), atol=1e-4)
    assert torch.allclose(near[1, 1], torch.tensor(-0.2), atol=1e-4)


def test_nothing_is_seen_of_rests_and_above_the_edge():
    x, combs, f0 = scene(220.0, 277.0)
    f0 = f0.clone()
    f0[:, 0, 5:] = 0
    seen = seen_at(x, combs, combs, x, f0, BIN_HZ, 64)
    assert seen.shape[2] == SEEN
    assert not seen[:, 0, ..., 5:].any() and seen[:, 0, :, 0, :5].any()
    assert not seen[:, 1, :, 30:].any() and torch.isfinite(seen).all()


def test_what_looks_at_partials_begins_as_nothing():
    x, combs, f0 = scene(220.0, 277.0)
    plain, looking = (seeded(lambda n=n: Singer(SingerConfig(partial_rounds=n)), 0) for n in (0, 2))
    looking.load_state_dict(plain.state_dict(), strict=False)
    assert torch.allclose(powers(looking, x, combs, f0), powers(plain, x, combs, f0))


def test_who_owns_a_shared_partial_can_be_learned():
    # The third partial of 220 Hz and the second of 330 Hz are one; the powers of all others are right.
    _, combs, f0 = scene(220.0, 330.0)
    levels = torch.tensor([1.0, 0.2])[:, None, None]
    truth = levels * combs
    shared = (BINS_HZ > 600) & (BINS_HZ < 720)
    truth = truth * torch.where(shared[:, None], torch.tensor([0.05, 4.0])[:, None, None], torch.tensor(1.0))
    x = truth.sum(1)
    x, truth = x / x.mean(), truth / x.mean()
    singer = seeded(lambda: Singer(SingerConfig(16, channels=8, partial_rounds=1, partial_channels=8)), 0)
    optimiser = torch.optim.Adam(singer.partials.parameters(), 1e-2)
    # At a steady rate it learns as soon, then leaps beyond the largest gain, from where nothing leads back.
    rate = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, 40)
    errors = []
    for _ in range(40):
        said = singer(x, combs, f0, BINS_HZ)[-1].power()
        shares = said / said.sum(1, keepdim=True)
        errors.append((shares * x[:, None] - truth)[:, :, shared].square().sum() / truth[:, :, shared].square().sum())
        optimiser.zero_grad()
        errors[-1].backward()
        optimiser.step()
        rate.step()
    assert errors[-1] < 0.2 * errors[0]
