"""Train an EF regressor on the data of several houses, here all on this computer, in NVIDIA FLARE's simulator.

    pip install 'echosyn[federated]'
    python docs/recipes/federated.py HOUSES OUT --rounds 10 --steps 50

HOUSES has a folder for each house. OUT/model is the model folder. In earnest the houses run FLARE's clients, each with its own
HOUSES/NAME, and the same job is sent to their server (`ProdEnv` in place of `SimEnv`).
"""

import argparse
import sys
from pathlib import Path

import torch
from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe
from nvflare.recipe import SimEnv

from echosyn.files import refuse_existing
from echosyn.training import catalog

CLIENT = Path(__file__).with_name("federated_client.py")
RESULT = Path("server", "simulate_job", "app_server", "FL_global_model.pt")


def main() -> None:
    """Train, average, and write the model folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("houses", type=Path, help="folder that has a folder for each house")
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--preset", default="phantom", help="settings, the same in every house")
    parser.add_argument("--steps", type=int, default=50, help="optimizer steps of a round")
    parser.add_argument("--rounds", type=int, default=10, help="rounds")
    args = parser.parse_args()
    refuse_existing(args.out)
    houses = sorted(path.name for path in args.houses.iterdir() if path.is_dir())
    stage = catalog.create("ef", catalog.settings("ef", args.preset, None, []))
    kind, config = type(stage.network), dict(stage.network.config)
    known = {name: value for name, value in config.items() if not name.startswith("_")}
    args.out.mkdir(parents=True)
    begin = args.out.resolve() / "begin.pt"
    torch.save(stage.network.state_dict(), begin)
    recipe = FedAvgRecipe(
        name="ef",
        model={"class_path": f"{kind.__module__}.{kind.__qualname__}", "args": known},
        initial_ckpt=str(begin),
        min_clients=len(houses),
        num_rounds=args.rounds,
        key_metric="loss",
        key_metric_mode="min",
        train_script=str(CLIENT),
        train_args=f"{args.houses.resolve()} --preset {args.preset} --steps {args.steps} --rounds {args.rounds}",
    )
    done = recipe.execute(SimEnv(clients=houses, workspace_root=str(args.out.resolve() / "flare")))
    result = Path(str(done.get_result())) / RESULT
    if not result.is_file():
        sys.exit(f"error: {args.out}: no common model; read the logs in {args.out / 'flare'}")
    stage.network.load_state_dict(torch.load(result, weights_only=True)["model"])
    stage.export(args.out / "model")


if __name__ == "__main__":
    main()
