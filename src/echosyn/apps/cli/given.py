"""Which options were given, for verbs where one option makes others pointless."""

from collections.abc import Collection

import typer

from echosyn.errors import ConfigError


def given(context: typer.Context) -> dict[str, str]:
    """The parameters that stand on the command line, as they are called there, by name."""
    found = {}
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            found[name] = next(iter(parameter.opts), name)
    return found


def refuse_others(context: typer.Context, option: str, used: Collection[str]) -> None:
    """Refuse whatever was given beside an option that leaves no choice.

    Args:
        context: of the call.
        option: that option.
        used: names of the parameters that still count beside it.

    Raises:
        ConfigError: something else was given.
    """
    idle = [flag for name, flag in given(context).items() if name not in used]
    if idle:
        raise ConfigError(f"{', '.join(idle)}: no effect with {option}, whose file says it all: leave out")
