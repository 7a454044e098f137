import torch

from partbook.sources.nmf import Nmf
from partbook.sources.sections import Sections


def test_sections_behave_as_their_models_side_by_side():
    models = tuple(Nmf.random(2, 5, 3, frames, torch.Generator().manual_seed(frames)) for frames in (4, 7))
    sections = Sections(models, (4, 7))
    assert sections.parts == models[0].parts
    torch.testing.assert_close(sections.power(), torch.cat([model.power() for model in models], -1))
    up, down = torch.rand(2, 2, 5, 11)
    updated = sections.update("W", up, down, 0.0).power()
    torch.testing.assert_close(updated[..., 4:], models[1].update("W", up[..., 4:], down[..., 4:], 0.0).power())
    gain_NF = torch.rand(2, 5)
    torch.testing.assert_close(sections.rescale(gain_NF).power(), sections.power() * gain_NF[..., None])
