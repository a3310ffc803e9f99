"""What the site needs besides the documents: a hook of mkdocs, named in mkdocs.yml.

The first page is the README. Links to files outside docs/ become their paths: the site has only documents,
and where the project lies is not known to it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
FIRST = "index.md"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the README as the first page."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, FIRST, content=inside(text, "", "docs/")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page with its links as the site has them."""
    folder = posixpath.dirname(page.file.src_uri)
    return markdown if page.file.src_uri == FIRST else inside(markdown, f"docs/{folder}", "docs/")


def inside(markdown: str, folder: str, documents: str) -> str:
    """Links to documents as from their folder; others to files of the project as text and path.

    Args:
        folder: where the text lies in the project.
        documents: where the documents lie.
    """

    def found(link: re.Match[str]) -> str:
        picture, said, target = link.groups()
        if re.match(r"[a-z]+:|#", target):
            return link[0]
        path, mark, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(folder, path))
        if path == "README.md":
            path = f"{documents}{FIRST}"
        if path.startswith(documents) and not path.endswith("/"):
            shown = posixpath.relpath(path, folder if folder.startswith(documents.rstrip("/")) else documents)
            return f"{picture}[{said}]({shown}{mark}{anchor})"
        name = path.removeprefix("./")
        return f"`{name}`" if said.strip("`/") in (name, name.strip("/")) else f"{said} (`{name}`)"

    return LINK.sub(found, markdown)
