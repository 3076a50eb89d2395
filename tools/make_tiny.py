"""Write a family's model in miniature: true architecture, tokens and processor, random weights, a few hundred kilobytes.

    python -m tools.make_tiny deepseek-ocr models/base/deepseek-ocr

To see the whole pipeline run with a family, on any machine, before fetching gigabytes. It reads nothing yet.
"""

from pathlib import Path
from typing import Annotated

import typer

FEW_PIXELS = {"size": {"shortest_edge": 256, "longest_edge": 4096}}
# How the miniature looks at a page; the settings of some profiles in params.yaml would be too large for it.
IMAGE = {"deepseek-ocr": {"base_size": 128, "image_size": 64}, "qwen25-vl": FEW_PIXELS, "qwen3-vl": FEW_PIXELS}


def make_tiny(family: str, folder: Path) -> None:
    """Write the miniature of `family`, the name of its profile."""
    from ocrtune.models.vlm import quiet_libraries
    from tools.tiny import deepseek, models

    builders = {
        "deepseek-ocr": deepseek.build_deepseek_ocr, "deepseek-ocr-2": deepseek.build_deepseek_ocr2, "gemma-3": models.build_gemma3,
        "qwen25-vl": models.build_qwen2_5_vl, "qwen3-vl": models.build_qwen3_vl, "paddleocr-vl": models.build_paddleocr_vl,
        "got-ocr2": models.build_got_ocr2, "lightonocr": models.build_lighton_ocr, "smolvlm": models.build_smolvlm,
        "granite-docling": models.build_granite_docling, "glm-ocr": models.build_glm_ocr,
    }
    if family not in builders:
        raise ValueError(f"{family}: no such family; there are: {', '.join(sorted(builders))}")
    if (folder / "config.json").exists():
        raise ValueError(f"{folder}: holds a model already; name another folder")
    quiet_libraries()
    folder.mkdir(parents=True, exist_ok=True)
    builders[family](folder)


def main(
    family: Annotated[str, typer.Argument(help="the name of its profile under students in params.yaml")],
    folder: Annotated[Path, typer.Argument(help="folder to write")],
) -> None:
    """Write a family's model in miniature, with random weights."""
    from ocrtune.params.load import report_errors

    with report_errors():
        make_tiny(family, folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{folder}: {size:,} bytes; image settings for its profile: {IMAGE.get(family, {})}")


if __name__ == "__main__":
    typer.run(main)
