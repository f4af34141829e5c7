"""The flags of EchoNet-Synthetic's scripts, on the verbs that do the same job: old words in, ours out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from echosyn.errors import ConfigError


@dataclass(frozen=True)
class Script:
    """How one script's flags are said to our verb."""

    name: str
    places: Sequence[str]
    """Flags whose values are our folders, in our order."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    """Flags with a value that has no meaning here."""
    switches: frozenset[str] = frozenset()
    """Flags without a value that are always so here."""


SCRIPTS: dict[str, Script] = {
    "encode": Script(
        "scripts/encode_video_dataset.py",
        ("--input", "--output"),
        {"--model": "--vae"},
        switches=frozenset({"--gray_scale"}),
    ),
    "sample": Script(
        "echosyn/lidm/sample.py",
        ("--output",),
        {"--unet": "--lidm", "--num_samples": "--num", "--num_steps": "--steps", "--batch_size": "--batch-size"},
        dropped=frozenset({"--config", "--vae"}),
        switches=frozenset({"--save_latent"}),
    ),
    "filter": Script("echosyn/privacy/apply.py", ("--synthetic", "--output"), {"--model": "--reid"}),
    "animate": Script(
        "echosyn/lvdm/sample.py",
        ("--conditioning", "--output"),
        {"--unet": "--lvdm", "--num_samples": "--num", "--num_steps": "--steps", "--batch_size": "--batch-size"},
        dropped=frozenset({"--config", "--save_as"}),
    ),
    "reference": Script("scripts/create_reference_dataset.py", ("--dataset", "--output")),
}


BOUNDS = ("--min_lvef", "--max_lvef")
"""Together they are our ``--ef``."""


def translated(arguments: Sequence[str]) -> list[str]:
    """A command line as ours; one without the first of a script's own folder flags is ours already.

    Raises:
        ConfigError: a flag of the script lacks its value, or one of its folders is missing.
    """
    verb, *rest = list(arguments) or [""]
    script = SCRIPTS.get(verb)
    if script is None or not any(argument.partition("=")[0] in script.places for argument in rest):
        return list(arguments)
    places, bounds, ours = {}, {}, []
    flags = {*script.places, *script.dropped, *script.renamed, *BOUNDS}
    words = iter([part for argument in rest for part in _parts(argument, flags)])
    for word in words:
        if word in script.switches:
            continue
        if word in script.dropped or word in script.places or word in BOUNDS:
            value = next(words, None)
            if value is None:
                raise ConfigError(f"{verb} {word}: expected a value, as {script.name} takes it")
            if word in script.places:
                places[word] = value
            elif word not in script.dropped:
                bounds[word] = value
        else:
            ours.append(script.renamed.get(word, word))
    if missing := [flag for flag in script.places if flag not in places]:
        raise ConfigError(f"{verb}: {missing[0]} is missing, as {script.name} takes it")
    if bounds:
        ours += ["--ef", f"{bounds.get('--min_lvef', '10')}..{bounds.get('--max_lvef', '90')}"]
    return [verb, *(places[flag] for flag in script.places), *ours]


def _parts(argument: str, flags: Collection[str]) -> list[str]:
    """``--flag=value`` as two words, where the flag is the script's."""
    flag, equals, value = argument.partition("=")
    return [flag, value] if equals and flag in flags else [argument]
