import pytest
import torch

from partbook.dsp.pieces import in_pieces
from partbook.pitch.network import NetworkConfig, SalienceNetwork
from partbook.singer.finish import Gains


@pytest.fixture
def drawn():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("frames", [96, 97, 12, 1])
def test_a_salience_network_in_pieces_is_the_whole(drawn, frames):
    network = SalienceNetwork(NetworkConfig(channels=4, exchanged=2)).eval()
    features = torch.randn(1, 4, 700, frames, generator=drawn)
    with torch.inference_mode():
        whole = network(features)
        pieces = in_pieces(network, features, network.reach_frames, 40)
    assert torch.allclose(whole, pieces, atol=1e-5)


def test_a_salience_network_reaches_as_far_as_it_says(drawn):
    network = SalienceNetwork(NetworkConfig(channels=4, exchanged=2)).eval()
    features = torch.randn(1, 4, 700, 200, generator=drawn)
    other = features.clone()
    other[..., 100] += 1
    with torch.inference_mode():
        changed = (network(features) != network(other)).any(1)[0].nonzero()[:, 0]
    assert 100 - network.reach_frames <= changed.min() < 104 - network.reach_frames
    assert 96 + network.reach_frames < changed.max() <= 100 + network.reach_frames


@pytest.mark.parametrize("dilations", [(1,), (1, 2, 4, 8)])
def test_gains_where_nothing_is_learned_are_those_where_something_is(drawn, monkeypatch, dilations):
    monkeypatch.setattr("partbook.singer.finish.AT_ONCE", 1)
    gains = Gains(3, 4, dilations, 6.0)
    for weight in gains.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=drawn)
    seen = torch.randn(2, 2, 3, 7, 301, generator=drawn)
    whole = gains(seen)
    with torch.no_grad():
        assert torch.allclose(gains(seen), whole, atol=1e-5)
