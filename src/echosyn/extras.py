"""Optional packages: imported where they are used, and their absence names the cure."""

import importlib
from types import ModuleType

from echosyn.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package, or raise `MissingExtraError` saying which extra installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"this feature needs {module!r}: pip install 'echosyn[{extra}]' ({error})") from error
