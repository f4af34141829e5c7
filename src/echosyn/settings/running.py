"""Where the work of a verb is done, by whom, and what is shown of it."""

from echosyn.settings import settings


@settings
class OutputSettings:
    """What is printed at the end."""

    json: bool = False
    """Print the result as one line of JSON."""


@settings
class ShownSettings(OutputSettings):
    """What is shown on the way."""

    quiet: bool = False
    """Hide progress."""


@settings
class PageDevice(OutputSettings):
    """Where one process works."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""


@settings
class DeviceSettings(PageDevice, ShownSettings):
    """Work of one process."""


@settings
class WorkersSettings(ShownSettings):
    """Work that several processes or machines may share; on CPUs they change no byte of the result."""

    workers: int | None = None
    """Worker processes; default none, work in this process.

    With --ray: the most workers to use.
    """
    ray: str | None = None
    """Ray cluster to use: local, HOST:PORT or auto.

    `--ray` alone means auto.
    """


@settings
class ShardedSettings(WorkersSettings):
    """Work that several jobs may share, too."""

    shard: str | None = None
    """K/N: make part K of N; `echosyn merge` joins the parts."""


@settings
class RunSettings(WorkersSettings, DeviceSettings):
    """Work that needs a device, and that others may share."""


@settings
class ShardedRunSettings(ShardedSettings, RunSettings):
    """The same, for several jobs."""
