"""Dataset and model cards: YAML that the hub reads, Markdown that people read."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData, ModelCard, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined
from yaml import YAMLError

from echosyn.config import near_miss
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.publish.layout import FOLDERS, MP4, Item

LICENCES = (
    "apache-2.0",
    "bsd-3-clause",
    "cc-by-2.0",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "cdla-sharing-1.0",
    "gpl-3.0",
    "mit",
    "odbl",
    "odc-by",
    "pddl",
    "unlicense",
    "other",
)
"""Identifiers that the hub knows, of those that fit data; ``other`` comes with a file."""

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

_TEMPLATES = Environment(
    loader=PackageLoader("echosyn.pipeline.publish"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,
)


LONGEST_LICENCE = 1_000_000
"""Bytes."""


def check_licence(licence: str | None, has_file: bool) -> str:
    """The licence, if somebody chose one: it is asked for and never assumed.

    Raises:
        ConfigError: none was chosen, or the hub does not know it.
    """
    if licence is None:
        raise ConfigError(
            "--licence is missing: give the licence of the release, e.g. cc-by-4.0, or other with --licence-file"
        )
    if licence not in LICENCES:
        raise ConfigError(f"--licence {licence}: not one that the hub knows{near_miss(licence, LICENCES)}")
    if licence == "other" and not has_file:
        raise ConfigError("--licence other needs its text: give --licence-file")
    return licence


def licence_text(path: Path) -> str:
    """The text of a licence file: it leaves as it is, so it must be text.

    Raises:
        DataError: it cannot be read, is longer than `LONGEST_LICENCE`, or is no text.
    """
    try:
        text = path.read_bytes().decode() if path.stat().st_size <= LONGEST_LICENCE else "\0"
    except (OSError, UnicodeDecodeError):
        text = "\0"
    if re.search(r"[\x00-\x08\x0e-\x1f\x7f]", text):
        raise DataError(f"--licence-file {path}: expected the text of a licence, in UTF-8, of at most 1 MB")
    return text


def dataset_card(title: str, licence: str, items: Sequence[Item], **said: Any) -> str:
    """The README.md of a release; further keywords go to its template."""
    counts = {split: sum(item.record.split == split for item in items) for split in FOLDERS}
    counts = {split: count for split, count in counts.items() if count}
    data = DatasetCardData(
        license=licence,
        license_name="see-licence-file" if licence == "other" else None,
        license_link="LICENSE" if licence == "other" else None,
        pretty_name=title,
        annotations_creators=["machine-generated"],
        task_categories=["video-classification"],
        size_categories=[next((name for limit, name in SIZES if len(items) < limit), "n>1T")],
        tags=["synthetic", "medical", "ultrasound", "echocardiography", "video", "ejection-fraction"],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": FOLDERS[s], "path": f"{MP4}/{FOLDERS[s]}/**"} for s in counts],
            }
        ],
    )
    sharded = any(item.avi.count("/") > 1 for item in items)
    text = _TEMPLATES.get_template("dataset.md.j2").render(
        title=title, licence=licence, counts=counts, sharded=sharded, **said
    )
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def model_card(title: str, licence: str, **said: Any) -> str:
    """The card of one model; its weights stay."""
    data = ModelCardData(license=licence, library_name="diffusers", tags=["medical", "ultrasound", "echocardiography"])
    return f"---\n{data.to_yaml()}\n---\n\n{_TEMPLATES.get_template('model.md.j2').render(title=title, **said)}"


def check_card(text: str, kind: type[DatasetCard] | type[ModelCard] = DatasetCard) -> Mapping[str, Any]:
    """What the hub's validator checks, as far as that can be done without it; returns the YAML block.

    The hub's own validator is a service of the hub: `echosyn.pipeline.publish.hub.push` asks it before a byte moves.

    Raises:
        DataError: the card would be refused.
    """
    try:
        data: dict[str, Any] = kind(text).data.to_dict()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, YAMLError) as error:
        raise DataError(f"README.md: the hub would refuse it ({str(error).splitlines()[0]})") from error
    problems = []
    if data.get("license") not in LICENCES:
        problems.append(f"license is {data.get('license')!r}")
    if data.get("license") == "other" and not {"license_name", "license_link"} <= set(data):
        problems.append("license other needs license_name and license_link")
    problems += [f"{name} is null" for name, value in data.items() if value is None]
    for name in ("tags", "task_categories", "size_categories", "annotations_creators"):
        if name in data and not (isinstance(data[name], list) and all(isinstance(v, str) for v in data[name])):
            problems.append(f"{name} is no list of words")
    if problems:
        raise DataError(f"README.md: the hub would refuse it ({'; '.join(problems)})")
    return data
