"""Draw the pictures of a comparison, as PNG files and as SVG for the report: the same comparison gives the same bytes.

No clock and no version goes into the files, and the font is the one that comes with matplotlib.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

from matplotlib import font_manager, ft2font
from matplotlib.figure import Figure

from ocrtune.comparing.changed_pages import ChangedPage, Confusion
from ocrtune.comparing.comparison import Comparison
from ocrtune.comparing.plot_tables import BIN_PERCENT, find_bin
from ocrtune.comparing.verdict import count

BEFORE, AFTER, INK, FAINT = "#d9822b", "#1f5fa8", "#23272f", "#cdd3da"
STYLE = {"font.family": "DejaVu Sans", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#888888",
         "axes.titlelocation": "left", "axes.titlesize": 11, "text.color": INK, "axes.labelcolor": INK, "text.parse_math": False,
         "svg.hashsalt": "ocrtune"}
Curve = Sequence[tuple[int, float]]  # steps and values
MOST_DOCUMENTS = 40  # beyond these a chart with a row a document is no longer readable


class Picture(NamedTuple):
    """A drawn file and what it shows, in words for who can't see it."""

    path: Path
    caption: str
    svg: bytes = b""


def draw_pictures(folder: Path, comparison: Comparison, pages: list[ChangedPage], confusions: list[Confusion],
                  curves: tuple[Curve, Curve], unit: str) -> list[Picture]:
    """Draw all pictures into a folder and return them in the order of the report; `unit`: line, block or page.

    `curves` are the training's loss and its CER on val; without a loss there is no picture of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.png"):  # of a run with more readers or confusions
        stale.unlink()
    before, after, name = comparison.baseline.name, comparison.candidate.name, comparison.score_name
    with matplotlib.rc_context(STYLE):
        pictures = [
            save(draw_distribution(comparison, pages, unit), folder / "cer_distribution.png",
                 f"How many {unit}s have which {name}, read by {before} and by {after}"),
            save(draw_scatter(comparison), folder / "scatter.png",
                 f"Each document's {name} by {before} (across) and by {after} (up)")]
        if len(comparison.documents) <= MOST_DOCUMENTS:
            pictures.append(save(draw_dumbbells(comparison), folder / "documents.png",
                                 f"{name.capitalize()} of each document, by {before} and by {after}"))
        if confusions:
            pictures.append(save(draw_confusions(comparison, confusions), folder / "confusions.png",
                                 f"The most frequent confusions, by {before} and by {after}"))
        if len(comparison.readers) > 2:
            pictures.append(save(draw_readers(comparison), folder / "readers.png",
                                 f"{name.capitalize()} of every reader, with its interval"))
        if curves[0]:
            pictures.append(save(draw_training(*curves), folder / "loss.png",
                                 f"Training loss{' and CER on val' if curves[1] else ''} by step"))
    return pictures


def save(figure: Figure, path: Path, caption: str) -> Picture:
    """Write a figure without the metadata that would change its bytes."""
    figure.savefig(path, dpi=110, metadata={"Software": None})
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(path, caption, drawn.getvalue())


def draw_distribution(comparison: Comparison, pages: list[ChangedPage], unit: str) -> Figure:
    """Return two histograms one above the other: page CERs in steps of 5 %, perfect pages and those beyond 100 % apart."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    last = find_bin(9)
    sides = ((comparison.baseline.name, [page.cer_before for page in pages], BEFORE),
             (comparison.candidate.name, [page.cer_after for page in pages], AFTER))
    for axis, (name, cers, color) in zip(axes, sides, strict=True):
        counts = [0] * (last + 1)
        for cer in cers:
            counts[find_bin(cer)] += 1
        bars = axis.bar(range(last + 1), counts, width=0.92, color=color)
        axis.bar_label(bars, [str(count) if count else "" for count in counts], fontsize=8, color="#555555", padding=1)
        axis.set_title(f"{name}: {counts[0]} of {len(cers)} {unit}s perfect", color=color)
        axis.set_ylabel(f"{unit}s")
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
    axes[0].margins(y=0.18)
    ticks = {0: "perfect", **{1 + percent // BIN_PERCENT - 0.5: str(percent) for percent in range(20, 100, 20)}, last: "≥ 100"}
    axes[1].set_xticks(list(ticks), list(ticks.values()))
    axes[1].set_xlabel(f"{comparison.name_rate('CER')} of a {unit} (%)")
    return figure


def cut(cers: list[float]) -> list[float]:
    """Return CERs in percent, those beyond 100 % as 100: one loop would press all others into a corner."""
    return [min(100 * cer, 100.0) for cer in cers]


def draw_dumbbells(comparison: Comparison) -> Figure:
    """Return a row a document, its CER by either reader as two dots joined by a line, worst before on top.

    What lies beyond 100 % stands there with its number.
    """
    documents = sorted(comparison.documents, key=lambda document: (document.cer(0), document.doc_id))
    figure = Figure(figsize=(8, 1.3 + 0.27 * len(documents)), layout="constrained")
    axis = figure.subplots()
    places = range(len(documents))
    before, after = (cut([document.cer(reader) for document in documents]) for reader in (0, 1))
    axis.hlines(places, before, after, color=FAINT, linewidth=2.5, zorder=1)
    for reader, (shown, color) in enumerate(((before, BEFORE), (after, AFTER))):
        axis.scatter(shown, places, color=color, s=38, zorder=2 + reader, clip_on=False, label=comparison.readers[reader].name)
    for place, document in enumerate(documents):
        beyond = [f"{100 * document.cer(reader):,.0f} %" for reader in (0, 1) if document.cer(reader) > 1]
        axis.annotate(" → ".join(beyond), (100, place), xytext=(8, 0), textcoords="offset points", va="center", fontsize=7,
                      annotation_clip=False)
    axis.set_yticks(places, [shorten_name(document.doc_id) for document in documents], fontsize=8)
    axis.set_ylim(-0.7, len(documents) - 0.3)
    axis.tick_params(axis="y", length=0, pad=7)
    axis.grid(axis="x", color="#eeeeee")
    axis.set_axisbelow(True)
    most = max(before + after)
    axis.set_xlim(0, 100 if most == 100 else None if most else 1)
    axis.set_xlabel(f"{comparison.name_rate('CER')} of a document (%)")
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    return figure


def draw_scatter(comparison: Comparison) -> Figure:
    """Return a dot a document, before against after: below the diagonal are those that improved; area by length.

    What lies beyond 100 % stands on the edge, hollow.
    """
    documents = comparison.documents
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axis = figure.subplots()
    before, after = (cut([document.cer(reader) for document in documents]) for reader in (0, 1))
    longest = max(document.reference_chars for document in documents) or 1
    end = min(max([*before, *after, 1]) * 1.05, 100)
    axis.plot([0, end], [0, end], color=FAINT, linewidth=1, zorder=1)
    axis.annotate("no change", (end, end), ha="right", va="top", rotation=45, rotation_mode="anchor", color="#888888", fontsize=8,
                  xytext=(-6, -3), textcoords="offset points")
    beyond = [max(document.cer(0), document.cer(1)) > 1 for document in documents]
    for is_beyond, style in ((False, {"color": AFTER, "alpha": 0.5, "edgecolors": "white", "linewidths": 0.5}),
                             (True, {"facecolors": "none", "edgecolors": AFTER, "linewidths": 1.2})):
        chosen = [place for place in range(len(documents)) if beyond[place] == is_beyond]
        axis.scatter([before[place] for place in chosen], [after[place] for place in chosen], zorder=2, clip_on=not is_beyond,
                     s=[8 + 90 * documents[place].reference_chars / longest for place in chosen], **style)
    cer = comparison.name_rate("CER")
    axis.set(xlim=(0, end), ylim=(0, end), xlabel=f"{cer} by {comparison.baseline.name} (%)",
             ylabel=f"{cer} by {comparison.candidate.name} (%)", aspect="equal")
    axis.fill_between([0, end], [0, end], color=AFTER, alpha=0.05, linewidth=0, zorder=0)
    hollow = f"\n{sum(beyond)} beyond 100 %, hollow on the edge" if any(beyond) else ""
    axis.set_title(f"{count(len(documents), 'document')}, area by length; below the line is better{hollow}")
    return figure


def draw_training(losses: Curve, val_cers: Curve) -> Figure:
    """Return the training's loss by step and, below, the CER on val, with the step whose weights were kept.

    The loss is on a logarithmic scale where it falls by more than an order of magnitude.
    """
    figure = Figure(figsize=(8, 5 if val_cers else 3.2), layout="constrained")
    axes = figure.subplots(2 if val_cers else 1, 1, sharex=True, squeeze=False)[:, 0]
    for axis, curve, label in zip(axes, (losses, [(step, 100 * cer) for step, cer in val_cers]), ("loss", "CER on val (%)"), strict=False):
        steps, values = zip(*curve, strict=True)
        axis.plot(steps, values, color=AFTER, linewidth=1.8, marker="o" if len(steps) < 30 else None, markersize=3)
        axis.grid(axis="y", color="#eeeeee")
        axis.set_axisbelow(True)
        axis.margins(x=0.01)
        axis.set_ylabel(label)
    values = [loss for _, loss in losses]
    if min(values) > 0 and max(values) / min(values) > 10:
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes[0].set_title(f"{values[0]:.3g} at step {losses[0][0]}, {values[-1]:.3g} at step {losses[-1][0]}")
    if val_cers:
        cer, step = min((cer, step) for step, cer in val_cers)
        axes[1].set_ylim(bottom=0)
        axes[1].scatter(step, 100 * cer, color=BEFORE, s=60, zorder=3, clip_on=False)
        axes[1].set_title(f"{100 * cer:.3g} % at step {step}, whose weights were kept")
    axes[-1].set_xlabel("step")
    return figure


def draw_confusions(comparison: Comparison, confusions: list[Confusion]) -> Figure:
    """Return two bars a confusion, most frequent on top."""
    figure = Figure(figsize=(8, 1.2 + 0.42 * len(confusions)), layout="constrained")
    axis = figure.subplots()
    places = range(len(confusions))
    for shift, color, name, counts in ((-0.2, BEFORE, comparison.baseline.name, [pair.before for pair in confusions]),
                                       (0.2, AFTER, comparison.candidate.name, [pair.after for pair in confusions])):
        bars = axis.barh([place + shift for place in places], counts, height=0.38, color=color, label=name)
        axis.bar_label(bars, fontsize=8, padding=3, color="#555555")
    axis.set_yticks(places, [f"{show(pair.reference)}  →  {show(pair.prediction)}" for pair in confusions])
    axis.tick_params(axis="y", length=0)
    axis.invert_yaxis()
    axis.set_xticks([])
    left_out = [f"{number:,} by {name}" for name, number in comparison.catastrophes.items()]
    axis.set_xlabel(f"how often, over {comparison.reference_chars:,} characters" +
                    (f", without useless readings ({', '.join(left_out)})" if left_out else ""))
    axis.spines["bottom"].set_visible(False)
    axis.margins(x=0.08, y=0.02)
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    return figure


def draw_readers(comparison: Comparison) -> Figure:
    """Return a dot a reader with the interval of its pooled CER, in the report's order."""
    figure = Figure(figsize=(8, 1.0 + 0.4 * len(comparison.readers)), layout="constrained")
    axis = figure.subplots()
    colors = [BEFORE, AFTER] + ["#777777"] * (len(comparison.readers) - 2)
    for place, (_reader, cer, interval) in enumerate(zip(comparison.readers, comparison.cers, comparison.intervals, strict=True)):
        low, high = interval or (cer, cer)
        axis.hlines(place, 100 * low, 100 * high, color=colors[place], linewidth=3, alpha=0.4)
        axis.scatter(100 * cer, place, color=colors[place], s=40, zorder=2)
    axis.set_yticks(range(len(comparison.readers)), [shorten_name(reader.name) for reader in comparison.readers])
    axis.set_ylim(len(comparison.readers) - 0.5, -0.5)
    axis.set_xlim(left=0)
    axis.grid(axis="x", color="#eeeeee")
    axis.set_xlabel(f"{comparison.name_rate('CER')} (%) with its {100 * comparison.confidence:g} % interval")
    return figure


def shorten_name(name: str, most: int = 36) -> str:
    """Return a name cut in the middle, so that both ends stay."""
    return name if len(name) <= most else f"{name[:most - 15]}…{name[-14:]}"


def show(text: str) -> str:
    """Return a confusion's side as the font can draw it: nothing, a space or an unknown character get a stand-in."""
    if not text:
        return "(nothing)"
    known = ft2font.FT2Font(font_manager.findfont("DejaVu Sans"))
    return "".join("␣" if char == " " else char if char.isprintable() and known.get_char_index(ord(char)) else f"U+{ord(char):04X}"
                   for char in text)
