"""All verbs in one program."""

from echosyn.apps.cli import judging, merging, page, privacy, sharing
from echosyn.apps.cli.commands import app

__all__ = ["app", "judging", "merging", "page", "privacy", "sharing"]
