import math

import numpy as np
import pytest
import torch

from partbook.room.reflections import SEATING_S, alike

BIN_HZ, BINS, OWN = 2.5, 481, 1


def transfer(rng, lag_s=0.006, late=1.0, others=3):
    """Return how a player reaches microphones, the second its own: directly, over the floor, and by the walls."""
    hz = np.arange(BINS) * BIN_HZ
    delays_s = rng.uniform(SEATING_S[1] + 0.005, 0.2, 400)
    walls_MF = rng.standard_normal((others, 400)) @ np.exp(-2j * np.pi * delays_s[:, None] * hz) / 20
    seating_F = 3 * np.exp(-2j * np.pi * hz * lag_s) + 2 * np.exp(-2j * np.pi * hz * 1.5 * lag_s)
    found = np.insert(seating_F + late * walls_MF, OWN, 1.0, 0)
    return torch.from_numpy(found.T)


def covariance(transfer_FM, power=1.0):
    return power * transfer_FM[:, :, None] * transfer_FM[:, None].conj()


def test_the_same_room_is_the_same_however_loud_and_with_noise(rng):
    room_FMM = covariance(transfer(rng))
    noise_FM = torch.from_numpy(rng.standard_normal((BINS, 4, 2)) @ np.array([1, 1j]))
    noisy_FMM = covariance(transfer(rng, late=0) * 0 + noise_FM, 0.05) + room_FMM
    weight_F = torch.from_numpy(rng.uniform(0, 1, BINS))
    assert alike(room_FMM, 7 * room_FMM, weight_F, OWN, BIN_HZ) == pytest.approx(1)
    assert alike(room_FMM, noisy_FMM, weight_F, OWN, BIN_HZ) > 0.8


def test_another_room_with_the_same_seats_is_another(rng):
    rooms = [covariance(transfer(rng)) for _ in range(4)]
    found = [alike(rooms[0], other, torch.ones(BINS), OWN, BIN_HZ) for other in rooms[1:]]
    assert max(np.abs(found)) < 0.2


def test_seats_alone_are_not_counted(rng):
    state = rng.bit_generator.state
    near = covariance(transfer(rng, lag_s=0.004))
    rng.bit_generator.state = state
    far = covariance(transfer(rng, lag_s=0.009))
    assert alike(near, far, torch.ones(BINS), OWN, BIN_HZ) > 0.95


def test_only_bins_that_are_heard_count(rng):
    room_FMM, other_FMM = covariance(transfer(rng)), covariance(transfer(rng))
    heard = torch.arange(BINS) % 3 > 0
    mixed_FMM = torch.where(heard[:, None, None], room_FMM, other_FMM)
    assert alike(room_FMM, mixed_FMM, heard.double(), OWN, BIN_HZ) == pytest.approx(1)


@pytest.mark.parametrize("heard", [0, 5])
def test_where_nearly_nothing_is_heard_nothing_is_told(rng, heard):
    weight_F = torch.zeros(BINS)
    weight_F[100 : 100 + heard] = 1
    assert math.isnan(alike(covariance(transfer(rng)), covariance(transfer(rng)), weight_F, OWN, BIN_HZ))
