"""All verbs in one program."""

from echosyn.apps.cli import generating, judging, merging, page, privacy, sharing
from echosyn.apps.cli.commands import app

__all__ = ["app", "generating", "judging", "merging", "page", "privacy", "sharing"]
