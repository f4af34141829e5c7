"""Parts that were made apart become what one job makes, file by file and byte by byte; what is no part of it is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from echosyn.data import filelist
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline import merge as merging
from echosyn.pipeline.generate import generate as generating
from echosyn.pipeline.generate import sample
from echosyn.pipeline.generate.animate import animate
from echosyn.pipeline.merge import merge
from echosyn.pipeline.privacy_filter import filter
from echosyn.pipeline.train.encode import encode
from echosyn.pipeline.workers.compute import Compute
from echosyn.pipeline.workers.executors import Executor, InProcess, Processes
from echosyn.pipeline.workers.shards import WHOLE, Shard, part
from echosyn.settings.making import AnimateSettings, EncodeSettings, FilterSettings, GenerateSettings, SampleSettings

Make = Callable[..., None]

CPU = Compute("cpu")


@pytest.fixture(scope="module")
def folder(tiny_models: Path) -> Path:
    return tiny_models


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "PER_FILE", 8)


@pytest.fixture(scope="module")
def makers(folder: Path, video_dataset: Path) -> dict[str, Make]:
    def encoded(out: Path, shard: Shard = WHOLE, executor: Executor | None = None) -> None:
        encode(
            video_dataset,
            out,
            folder / "vae",
            EncodeSettings(any_scale=True),
            Compute("cpu", executor, shard),
        )

    def sampled(out: Path, shard: Shard = WHOLE, executor: Executor | None = None) -> None:
        sample.sample(out, folder / "lidm", SampleSettings(num=30, seed=1), Compute("cpu", executor, shard))

    def filtered(out: Path, shard: Shard = WHOLE, executor: Executor | None = None) -> None:
        candidates = folder / "candidates"
        if not candidates.exists():
            sampled(candidates, WHOLE)
        asked = FilterSettings(reference=folder / "latents")
        filter.filter_stills(candidates, out, folder / "reid", asked, Compute("cpu", executor, shard))

    def animated(out: Path, shard: Shard = WHOLE, executor: Executor | None = None) -> None:
        if not (folder / "few").exists():
            sample.sample(folder / "few", folder / "lidm", SampleSettings(num=11, seed=1), CPU)
        models = {"lvdm": folder / "lvdm", "vae": folder / "vae"}
        asked = AnimateSettings(seed=2, num_frames=8)
        animate(folder / "few", out, models, asked, Compute("cpu", executor, shard))

    def generated(out: Path, shard: Shard = WHOLE, executor: Executor | None = None) -> None:
        models = {stage: folder / stage for stage in ("vae", "lidm", "lvdm", "reid")}
        asked = GenerateSettings(num=12, seed=3, num_frames=8, reference=folder / "latents")
        generating.generate(out, models, asked, Compute("cpu", executor or InProcess(2), shard))

    return {"encode": encoded, "sample": sampled, "filter": filtered, "animate": animated, "generate": generated}


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    "verb", ["encode", "sample", "filter", "animate", pytest.param("generate", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_merged_parts_are_the_whole(verb: str, count: int, makers: dict[str, Make], tmp_path: Path) -> None:
    makers[verb](tmp_path / "whole", WHOLE)
    parts = [tmp_path / f"part-{number}" for number in range(1, count + 1)]
    for number, path in enumerate(parts, 1):
        makers[verb](path, Shard(number, count))
    before = [content(path) for path in parts]
    merge([*parts[1:], parts[0]], tmp_path / "merged")
    assert content(tmp_path / "merged") == content(tmp_path / "whole")
    assert [content(path) for path in parts] == before, "parts stay as they are"


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["encode", "filter", "animate", "generate"])
def test_other_processes_make_the_same(verb: str, makers: dict[str, Make], tmp_path: Path) -> None:
    makers[verb](tmp_path / "here")
    with Processes(1) as processes:
        makers[verb](tmp_path / "there", executor=processes)
    assert content(tmp_path / "there") == content(tmp_path / "here")


def test_the_only_shard_is_the_whole(makers: dict[str, Make], tmp_path: Path) -> None:
    makers["animate"](tmp_path / "whole", Shard(1, 1))
    merge([tmp_path / "whole"], tmp_path / "merged")
    assert content(tmp_path / "merged") == content(tmp_path / "whole")


def test_a_part_may_have_nothing_to_do(folder: Path, tmp_path: Path) -> None:
    models = {stage: folder / stage for stage in ("vae", "lidm", "lvdm")}
    asked = GenerateSettings(num=3, seed=3, num_frames=8)
    generating.generate(tmp_path / "whole", models, asked, CPU)
    for number in (1, 2):
        generating.generate(tmp_path / f"{number}", models, asked, Compute("cpu", shard=Shard(number, 2)))
    merge([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")
    assert content(tmp_path / "merged") == content(tmp_path / "whole")


# What is refused


@pytest.fixture
def parts(makers: dict[str, Make], tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"part-{number}" for number in (1, 2)]
    for number, path in enumerate(paths, 1):
        makers["animate"](path, Shard(number, 2))
    return paths


def refused(parts: list[Path], tmp_path: Path, message: str) -> None:
    with pytest.raises(DataError, match=message):
        merge(parts, tmp_path / "merged")
    assert not list(tmp_path.glob("merged*"))


def test_a_missing_part_is_named(parts: list[Path], tmp_path: Path) -> None:
    refused(parts[:1], tmp_path, r"part 2/2 is missing; make it with --shard")


def test_a_part_given_twice_is_named(parts: list[Path], tmp_path: Path) -> None:
    refused([*parts, parts[0]], tmp_path, r"part-1: is part 1/2, as is .*part-1")


def test_a_whole_folder_is_no_part(parts: list[Path], makers: dict[str, Make], tmp_path: Path) -> None:
    makers["animate"](tmp_path / "whole", WHOLE)
    refused([parts[0], tmp_path / "whole"], tmp_path, "whole: complete, not a part")


def test_parts_of_different_jobs_are_told_apart(parts: list[Path], folder: Path, tmp_path: Path) -> None:
    models = {"lvdm": folder / "lvdm", "vae": folder / "vae"}
    asked = AnimateSettings(seed=9, num_frames=8)
    animate(folder / "few", tmp_path / "other", models, asked, Compute("cpu", shard=Shard(2, 2)))
    refused(
        [parts[0], tmp_path / "other"], tmp_path, r"other: is a part of another job than .* \(settings: seed differs\)"
    )


def test_an_unfinished_part_is_named(parts: list[Path], tmp_path: Path) -> None:
    partial = parts[1].with_name("part-2.partial")
    parts[1].rename(partial)
    refused([parts[0], partial], tmp_path, "not a finished folder; run its --shard again")
    refused([parts[0], tmp_path / "nothing"], tmp_path, "nothing: not a finished folder")


def test_a_video_that_went_missing_is_named(parts: list[Path], tmp_path: Path) -> None:
    lost = parts[1] / filelist.VIDEOS / f"{filelist.read(parts[1])[0].name}.avi"
    lost.unlink()
    refused(parts, tmp_path, rf"{lost.name}: is missing; make this part again")


@pytest.mark.slow
def test_too_few_videos_together_are_an_error(makers: dict[str, Make], tmp_path: Path) -> None:
    parts = [tmp_path / f"part-{number}" for number in (1, 2)]
    for number, path in enumerate(parts, 1):
        makers["generate"](path, Shard(number, 2))
    said = json.loads((parts[1] / "provenance.json").read_text())
    said["part"]["end"] = 8
    (parts[1] / "provenance.json").write_text(json.dumps(said))
    refused(parts, tmp_path, r"the parts have \d+ of the 12 videos requested, up to sample 8.*larger --num")


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_shards_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--shard .*: expected K/N"):
        part(text)


def test_shards_share_things_out() -> None:
    things = list(range(11))
    assert sorted(thing for number in (1, 2, 3) for thing in Shard(number, 3).of(things)) == things
    assert part(None) == WHOLE == part("1/1")
    assert part("2/5") == Shard(2, 5)


def test_completing_needs_the_whole(folder: Path, tmp_path: Path) -> None:
    models = {stage: folder / stage for stage in ("vae", "lidm", "lvdm")}
    with pytest.raises(ConfigError, match="a single shard cannot rank the rejected samples"):
        generating.generate(
            tmp_path / "x",
            models,
            GenerateSettings(num=2, seed=0, complete_with_rejected=True),
            Compute(shard=Shard(1, 2)),
        )


def test_files_are_linked_where_the_disk_can(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    merging.place(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").samefile(tmp_path / "b")
    with pytest.raises(DataError, match="is missing; make this part again"):
        merging.place(tmp_path / "none", tmp_path / "c")
