"""The reports of compare, Markdown and HTML, and their pictures."""

import csv
import re

import pytest
from compared import NO_GATE, PICTURES, Scored
from lxml import html
from PIL import Image

from ocrtune.comparing.verdict import find_unit
from ocrtune.rows import write_rows


def test_pictures_hold_no_clock_and_no_version(scored):
    scored.compare()
    for path in (scored.folder / "metrics/plots").glob("*.png"):
        with Image.open(path) as image:
            assert image.width > 500 and set(image.info) <= {"dpi"}


def test_links_lead_to_files(scored):
    for page_id in scored.pages:
        path = scored.folder / "data/pages/images" / f"{page_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(path)
    scored.compare()
    links = re.findall(r'(?:src="|\]\()([^")]+)', scored.report)
    assert len(links) > 6
    assert all((scored.folder / "metrics" / link).is_file() and not link.startswith("/") for link in links)


def test_a_hostile_prediction_breaks_nothing(scored):
    hostile = "</td></table>\n\n# big | a | b\n```\n<script>alert(1)</script> ![x](y) **\0\ud800"
    scored.add("tuned", 0.0, {scored.pages[3]: hostile})
    scored.compare()
    assert set(re.findall(r"<(/?\w+)", scored.report)) == {"b", "/b", "del", "/del", "img"}
    assert "```" not in scored.report and "\n# big" not in scored.report and "](y)" not in scored.report
    assert "## Lines that got worse" in scored.report


def test_many_documents_are_scattered_and_folded(tmp_path):
    scored = Scored(tmp_path, num_documents=50, lines=1)
    scored.add("base", 0.5)
    scored.add("tuned", 0.1)
    scored.compare()
    assert "<summary>50 documents, worst first</summary>" in scored.report


def test_the_page_needs_no_other_file_and_runs_no_script(scored):
    from conftest import draw_line

    hostile = "</dd></table><script>alert(1)</script><img src=x onerror=alert(2)> `code` **bold** \0\ud800\u202e"
    draw_line(scored.folder / f"data/pages/images/{scored.pages[3]}.png", "a line")
    scored.add("tuned", 0.0, {scored.pages[3]: hostile})
    scored.compare(gate=NO_GATE)
    page = html.document_fromstring(scored.page)
    elements = [element for element in page.iter() if isinstance(element.tag, str)]
    assert not {"script", "iframe", "object", "link", "form", "base"} & {element.tag for element in elements}
    names = {name for element in elements for name in element.attrib}
    assert names == {"lang", "charset", "http-equiv", "content", "name", "class", "alt", "src", "title"}
    sources = [element.get("src") for element in page.iter("img")]
    assert all(source.startswith("data:image/") for source in sources)
    assert any(source.startswith("data:image/png;base64,") for source in sources)  # the page that got worse
    text = page.text_content()
    assert "⟨U+202E⟩" in text and "default-src 'none'" in scored.page
    shown = "".join(dd.text_content() for dd in page.iter("dd"))
    assert "<script>" in re.sub(r"␣", " ", shown)  # as text


def test_the_page_holds_what_the_report_holds(scored):
    scored.compare()
    page, report = scored.page, scored.report
    for title in re.findall(r"^## (.*)$", report, re.MULTILINE):
        assert title == "Pictures" or f"<h2>{title}</h2>" in page
    assert report.splitlines()[2].strip("*") in page.replace("&#x27;", "'")
    assert page.count("<figure>") == len(PICTURES) and "<mark title=" in page


def test_the_loss_is_drawn_where_there_was_a_training(scored):
    from ocrtune.comparing.plots import draw_training

    path = scored.folder / "metrics/train/plots/metrics/loss.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("step\tloss\n5\t2.5\n10\t0.1\n")
    scored.compare()
    assert (scored.folder / "metrics/plots/loss.png").is_file() and "<h2>Training</h2>" in scored.page
    assert "Training loss by step" in scored.report
    path.with_name("val_cer.tsv").write_text("step\tval_cer\n5\t0.25\n10\t0.5\n")
    scored.compare()
    assert "Training loss and CER on val by step" in scored.report and "Training loss and CER on val by step" in scored.page
    figure = draw_training([(5, 2.5), (10, 0.1)], [(5, 0.25), (10, 0.5)])
    assert figure.axes[1].get_title() == "25 % at step 5, whose weights were kept"


def test_tables_for_dvc_plots_agree_with_the_scores(scored):
    scored.compare()
    folder = scored.folder / "metrics/tables"
    for side in ("before", "after"):
        bins = list(csv.DictReader((folder / "distribution" / f"{side}.csv").open()))
        assert sum(int(row["pages"]) for row in bins) == 30
        assert [row["cer"] for row in bins] == sorted(row["cer"] for row in bins) and bins[0]["cer"] == "000 perfect"
        assert int(next(csv.DictReader((folder / "confusions" / f"{side}.csv").open()))["times"]) > 0
    assert len(list(csv.DictReader((folder / "documents.csv").open()))) == 6


LOOP = "and so it goes on " * 60


def test_a_page_that_loops_leaves_the_pictures_readable(scored, monkeypatch):
    from ocrtune.comparing import plots

    drawn = {}
    monkeypatch.setattr(plots, "save", lambda figure, path, caption, save=plots.save: drawn.setdefault(path.stem, figure)
                        and save(figure, path, caption))
    scored.add("base", 0.5, {scored.pages[0]: LOOP})
    scored.add("tuned", 0.1, {scored.pages[0]: LOOP, scored.pages[7]: LOOP})
    scored.compare(gate=NO_GATE)
    assert [axis.get_xlim()[1] for name in ("scatter", "documents") for axis in drawn[name].axes] == [100, 100]
    assert " % → " in "".join(text.get_text() for text in drawn["documents"].axes[0].texts)
    assert "2 beyond 100 %" in drawn["scatter"].axes[0].get_title("left")
    left_out = "Left out are readings that loop or have a CER of 100 % and more: 1 by `base` and 2 by `tuned`, of 30 lines."
    assert left_out in scored.report and left_out.replace("`", "") in html.document_fromstring(scored.page).text_content()
    with (scored.folder / "metrics/tables/confusions/after.csv").open() as file:
        confusions = {row["confusion"]: int(row["times"]) for row in csv.DictReader(file)}
    assert confusions and all(confusion.endswith(" → #") for confusion in confusions)
    with (scored.folder / "metrics/tables/documents.csv").open() as file:
        first = next(csv.DictReader(file))
    assert float(first["before"]) > 1 and first["before_cut"] == first["after_cut"] == "1.000000"


def test_confusions_are_of_the_characters_that_are_counted(scored):
    scored.rows[0]["text"] = "कि की कु"
    write_rows(scored.folder / "data/splits/test.jsonl", scored.rows)
    for name in ("base", "tuned"):
        scored.add(name, 0.0, {scored.pages[0]: "की की कु"}, unit="grapheme")
    scored.compare(gate=NO_GATE)
    assert "| कि | की | 1 | 1 |" in scored.report


@pytest.mark.parametrize(("cer", "name"), [(0, "000 perfect"), (0.001, "000 to 005 %"), (0.15, "015 to 020 %"), (0.9999, "095 to 100 %"),
                                           (1, "100 % and more"), (40, "100 % and more")])
def test_bars_of_the_histogram(cer, name):
    from ocrtune.comparing.plot_tables import find_bin, name_bin

    assert name_bin(find_bin(cer)) == name


def test_units_by_page_id():
    for page_ids, unit in ((["balance-1_p1"], "page"), (["b_p1_l001", "b_p12_l1000"], "line"), (["l_p1_b001"], "block"),
                           (["a_p1", "a_p1_l001"], "page"), (["a_letter"], "page"), ([], "page")):
        assert find_unit(page_ids) == unit


def test_confusion_labels_are_drawable():
    from ocrtune.comparing.plots import shorten_name, show

    assert [show(text) for text in ("", " ", "ſ", "台", "\0", "\ud800")] == ["(nothing)", "␣", "ſ", "U+53F0", "U+0000", "U+D800"]
    assert len(shorten_name("x" * 99)) <= 36
