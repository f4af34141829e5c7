"""Hooks of the docs site: the README as its first page, the API from docstrings, the decisions listed, links made the site's."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
API = ("echosyn.api.pipelines", "echosyn.api.datasets", "echosyn.api.runs")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List every decision."""
    pages = sorted(path.name for path in (ROOT / "docs" / "adr").glob("*.md"))
    decisions: Any = next(part for part in config.nav or [] if "Decisions" in part)
    decisions["Decisions"] = ["adr/index.md", *(f"adr/{name}" for name in pages)]
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
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Links to a folder lead to its index; what lies outside the site is named instead of linked."""
    inside = {"CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md"}

    def link(found: re.Match[str]) -> str:
        picture, text, target, anchor = found[1], found[2], found[3], found[4] or ""
        if target.endswith("adr/"):
            return f"[{text}]({target}index.md)"
        name = target.split("/")[-1]
        if name in inside:
            return f"[{text}]({'../' * page.file.src_uri.count('/')}{inside[name]}{anchor})"
        leaves = target.count("../") > page.file.src_uri.count("/") or target == "LICENSE"
        return f"{picture}`{text.strip('`')}`" if leaves else found[0]

    return LINK.sub(link, markdown)
