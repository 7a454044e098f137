import numpy as np
import pytest
import torch

from partbook.errors import OptionError
from partbook.room import start
from partbook.room.plan import SPEED_OF_SOUND, Capsule, Hall, Plan

DRY, WET = Hall((10.0, 10.0, 10.0), 0.01), Hall((2.0, 2.0, 2.0), 5.0)
BINS_HZ = torch.tensor([100.0, 700.0, 3000.0])


def covariances(capsules, hall, seats=((2.0, 5.0, 1.0), (4.0, 5.0, 1.0))):
    seats_m = {f"p{n}": seat for n, seat in enumerate(seats)}
    return Plan(seats_m, tuple(capsules), hall).covariances(list(seats_m), range(len(capsules)), BINS_HZ)


def test_in_a_dry_room_sound_comes_from_the_player_with_the_delay_of_its_way():
    capsules = [Capsule((2.0, 4.0, 1.0), pattern="omni"), Capsule((2.0, 3.96, 1.0), pattern="omni")]
    R_FMM = covariances(capsules, DRY)[:, 0].numpy()
    expected = np.exp(2j * np.pi * 0.04 * BINS_HZ.numpy() / SPEED_OF_SOUND)
    np.testing.assert_allclose(R_FMM[:, 0, 1] / np.abs(R_FMM[:, 0, 1]), expected, atol=0.05)
    assert np.linalg.matrix_rank(R_FMM[:2], tol=0.05 * np.abs(R_FMM).max()).tolist() == [1, 1]


def test_how_far_apart_microphones_stand_is_known_only_nearly():
    """Direct sound at coincident microphones is coherent, at distant ones only as far as its waves are long."""
    capsules = [Capsule((2.0, y, 1.0), pattern="omni") for y in (4.0, 4.0, 3.0)]
    R_FMM = covariances(capsules, DRY)[:, 0].abs().numpy()
    coherence_FM = R_FMM[:, 0] / np.sqrt(R_FMM[:, 0, :1] * R_FMM[:, range(3), range(3)])
    assert (coherence_FM[:, 1] > 0.97).all()
    assert coherence_FM[0, 2] > 0.9 and coherence_FM[2, 2] < 0.1


def test_reverberation_is_as_coherent_as_diffuse_sound():
    """The coherence of two omnidirectional microphones at a distance d is sin(kd) / kd."""
    capsules = [Capsule((2.0, 4.0, 1.0), pattern="omni"), Capsule((2.0, 4.2, 1.0), pattern="omni")]
    R_FMM = covariances(capsules, WET)[:, 0].numpy()
    coherence = R_FMM[:, 0, 1] / np.sqrt(R_FMM[:, 0, 0] * R_FMM[:, 1, 1]).real
    np.testing.assert_allclose(coherence, np.sinc(2 * BINS_HZ.numpy() * 0.2 / SPEED_OF_SOUND), atol=0.06)


def test_a_figure_eight_does_not_hear_its_side():
    capsules = [Capsule((2.0, 4.0, 1.0), (1.0, 0.0, 0.0), "figure-eight"), Capsule((2.0, 4.0, 1.0))]
    R_FNMM = covariances(capsules, DRY)
    assert R_FNMM[0, 0, 0, 0].real < 0.02 * R_FNMM[0, 1, 0, 0].real


@pytest.mark.parametrize("hall", [DRY, WET, Hall()])
def test_every_microphone_hears_all_players_at_unit_power(hall):
    R_FNMM = covariances([Capsule((2.0, 4.0, 1.0)), Capsule((3.0, 1.0, 1.0)), Capsule((4.0, 4.5, 1.0))], hall)
    torch.testing.assert_close(R_FNMM.diagonal(dim1=-2, dim2=-1).real.mean((0, 1)), torch.ones(3))
    torch.testing.assert_close(R_FNMM, R_FNMM.mH)
    assert torch.linalg.eigvalsh(R_FNMM).min() > -1e-5


SETUP = {
    "source": [{"name": "Flute", "position_m": [1, 2, 1]}, {"name": "Cello", "position_m": [3, 2, 1]}],
    "microphone": [{"name": "M", "position_m": [2, 0, 2]}, {"name": "F", "position_m": [1, 1.5, 1], "pattern": "Omni"}],
    "room": {"rt60_s": 1.2},
}


def test_a_session_file_says_the_plan():
    plan = Plan.read(SETUP, ["M", "F"], {"F": "flute"}, ["flute", "cello"])
    assert plan.seats_m["cello"] == (3, 2, 1) and plan.hall == Hall(rt60_s=1.2)
    main, spot = plan.capsules
    assert main.aim == (0, 2, -1) and spot.aim == (0, 0.5, 0) and spot.pattern == "omni"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"source": []}, "none of flute, cello"),
        ({"microphone": [{"name": "F", "position_m": [1, 1, 1]}]}, "none of M"),
        ({"microphone": [SETUP["microphone"][0] | {"pattern": "cardiod"}, SETUP["microphone"][1]]}, "try cardioid"),
    ],
)
def test_a_plan_that_is_not_whole_is_refused(change, words):
    with pytest.raises(OptionError, match=words):
        Plan.read(SETUP | change, ["M", "F"], {}, ["flute", "cello"])


def test_powers_that_known_covariances_explain_are_those_of_the_players():
    rng = torch.Generator().manual_seed(0)
    factor = torch.randn(4, 2, 3, 3, dtype=torch.complex64, generator=rng)
    factor[:, :, :, 1:] *= 0.1
    true_NFT = (
        torch.rand(2, 4, 400, generator=rng) * torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 0.1]]).repeat(1, 200)[0]
    )
    drawn = torch.randn(2, 4, 3, 400, dtype=torch.complex64, generator=rng)
    images = torch.einsum("fnab,nfbt->nfat", factor, drawn) * true_NFT[:, :, None].sqrt()
    found_NFT = start.explained(images.sum(0).transpose(0, 1), factor @ factor.mH, 20)
    error, flat = ((x - true_NFT).square().mean() for x in (found_NFT, true_NFT.mean()))
    assert error < 2 * flat
    truth_N, found_N = true_NFT.mean((1, 2)), found_NFT.mean((1, 2))
    torch.testing.assert_close(found_N, truth_N, rtol=0.3, atol=0)
