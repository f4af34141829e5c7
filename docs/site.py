"""Hooks of the docs site: first page, API, decisions and notebooks are made from other files, links become the site's."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
API = ("echosyn.api.pipelines", "echosyn.api.datasets", "echosyn.api.runs")
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.py"))
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List every decision and every notebook."""
    pages = sorted(path.name for path in (ROOT / "docs" / "adr").glob("*.md"))
    decisions: Any = next(part for part in config.nav or [] if "Decisions" in part)
    decisions["Decisions"] = ["adr/index.md", *(f"adr/{name}" for name in pages)]
    notebooks: Any = next(part for part in config.nav or [] if "Notebooks" in part)
    notebooks["Notebooks"] = ["notebooks/index.md", *(f"notebooks/{path.stem}.md" for path in NOTEBOOKS)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files below docs/."""
    readme = (ROOT / "README.md").read_text().replace("](docs/", "](")
    titles = [
        (p.name, p.read_text().splitlines()[0].lstrip("# ")) for p in sorted((ROOT / "docs" / "adr").glob("*.md"))
    ]
    made = {
        "index.md": readme,
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text().replace("](docs/", "]("),
        "security.md": (ROOT / "SECURITY.md").read_text().replace("](docs/", "]("),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text().replace("](docs/", "]("),
        "api.md": "# Python API\n\n" + "\n\n".join(f"::: {name}" for name in API),
        "adr/index.md": "# Decisions\n\n" + "\n".join(f"- [{title}]({name})" for name, title in titles),
    }
    pages = {f"notebooks/{path.stem}.md": as_page(path.read_text()) for path in NOTEBOOKS}
    made |= pages | {"notebooks/index.md": _contents(pages)}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def as_page(notebook: str) -> str:
    """The cells of a notebook in percent format as Markdown: words as they are, code in fences."""
    parts = []
    for cell in re.split(r"^# %%", notebook, flags=re.MULTILINE)[1:]:
        kind, _, text = cell.partition("\n")
        if "[markdown]" in kind:
            parts.append(re.sub(r"^# ?", "", text, flags=re.MULTILINE).strip())
        else:
            parts.append(f"```python\n{text.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def _contents(pages: Mapping[str, str]) -> str:
    titles = [f"- [{text.splitlines()[0].lstrip('# ')}]({Path(name).name})" for name, text in pages.items()]
    words = "Plain Python files in percent format: VS Code, PyCharm and Jupyter (with jupytext) open them as notebooks."
    return "\n".join(["# Notebooks", "", f"{words} Each runs in less than a minute on two cores.", "", *titles])


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Links to a folder lead to its index; what lies outside the site is named instead of linked."""
    inside = {"CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md"}

    def link(found: re.Match[str]) -> str:
        picture, text, target, anchor = found[1], found[2], found[3], found[4] or ""
        if target.endswith(("adr/", "notebooks/")):
            return f"[{text}]({target}index.md)"
        if "notebooks/" in target:
            return f"[{text}]({target.removesuffix('.py')}.md{anchor})"
        name = target.split("/")[-1]
        if name in inside:
            return f"[{text}]({'../' * page.file.src_uri.count('/')}{inside[name]}{anchor})"
        leaves = target.count("../") > page.file.src_uri.count("/") or target == "LICENSE"
        return f"{picture}`{text.strip('`')}`" if leaves else found[0]

    return LINK.sub(link, markdown)
