"""All verbs in one program."""

from echosyn.apps.cli import judging, page, privacy, sharing
from echosyn.apps.cli.commands import app

__all__ = ["app", "judging", "page", "privacy", "sharing"]
