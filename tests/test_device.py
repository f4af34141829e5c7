"""A device that is not there is the user's mistake, said in one line."""

import pytest
import torch

from echosyn import device
from echosyn.errors import ConfigError


def test_auto_is_usable_and_cpu_is_cpu():
    torch.zeros(1, device=device.resolve())
    assert device.resolve("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", ""])
def test_an_unusable_device_is_one_line_with_the_cure(name: str) -> None:
    with pytest.raises(ConfigError, match="expected auto, cpu, cuda, cuda:N or mps") as error:
        device.resolve(name)
    assert "\n" not in str(error.value)
