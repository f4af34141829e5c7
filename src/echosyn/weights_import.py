"""Weights that others published as pickles -> model folders; nothing in the file is executed."""

from pathlib import Path

from echosyn import pixels, weights
from echosyn.errors import ModelError
from echosyn.nn import r2plus1d
from echosyn.nn.ef_regressor import EFRegressor

PIXELS: pixels.Name = "symmetric"


def import_echonet_dynamic_ef(checkpoint: Path, folder: Path, *, mean: float, std: float) -> None:
    """EchoNet-Dynamic's EF regressor as a model folder.

    Args:
        checkpoint: its ``best.pt``, or ``r2plus1d_18_32_2_pretrained.pt`` of its release.
        folder: model folder to write; an existing one is replaced.
        mean: of the grey levels 0..255 that it was trained on: the file does not say
            (`echosyn.data.levels.mean_and_std` measures it; EchoNet-Dynamic did on its TRAIN videos).
        std: their standard deviation.

    Raises:
        ModelError: the file cannot be read safely, or it is another network.
    """
    state, rest = r2plus1d.read_state(checkpoint)
    network = EFRegressor()
    if not r2plus1d.load_published(network, state, checkpoint):
        raise ModelError(
            f"{checkpoint}: its last layer is not an EF's (one output); expected EchoNet-Dynamic's best.pt"
        )
    scale = pixels.convention(PIXELS).scale
    network.normalize(mean / scale - 1, std / scale)
    facts = weights.Facts(
        stage="ef", pixels=PIXELS, period=int(rest.get("period", 2)), num_frames=int(rest.get("frames", 32))
    )
    weights.save(network, folder, facts)
