"""Where products of low precision pay: convolutions that say gains or evidence bear them, powers do not."""

from __future__ import annotations

import torch


def low_precision_pays(device: torch.device | str = "cpu") -> bool:
    """Return whether a device has products in bfloat16; a processor without takes six times as long to imitate them."""
    if torch.device(device).type != "cpu":
        return True
    # Older versions of PyTorch cannot tell.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


__all__ = ["low_precision_pays"]
