"""The stages by name, and how their settings are put together."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from echosyn import config, weights
from echosyn.errors import ConfigError
from echosyn.training import published
from echosyn.training.stage import Stage, StageSettings
from echosyn.training.stages.denoiser import DenoiserSettings, LIDMStage, LVDMStage
from echosyn.training.stages.ef import EFSettings, EFStage
from echosyn.training.stages.outline import OutlineSettings, OutlineStage
from echosyn.training.stages.reid import ReIDSettings, ReIDStage
from echosyn.training.stages.vae import VAESettings, VAEStage

STAGES: dict[str, tuple[Any, type[StageSettings]]] = {
    "vae": (VAEStage, VAESettings),
    "lidm": (LIDMStage, DenoiserSettings),
    "lvdm": (LVDMStage, DenoiserSettings),
    "reid": (ReIDStage, ReIDSettings),
    "ef": (EFStage, EFSettings),
    "outline": (OutlineStage, OutlineSettings),
}
"""Stage and settings class by name."""


def settings(
    stage: str, preset: str = "phantom", file: Path | None = None, overrides: Sequence[str] = ()
) -> StageSettings:
    """Resolve a stage's settings: preset, then a file (ours, one section a stage), then overrides.

    A file of the reference is complete in itself: it takes the place of the preset.

    Raises:
        ConfigError: an unknown stage, preset or setting, a value out of range, or another stage's network.
    """
    if stage not in STAGES:
        raise ConfigError(f"stage {stage!r} is unknown{config.near_miss(stage, list(STAGES))}")
    layers: list[Mapping[str, Any]] = [config.read_preset(preset).get(stage, {})]
    if file is not None:
        content = config.read_yaml(file, partly=True)
        if published.recognised(content):
            layers = [published.translated(content, str(file))]
        else:
            layers.append(_section(stage, content, file))
    values = config.merged(*layers, overrides=overrides)
    config.refuse_unresolved(values, str(file))
    resolved = config.build(STAGES[stage][1], values, f"settings of {stage}")
    if resolved.start is not None:
        if any(text.startswith("network") for text in overrides):
            raise ConfigError(f"settings of {stage}: start = {resolved.start} brings its network: leave network out")
        resolved = resolved.model_copy(update={"network": _network_of(stage, resolved)})
    network = resolved.network.get("_class_name")
    if network not in weights.STAGE_NETWORKS[stage]:
        raise ConfigError(
            f"settings of {stage}: network is a {network}, expected {' or '.join(weights.STAGE_NETWORKS[stage])}"
        )
    return resolved


def _network_of(stage: str, values: StageSettings) -> dict[str, Any]:
    """The settings of the network that a training starts from."""
    assert values.start is not None
    network = weights.load(weights.start(values.start, stage, values.only), stage, empty=True)
    return {"_class_name": type(network).__name__} | {k: v for k, v in network.config.items() if not k.startswith("_")}


def all_settings(preset: str, file: Path | None = None, overrides: Sequence[str] = ()) -> dict[str, StageSettings]:
    """`settings` of every stage; overrides begin with the stage: ``vae.loop.steps=100``."""
    by_stage: dict[str, list[str]] = {stage: [] for stage in STAGES}
    for override in overrides:
        stage, _, rest = override.partition(".")
        if stage not in STAGES or not rest:
            raise ConfigError(f"--set {override}: {stage!r} is no stage{config.near_miss(stage, list(STAGES))}")
        by_stage[stage].append(rest)
    return {stage: settings(stage, preset, file, by_stage[stage]) for stage in STAGES}


def create(stage: str, values: StageSettings) -> Stage:
    """A stage with freshly initialised networks."""
    created: Stage = STAGES[stage][0](values)
    return created


def _section(stage: str, content: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    unknown = [name for name in content if name not in STAGES]
    if unknown and not any(name in STAGES for name in content):
        config.refuse_unknown(STAGES[stage][1], content, f"{file}: settings of {stage}")
        return content
    if unknown:
        raise ConfigError(f"{file}: unknown section {unknown[0]!r}{config.near_miss(unknown[0], list(STAGES))}")
    section = content.get(stage, {})
    assert isinstance(section, Mapping)
    config.refuse_unknown(STAGES[stage][1], section, f"{file}: settings of {stage}")
    return section
