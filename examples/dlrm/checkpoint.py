"""Checkpoints: tensors as NumPy arrays and the rest as JSON in one file, which appears whole. No pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn


def save(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, loader: dict[str, Any], step: int) -> None:
    """Write the model, the optimizer, where the loader is, and the step."""
    state = optimizer.state_dict()
    arrays = {f"model/{name}": value.numpy(force=True) for name, value in model.state_dict().items()}
    for number, values in state["state"].items():
        arrays |= {f"optimizer/{number}/{name}": value.numpy(force=True) for name, value in values.items()}
    said = {"loader": loader, "step": step, "groups": state["param_groups"]}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as out:
        np.savez(out, said=np.frombuffer(json.dumps(said).encode(), np.uint8), **arrays)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Any], int]:
    """Fill the model and the optimizer; the loader's state and the step."""
    with np.load(path, allow_pickle=False) as saved:
        said = json.loads(saved["said"].tobytes())
        tensors = {name: torch.from_numpy(saved[name].copy()) for name in saved.files if name != "said"}
    model.load_state_dict({n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, number, field = name.split("/")
            state.setdefault(int(number), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": said["groups"]})
    return said["loader"], said["step"]
