"""The flags of EchoNet-Synthetic's scripts, on the verbs that do the same job: old words in, ours out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from echosyn.errors import ConfigError

Words = Mapping[str, str]


@dataclass(frozen=True)
class Script:
    """How one script's flags are said to our verb."""

    name: str
    places: Sequence[str]
    """Flags whose values are our folders, in our order."""
    renamed: Words = field(default_factory=dict)
    """Our words for a flag; none where it is always so here."""
    short: Words = field(default_factory=dict)
    refused: Words = field(default_factory=dict)
    """Flags that cannot be had, and what to do instead."""
    formats: Words = field(default_factory=dict)
    """What a flag lets the script write, as ``--save-as`` says it."""
    defaults: Words = field(default_factory=dict)
    """Values that the script takes where ours are others."""


_STEPS = {"--num_samples": "--num", "--num_steps": "--steps", "--batch_size": "--batch-size"}
_FOLDERS = {"-m": "--model", "-i": "--input", "-o": "--output"}
_ANEW = "a step never overwrites: remove the old folder first, and leave this out"

SCRIPTS: dict[str, Script] = {
    "encode": Script(
        "scripts/encode_video_dataset.py",
        ("--input", "--output"),
        {"--model": "--vae", "--gray_scale": ""},
        short=_FOLDERS | {"-g": "--gray_scale", "-f": "--force_overwrite"},
        refused={"--force_overwrite": _ANEW},
    ),
    "sample": Script(
        "echosyn/lidm/sample.py",
        ("--output",),
        _STEPS | {"--unet": "--lidm", "--save_latent": "", "--ddim": "--scheduler ddim"},
        formats={"--vae": "png", "--save_latent": "pt"},
        defaults={"--num": "8", "--steps": "128"},
    ),
    "filter": Script(
        "echosyn/privacy/apply.py",
        ("--synthetic", "--output"),
        {"--model": "--reid", "--cutoff_precentile": "--rule published --percentile"},
    ),
    "animate": Script(
        "echosyn/lvdm/sample.py",
        ("--conditioning", "--output"),
        _STEPS | {"--unet": "--lvdm", "--save_as": "--save-as"},
        defaults={"--num": "8", "--steps": "64"},
    ),
    "decode": Script(
        "scripts/vae_reconstruct_image_folder.py",
        ("--input", "--output"),
        {"--model": "--vae", "--batch_size": "--batch-size"},
        short=_FOLDERS | {"-b": "--batch_size"},
    ),
    "reference": Script("scripts/create_reference_dataset.py", ("--dataset", "--output")),
}


BOUNDS = ("--min_lvef", "--max_lvef")
"""Together they are our ``--ef``."""


def translated(arguments: Sequence[str]) -> list[str]:
    """A command line as ours; one without the first of a script's own folder flags is ours already.

    Raises:
        ConfigError: a flag of the script lacks its value or cannot be had, or one of its folders is missing.
    """
    verb, *rest = list(arguments) or [""]
    script = SCRIPTS.get(verb)
    flags = {*script.places, *script.renamed, *script.short, *script.refused, *BOUNDS} if script else set()
    parts = [part for argument in rest for part in _parts(argument, flags)]
    if script is None or not any(script.short.get(part, part) in script.places for part in parts):
        return list(arguments)
    words = [script.short.get(part, part) for part in parts]
    if odd := next((word for word in words if word in script.refused), None):
        raise ConfigError(f"{verb} {odd}: {script.refused[odd]}")
    values, ours = {}, []
    left = iter(words)
    for word in left:
        if word in script.places or word in BOUNDS:
            value = next(left, None)
            if value is None:
                raise ConfigError(f"{verb} {word}: expected a value, as {script.name} takes it")
            values[word] = value
        else:
            ours += script.renamed[word].split() if word in script.renamed else [word]
    if missing := [flag for flag in script.places if flag not in values]:
        raise ConfigError(f"{verb}: {missing[0]} is missing, as {script.name} takes it")
    if set(BOUNDS) & values.keys():
        ours += ["--ef", f"{values.get('--min_lvef', '10')}..{values.get('--max_lvef', '90')}"]
    if formats := [kind for flag, kind in script.formats.items() if flag in words]:
        ours += ["--save-as", ",".join(formats)]
    ours += [word for flag, value in script.defaults.items() if flag not in ours for word in (flag, value)]
    return [verb, *(values[flag] for flag in script.places), *ours]


def _parts(argument: str, flags: Collection[str]) -> list[str]:
    """``--flag=value`` as two words, where the flag is the script's."""
    flag, equals, value = argument.partition("=")
    return [flag, value] if equals and flag in flags else [argument]
