"""Settings of the five stages, also from the reference's files, mean what they say."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from echosyn import weights
from echosyn.errors import ConfigError
from echosyn.training import catalog, published

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the reference's files are not here")


def written(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


# Ours


@pytest.mark.parametrize("preset", ["phantom", "dynamic", "ped_a4c", "ped_psax"])
def test_every_stage_of_every_preset_is_valid(preset: str) -> None:
    for stage, values in catalog.all_settings(preset).items():
        assert isinstance(values, catalog.STAGES[stage][1])


def test_every_stage_of_the_phantom_can_be_built():
    for stage, values in catalog.all_settings("phantom").items():
        assert catalog.create(stage, values).name == stage


def test_file_goes_over_preset_and_override_over_file(tmp_path: Path) -> None:
    file = written(tmp_path / "x.yaml", {"lidm": {"loop": {"steps": 3, "batch_size": 5}}, "lvdm": {"fps": 30}})
    values = catalog.settings("lidm", file=file, overrides=["loop.steps=7"])
    assert (values.loop.steps, values.loop.batch_size) == (7, 5)
    assert values.loop.schedule == catalog.settings("lidm").loop.schedule
    assert catalog.settings("lvdm", file=file).fps == 30
    assert catalog.settings("vae", file=file) == catalog.settings("vae")


def test_a_file_may_hold_one_stage_without_its_name(tmp_path: Path) -> None:
    file = written(tmp_path / "x.yaml", {"loop": {"steps": 3}, "drop_conditions": 0.3})
    values = catalog.settings("lvdm", file=file)
    assert (values.loop.steps, values.drop_conditions) == (3, 0.3)


def test_overrides_of_all_settings_name_their_stage():
    resolved = catalog.all_settings("phantom", overrides=["vae.loop.steps=3", "lvdm.fps=20"])
    assert resolved["vae"].loop.steps == 3
    assert resolved["lvdm"].fps == 20
    assert resolved["reid"] == catalog.settings("reid")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("vea.loop.steps=3", r"--set vea.loop.steps=3: 'vea' is no stage; did you mean 'vae'\?"),
        ("loop.steps=3", "'loop' is no stage; expected one of ef, lidm, lvdm, outline, reid, vae"),
        ("vae", "--set vae: "),
    ],
)
def test_an_override_without_a_stage_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        catalog.all_settings("phantom", overrides=[override])


@pytest.mark.parametrize(
    ("stage", "overrides", "message"),
    [
        ("vea", [], "stage 'vea' is unknown; did you mean 'vae'"),
        ("vae", ["loop.stps=3"], "settings of vae: unknown setting 'loop.stps'; did you mean 'loop.steps'"),
        ("vae", ["loop.steps=0"], "loop.steps = 0: input should be greater than or equal to 1"),
        ("lidm", ["time_distribution=cosine"], "time_distribution = 'cosine'"),
        ("lidm", ["network._class_name=AutoencoderKL"], "network is a AutoencoderKL, expected UNet2DModel or Video"),
    ],
)
def test_mistakes_are_named(stage: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        catalog.settings(stage, overrides=overrides)


def test_an_unknown_section_names_its_near_miss(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown section 'lvmd'; did you mean 'lvdm'"):
        catalog.settings("vae", file=written(tmp_path / "x.yaml", {"vae": {}, "lvmd": {}}))


def test_a_mistake_is_named_where_it_was_made(tmp_path: Path) -> None:
    file = written(tmp_path / "x.yaml", {"vae": {"loopp": {}}})
    with pytest.raises(ConfigError, match=rf"^{file}: settings of vae: unknown setting 'loopp'"):
        catalog.settings("vae", file=file)
    file = written(tmp_path / "x.yaml", {"vae": {"loop": {"steps": 5}}})
    with pytest.raises(ConfigError, match=r"^settings of vae: unknown setting 'loopp'"):
        catalog.settings("vae", file=file, overrides=["loopp.steps=3"])


# The reference's


@needs_golden
def test_the_references_lidm_file_means_its_training() -> None:
    values = catalog.settings("lidm", file=GOLDEN / "lidm.yaml")
    assert values.num_frames == 1
    assert values.network == {"_class_name": "UNet2DModel", "in_channels": 4, "out_channels": 4, "sample_size": 14}
    loop = values.loop
    assert (loop.steps, loop.batch_size, loop.learning_rate) == (500_000, 256, 3e-4)
    assert (loop.warmup_steps, loop.schedule, loop.betas, loop.weight_decay) == (0, "constant", (0.9, 0.999), 1e-2)
    assert (loop.max_grad_norm, loop.mixed_precision, loop.seed, loop.num_workers) == (1.0, "fp16", 11, 16)
    assert (loop.save_every_steps, loop.keep_checkpoints) == (100, 100)
    assert (values.noise_offset, values.fps, values.time_distribution) == (0.0, 32, "uniform")
    assert (values.num_inference_steps, values.guidance_scale) == (64, 1.0)


@needs_golden
def test_the_references_lvdm_file_means_its_training() -> None:
    values = catalog.settings("lvdm", file=GOLDEN / "lvdm.yaml")
    assert (values.num_frames, values.fps) == (64, 32)
    assert values.network["_class_name"] == "UNetSpatioTemporalConditionModel"
    assert values.network["in_channels"] == 8
    assert (values.noise_offset, values.drop_conditions) == (0.1, 0.1)
    assert (values.loop.batch_size, values.loop.learning_rate, values.loop.seed) == (16, 1e-4, 7)
    scheduler = weights.scheduler(values.scheduler)
    assert (scheduler.config.prediction_type, scheduler.config.clip_sample_range) == ("v_prediction", 4.0)
    assert (scheduler.config.beta_schedule, scheduler.config.beta_end) == ("linear", 0.02)


@needs_golden
def test_nothing_of_a_preset_leaks_into_the_references_file(tmp_path: Path) -> None:
    values = catalog.settings("lidm", "phantom", GOLDEN / "lidm.yaml", ["loop.steps=3", "network.sample_size=16"])
    assert values.loop.steps == 3
    assert values.network["sample_size"] == 16
    assert "block_out_channels" not in values.network


@needs_golden
def test_another_stages_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"settings of lidm: network is a UNetSpatio.*, expected UNet2DModel or"):
        catalog.settings("lidm", file=GOLDEN / "lvdm.yaml")
    with pytest.raises(ConfigError):
        catalog.settings("vae", file=GOLDEN / "lvdm.yaml")


def test_only_files_with_a_unet_and_its_noise_are_the_references():
    assert published.recognised({"unet": {"_class_name": "UNet2DModel"}, "noise_scheduler": {}})
    assert not published.recognised({"lidm": {"scheduler": {}}})
