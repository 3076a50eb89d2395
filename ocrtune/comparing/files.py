"""Write what a comparison found: figures, a row a page, the report twice, pictures and the tables behind them."""

from pathlib import Path
from typing import NamedTuple

from ocrtune.comparing.changed_pages import list_changed_pages, rank_confusions
from ocrtune.comparing.comparison import Comparison, list_figures, write_comparison_csv
from ocrtune.comparing.html_report import render_html
from ocrtune.comparing.markdown_report import render_markdown
from ocrtune.comparing.plot_tables import write_plot_tables
from ocrtune.comparing.plots import Curve, draw_pictures
from ocrtune.comparing.scored_readers import read_predictions
from ocrtune.rows import check_counts, write_json, write_text


class Outputs(NamedTuple):
    """Where to write: figures (JSON), a row a page (CSV), the report (Markdown, HTML), folders of pictures and of their tables."""

    metrics: Path
    table: Path
    report: Path
    page: Path
    plots: Path
    tables: Path


def write_comparison(comparison: Comparison, rows: dict[str, dict], predictions: tuple[Path, Path], outputs: Outputs, unit: str,
                     worst: int, curves: tuple[Curve, Curve] = ((), ())) -> None:
    """Write all outputs. `rows`: references by page_id, their images as paths; `predictions`: files of baseline and candidate;
    `unit`: page, block or line; `worst`: pages in each list of the report; `curves`: loss and validation CER of a training.

    Predictions that are not the scored ones are a `RowError`.
    """
    references = {page_id: row["text"] for page_id, row in rows.items()}
    before, after = (read_predictions(path, reader, references) for path, reader in zip(predictions, comparison.readers, strict=False))
    images = {page_id: Path(row["image"]) for page_id, row in rows.items()}
    pages = list_changed_pages(comparison, images, references, before, after)
    confusions = rank_confusions(comparison, pages)
    pictures = draw_pictures(outputs.plots, comparison, pages, confusions, curves, unit)
    write_plot_tables(outputs.tables, comparison, pages, confusions)
    write_text(outputs.report, render_markdown(comparison, pages, confusions, pictures, outputs.report, unit, worst))
    write_text(outputs.page, render_html(comparison, pages, confusions, pictures, unit, worst))
    rows_out = write_comparison_csv(outputs.table, comparison)
    write_json(outputs.metrics, list_figures(comparison))
    check_counts("compare", len(rows), rows_out, 0)
