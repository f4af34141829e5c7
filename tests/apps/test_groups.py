"""The overview of the verbs: every one once, in the order of the path, none cut off."""

import typer

from echosyn.apps.cli.groups import GROUPS
from echosyn.apps.cli.verbs import app


def test_every_verb_is_in_one_group():
    group = typer.main.get_command(app)
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(group.commands)


def test_no_line_of_the_overview_is_cut_off_at_80_columns():
    group = typer.main.get_command(app)
    context = group.context_class(group, info_name="echosyn", terminal_width=80, max_content_width=80)
    text = group.get_help(context)
    assert "..." not in text.replace("[OPTIONS] COMMAND [ARGS]...", "")
    assert all(len(line) <= 80 for line in text.splitlines())
    places = [text.index(f"\n  {name} ") for name in ("phantom", "train", "generate", "audit", "publish")]
    assert places == sorted(places)
