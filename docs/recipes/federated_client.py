"""One house's part of a federated training with NVIDIA FLARE: weights leave, videos stay.

FLARE starts it at each site, see federated.py. DATA/SITE is the site's dataset; an import must have been signed off. Each round:
take the common weights, train the EF regressor some steps, give the weights back, which count by the number of TRAIN patients.
No videos leave, but weights may tell of patients (docs/adr/0093-federated-training.md).
"""

import argparse
from itertools import islice
from pathlib import Path
from statistics import mean

import nvflare.client as flare
import torch
from nvflare.apis.dxo import MetaKey

from echosyn.data import filelist
from echosyn.pipeline.ingest import review
from echosyn.training import catalog
from echosyn.training.loop import Training, fit


def main() -> None:
    """Train until the coordinator has enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that has a folder for each site")
    parser.add_argument("--preset", default="phantom", help="settings, the same at every site")
    parser.add_argument("--steps", type=int, default=50, help="optimizer steps of a round")
    parser.add_argument("--rounds", type=int, default=10, help="rounds, as the coordinator says")
    args = parser.parse_args()
    flare.init()
    data = args.data / flare.get_site_name()
    review.require_signed(data, reviewed=False)
    records = [record for record in filelist.read(data) if record.split == "TRAIN"]
    steps = [f"loop.steps={args.steps * args.rounds}", "loop.ema_decay=0"]
    stage = catalog.create("ef", catalog.settings("ef", args.preset, None, steps))
    training = fit(Training(stage, stage.settings.loop), stage.items(data, records))
    while flare.is_running():
        common = flare.receive()
        if common is None:
            break
        stage.network.load_state_dict({name: torch.as_tensor(value) for name, value in common.params.items()})
        losses = [metrics["ef/loss"] for metrics in islice(training, args.steps)]
        weights = {name: value.detach().cpu() for name, value in stage.network.state_dict().items()}
        patients = len({record.patient for record in records})
        given = {MetaKey.NUM_STEPS_CURRENT_ROUND: patients}  # what FedAvg weighs by
        flare.send(flare.FLModel(params=weights, metrics={"loss": mean(losses)}, meta=given))


if __name__ == "__main__":
    main()
