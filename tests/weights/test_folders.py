"""Model folders: what is saved is loaded, and what does not fit is refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from echosyn import weights
from echosyn.errors import ConfigError, EchosynError, ModelError

Build = Callable[..., Any]
DDIM = {"_class_name": "DDIMScheduler", "beta_end": 0.02, "prediction_type": "v_prediction", "clip_sample_range": 4.0}


@pytest.fixture
def lidm(tmp_path: Path, build: Build) -> Path:
    weights.save(build("lidm"), tmp_path / "lidm", weights.Facts(stage="lidm"), weights.scheduler(DDIM))
    return tmp_path / "lidm"


def refusal(folder: Path, stage: str) -> str:
    with pytest.raises(ModelError) as error:
        weights.load(folder, stage)
    message = str(error.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


# Round trips


@pytest.mark.parametrize("stage", list(weights.STAGE_NETWORKS))
def test_what_is_saved_is_loaded(stage: str, build: Build, same_weights: Callable[..., bool], tmp_path: Path) -> None:
    network, facts = build(stage), weights.Facts(stage=stage, pixels="symmetric", num_frames=8, drop_conditions=0.1)
    weights.save(network, tmp_path / "m", facts)
    loaded = weights.load(tmp_path / "m", stage)
    assert same_weights(network, loaded)
    assert dict(loaded.config).items() >= {k: v for k, v in network.config.items() if k[0] != "_"}.items()
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert weights.load_facts(tmp_path / "m") == facts
    assert sorted(p.suffix for p in (tmp_path / "m").iterdir()) == [".json", ".json", ".safetensors"]


def test_saving_again_replaces_the_folder_and_leaves_no_rest(lidm: Path, build: Build) -> None:
    before = weights.weights_hash(lidm)
    (lidm / "old").touch()
    (lidm.parent / "lidm.partial").mkdir()
    weights.save(build("lidm", 1), lidm, weights.Facts(stage="lidm"))
    assert weights.weights_hash(lidm) != before
    assert [p.name for p in lidm.parent.iterdir()] == ["lidm"]
    assert not (lidm / "old").exists()


@pytest.mark.parametrize("stage", ["vae", "lidm", "lvdm"])
def test_a_model_without_weights_knows_its_settings_and_reads_none(stage: str, build: Build, tmp_path: Path) -> None:
    weights.save(build(stage), tmp_path / "m", weights.Facts(stage=stage))
    known = weights.load(tmp_path / "m", stage).config
    next((tmp_path / "m").glob("*.safetensors")).write_bytes(b"garbage")
    empty = weights.load(tmp_path / "m", stage, empty=True)
    assert dict(empty.config) == dict(known)
    assert {p.device.type for p in empty.parameters()} == {"meta"}
    with pytest.raises(ModelError):
        weights.load(tmp_path / "m", "reid", empty=True)


def test_an_audit_finds_models_under_published_names_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    for name in ("vae", "reidentification_dynamic", "lidm_dynamic"):
        (tmp_path / name).mkdir()
    found, why = weights.for_auditing(tmp_path, ["lidm", "lvdm"])
    assert {stage: folder.name for stage, folder in found.items()} == {
        "vae": "vae",
        "reid": "reidentification_dynamic",
        "lidm": "lidm_dynamic",
    }
    assert len(why) == 1
    assert why[0].endswith(": no lvdm model; skipped")
    for name in ("lidm_ped_a4c", "reidentification_ped_a4c"):
        (tmp_path / name).mkdir()
    with pytest.raises(ModelError, match="has 2 reid models"):
        weights.for_auditing(tmp_path, ["lidm"])
    assert weights.for_auditing(tmp_path, ["lidm"], "ped_a4c")[0]["lidm"].name == "lidm_ped_a4c"


def test_a_model_forgets_where_it_was_loaded_from(lidm: Path, tmp_path: Path) -> None:
    network = weights.load(lidm, "lidm")
    weights.save(network, tmp_path / "copy", weights.load_facts(lidm), weights.load_scheduler(lidm))
    for path in (tmp_path / "copy").iterdir():
        assert str(lidm).encode() not in path.read_bytes()
    for path in weights.shipped().rglob("*.json"):
        assert b"_name_or_path" not in path.read_bytes(), path


def test_the_scheduler_comes_back(lidm: Path) -> None:
    loaded = weights.load_scheduler(lidm)
    assert type(loaded).__name__ == "DDIMScheduler"
    assert dict(loaded.config).items() >= DDIM.items() - {("_class_name", "DDIMScheduler")}


# Refusals


def test_another_stage_says_what_was_found_and_what_was_expected(lidm: Path, build: Build) -> None:
    assert "holds a UNet2DModel, expected a vae model (AutoencoderKL" in refusal(lidm, "vae")
    weights.save(build("lvdm"), lidm, weights.Facts(stage="lvdm"))
    assert "was trained as lvdm, expected a lidm model" in refusal(lidm, "lidm")


def test_no_folder_no_config_and_no_json(lidm: Path) -> None:
    assert "no such folder" in refusal(lidm.with_name("none"), "lidm")
    (lidm / "config.json").write_text("{")
    assert "config.json: not JSON" in refusal(lidm, "lidm")
    (lidm / "config.json").unlink()
    assert "no config.json; expected a model folder" in refusal(lidm, "lidm")
    (lidm / "run.json").write_text("{}")
    assert "a training that is not finished; continue it by its command with --resume" in refusal(lidm, "lidm")


def broken(tensors: dict[str, torch.Tensor], how: str) -> dict[str, torch.Tensor]:
    first = sorted(tensors)[0]
    if how == "missing":
        return {k: v for k, v in tensors.items() if k != first}
    return tensors | {first: torch.zeros(1, 2, 3)}


@pytest.mark.parametrize("how", ["missing", "misshapen"])
def test_weights_that_do_not_fit_are_refused_and_never_filled_at_random(lidm: Path, how: str) -> None:
    path = lidm / weights.WEIGHTS
    tensors = load_file(path)
    save_file(broken(tensors, how), path, metadata={"format": "pt"})
    assert sorted(tensors)[0] in refusal(lidm, "lidm")


def test_garbage_and_truncated_weights_are_refused(lidm: Path) -> None:
    path = lidm / weights.WEIGHTS
    whole = path.read_bytes()
    for content in (b"garbage" * 50, whole[: len(whole) // 2], b""):
        path.write_bytes(content)
        assert "cannot be loaded" in refusal(lidm, "lidm")


def test_facts_that_are_wrong_are_refused(lidm: Path) -> None:
    (lidm / weights.FACTS).write_text('{"stag": "lidm"}')
    with pytest.raises(ConfigError, match="did you mean 'stage'"):
        weights.load_facts(lidm)
    (lidm / weights.FACTS).write_text("{")
    with pytest.raises(ModelError, match="not JSON"):
        weights.load_facts(lidm)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"_class_name": "UNet2DModel", "in_chanels": 4}, "has no setting 'in_chanels'; did you mean 'in_channels'"),
        ({"_class_name": "UNet2dModel"}, "'UNet2dModel' is unknown; did you mean 'UNet2DModel'"),
        ({}, "network class '' is unknown; expected one of "),
        ({"_class_name": "VideoTransformer", "sample_size": 5}, "VideoTransformer: sample_size is 5, expected"),
        ({"_class_name": "SiameseNet", "backbone": "vgg"}, "SiameseNet: backbone is 'vgg', expected"),
    ],
)
def test_a_network_that_cannot_be_built_says_why(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        weights.network(config)


@pytest.mark.parametrize("name", ["DDIMSchedular", "UNet2DModel", "", "os"])
def test_only_schedulers_are_schedulers(name: str) -> None:
    with pytest.raises(ModelError, match="scheduler class"):
        weights.scheduler({"_class_name": name})


def test_no_scheduler_says_what_was_expected(lidm: Path) -> None:
    (lidm / weights.SCHEDULER).unlink()
    with pytest.raises(ModelError, match=r"no scheduler; expected scheduler_config\.json, config\.yaml"):
        weights.load_scheduler(lidm)


# Folders made by others


@pytest.fixture
def published(tmp_path: Path, build: Build) -> Path:
    """As on the hub: diffusers' two files and the training's config.yaml, nothing of ours."""
    for name, stage in {"lidm_dynamic": "lidm", "vae": "vae", "reidentification_ped_a4c": "reid"}.items():
        build(stage).save_pretrained(tmp_path / name)
        (tmp_path / name / "config.yaml").write_text(f"noise_scheduler: {json.dumps(DDIM)}\nunet: {{}}\n")
    return tmp_path


def test_a_published_folder_is_found_and_loaded_with_the_published_facts(published: Path) -> None:
    found = weights.find_all(published, ["lidm", "vae", "reid"])
    assert [f.name for f in found.values()] == ["lidm_dynamic", "vae", "reidentification_ped_a4c"]
    for stage, folder in found.items():
        weights.load(folder, stage)
    facts = weights.load_facts(found["vae"])
    assert (facts.pixels, facts.fps, facts.drop_conditions, facts.num_inference_steps) == ("published", 32, 0, 64)
    scheduler = weights.load_scheduler(found["lidm"])
    assert (type(scheduler).__name__, scheduler.config.prediction_type) == ("DDIMScheduler", "v_prediction")


def test_our_name_goes_before_the_published_one(published: Path, lidm: Path) -> None:
    assert lidm.parent == published
    assert weights.find(published, "lidm") == lidm


def test_a_run_folder_stands_for_the_model_in_it(tmp_path: Path, lidm: Path) -> None:
    run = tmp_path / "models" / "lidm"
    run.mkdir(parents=True)
    (run / "run.json").touch()
    lidm.rename(run / "model")
    assert weights.find(tmp_path / "models", "lidm") == weights.resolve(run) == run / "model"
    assert weights.resolve(run / "model") == run / "model"


def test_what_is_not_found_says_where_and_under_which_names(tmp_path: Path) -> None:
    with pytest.raises(EchosynError, match="has no lvdm model; expected a folder named lvdm"):
        weights.find(tmp_path, "lvdm")
    with pytest.raises(EchosynError, match="no such folder; expected a folder"):
        weights.find(tmp_path / "none", "lvdm")


def test_of_several_published_models_one_is_chosen_or_asked_for(tmp_path: Path, build: Build) -> None:
    for name in ("lidm_dynamic", "lidm_ped_psax", "lvdm"):
        build("lidm").save_pretrained(tmp_path / name)
    with pytest.raises(ModelError, match=r"has 2 lidm models \(lidm_dynamic, lidm_ped_psax\); choose with --dataset"):
        weights.find(tmp_path, "lidm")
    assert weights.find(tmp_path, "lidm", "ped_psax").name == "lidm_ped_psax"
    assert weights.find(tmp_path, "lvdm", "ped_psax").name == "lvdm"
    with pytest.raises(ModelError, match="has no lidm model; expected a folder named lidm or lidm_ped_a4c"):
        weights.find(tmp_path, "lidm", "ped_a4c")


def test_a_view_is_no_pediatric_dataset(tmp_path: Path) -> None:
    for name in ("lidm_ped_a4c", "lidm_a4c", "lidm_psax"):
        (tmp_path / name).mkdir()
    assert weights.find(tmp_path, "lidm", "a4c").name == "lidm_a4c"
    assert weights.find(tmp_path, "lidm", "psax").name == "lidm_psax"
    assert weights.find(tmp_path, "lidm", "ped_a4c").name == "lidm_ped_a4c"
