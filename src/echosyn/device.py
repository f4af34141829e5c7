"""Which device and precision to compute with."""

import torch

from echosyn.errors import ConfigError


def resolve(name: str = "auto") -> torch.device:
    """The torch device for ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``; an unusable one is a `ConfigError`."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"--device {name}: not available ({reason}); expected auto, cpu, cuda, cuda:N or mps"
        ) from error
    return device
