"""Whole runs from Python, as the verbs of the same names do them; their results show themselves in a notebook."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from echosyn import weights
from echosyn.api import display
from echosyn.api.datasets import EchoDataset, load_dataset
from echosyn.config import near_miss
from echosyn.errors import ConfigError
from echosyn.pipeline.audit import audit as auditing
from echosyn.pipeline.evaluate import evaluate as evaluating
from echosyn.pipeline.evaluate.fidelity.fidelity import evaluate_fidelity
from echosyn.pipeline.evaluate.utility.protocols import regressor_settings
from echosyn.pipeline.generate import generate as generating
from echosyn.pipeline.workers.compute import Compute
from echosyn.pipeline.workers.executors import InProcess, Processes
from echosyn.settings import described
from echosyn.settings.judging import AuditSettings, EvaluateSettings
from echosyn.settings.making import GenerateSettings

Settings = TypeVar("Settings", GenerateSettings, EvaluateSettings, AuditSettings)
Options = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class RunResult:
    """A finished folder and the figures of the run that made it."""

    folder: Path
    figures: Mapping[str, Any]
    """By name, as the command prints them."""

    @property
    def _title(self) -> str:
        return f"{type(self).__name__} {self.folder}"

    def __repr__(self) -> str:
        return display.text_table(self._title, self.figures)

    def _repr_html_(self) -> str:
        return display.html_table(self._title, self.figures)


class GenerateResult(RunResult):
    """A synthetic dataset folder."""

    @property
    def dataset(self) -> EchoDataset:
        """Its videos."""
        return load_dataset(self.folder)

    @property
    def screened(self) -> bool:
        """Whether the privacy filter looked at the set; one that it did not look at must not be shared."""
        return bool(self.figures.get("filtered"))

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.dataset._repr_html_()


class EvaluateResult(RunResult):
    """A report: ``report.json`` has every number, ``index.html`` is for people."""

    @property
    def page(self) -> Path:
        """The page to open in a browser."""
        return self.folder / "index.html"


class AuditResult(RunResult):
    """The verdict of an audit."""

    @property
    def passed(self) -> bool:
        """Whether every criterion passed."""
        return bool(self.figures["verdict"] == "pass")

    @property
    def page(self) -> Path:
        """The private page; ``public.html`` beside it is the one to share."""
        return self.folder / "index.html"


def generate(
    out: str | Path,
    models: str | Path | None = None,
    view: str | None = None,
    *,
    device: str = "auto",
    workers: int | None = None,
    **options: Any,
) -> GenerateResult:
    """Generate a synthetic dataset folder; the same call continues one that was stopped.

    Args:
        out: new folder.
        models: folder with ``vae``, ``lidm``, ``lvdm`` and ``reid``; default the phantom models that ship.
        view: which image model where there are several; default ``a4c`` for those that ship.
        device: ``auto``, ``cpu``, ``cuda``.
        workers: processes that share the work; they change no byte of the result on a CPU.
        **options: fields of `echosyn.settings.making.GenerateSettings`: ``num=16``, ``ef="30..60"``, ``num_frames=64``,
            ``seed=0``, ``reference=folder``, ``require=("ef",)``, ...

    Raises:
        ConfigError: an option is unknown or makes no sense.
        DataError: too few samples passed the privacy filter.
    """
    asked = _settings(GenerateSettings, options)
    screened = bool(asked.reference or asked.calibrated)
    found = weights.for_generating(None if models is None else Path(models), view, screened=screened)
    with _compute(device, workers) as compute:
        made = generating.generate(Path(out), found, asked, compute)
    privacy = made.get("privacy") or {}
    return GenerateResult(
        Path(out), {"videos": made["videos"], "filtered": screened, "rejection rate": privacy.get("rejection_rate")}
    )


def evaluate(
    synthetic: str | Path,
    real: str | Path,
    out: str | Path,
    *,
    fidelity_only: bool = False,
    preset: str = "phantom",
    device: str = "auto",
    workers: int | None = None,
    **options: Any,
) -> EvaluateResult:
    """Compare a synthetic dataset with a real one.

    Args:
        synthetic: dataset folder.
        real: dataset folder with TRAIN and held-out (VAL, TEST) videos.
        out: new folder for report and page.
        fidelity_only: train no EF regressor; only distances between the sets.
        preset: of the EF regressors; the default is the utility protocol's own.
        device: ``auto``, ``cpu``, ``cuda``.
        workers: processes that extract features.
        **options: fields of `echosyn.settings.judging.EvaluateSettings`: ``protocol="echosyn-v3"``, ``vae=folder``, ...
    """
    asked = _settings(EvaluateSettings, options)
    sets = Path(synthetic), Path(real), Path(out)
    with _compute(device, workers) as compute:
        if fidelity_only:
            figures = evaluate_fidelity(*sets, asked, compute)
        else:
            ef = regressor_settings(asked.utility, preset)
            figures = evaluating.evaluate(*sets, asked, compute, ef_settings=ef)
    return EvaluateResult(Path(out), {name: v for name, v in figures.items() if name not in ("report", "page")})


def audit(
    synthetic: str | Path,
    real: str | Path,
    out: str | Path,
    *,
    models: str | Path,
    dataset: str | None = None,
    videos_only: bool = False,
    device: str = "auto",
    workers: int | None = None,
    **options: Any,
) -> AuditResult:
    """Audit the privacy of a synthetic dataset against the patients it was made from.

    Args:
        synthetic: dataset folder.
        real: dataset folder of the patients, with TRAIN and held-out (VAL, TEST) videos.
        out: new folder; only ``public.json`` and ``public.html`` in it may be shared.
        models: folder with ``vae`` and ``reid``; ``lidm`` and ``lvdm`` in it are attacked too.
        dataset: which LIDM and Re-ID, where there are several; one of `echosyn.weights.VARIANTS`.
        videos_only: skip attacks on the weights, which are not released, or are not of these models.
        device: ``auto``, ``cpu``, ``cuda``.
        workers: processes that read and compare the videos.
        **options: fields of `echosyn.settings.judging.AuditSettings`.
    """
    asked = _settings(AuditSettings, options)
    found, why = weights.for_auditing(Path(models), () if videos_only else ("lidm", "lvdm"), dataset)
    for text in why:
        warnings.warn(text, stacklevel=2)
    with _compute(device, workers) as compute:
        figures = auditing.audit(Path(synthetic), Path(real), Path(out), found, asked, compute)
    return AuditResult(Path(out), {name: value for name, value in figures.items() if name != "audit"})


def _settings(kind: type[Settings], options: Options) -> Settings:
    """Settings from keywords; an unknown one names the near miss."""
    about = described(cast(Any, kind))
    known = list(about)
    for name in options:
        if name not in known:
            raise ConfigError(f"{name}: unknown option{near_miss(name, known)}")
    paths = {n: Path(v) for n, v in options.items() if isinstance(v, str) and "Path" in str(about[n].annotation)}
    return kind(**{**options, **paths})


@contextmanager
def _compute(device: str, workers: int | None) -> Iterator[Compute]:
    if workers is None:
        yield Compute(device, InProcess.of(device))
    else:
        with Processes(workers) as processes:
            yield Compute(device, processes)
