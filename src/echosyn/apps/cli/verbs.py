"""All verbs in one program."""

from echosyn.apps.cli import calibrating, generating, judging, merging, page, privacy, sharing
from echosyn.apps.cli.commands import app

__all__ = ["app", "calibrating", "generating", "judging", "merging", "page", "privacy", "sharing"]
