"""What may stand under `executor`: whose processes render documents and read pages. No result depends on it, and no stage tracks it."""

from typing import Literal

SCHEMAS = {"executor": Literal["local", "ray"]}
