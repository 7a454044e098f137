import numpy as np
import pytest
import torch

from partbook.dsp.lingering import lingering
from partbook.room.tail import DRY, Tail, heard_in, told_by

FRAME_S = 0.032
BINS_HZ = torch.arange(220) * 15.6


def sung(frames=400, seed=0):
    """Return the combs (N, F, T) of three voices whose partials go elsewhere now and then, and their dry power."""
    rng = np.random.default_rng(seed)
    comb_NFT = torch.zeros(3, len(BINS_HZ), frames)
    for comb_FT in comb_NFT:
        start = 0
        while start < frames:
            stop, f0 = start + int(rng.integers(8, 25)), rng.uniform(10, 24)
            for partial in range(1, int((len(BINS_HZ) - 3) / f0)):
                centre = round(partial * f0)
                comb_FT[centre - 1 : centre + 2, start:stop] = torch.tensor([[0.25], [1.0], [0.25]])
            start = stop
    levels = torch.from_numpy(10 ** rng.uniform(-1, 1, (3, 1, 1))).float()
    return comb_NFT, levels * comb_NFT


def recorded(dry_NFT, tail, seed=0):
    """Return the power of a recording of voices in a room, with a little noise; bins are as random as bins are."""
    noise = torch.from_numpy(np.random.default_rng(seed).exponential(1.0, dry_NFT.shape[1:])).float()
    wet_NFT = torch.cat([dry_NFT, tail.lingers(dry_NFT, FRAME_S)])
    return noise * (wet_NFT.sum(0) + 1e-4 * dry_NFT.mean())


@pytest.mark.parametrize("rt60_s", [1.2, 1.7, 2.4])
@pytest.mark.parametrize("late", [0.7, 0.9])
def test_a_tail_is_found_from_what_sounds_where_no_partial_is(rt60_s, late):
    comb_NFT, dry_NFT = sung()
    power_FT = recorded(dry_NFT, Tail(rt60_s, late))
    told = told_by([heard_in(power_FT, comb_NFT, BINS_HZ, FRAME_S)])
    assert told.rt60_s == pytest.approx(rt60_s, rel=0.15)
    assert told.late == pytest.approx(late, rel=0.25)


def test_loudness_makes_no_difference():
    comb_NFT, dry_NFT = sung()
    power_FT = recorded(dry_NFT, Tail(1.5, 1.0))
    once, louder = (told_by([heard_in(gain * power_FT, comb_NFT, BINS_HZ, FRAME_S)]) for gain in (1.0, 1e4))
    assert louder.rt60_s == pytest.approx(once.rt60_s, rel=1e-3)
    assert louder.late == pytest.approx(once.late, rel=1e-3)


@pytest.mark.parametrize("tail", [DRY, Tail(0.4, 2.0), Tail(1.5, 0.1)])
def test_of_a_small_room_or_a_faint_tail_nothing_is_made(tail):
    comb_NFT, dry_NFT = sung()
    assert told_by([heard_in(recorded(dry_NFT, tail), comb_NFT, BINS_HZ, FRAME_S)]) == DRY


def test_stretches_tell_together_and_those_without_voices_nothing():
    tail = Tail(1.5, 1.2)
    heard = []
    for seed in range(3):
        comb_NFT, dry_NFT = sung(200, seed)
        heard.append(heard_in(recorded(dry_NFT, tail, seed), comb_NFT, BINS_HZ, FRAME_S))
    power_FT = torch.rand(len(BINS_HZ), 50)
    silent = heard_in(power_FT, torch.zeros(3, len(BINS_HZ), 50), BINS_HZ, FRAME_S)
    everywhere = heard_in(power_FT, torch.ones(3, len(BINS_HZ), 50), BINS_HZ, FRAME_S)
    assert told_by([silent, everywhere]) == DRY
    assert told_by([*heard, silent, everywhere]) == told_by(heard)
    assert told_by(heard).rt60_s == pytest.approx(1.5, rel=0.15)


def test_taken_off_is_what_had_been_dry():
    _, dry_NFT = sung()
    tail, dry_FT = Tail(1.5, 1.3), dry_NFT.sum(0) + 1.0
    wet_FT = dry_FT + tail.lingers(dry_FT[None], FRAME_S)[0]
    assert (dry_FT > 0.05 * wet_FT).all()
    torch.testing.assert_close(tail.taken_off(wet_FT, FRAME_S), dry_FT, rtol=1e-3, atol=1e-3)


def test_a_little_is_always_left():
    falling_FT = 10 ** -torch.arange(40.0).expand(3, 40)
    left_FT = Tail(2.0, 2.0).taken_off(falling_FT, FRAME_S)
    assert (left_FT > 0).all() and (left_FT <= falling_FT).all()
    torch.testing.assert_close(left_FT[:, 1:], 0.05 * falling_FT[:, 1:])


def test_without_a_tail_powers_are_what_they_are_and_nothing_lingers():
    power_FT = torch.rand(5, 7)
    assert DRY.taken_off(power_FT, FRAME_S) is power_FT
    assert DRY.lingers(power_FT[None], FRAME_S).shape == (0, 5, 7)


def test_what_lingers_of_a_sound_that_lasts_is_as_much_as_the_room_says():
    lasting_NFT = torch.ones(1, 2, 400)
    assert Tail(1.5, 1.3).lingers(lasting_NFT, FRAME_S)[..., -1] == pytest.approx(1.3, rel=1e-3)
    torch.testing.assert_close(
        Tail(0.6, 2.0).lingers(lasting_NFT, 0.1), 2 * lingering(lasting_NFT, 0.1), rtol=1e-5, atol=0
    )
