"""Looking at held-out videos during a training, and remembering which step was best."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from echosyn.data.records import Record
from echosyn.errors import ConfigError
from echosyn.pipeline.folder import write_json
from echosyn.training.loop import Training

SAMPLES = "samples"
BEST = "best.json"


def held_out(records: Sequence[Record]) -> list[Record]:
    """The videos of split VAL; those of TEST if there are none."""
    return [r for r in records if r.split == "VAL"] or [r for r in records if r.split == "TEST"]


class Judge:
    """Judges a training's averaged weights, and its live ones beside them, on videos that it does not learn from.

    Args:
        run: the run folder; pictures go to ``RUN/samples/step-N/`` (those of the live weights to ``raw/`` in it).
        training: the training, restored.
        data: the folder that it reads.
        records: the videos that judge, see `held_out`.

    Raises:
        ConfigError: weights would be chosen on the patients of the final test.
    """

    def __init__(self, run: Path, training: Training, data: Path, records: Sequence[Record]) -> None:
        self.run, self.training, self.data, self.held_out = run, training, data, records
        chooses = training.settings.select == "best" or training.settings.patience is not None
        if chooses and not any(r.split == "VAL" for r in records):
            raise ConfigError(
                f"{data}: has no video of split VAL; loop.select=best and loop.patience would choose weights on the test's "
                "patients: give some videos the split VAL"
            )
        path = run / BEST
        best = json.loads(path.read_text()) if path.is_file() else None
        self.best_step: int | None = None
        self.best_value = 0.0
        if best is not None and best["step"] <= training.step:
            self.best_step, self.best_value = int(best["step"]), float(best["value"])

    @property
    def samples(self) -> Path:
        """Where the pictures of this step are."""
        return self.run / SAMPLES / f"step-{self.training.step:09d}"

    def look(self) -> dict[str, float]:
        """Numbers to log, as ``validation/NAME``; pictures go to `samples`."""
        with self.training.averaged():
            numbers = self._numbers(self.samples)
        found = {f"validation/{name}": value for name, value in numbers.items()}
        if numbers and self.training.averages:
            raw = self._numbers(self.samples / "raw")
            found |= {f"validation/raw/{name}": value for name, value in raw.items()}
        return found

    def is_best(self, found: dict[str, float]) -> bool:
        """Whether what `look` found is better than everything before; it is then remembered by `remember`.

        A step at which an image model knows its patients by heart never is.
        """
        criterion = self.training.stage.criterion
        if criterion is None or f"validation/{criterion[0]}" not in found:
            return False
        if found.get("validation/memorised"):
            return False
        value, sign = found[f"validation/{criterion[0]}"], 1 if criterion[1] == "max" else -1
        if value != value or (self.best_step is not None and sign * value <= sign * self.best_value):
            return False
        self.best_step, self.best_value = self.training.step, value
        return True

    def is_in_vain(self) -> bool:
        """Whether ``patience`` looks in a row have found nothing better."""
        loop = self.training.settings
        if loop.patience is None or loop.validate_every_steps is None:
            return False
        return self.training.step - (self.best_step or 0) >= loop.patience * loop.validate_every_steps

    def remember(self) -> None:
        """Write down which step was best, before its checkpoint is saved: a kill in between finds it again."""
        assert self.training.stage.criterion
        said = {"step": self.best_step, "name": self.training.stage.criterion[0], "value": self.best_value}
        write_json(self.run / BEST, said)

    def _numbers(self, folder: Path) -> dict[str, float]:
        for network in self.training.stage.networks().values():
            network.eval()
        folder.mkdir(parents=True, exist_ok=True)
        with torch.no_grad():
            numbers = self.training.stage.validate(self.data, self.held_out, folder)
        for empty in (folder, *folder.parents[: len(folder.relative_to(self.run).parts) - 1]):
            if not any(empty.iterdir()):
                empty.rmdir()
        return numbers
