"""Settings files in the published form mean here what they mean there: every key, also with other values, or hardly any."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import published_files as files
from echosyn import weights
from echosyn.errors import ConfigError
from echosyn.training import catalog


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable of the VAE's file is not set."""
    monkeypatch.delenv("DATADIR", raising=False)


def read(stage: str, content: Any, folder: Path, overrides: tuple[str, ...] = ()) -> Any:
    file = folder / ("file.json" if stage == "reid" else "file.yaml")
    file.write_text(json.dumps(content) if stage == "reid" else yaml.safe_dump(content))
    return catalog.settings(stage, file=file, overrides=overrides)


# The published values, and those of the presets


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {path: tree}
    return {k: v for name, value in tree.items() for k, v in flat(value, f"{path}.{name}" if path else name).items()}


def resolved(settings: Any) -> dict[str, Any]:
    """All settings by their dotted name; a network and a scheduler with the defaults of their class."""
    values = settings.model_dump(mode="json")
    network = weights.network_class(values["network"]["_class_name"])
    values["network"] = defaults(network) | values["network"]
    if "scheduler" in values:
        config = weights.scheduler(values["scheduler"]).config
        values["scheduler"] = {name: value for name, value in config.items() if name != "_use_default_values"}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in flat(values).items()}


def defaults(kind: type) -> dict[str, Any]:
    parameters = inspect.signature(kind.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


HERE = {"loop.keep_checkpoints": (100, 2), "loop.per_process": ("batch", "no")}
"""Where a file and the preset differ on purpose (file, preset): two checkpoints of gigabytes are enough, and a preset's batch is
the whole one, whatever the number of processes."""
ROOTS = ("data/latents/dynamic", "data/latents/ped_a4c", "data/latents/ped_psax")
DIFFERENCES: dict[str, dict[str, Any]] = {
    "lidm dynamic": HERE | {"loop.save_every_steps": (100, 10_000)},
    "lidm ped_a4c": HERE,
    "lidm ped_psax": HERE,
    # the batch of the file is that of a process, of which the README has 8; which data there are, the command line says
    "lvdm dynamic": HERE | {"loop.batch_size": (16, 128), "datasets": (ROOTS, ())},
    "reid dynamic": {},
    "reid ped_a4c": {},
    "reid ped_psax": {},
    "vae dynamic": {
        "loop.per_process": ("batch_and_rate", "no"),
        "loop.batch_size": (64, 512),
        "loop.learning_rate": (1.28e-4, 1.024e-3),
        "loop.micro_batch_size": (32, None),  # 32 a GPU, twice
        "loop.num_workers": (16, 8),
        "loop.validate_every_steps": (None, 5000),
    },
}


@pytest.mark.parametrize("which", list(DIFFERENCES))
def test_a_preset_is_the_published_file_but_for_these_fields(which: str, tmp_path: Path) -> None:
    stage, name = which.split()
    content = {"lvdm": files.lvdm, "vae": files.vae}.get(stage, lambda: getattr(files, stage)(name))()
    file, preset = resolved(read(stage, content, tmp_path)), resolved(catalog.settings(stage, name))
    assert differing(file, preset) == DIFFERENCES[which]


def differing(file: dict[str, Any], preset: dict[str, Any]) -> dict[str, Any]:
    """What is not equal, to the tenth digit."""
    rounded = [
        {n: float(f"{v:.10g}") if isinstance(v, float) else v for n, v in side.items()} for side in (file, preset)
    ]
    names = rounded[0].keys() | rounded[1].keys()
    return {n: (rounded[0].get(n), rounded[1].get(n)) for n in names if rounded[0].get(n) != rounded[1].get(n)}


def test_the_files_on_eight_processes_are_the_published_batches_and_rates(tmp_path: Path) -> None:
    video, frames = (read(n, getattr(files, n)(), tmp_path).for_processes(8).loop for n in ("lvdm", "vae"))
    assert (video.batch_size, video.learning_rate, video.per_process) == (128, 1e-4, "no")
    assert frames.batch_size == catalog.settings("vae", "dynamic").loop.batch_size == 512
    assert frames.learning_rate == pytest.approx(catalog.settings("vae", "dynamic").loop.learning_rate)
    assert video == catalog.settings("lvdm", "dynamic").loop.model_copy(update={"keep_checkpoints": 100})


# Every key, other values

OTHERS = {
    "wandb_group": "x",
    "output_dir": "elsewhere",
    "pretrained_model_name_or_path": "there",
    "vae_path": "no/such/folder",
    "noise_scheduler": files.DDPM | {"beta_end": 0.03, "clip_sample_range": 2.0},
    "train_batch_size": 6,
    "dataloader_num_workers": 3,
    "max_train_steps": 1234,
    "learning_rate": 2e-5,
    "lr_warmup_steps": 77,
    "scale_lr": True,  # neither of the trainers looks at it
    "lr_scheduler": "constant_with_warmup",
    "use_8bit_adam": True,  # nor at this
    "gradient_accumulation_steps": 3,
    "noise_offset": 0.3,
    "input_perturbation": 0.2,
    "gradient_checkpointing": True,
    "use_ema": False,
    "enable_xformers_memory_efficient_attention": True,
    "allow_tf32": False,
    "adam_beta1": 0.8,
    "adam_beta2": 0.99,
    "adam_weight_decay": 0.1,
    "adam_epsilon": 1e-7,
    "max_grad_norm": 2.0,
    "logging_dir": "x",
    "mixed_precision": "no",
    "validation_timesteps": 16,
    "validation_fps": 11,
    "validation_frames": 12,
    "validation_guidance": 1.5,
    "validation_steps": 21,
    "report_to": "tensorboard",
    "checkpointing_steps": 22,
    "checkpoints_total_limit": 4,
    "resume_from_checkpoint": None,
    "tracker_project_name": "x",
    "seed": 5,
    "num_train_epochs": 13,  # which the trainer adds to the file that it saves
}
MEANING = {
    "loop.batch_size": 18,
    "loop.micro_batch_size": 6,
    "loop.per_process": "batch",
    "loop.num_workers": 3,
    "loop.steps": 1234,
    "loop.learning_rate": 2e-5,
    "loop.warmup_steps": 77,
    "loop.schedule": "constant",
    "loop.ema_decay": 0.0,
    "loop.betas": (0.8, 0.99),
    "loop.weight_decay": 0.1,
    "loop.epsilon": 1e-7,
    "loop.max_grad_norm": 2.0,
    "loop.mixed_precision": "no",
    "loop.validate_every_steps": 21,
    "loop.save_every_steps": 22,
    "loop.keep_checkpoints": 4,
    "loop.seed": 5,
    "scheduler.beta_end": 0.03,
    "scheduler.clip_sample_range": 2.0,
    "noise_offset": 0.3,
    "input_perturbation": 0.2,
    "guidance_scale": 1.5,
    "vae": None,
}


def test_every_key_of_the_image_models_file(tmp_path: Path) -> None:
    content = files.lidm("ped_a4c", **OTHERS, unet=files.STILLS | {"layers_per_block": 1}, validation_count=2)
    assert OTHERS.keys() - {"num_train_epochs", "input_perturbation"} <= files.lidm("ped_a4c").keys()
    found = resolved(read("lidm", content, tmp_path))
    expected = MEANING | {"fps": "original", "num_frames": 1, "datasets": (), "network.layers_per_block": 1}
    assert {name: found[name] for name in expected} == expected


def test_every_key_of_the_video_models_file(tmp_path: Path) -> None:
    content = files.lvdm(**OTHERS, drop_conditionning=0.4, validation_lvefs=[0.5])
    content["globals"] = {"target_fps": 25, "target_nframes": 16, "outputs": ["video", "lvef", "image"]}
    content["datasets"][1]["active"] = False
    found = resolved(read("lvdm", content, tmp_path))
    expected = MEANING | {"fps": 25.0, "num_frames": 16, "network.num_frames": 16, "drop_conditions": 0.4}
    expected["datasets"] = ("data/latents/dynamic", "data/latents/ped_psax")
    assert {name: found[name] for name in expected} == expected


def test_every_key_of_the_re_identification_models_file(tmp_path: Path) -> None:
    content = files.reid(
        experiment_description="x",
        resumption=True,
        resumption_count=2,
        previous_experiment="y",
        image_path="z.csv",
        siamese_architecture="ResNet-18",
        data_handling="randomized",
        num_workers=2,
        pin_memory=False,
        n_channels=3,
        n_features=64,
        image_size=28,
        learning_rate=1e-3,
        batch_size=10,
        max_epochs=7,
        early_stopping=4,
        transform="none",
        n_samples_train=101,
        n_samples_val=5,
        n_samples_test=6,
    )
    assert content.keys() == files.reid().keys()
    found = resolved(read("reid", content, tmp_path))
    expected = {
        "network.backbone": "resnet18",
        "network.in_channels": 3,
        "network.embedding_size": 64,
        "network.normalize": False,
        "loop.num_workers": 2,
        "loop.learning_rate": 1e-3,
        "loop.batch_size": 10,
        "loop.steps": 7 * 11,
        "loop.validate_every_steps": 11,
        "loop.patience": 4,
        "loop.select": "best",
        "loop.optimizer": "adam",
        "objective": "bce",
        "choose_by": "loss",
    }
    assert {name: found[name] for name in expected} == expected
    assert read("reid", content | {"early_stopping": 0}, tmp_path).loop.patience is None  # never stops, there and here


def test_every_key_of_the_vaes_file(tmp_path: Path) -> None:
    content = files.vae()
    model, data = content["model"], content["data"]["params"]
    model["base_learning_rate"] = 1e-6
    model["params"] |= {"monitor": "x", "embed_dim": 8, "ckpt_path": "${oc.env:DATADIR}/last.ckpt"}
    model["params"]["ddconfig"] |= {
        "z_channels": 8, "resolution": 64, "in_channels": 1, "out_ch": 1, "ch": 32, "ch_mult": [1, 2], "num_res_blocks": 1,
    }  # fmt: skip
    loss = {"disc_start": 9, "kl_weight": 0.1, "disc_weight": 0.4, "disc_factor": 0.5, "disc_num_layers": 2}
    model["params"]["lossconfig"]["params"] = loss | {"perceptual_weight": 0.0, "disc_in_channels": 1}
    data |= {"batch_size": 4, "num_workers": 5, "wrap": True}
    content["lightning"]["trainer"] |= {"accumulate_grad_batches": 3}
    found = resolved(read("vae", content, tmp_path))
    expected = {
        "network.latent_channels": 8,
        "network.sample_size": 64,
        "network.in_channels": 1,
        "network.out_channels": 1,
        "network.block_out_channels": (32, 64),
        "network.layers_per_block": 1,
        "kl_weight": 0.1,
        "perceptual_weight": 0.0,
        "scaling_factor": 0.18215,
        "pixels": "published",
        "adversarial.start": 9,
        "adversarial.weight": 0.2,
        "adversarial.num_layers": 2,
        "loop.batch_size": 12,
        "loop.micro_batch_size": 4,
        "loop.per_process": "batch_and_rate",
        "loop.num_workers": 5,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["loop.learning_rate"] == pytest.approx(1e-6 * 12)


# None of the optional keys


def test_the_least_that_a_file_may_say(tmp_path: Path) -> None:
    for stage, whole in (("lidm", files.lidm()), ("lvdm", files.lvdm())):
        least = {name: whole[name] for name in ("unet", "noise_scheduler", "globals")}
        values = read(stage, least, tmp_path)
        assert (values.input_perturbation, values.noise_offset, values.datasets) == (0.0, 0.0, ())
        assert values.drop_conditions == {"lidm": 0.1, "lvdm": 0.3}[stage]  # their default; stills have no conditions
    values = read("reid", {"siamese_architecture": "ResNet-50"}, tmp_path)
    assert values.network["embedding_size"] == 128
    assert values.loop.validate_every_steps == 59
    least = {"model": {"base_learning_rate": 2e-6, "params": {"ddconfig": files.vae()["model"]["params"]["ddconfig"]}}}
    values = read("vae", least, tmp_path)
    assert (values.adversarial, values.kl_weight, values.loop.per_process) == (None, 1.0, "no")


# Mistakes


def test_what_cannot_be_resolved_is_an_error_only_where_it_is_used(tmp_path: Path) -> None:
    content = files.lidm(output_dir="${oc.env:DATADIR}/x", learning_rate="${oc.env:DATADIR}")
    with pytest.raises(
        ConfigError, match=r"file.yaml: loop.learning_rate = \$\{oc.env:DATADIR\} cannot be resolved"
    ) as e:
        read("lidm", content, tmp_path)
    assert "\n" not in str(e.value)
    assert read("lidm", content, tmp_path, ("loop.learning_rate=1e-3",)).loop.learning_rate == 1e-3
    for stage, changed in (
        ("lidm", {"gradient_accumulation_steps": "${nothing}"}),
        ("reid", {"batch_size": "${nothing}"}),
    ):
        with pytest.raises(ConfigError, match=f"{next(iter(changed))} = .* cannot be resolved"):
            read(stage, getattr(files, stage)(**changed), tmp_path)


@pytest.mark.parametrize(
    ("stage", "path", "value", "message"),
    [
        ("lidm", "learning_rat", 1, "unknown setting 'learning_rat'; did you mean 'learning_rate'"),
        ("lidm", "globals.target_fp", 1, "globals: unknown setting 'target_fp'; did you mean 'target_fps'"),
        ("lidm", "datasets.0.name", "Video", "name = 'Video' cannot be trained here; expected Latent"),
        ("lidm", "datasets.0.params.rot", 1, "datasets: unknown setting 'rot'; did you mean 'root'"),
        ("lvdm", "datasets.1.params.target_fps", 50, "datasets: target_fps is 32 and 50; expected one value"),
        ("lidm", "gradient_accumulation_steps", "two", "gradient_accumulation_steps = 'two': expected a number"),
        ("lidm", "lr_scheduler", "polynomial", "loop.schedule = 'polynomial'"),
        ("reid", "batchsize", 1, "unknown setting 'batchsize'; did you mean 'batch_size'"),
        ("reid", "siamese_architecture", "ResNet-5", "cannot be trained here; expected ResNet-50 or ResNet-18"),
        ("reid", "loss", "MSELoss", "loss = 'MSELoss' cannot be trained here; expected BCEWithLogitsLoss"),
        ("reid", "transform", "image_net", "expected pmone or none"),
        ("vae", "model.base_learning_rat", 1, r"unknown setting 'model\.base_learning_rat'; did you mean"),
        ("vae", "model.params.embed_dim", 3, "embed_dim = 3 cannot be trained here; expected 4"),
        ("vae", "model.params.ddconfig.ch_mul", 1, "ddconfig: unknown setting 'ch_mul'; did you mean 'ch_mult'"),
        ("vae", "model.params.ddconfig.attn_resolutions", [16], r"attn_resolutions = \[16\] cannot be trained here"),
        ("vae", "model.params.lossconfig.params.kl_wieght", 1, "unknown setting 'kl_wieght'; did you mean 'kl_weight'"),
        ("vae", "model.params.lossconfig.params.disc_loss", "vanilla", "expected hinge"),
        ("vae", "data.params.batchsize", 1, "unknown setting"),
    ],
)
def test_a_key_that_neither_knows_and_a_value_that_means_another_training_are_named(
    stage: str, path: str, value: Any, message: str, tmp_path: Path
) -> None:
    content = json.loads(json.dumps(getattr(files, stage)()))
    place: Any = content
    *above, last = path.split(".")
    for name in above:
        place = place[int(name) if isinstance(place, list) else name]
    place[last] = value
    with pytest.raises(ConfigError, match=message) as error:
        read(stage, content, tmp_path)
    assert "\n" not in str(error.value)
    assert "file." in str(error.value) or "settings of" in str(error.value)


def test_a_video_model_needs_a_rate(tmp_path: Path) -> None:
    content = files.lvdm()
    content["globals"]["target_fps"] = "original"
    with pytest.raises(ConfigError, match="fps = original, but its videos have one rate"):
        catalog.create("lvdm", read("lvdm", content, tmp_path))
