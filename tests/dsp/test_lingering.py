import pytest
import torch

from partbook.dsp.lingering import decay_of, lingering


def test_what_lingers_is_late_and_loses_nothing_but_what_is_to_come():
    pulse = torch.zeros(1, 1, 400)
    pulse[..., 100] = 1.0
    late = lingering(pulse, 0.9)[0, 0]
    assert late[:101].abs().max() == 0
    torch.testing.assert_close(late[102:110] / late[101:109], torch.full((8,), 0.9))
    assert float(late.sum()) == pytest.approx(1)


def test_what_lingers_is_what_a_decaying_memory_holds():
    power = torch.rand(2, 3, 50, generator=torch.Generator().manual_seed(0))
    held, expected = torch.zeros(2, 3), []
    for frame in power.unbind(-1):
        expected.append(held)
        held = 0.8 * held + 0.2 * frame
    torch.testing.assert_close(lingering(power, 0.8), torch.stack(expected, -1))


@pytest.mark.parametrize("rt60_s", [0.3, 1.0, 2.5])
def test_after_the_reverberation_time_a_millionth_is_left(rt60_s):
    assert decay_of(rt60_s, 0.01) ** (rt60_s / 0.01) == pytest.approx(1e-6)
