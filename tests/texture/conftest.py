"""A phantom through the VAE that ships."""

import numpy as np
import pytest
import torch

from echosyn import weights
from echosyn.data import phantom
from echosyn.pipeline.models import codec


@pytest.fixture(scope="session")
def through_the_vae():
    vae = codec(weights.shipped() / "vae", torch.device("cpu"))
    return lambda recorded: vae.decode(vae.encode(torch.from_numpy(recorded)))[..., 0].numpy()


@pytest.fixture(scope="session")
def decoded_phantom(through_the_vae):
    return through_the_vae(phantom.render(phantom.patient(77, 0, num_frames=64))[:24])


@pytest.fixture(scope="session")
def drawn():
    """Where a phantom's fan is: ``(112, 112)``."""

    def inside(patient):
        found = np.zeros(112 * 112, bool)
        found[phantom.fan.fan(patient).pixels] = True
        return found.reshape(112, 112)

    return inside
