"""Whether Triton's kernels can run here. Triton comes with PyTorch for CUDA, and not with PyTorch for the CPU."""

from __future__ import annotations

from importlib.util import find_spec

import torch

_INSTALLED = find_spec("triton") is not None
_HOPPER = (9, 0)  # what the kernels were written for: tensor memory accelerator, and that much shared memory


def unusable(device: torch.device) -> str | None:
    """Why the kernels cannot run on the device, in plain words; None where they can."""
    if device.type != "cuda":
        return f"the model is on the {device.type}"
    if not _INSTALLED:
        return "Triton is not installed"
    if torch.cuda.get_device_capability(device) < _HOPPER:
        return f"{torch.cuda.get_device_name(device)} is older than Hopper"
    return None
