"""``echosyn calibrate``: both privacy screens, once for every shard and every set of the same models and recordings."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from echosyn.data import filelist, table
from echosyn.data.records import Record
from echosyn.hashing import content_hash
from echosyn.pipeline.finished import Finished
from echosyn.pipeline.folder import new_folder, note, write_json
from echosyn.pipeline.privacy_filter import reference_frames
from echosyn.pipeline.privacy_filter.rules import Rules
from echosyn.pipeline.privacy_filter.screens import COMMAND, GROUPS, PRIVATE, RULES, STILLS, VIDEOS, Screens, by_group
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.privacy import stored
from echosyn.privacy.fingerprints import Vectors
from echosyn.settings.making import CalibrateSettings


def calibrate(
    out: Path, models: Mapping[str, Path], asked: CalibrateSettings, compute: Compute = HERE
) -> dict[str, Any]:
    """Write a folder that `echosyn.pipeline.generate.generate.generate` takes instead of the real recordings.

    Its sub-folder ``private`` holds vectors and names of real patients and must stay in the house.

    Args:
        out: new folder.
        models: model folders by stage: ``vae`` and ``reid``.
        asked: whom the screens compare with, and how strict they are.
        compute: where, and who reads the videos. It changes no byte on CPUs.

    Returns:
        ``calibrated``, the held-out ``patients``, whether they are ``enough`` for the rate, and groups of them of whom
        significantly more or fewer are rejected; ``private/groups.csv`` has all groups (`by_group`).

    Raises:
        ModelError: the models do not belong together.
        DataError: the latents come from another VAE, there are no TRAIN or no held-out videos, or a video is damaged.
    """
    reference, real, rate = asked.reference, asked.real, asked.false_rejection_rate
    screens = Screens.of(models, reference, rate)  # what does not belong together is refused before anything is hashed
    assert screens.vae is not None
    inputs = {"vae": screens.vae, "reid": screens.reid, "reference": reference} | ({"real": real} if real else {})
    with new_folder(out, COMMAND, {"rate": rate}, inputs) as folder, Finished(folder) as finished:
        private = folder / PRIVATE
        private.mkdir(exist_ok=True, mode=0o700)
        rules = calibrate_into(replace(screens, folder=private), reference, real, compute, finished)
        differ = _write_groups(private, filelist.read(real or reference))
        note(folder, screens=content_hash(private))
    still, video = rules.still_threshold or {}, rules.video_threshold or {}
    return {
        "calibrated": str(out),
        "patients": video["num_patients"],
        "enough": still["enough"] and video["enough"],
        "compared_with": rules.compared_with,
    } | ({"groups that differ": "; ".join(differ)} if differ else {})


def _write_groups(private: Path, records: Sequence[Record]) -> list[str]:
    """The table of `GROUPS`; the groups for which a threshold is wrong, in words."""
    found = [(of, group) for of in (STILLS, VIDEOS) for group in by_group(stored.read(private / of, Vectors), records)]
    rows = [
        (
            of,
            g.kind,
            g.group,
            g.patients,
            *((g.rate.value, g.rate.low, g.rate.high) if g.rate else ("",) * 3),
            g.differs,
        )
        for of, g in found
    ]
    columns = ("Screen", "Kind", "Group", "Patients", "Rejected", "Low", "High", "Differs")
    table.write(private / GROUPS, columns, [[str(cell) for cell in row] for row in rows])
    return [f"{of.split('.')[0]}, {group}" for of, group in found if group.differs]


def calibrate_into(
    screens: Screens, reference: Path | None, real: Path | None, compute: Compute, finished: Finished
) -> Rules:
    """Calibrate the two screens and write them for the workers; what they ask for.

    If an earlier try or job has, nothing is asked of ``reference``, which may be None then.
    """
    if screens.hashes or finished.has(screens.path(RULES)):
        return Rules(**json.loads(screens.path(RULES).read_text()))
    assert reference is not None
    files = screens.path("work")
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    stills = screens.of_stills(reference_frames.of_latents(reference), compute, files / "stills")
    stored.write(screens.path(STILLS), stills)
    _, videos = screens.of_videos(real, reference, files / "videos", compute)
    stored.write(screens.path(VIDEOS), videos)
    shutil.rmtree(files)
    rules = Rules(
        still_threshold=stills.threshold.to_json(),
        video_threshold=videos.threshold.to_json(),
        compared_with="videos" if real else "decoded latents",
    )
    write_json(screens.path(RULES), rules.to_json())
    finished.add(*(screens.path(name) for name in (STILLS, VIDEOS, RULES)))
    return rules
