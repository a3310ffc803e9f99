"""PyTorch: the plain module as it is, in channels-last memory, and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..case import DECAY, MOMENTUM, RATE, Case, Run
from .twin import Twin, read_arrays, read_net


def version() -> str:
    """PyTorch's version."""
    return torch.__version__


def prepare(case: Case) -> None:
    """Nothing: the module is made from the prototxt."""


def load(case: Case, task: str, variant: str) -> Run:
    """The module of the net as `variant`: 'eager', 'channels-last' or 'compiled'."""
    torch.set_num_threads(case.threads)
    device = "cuda" if case.gpu else "cpu"
    path = case.train if task == "training" else case.deploy
    twin = Twin(read_net(path), read_arrays(case.arrays)).to(device)
    if variant == "channels-last":
        twin = twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module: Callable[..., torch.Tensor] = torch.compile(twin) if variant == "compiled" else twin
    if task == "training":
        label = case.read("label")
        step = sgd(twin, module, device)
        return lambda image: np.array(step(image, label))
    twin.eval()

    def infer(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            data = torch.from_numpy(image).to(device)
            if variant == "channels-last":
                data = data.to(memory_format=torch.channels_last)
            return module(data).cpu().numpy()

    return infer


def sgd(
    twin: Twin, module: Callable[..., torch.Tensor], device: str = "cpu"
) -> Callable[[np.ndarray, np.ndarray], float]:
    """A training step: forward of `module`, loss, backward, update of `twin`'s parameters.

    Rate, momentum and decay are those of the solver, with the prototxt's multipliers. The function takes an
    image and its label map and returns the loss.
    """
    groups: list[dict[str, Any]] = []
    for name, parameter in twin.named_parameters():
        rate, decay = twin.multipliers[name]
        parameter.requires_grad_(rate != 0)
        groups.append({"params": [parameter], "lr": RATE * rate, "weight_decay": DECAY * decay})
    optimizer = torch.optim.SGD([group for group in groups if group["lr"]], momentum=MOMENTUM)
    twin.train()

    def step(image: np.ndarray, label: np.ndarray) -> float:
        optimizer.zero_grad()
        loss = module(torch.from_numpy(image).to(device), torch.from_numpy(label).to(device))
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step
