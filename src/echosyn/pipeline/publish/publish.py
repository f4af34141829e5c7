"""``echosyn publish``: a synthetic dataset becomes a release folder that may be shared."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from echosyn import weights
from echosyn.data import checking, checksum, filelist, lineage, table
from echosyn.errors import DataError, ModelError
from echosyn.files import whole
from echosyn.hashing import content_hash
from echosyn.pipeline.folder import new_folder, provenance, read_provenance, write_json
from echosyn.pipeline.publish import audit_gate as audits
from echosyn.pipeline.publish import cards, checksums, croissant, figures, hub, layout, stated
from echosyn.pipeline.publish.audit_gate import Audit
from echosyn.progress import Progress, silent
from echosyn.settings.sharing import PublishSettings

SETTINGS = (
    "num",
    "frames",
    "steps",
    "guidance",
    "scheduler",
    "hop",
    "blend",
    "complete",
    "require",
    "rate",
    "patients",
)
"""Settings of the making that may leave. The seed stays: with it, whoever has the code knows every random draw."""

MODELS = ("vae", "lidm", "lvdm", "reid")
"""Inputs of the making whose hashes may leave: of weights. That of a dataset would confirm a guess at its contents."""


def publish(
    dataset: Path,
    out: Path,
    asked: PublishSettings,
    progress: Progress = silent,
    *,
    max_files: int = layout.MAX_FILES,
) -> dict[str, Any]:
    """Write a release folder, and push it if asked. Given again after a stop, it begins anew, but what has been pushed stays.

    Everything is checked before anything is written, and the release is verified before anything is sent.

    Args:
        dataset: made by `generate`, `animate` or `phantom`.
        out: new folder.
        asked: what the release says, and who gets it. Only the figures of an evaluation leave, and of the models a card
            each; their weights stay.
        progress: told what is done.
        max_files: files allowed in a folder.

    Raises:
        DataError: the dataset may not be published, or not like this.
    """
    push, models = asked.push, asked.models
    licence = cards.check_licence(asked.licence, asked.licence_file is not None)
    if asked.licence_file:
        cards.licence_text(asked.licence_file)
    if push:
        hub.check_name(push)
    said = stated.statement(dataset, asked)
    steps = [] if said else lineage.required(dataset, lineage.VIDEOS, "publish")
    made = _made(dataset) if said is None else _foreign(said)
    items = layout.plan(dataset, asked.splits, max_files)
    _check_videos(dataset, items)
    videos = checksum.videos_hash(dataset)
    filtered = bool((made.get("privacy") or {}).get("releasable", True))
    passed = audits.required(asked.audit, asked.without_audit, videos, filtered=filtered)
    numbers = _figures(asked.evaluation, dataset) if asked.evaluation else None
    described = _model_cards(models, made, asked.title, licence) if models else {}
    settings: dict[str, Any] = {
        "licence": licence,
        "title": asked.title,
        "splits": asked.splits,
        "audit": passed and passed.released(),
    }
    settings |= {"evaluation": numbers, "models": sorted(described), "max_files": max_files}
    settings |= {"stated": said} if said else {}
    settings |= {"licence_file": content_hash(asked.licence_file)} if asked.licence_file else {}
    call = _leaving(provenance("publish", settings, {}))
    if not (push and _same(out, call, videos)):
        _check(dataset, progress)
        with new_folder(out, "publish", settings, {"synthetic": dataset}, keep=True) as folder:
            layout.empty(folder)
            layout.write(items, folder, progress)
            if filelist.has_chords(dataset):
                filelist.write_tracings(folder, filelist.read_tracings(dataset))
            _write_papers(folder, items, asked, made, passed, numbers, described)
            chain = {lineage.MADE: lineage.entry(folder, [*steps, "publish"])} if steps else {}
            checksums.close(folder, {"call": call, "synthetic": _leaving_of(made)} | chain)
    checked = _verified(out)
    address = hub.push(out, push, public=asked.public) if push else None
    left = sorted({column for r in filelist.read(dataset, extra=True) for column in r.extra})
    return {
        "release": str(out),
        "videos": len(items),
        "seal": checked["seal"],
        "audit": "passed" if passed else "none",
        "columns left out": ", ".join(left) or None,
        "pushed to": address,
    }


def _made(dataset: Path) -> dict[str, Any]:
    """What the dataset's record says of its making, without anything else that lies in it."""
    record = read_provenance(dataset)
    while "origin" in record:
        record = record["origin"]
    return {name: record[name] for name in ("call", "privacy") if name in record}


def _foreign(said: Mapping[str, str]) -> dict[str, Any]:
    """In the place of a record: what was stated. It begins no chain, so that the release counts as recordings here."""
    call: dict[str, Any] = {"command": stated.COMMAND, "settings": {}, "inputs": {}, "versions": {}}
    return {"call": call, "stated": dict(said)}


def _leaving_of(made: Mapping[str, Any]) -> dict[str, Any]:
    """Of the making, what may leave. The filter's threshold stays: it is the score of one held-out patient."""
    call, privacy = made["call"], made.get("privacy") or {}
    settings = {name: call["settings"][name] for name in SETTINGS if name in call["settings"]}
    inputs = {stage: call["inputs"][stage] for stage in MODELS if stage in call.get("inputs", {})}
    said = {
        name: figures.rounded(privacy[name]) for name in ("filter", "rejection_rate", "releasable") if name in privacy
    }
    return (
        {"call": _leaving(call) | {"settings": settings, "inputs": inputs}}
        | ({"privacy": said} if said else {})
        | {name: made[name] for name in ("stated",) if name in made}
    )


def _leaving(call: Mapping[str, Any]) -> dict[str, Any]:
    return {name: call[name] for name in ("command", "settings", "versions")}


def _check_videos(dataset: Path, items: Sequence[layout.Item]) -> None:
    listed = {item.source for item in items}
    if others := [p.name for p in filelist.VideoIndex(dataset).files if p not in listed]:
        raise DataError(
            f"{dataset}: {len(others)} video(s) are not in {filelist.FILE_LIST}, first {others[0]}; remove them"
        )
    if wrong := [p.name for p in listed if p.suffix != ".avi"]:
        raise DataError(f"{dataset}: {len(wrong)} video(s) are no .avi, first {wrong[0]}; import them first")


def _check(dataset: Path, progress: Progress) -> None:
    report = checking.check(dataset, progress)
    if not report.ok:
        lines = [f"  {problem.name}: {problem.detail}" for problem in report.problems]
        raise DataError(table.listing(f"{dataset}: {len(lines)} problem(s); make it again", lines))


def _same(out: Path, call: Mapping[str, Any], videos: str) -> bool:
    """Whether a release of the very same videos and call is already there, waiting to be pushed."""
    record = read_provenance(out)
    return (record.get("call"), record.get("videos")) == (call, videos) and (out / checksums.SUMS).is_file()


def _verified(out: Path) -> dict[str, Any]:
    from echosyn.pipeline.publish.verify import verify

    return verify(out)


def _figures(report: Path, dataset: Path) -> dict[str, Any]:
    try:
        numbers = json.loads(report.read_text())
        of = numbers["provenance"]["call"]["inputs"]["synthetic"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{report}: no evaluation; expected the report.json of `echosyn evaluate`") from error
    if of != content_hash(dataset):
        raise DataError(f"{report}: is the evaluation of another dataset; evaluate this one")
    return figures.of_evaluation(numbers)


def _model_cards(models: Path, made: Mapping[str, Any], title: str, licence: str) -> dict[str, str]:
    """A card of each model that made the dataset."""
    written = {}
    for stage in ("vae", "lidm", "lvdm"):
        expected = made["call"].get("inputs", {}).get(stage)
        if expected is None:
            continue
        given = [weights.resolve(path) for path in weights.candidates(models, stage)] or [weights.find(models, stage)]
        folder = next((path for path in given if content_hash(path) == expected), None)
        if folder is None:
            names = " or ".join(path.name for path in given)
            raise ModelError(
                f"{models}: the {stage} model that made this dataset is not {names}; give the models it was made with"
            )
        network = weights.load(folder, stage)
        facts = weights.load_facts(folder).model_dump(exclude_none=True, exclude={"stage"})
        written[stage] = cards.model_card(
            title,
            licence,
            stage=stage,
            network=type(network).__name__,
            parameters=sum(p.numel() for p in network.parameters()),
            digest=expected,
            facts=facts,
        )
    if not written:
        raise ModelError(f"{models}: this dataset was not made by models; leave --models out")
    return written


def _write_papers(
    folder: Path,
    items: Sequence[layout.Item],
    asked: PublishSettings,
    made: Mapping[str, Any],
    audit: Audit | None,
    numbers: Mapping[str, Any] | None,
    described: Mapping[str, str],
) -> None:
    """Cards, licence, audit, evaluation and Croissant."""
    licence, push = cards.check_licence(asked.licence, asked.licence_file is not None), asked.push
    said = made.get("stated")
    what = "echocardiogram videos with ejection fractions, in EchoNet-Dynamic's layout."
    description = f"{len(items)} {'allegedly ' if said else ''}synthetic {what}"
    if asked.licence_file:
        with whole(folder / "LICENSE") as path:
            path.write_text(cards.licence_text(asked.licence_file), newline="")
    if audit:
        write_json(folder / checksums.AUDIT, audit.released())
    if numbers:
        write_json(folder / "evaluation.json", numbers)
    for stage, text in described.items():
        cards.check_card(text, ModelCard)
        (folder / "model-cards").mkdir(exist_ok=True)
        with whole(folder / "model-cards" / f"{stage}.md") as path:
            path.write_text(text)
    card = cards.dataset_card(
        asked.title,
        licence,
        items,
        description=description,
        audit=audit,
        filter=_filter(made),
        stated=said,
        evaluation=numbers,
        models=described,
        licence_file=asked.licence_file,
    )
    cards.check_card(card)
    with whole(folder / "README.md") as path:
        path.write_text(card)
    described_for_machines = croissant.describe(
        folder,
        title=asked.title,
        description=description,
        licence="LICENSE" if licence == "other" else licence,
        audited=audit is not None,
        date=datetime.now(UTC).date().isoformat(),
        address=f"https://huggingface.co/datasets/{push}" if push else None,
    )
    with whole(folder / checksums.CROISSANT) as path:
        path.write_text(json.dumps(described_for_machines, indent=2) + "\n")


def _filter(made: Mapping[str, Any]) -> str:
    """What the privacy filter did, in a sentence."""
    if made["call"]["command"] == "phantom":
        return "phantom"
    if "stated" in made:
        return ""
    privacy = made.get("privacy") or {}
    if privacy.get("filter") != "calibrated":
        return "No privacy filter was applied to them."
    rejected = f"{100 * float(privacy.get('rejection_rate') or 0):.1f} %"
    text = (
        f"The stills they were generated from were screened by a calibrated privacy filter, which rejected {rejected} of "
        "the candidates."
    )
    if privacy.get("releasable"):
        return text
    if privacy.get("completed_with_rejected"):
        return f"{text} This set was completed with rejected ones: it has **not** passed it."
    if privacy.get("final_check", {}).get("videos_too_close"):
        return f"{text} Some videos came out too close to real ones: this set has **not** passed it."
    return f"{text} How often it rejects strangers is **not known well enough**, for want of held-out patients."
