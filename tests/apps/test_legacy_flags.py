"""The reference's command lines mean the same here."""

import shlex

import pytest

from echosyn.apps.cli.legacy_flags import translated
from echosyn.errors import ConfigError


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            "encode --model models/vae --input datasets/D --output data/l --gray_scale",
            "encode datasets/D data/l --vae models/vae",
        ),
        ("encode -m models/vae -i datasets/D -o data/l -g", "encode datasets/D data/l --vae models/vae"),
        (
            "sample --config c.yaml --unet u --vae v --output o --num_samples 9 --batch_size 4 --num_steps 64 --save_latent "
            "--seed 1",
            "sample o --config c.yaml --lidm u --vae v --num 9 --batch-size 4 --steps 64 --seed 1 --save-as png,pt",
        ),
        (
            "sample --unet=u --output=o --save_latent --ddim",
            "sample o --lidm u --scheduler ddim --save-as pt --num 8 --steps 128",
        ),
        ("filter --model m --synthetic s --reference r --output o", "filter s o --reid m --reference r"),
        (
            "filter --model m --synthetic s --reference r --output o --cutoff_precentile 90",
            "filter s o --reid m --reference r --rule published --percentile 90",
        ),
        (
            "animate --config c --unet u --vae v --conditioning k --output o --num_samples 5 --batch_size 8 --num_steps 64 "
            "--min_lvef 20 --max_lvef 70 --save_as avi,jpg --frames 192",
            "animate k o --config c --lvdm u --vae v --num 5 --batch-size 8 --steps 64 --frames 192 --ef 20..70 "
            "--save-as avi,jpg",
        ),
        ("animate --unet u --vae v --conditioning k --output o", "animate k o --lvdm u --vae v --num 8 --steps 64"),
        ("decode -m v -i in -o out -b 16", "decode in out --vae v --batch-size 16"),
        ("reference --dataset=D --output=o --frames 16", "reference D o --frames 16"),
    ],
)
def test_a_script_s_command_line_is_ours(theirs: str, ours: str) -> None:
    first, *rest = shlex.split(theirs)
    found = translated([first, *rest])
    assert sorted(found) == sorted(shlex.split(ours))
    folders = [word for word in shlex.split(ours)[1:] if not word.startswith("-")]
    assert found[: 1 + found[1:].index(folders[0]) + 1] == [first, folders[0]]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--help",
        "sample out --lidm m --num 3",
        "animate k o --lvdm u --vae v",
        "train vae d o --set a.b=--output",
        "generate out --dataset dynamic --models m",
        "encode d o --vae v --quiet",
    ],
)
def test_our_own_command_lines_stay(line: str) -> None:
    assert translated(shlex.split(line)) == shlex.split(line)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"encode: --output is missing, as scripts/encode_video_dataset\.py takes it"):
        translated(["encode", "--model", "m", "--input", "d"])
    with pytest.raises(ConfigError, match="encode --output: expected a value"):
        translated(["encode", "--input", "d", "--output"])


@pytest.mark.parametrize("flag", ["-f", "--force_overwrite"])
def test_nothing_is_overwritten(flag: str) -> None:
    with pytest.raises(ConfigError, match=r"encode --force_overwrite: a step never overwrites: remove the old folder"):
        translated(["encode", "-m", "m", "-i", "d", "-o", "l", flag])
