import torch
from torch.nn.functional import avg_pool1d, avg_pool2d

from partbook.pitch.network import contrasted


def test_contrast_is_what_stands_out_of_the_mean_of_the_rows_and_frames_around():
    power = torch.rand(2, 90, 70, generator=torch.Generator().manual_seed(1)) ** 8
    bels = torch.log10(power + 1e-7) + 7
    rows = avg_pool2d(bels[:, None], (25, 1), 1, (12, 0), count_include_pad=False)[:, 0]
    expected = bels - avg_pool1d(rows, 31, 1, 15, count_include_pad=False)
    assert torch.allclose(contrasted(power, 12)[:, 1], expected, atol=1e-4)
