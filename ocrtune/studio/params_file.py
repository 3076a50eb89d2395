"""params.yaml as the studio reads and edits it: a person's comments and order are kept."""

import io
import json
from typing import Any

from ocrtune.params.load import parse_params
from ocrtune.rows import RowError
from ocrtune.studio.project import Project


def read_params(project: Project) -> dict[str, Any]:
    """Return params.yaml as it stands; one that is missing or no YAML is a `RowError`."""
    import yaml

    def load() -> dict:
        try:
            values = parse_params(project.params_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RowError("params.yaml: no such file; start the studio in the root of the project") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RowError(f"params.yaml: not YAML: {error}") from None
        return values if isinstance(values, dict) else {}

    return project.keep("params", [project.params_file], load)


def pdf2img_json(project: Project) -> str | None:
    """Return section pdf2img as JSON; None where there is none: pages can't be drawn then as they were."""
    try:
        section = read_params(project).get("pdf2img")
    except RowError:
        return None
    return json.dumps(section) if section else None


def load_document(text: str):
    """Return params.yaml as a document that remembers its comments, and the loader that writes it."""
    from ruamel.yaml import YAML

    loader = YAML()
    loader.preserve_quotes = True
    loader.width = 4096
    loader.indent(mapping=2, sequence=4, offset=2)
    return loader, loader.load(text)


def dump_document(loader, document) -> str:
    """Return the text of a document."""
    buffer = io.StringIO()
    loader.dump(document, buffer)
    return buffer.getvalue()
