"""All verbs in one program."""

from echosyn.apps.cli import page, privacy, sharing
from echosyn.apps.cli.commands import app

__all__ = ["app", "page", "privacy", "sharing"]
