"""What MkDocs does not do by itself, for ``mkdocs.yml``.

- The documents of the repository's root become pages: README is the first one.
- Links between them, and into ``docs/``, are turned so that they hold in the site; links to source files become text.
- Notebooks become pages with the output that is stored in them.
- The reference is made from a copy of the sources with real folders: the tool that reads them does not find packages
  without ``__init__.py``, which ``gssl.datasets`` is. Roles of Sphinx in docstrings become code.
- A page that would load anything from elsewhere is refused: the site is read without a network.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
# Documents of the root, and the pages that they become.
ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
}
SOURCES = ROOT / "build" / "docs" / "sources"  # where mkdocs.yml says that they are
_SHIM = "https://unpkg.com/iframe-worker/shim"
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)]*)?\)")
_ROLE = re.compile(r":(?:func|class|meth|mod|data|attr):<code>~?(?:[\w.]*\.)?(\w+)</code>")
_LOADS = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s\"'>]+"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon|modulepreload|dns-prefetch))[^>]*"
    r"\bhref=[\"']?(?:https?:)?//[^\s\"'>]+"
)
_CSS_LOADS = re.compile(r"(?:@import\s*[\"']|url\(\s*[\"']?)(?:https?:)?//[^\s\"')]+")


def on_startup(command: str, dirty: bool) -> None:
    """Copy the sources, before anything looks for them."""
    shutil.rmtree(SOURCES, ignore_errors=True)
    left = shutil.ignore_patterns("__pycache__", "*.json", "*.jsonl", "*.yaml")
    shutil.copytree(ROOT / "gssl", SOURCES / "gssl", ignore=left)
    (SOURCES / "gssl" / "datasets" / "__init__.py").touch()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents of the root, and pages in place of notebooks."""
    for name, page in ROOT_PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=turn_links(text, name)))
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            files.remove(file)
            source = json.loads((ROOT / "docs" / file.src_uri).read_text(encoding="utf-8"))
            text = notebook_page(source["cells"])
            page = file.src_uri.removesuffix(".ipynb") + ".md"
            files.append(File.generated(config, page, content=turn_links(text, f"docs/{file.src_uri}")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of the pages in ``docs/``."""
    made = page.file.generated_by is not None
    return markdown if made else turn_links(markdown, f"docs/{page.file.src_uri}")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Take roles of Sphinx out of docstrings."""
    return _ROLE.sub(r"<code>\1</code>", html)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Give the theme's search a stand-in for workers that is part of the site."""
    return output.replace(_SHIM, posixpath.relpath("assets/frame-worker.js", posixpath.dirname(page.url) or "."))


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for the page that is shown where none is."""
    return output_content.replace(_SHIM, "/assets/frame-worker.js")


def on_post_build(config: MkDocsConfig) -> None:
    """Look for what would be loaded from elsewhere.

    Raises:
        PluginError: there is something.
    """
    site = Path(config.site_dir)
    found = sorted(
        f"{path.relative_to(site)}: {load}"
        for pattern, loads in (("*.html", _LOADS), ("*.css", _CSS_LOADS))
        for path in site.rglob(pattern)
        for load in loads.findall(path.read_text(encoding="utf-8"))
    )
    if found:
        raise PluginError("pages load files from elsewhere:\n" + "\n".join(found))


def turn_links(text: str, origin: str) -> str:
    """Links of a document as they hold in the site.

    Args:
        text: Markdown.
        origin: its path in the repository.
    """
    folder = posixpath.dirname(origin)
    page = place_of(origin) or ""

    def turned(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        if re.match(r"\w+:", target):
            return match[0]
        place = place_of(posixpath.normpath(posixpath.join(folder, target)))
        if place is None:  # a source file, which is no part of the site
            return words
        return f"[{words}]({posixpath.relpath(place, posixpath.dirname(page) or '.')}{anchor})"

    parts = re.split(r"(^```.*?^```)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else _LINK.sub(turned, part) for part in parts)


def place_of(path: str) -> str | None:
    """The page that a file of the repository becomes; None if it becomes none."""
    if path in ROOT_PAGES:
        return ROOT_PAGES[path]
    if not path.startswith("docs/"):
        return None
    return re.sub(r"\.ipynb$", ".md", path.removeprefix("docs/"))


def notebook_page(cells: Iterable[dict[str, Any]]) -> str:
    """The cells of a notebook in Markdown: text as it is, code and output as blocks.

    Raises:
        PluginError: a cell has not been run.
    """
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        if cell["execution_count"] is None:
            raise PluginError("a notebook has a cell without output: say make notebooks")
        parts.append(_block(source, "python"))
        parts += [_output(output) for output in cell["outputs"]]
    return "\n\n".join(parts) + "\n"


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        return re.sub(r"<style.*?</style>", "", "".join(data["text/html"]), flags=re.DOTALL)
    text = output.get("text") or data.get("text/plain") or ""
    return _block("".join(text).rstrip(), "text")


def _block(text: str, language: str) -> str:
    fence = "`" * max(3, *(len(found) + 1 for found in re.findall(r"`{3,}", text)), 3)
    return f"{fence}{language}\n{text}\n{fence}"
