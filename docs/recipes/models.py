"""Make the models that ship with the package: ``make models``, about 200 CPU-minutes in one thread.

    python docs/recipes/models.py build/models

Every step is skipped where its folder is there, and a stopped training goes on, so the same command continues. The last
step judges the models on hearts that none of them saw and writes ``packed/``: weights in half precision, a model card each.
"""

import argparse
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import stills
import torch
from huggingface_hub import ModelCardData

from echosyn import weights
from echosyn.data import filelist, phantom
from echosyn.hashing import file_hash
from echosyn.pipeline import trained_on
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.train.encode import encode
from echosyn.pipeline.train.texture import learned
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.making import EncodeSettings
from echosyn.settings.training import ResumeSettings, TextureFitSettings
from echosyn.training import catalog

SEED = 1
VIEWS: tuple[phantom.View, ...] = ("A4C", "PSAX")
PRESET = "phantom-full"
FEW, MANY, FURTHER = "phantoms-480", "phantoms-2000", "phantoms-1600"
FURTHER_OVERRIDES = ("loop.steps=5000", "loop.learning_rate=1e-3")
"""The video model's second training, on hearts that the first did not see; what ships is the mean of both (ADR 101)."""
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
WHAT = {
    "vae": "Frames to latents (4 x 14 x 14) and back.",
    "lidm_a4c": "Invents end-diastolic frames, apical four-chamber view.",
    "lidm_psax": "Invents end-diastolic frames, parasternal short-axis view.",
    "lvdm": "Makes an end-diastolic frame beat with a requested EF, both views, up to 192 frames at 32 fps in one window.",
    "reid": "Tells whether two frames are of one patient.",
    "ef": "Reads the ejection fraction of a video.",
}


def timed(folder: Path, name: str, step: Any) -> None:
    """Run a step unless its CPU time is on record, and put that on record."""
    record = folder / "cpu_minutes.json"
    known = json.loads(record.read_text()) if record.is_file() else {}
    if name not in known:
        start = time.process_time()
        step()
        known[name] = round((time.process_time() - start) / 60, 1)
        record.write_text(json.dumps(known, indent=2) + "\n")
    print(f"{name}: {known[name]} CPU-minutes", flush=True)


def make(folder: Path, quick: bool) -> None:
    """Data and trainings; ``quick`` ones are good for nothing but a look at whether all steps work."""
    few, many, further = (folder / name for name in (FEW, MANY, FURTHER))
    fewer = ["loop.steps=2", "loop.batch_size=4", "loop.warmup_steps=0"] if quick else []

    def learn(name: str, stage: str, data: Path, *overrides: str) -> None:
        settings = catalog.settings(stage, PRESET, overrides=[*overrides, *fewer])
        timed(
            folder,
            name,
            lambda: train(
                stage,
                data,
                folder / name,
                settings=settings,
                resume=ResumeSettings(resume=True),
                compute=Compute("cpu"),
            ),
        )

    def phantoms(out: Path, num: int, frames: int, seed: int = SEED) -> None:
        if not out.exists():
            make_phantom(out, num=num, seed=seed, view="both", num_frames=frames, fps=32.0)

    def encoded() -> None:
        asked = EncodeSettings(courses=True, any_scale=quick, mean=True)
        for data, out in latents.items():
            if not out.exists():
                encode(data, out, folder / "vae", asked, Compute(device="cpu"))

    timed(
        folder,
        "data",
        lambda: (
            phantoms(few, 8 if quick else 480, 64),
            phantoms(many, 16 if quick else 2000, 128),
            phantoms(further, 8 if quick else 1600, 64, stills.FURTHER_SEED),
        ),
    )
    learn("vae", "vae", few)
    latents = {data: data.with_name(data.name.replace("phantoms", "latents")) for data in (many, further)}
    timed(folder, "latents", encoded)
    vae = f"vae={folder / 'vae'}"
    for view in VIEWS:
        own = folder / f"stills_{view.lower()}"
        timed(folder, own.name, partial(end_diastoles, own, view, folder / "vae", quick))
        learn(f"lidm_{view.lower()}", "lidm", own, f"only.View={view}")
    learn("lvdm_first", "lvdm", latents[many])
    learn("lvdm", "lvdm", latents[further], f"start={folder / 'lvdm_first'}", *FURTHER_OVERRIDES)
    learn("reid", "reid", many, vae)
    learn("ef", "ef", many)


def end_diastoles(out: Path, view: phantom.View, vae: Path, quick: bool) -> None:
    """What an image model learns."""
    if not out.exists():
        stills.write(out, view, vae, *((8, 4) if quick else (stills.HEARTS, stills.HELD_OUT)))


def pack(folder: Path, numbers: dict[str, Any]) -> None:
    """Half precision, what was trained on, and a card each; what points to the VAE points to the packed one."""
    packed = folder / "packed"
    minutes = json.loads((folder / "cpu_minutes.json").read_text())
    hash_of_vae = None
    for name, what in WHAT.items():
        stage, source, target = name.split("_")[0], weights.resolve(folder / name), packed / name
        facts = weights.load_facts(source)
        if facts.vae is not None:
            facts = facts.model_copy(update={"vae": hash_of_vae})
        noise = weights.load_scheduler(source) if stage in ("lidm", "lvdm") else None
        network, first = weights.load(source, stage), None
        if stage == "lvdm":
            first = weights.resolve(folder / f"{name}_first")
            average(network, weights.load(first, stage))
        weights.save(network.half(), target, facts, noise)
        if stage == "vae":
            hash_of_vae = weights.weights_hash(target)
            texture, *_ = learned(folder / FEW, target, TextureFitSettings(videos=160, seed=SEED), Compute("cpu"))
            texture.save(target)
        run = json.loads((source.parent / trained_on.RUN).read_text())
        data = folder / data_of(name)
        learnt = [r for r in filelist.read(data) if r.name in set(run["videos"])]
        trained_on.write(target, learnt, run["data"], first)
        parameters = sum(p.numel() for p in network.parameters())
        spent = round(minutes[name] + minutes.get(f"{name}_first", 0), 1)
        (target / "README.md").write_text(card(name, what, parameters, len(learnt), spent, run, numbers, target))
        print(f"{target}: {parameters / 1e6:.2f} M parameters", flush=True)


def average(network: torch.nn.Module, first: Any) -> None:
    """The mean of the weights of two trainings, of which one went on from the other (Wortsman et al. 2022, Model soups)."""
    theirs = first.state_dict()
    mean = {k: (v.float() + theirs[k].float()) / 2 for k, v in network.state_dict().items()}
    network.load_state_dict(mean | {"beats": theirs["beats"]})  # beats are those of videos of four seconds


def data_of(name: str) -> str:
    """The folder that a model's videos are in."""
    if name.startswith("lidm"):
        return name.replace("lidm", "stills")
    return {"vae": FEW, "lvdm": FURTHER}.get(name, MANY)


def card(
    name: str,
    what: str,
    parameters: int,
    videos: int,
    minutes: float,
    run: dict[str, Any],
    numbers: dict[str, Any],
    target: Path,
) -> str:
    """Model card: data, recipe, cost, held-out numbers, hash."""
    head = ModelCardData(
        license="apache-2.0", library_name="diffusers", tags=["echocardiography", "ultrasound", "synthetic"]
    )
    recipe = json.dumps(run["settings"], indent=2, sort_keys=True)
    found = json.dumps(numbers.get(name, {}), indent=2)
    command = "make models" if name == "vae" else f"make models (after its VAE; settings: preset {PRESET})"
    return f"""---
{head.to_yaml()}
---

# {name}

{what} For the procedural phantom, not for patients: it never saw one.

- **Parameters**: {parameters:,}, stored in half precision.
- **Weights** (SHA-256): `{file_hash(target / weights.WEIGHTS)}`
- **Data**: {source(name, videos)}, so no patient can be found in it.
- **Cost**: {minutes} CPU-minutes in one thread; torch {torch.__version__.split("+")[0]}.
- **Command**: `{command}`.

## On held-out phantoms

```json
{found}
```

## Settings

```json
{recipe}
```
"""


def source(name: str, videos: int) -> str:
    """What a model learned from, in words."""
    if name.startswith("lidm"):
        return f"end-diastolic frames of {videos} phantoms (docs/recipes/stills.py, seeds {SEED} and {stills.FURTHER_SEED})"
    if name == "lvdm":
        first = f"1500 phantom videos of 4 s (`echosyn phantom`, seed {SEED}, TRAIN split)"
        return f"{first}, then {videos} of 2 s (seed {stills.FURTHER_SEED})"
    return f"{videos} phantom videos (`echosyn phantom`, seed {SEED}, TRAIN split)"


def judged(folder: Path, num: int) -> dict[str, Any]:
    """What the benchmarks say of each model, on hearts of other seeds."""
    path = folder / "numbers.json"
    if not path.is_file():

        def said(script: str, *more: str) -> Any:
            command = [sys.executable, str(BENCHMARKS / script), "--models", str(folder), "--num", str(num), *more]
            return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

        results = {"lvdm": said("ef_adherence.py")} | said("shipped_models.py", "--stills", str(folder))
        path.write_text(json.dumps(results, indent=2) + "\n")
    numbers: dict[str, Any] = json.loads(path.read_text())
    return numbers


def main() -> None:
    """Make, judge, pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="a few steps of each, to see that it works")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.folder.mkdir(parents=True, exist_ok=True)
    make(args.folder, args.quick)
    pack(args.folder, judged(args.folder, 40 if args.quick else 200))


if __name__ == "__main__":
    main()
