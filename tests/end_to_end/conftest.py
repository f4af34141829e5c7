"""The program as its users start it, a tiny dataset, and tiny models made by one verb after the other.

Importing torch and diffusers takes seconds, and these tests start the program a hundred times. So most of them fork it from
a server that has imported everything and computed nothing; a forked program is a process like any other: it parses a command
line, exits with a code and can be killed. `test_console.py` starts the installed script itself.
"""

import json
import runpy
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from echosyn.pipeline.workers import processes

TINY: Mapping[str, list[str]] = {
    "vae": [
        "network={_class_name: PatchAutoencoderKL, patch_size: 4, block_out_channels: [8, 8], norm_num_groups: 4}",
        "scale_frames=8",
    ],
    "lidm": [
        "network={_class_name: UNet2DModel, block_out_channels: [16, 16], norm_num_groups: 8, attention_head_dim: 8}",
        "network.down_block_types=[DownBlock2D, AttnDownBlock2D]",
        "network.up_block_types=[AttnUpBlock2D, UpBlock2D]",
        "num_inference_steps=2",
    ],
    "lvdm": [
        "network={_class_name: VideoTransformer, width: 16, depth: 1, num_heads: 2, num_frames: 16}",
        "num_frames=16",
        "num_inference_steps=2",
        "loop.learning_rate=0.01",
    ],
    "reid": [],
    "ef": ["num_frames=16"],
}
"""Settings that make every network tiny; they learn nothing."""


SHORT = ["loop.batch_size=4", "loop.warmup_steps=0", "loop.ema_decay=0.9"]


def tiny(stage: str, *more: str, steps: int = 3) -> list[str]:
    """The ``--set`` options of a tiny stage."""
    return [word for setting in [*SHORT, *TINY[stage], f"loop.steps={steps}", *more] for word in ("--set", setting)]


def all_tiny() -> list[str]:
    """The ``--set`` options of `run` and `quickstart`."""
    settings = [f"{stage}.{setting}" for stage in TINY for setting in tiny(stage) if setting != "--set"]
    return [word for setting in settings for word in ("--set", setting)]


@dataclass(frozen=True)
class Result:
    """What a finished program left."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The result, which is one line on stdout."""
        assert self.stdout.count("\n") == 1
        result: dict[str, Any] = json.loads(self.stdout)
        return result


class Running:
    """A started program."""

    def __init__(self, process: Any, folder: Path) -> None:
        self.process, self.folder = process, folder

    def wait(self, timeout_s: float = 120) -> Result:
        self.process.join(timeout_s)
        if self.process.exitcode is None:
            self.process.kill()
            pytest.fail("the program does not end")
        texts = [(self.folder / name).read_text() for name in ("stdout", "stderr")]
        return Result(self.process.exitcode, *texts)

    def kill_when(self, reached: Callable[[], bool], timeout_s: float = 60) -> None:
        """Kill -9 as soon as something has happened, which must be before the program ends."""
        deadline = time.monotonic() + timeout_s
        while not reached():
            assert self.process.is_alive(), f"ended too early: {self.wait()}"
            assert time.monotonic() < deadline, "nothing happens"
            time.sleep(0.002)
        self.process.kill()
        self.process.join(timeout_s)
        assert self.process.exitcode == -signal.SIGKILL


class Program:
    """``echosyn ARGUMENTS``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.numbers = folder, count()
        self.context = processes.context()

    def start(self, *arguments: object) -> Running:
        folder = self.folder / str(next(self.numbers))
        folder.mkdir()
        names = {name: str(folder / name) for name in ("stdout", "stderr")}
        given = {"arguments": [str(a) for a in arguments], **names}
        script = str(Path(__file__).with_name("forked.py"))
        process = self.context.Process(target=runpy.run_path, args=(script, given))
        process.start()
        return Running(process, folder)

    def __call__(self, *arguments: object) -> Result:
        return self.start(*arguments).wait()

    def good(self, *arguments: object) -> Result:
        """Run a command that must succeed."""
        result = self(*arguments)
        assert result.code == 0, f"{arguments}: {result.stderr}"
        return result


@dataclass
class Workshop:
    """Everything that the verbs made from a tiny dataset, one after the other."""

    folder: Path
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Path:
        return self.folder / name

    def model(self, stage: str) -> Path:
        return self.folder / "models" / stage


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="session")
def dataset(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight phantom videos of 64 frames: 6 TRAIN, 1 VAL, 1 TEST."""
    folder = tmp_path_factory.mktemp("data") / "dataset"
    program.good("phantom", folder, "--num", 8, "--seed", 3, "--frames", 64)
    return folder


@pytest.fixture(scope="session")
def workshop(program: Program, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Dataset to latents to models to stills to videos to report, by separate verbs."""
    made = Workshop(tmp_path_factory.mktemp("workshop"))

    def do(name: str, *arguments: object) -> None:
        made.results[name] = program.good(*arguments, "--json").json

    do("vae", "train", "vae", dataset, made.model("vae"), *tiny("vae"))
    do("encode", "encode", dataset, made.latents, "--vae", made.model("vae"), "--seed", 1)
    for stage in ("lidm", "lvdm", "reid"):
        do(stage, "train", stage, made.latents, made.model(stage), *tiny(stage))
    do("ef", "train", "ef", dataset, made.model("ef"), *tiny("ef"))
    do("sample", "sample", made.candidates, "--lidm", made.model("lidm"), "--num", 8, "--seed", 2)
    do("filter", "filter", made.candidates, made.kept, "--reid", made.model("reid"), "--reference", made.latents)
    video_models = ["--lvdm", made.model("lvdm"), "--vae", made.model("vae")]
    do("animate", "animate", made.kept, made.animated, *video_models, "--frames", 24, "--ef", "20..70", "--seed", 5)
    models = ["--models", made.folder / "models", "--reference", made.latents]
    do("generate", "generate", made.synthetic, *models, "--num", 5, "--frames", 70, "--ef-from", dataset)
    vae = ["--vae", made.model("vae")]
    do("evaluate", "evaluate", made.synthetic, dataset, made.report, *vae, *tiny("ef"))
    return made


@pytest.fixture(scope="session", name="tiny")
def _tiny() -> Callable[..., list[str]]:
    return tiny


@pytest.fixture(scope="session", name="all_tiny")
def _all_tiny() -> list[str]:
    return all_tiny()
