"""The network that shares salience out among voices."""

import torch

from partbook.pitch.assign import Assigner, AssignerConfig
from partbook.train.weights import seeded

PER_OCTAVE = 60


def salience(*rows, frames=21):
    logit_BGT = torch.full((1, 240, frames), -6.0)
    logit_BGT[:, list(rows)] = 3.0
    return logit_BGT


def trained(seed=0):
    assigner = seeded(Assigner, seed)
    torch.nn.init.normal_(assigner.answer.weight, generator=torch.Generator().manual_seed(seed))
    return assigner


def test_untrained_a_candidate_goes_to_the_nearest_register():
    told = Assigner()(salience(180, 60), torch.tensor([[3.1, 0.9]]), PER_OCTAVE)
    assert told.shape == (1, 2, 240, 21)
    assert (told[0, :, 180, 0] > 0).tolist() == [True, False]
    assert (told[0, :, 60, 0] > 0).tolist() == [False, True]


def test_what_nobody_hears_nobody_sings():
    assert Assigner()(salience(), torch.tensor([[3.0, 2.0, 1.0]]), PER_OCTAVE).max() < -5


def test_voices_in_another_order_get_the_same_but_for_their_place():
    """All voices are judged by one network; only their place among the others is told."""
    assigner, logit_BGT = trained(), salience(100, 150)
    one = assigner(logit_BGT, torch.tensor([[2.5, 1.7]]), PER_OCTAVE)
    with torch.no_grad():
        assigner.entry.weight[:, 4] = 0
    blind = [assigner(logit_BGT, torch.tensor([order]), PER_OCTAVE) for order in ([2.5, 1.7], [1.7, 2.5])]
    assert torch.allclose(blind[0], blind[1].flip(1), atol=1e-5)
    assert not torch.allclose(one, blind[0])


def test_a_batch_is_its_mixtures_one_by_one():
    assigner, octaves = trained(1), torch.tensor([[2.0, 1.0], [3.0, 2.5]])
    logit_BGT = torch.cat([salience(100), salience(140, 60)])
    whole = assigner(logit_BGT, octaves, PER_OCTAVE)
    for n in range(2):
        assert torch.allclose(whole[n], assigner(logit_BGT[n : n + 1], octaves[n : n + 1], PER_OCTAVE)[0], atol=1e-5)


def test_any_number_of_voices_and_frames_goes_and_silence_has_finite_slopes():
    assigner = Assigner(AssignerConfig(channels=2, reach=((1, 1),)))
    for voices in (1, 2, 5):
        for frames in (1, 2, 7):
            logit_BGT = torch.full((1, 240, frames), -20.0, requires_grad=True)
            octaves_BN = torch.linspace(3, 1, voices)[None]
            told = assigner(logit_BGT, octaves_BN, PER_OCTAVE)
            told.sum().backward()
            assert told.shape == (1, voices, 240, frames) and logit_BGT.grad.isfinite().all()
