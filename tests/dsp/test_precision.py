import pytest
import torch

from partbook.dsp.precision import low_precision_pays


@pytest.mark.parametrize(
    ("capabilities", "pays"),
    [({}, False), ({"avx512_f": True}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)],
)
def test_a_processor_has_products_of_low_precision_or_not(monkeypatch, capabilities, pays):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert low_precision_pays() == pays and low_precision_pays(torch.device("cpu")) == pays


def test_older_versions_of_pytorch_cannot_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not low_precision_pays()


def test_graphics_processors_have_them():
    assert low_precision_pays("cuda")
