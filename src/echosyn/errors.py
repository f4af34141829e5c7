"""The errors a user can cause. Each message says what, where, what was expected and the cure."""

from typing import Any


class EchosynError(Exception):
    """A mistake in what the user gave us; shown as one message, without a traceback, exit code 2.

    It can be sent from one process to another, whatever the constructor of its class takes.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[EchosynError], args: tuple[Any, ...], state: dict[str, Any]) -> EchosynError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class DataError(EchosynError):
    """A dataset, latents or other data folder is not what it should be."""


class VideoError(DataError):
    """A video file cannot be read or written as asked."""


class ConfigError(EchosynError):
    """A setting is unknown, has the wrong type or is out of range."""


class ModelError(EchosynError):
    """A model folder is missing, of the wrong kind, or does not fit the other models."""


class MissingExtraError(EchosynError):
    """An optional package is needed and not installed."""


class StoppedError(EchosynError):
    """Workers or a cluster failed, not an input: finished work is kept, and the same command continues."""
