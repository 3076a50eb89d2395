"""Labelled images of other tools go through the stages like any document, with the texts that they brought."""

import json
from io import BytesIO
from pathlib import Path

import pytest
from conftest import draw_line
from PIL import Image

from ocrtune.formats.example_writers import bring_text
from ocrtune.pages.image_text import embed_text, embedded_text

TEXTS = [f"Zeile {number}, ſo gut" for number in range(12)]


def make_rows(folder: Path) -> None:
    """Write lines as JPEG, PNG, TIFF and GIF with their texts as other trainers have them, one of them lost."""
    rows = []
    for number, text in enumerate(TEXTS):
        draw_line(folder / "line.png", text, 300)
        file = folder / f"lines/{number}.{('png', 'jpg', 'tif', 'gif')[number % 4]}"
        file.parent.mkdir(exist_ok=True, parents=True)
        Image.open(folder / "line.png").save(file)
        rows.append({"messages": [{"role": "user", "content": "<image>OCR"}, {"role": "assistant", "content": text + "\n"}],
                     "images": [f"lines/{file.name}"]})  # fmt: skip
    (folder / "lines/0.png").unlink()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def run_stages(project) -> list[dict]:
    """Run the stages up to split and return the rows of all splits."""
    Path("data").mkdir(exist_ok=True)
    Path("data/gold.jsonl").touch()
    for stage, *words in (("crawl", "documents", "data/documents"), ("pdf2img", "data/documents", "data/pages"),
                          ("teacher_label", "data/pages", "data/gold.jsonl", "data/labels", "metrics/teacher_label.json"),
                          ("split", "data/pages", "data/labels", "data/gold.jsonl", "data/splits")):  # fmt: skip
        status, output = project.run("-m", f"stages.{stage}", *words)
        assert status == 0, output
    return [json.loads(line) for name in ("train", "val", "test") for line in Path(f"data/splits/{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("unit", "options", "origin"), [("line", (), "text_layer"), ("page", ("--gold", "data/gold.jsonl"), "gold")])
def test_imported_lines_become_examples(project, unit, options, origin):
    make_rows(project.folder)
    project.params["crawl"]["folder"] = "documents"
    project.params["pdf2img"] |= {"unit": unit, "workers": 1}
    project.params["split"] |= {"val": 0.3, "test": 0.3}
    project.save()
    status, output = project.run("-m", "tools.convert", "rows.jsonl", "documents", "--to", "documents", *options)
    assert status == 0, output
    assert "convert: 12 in, 11 out, 1 refused" in output
    assert "rows.jsonl:1: missing image: lines/0.png" in output
    assert "./run dvc exp run -S crawl.folder=documents -S teacher=text-layer" in output
    rows = run_stages(project)
    assert sorted(row["text"] for row in rows) == sorted(TEXTS[1:])
    assert {row["origin"] for row in rows} == {origin}
    for row in rows:  # each text with the image that it came with
        with Image.open(Path("data/splits") / row["image"]) as image, Image.open(project.folder / "line.png") as line:
            assert image.size == line.size


def test_gold_is_added_to_and_never_changed(project):
    make_rows(project.folder)
    project.run("-m", "tools.convert", "rows.jsonl", "documents", "--to", "documents", "--gold", "gold.jsonl")
    first = Path("gold.jsonl").read_text()
    assert len(first.splitlines()) == 11
    status, output = project.run("-m", "tools.convert", "rows.jsonl", "again", "--to", "documents", "--gold", "gold.jsonl")
    assert (status, Path("gold.jsonl").read_text()) == (0, first)
    assert "convert: 0 rows added to gold.jsonl, 0 refused" in output
    Path("gold.jsonl").write_text(first.replace("Zeile 5", "Zeile fünf"))
    status, output = project.run("-m", "tools.convert", "rows.jsonl", "third", "--to", "documents", "--gold", "gold.jsonl")
    assert "convert: 0 rows added to gold.jsonl, 1 refused" in output
    assert "another text of the same image stands there already" in output
    assert Path("gold.jsonl").read_text() == first.replace("Zeile 5", "Zeile fünf")


@pytest.mark.parametrize(("mode", "form"), [("1", "PNG"), ("P", "PNG"), ("I;16", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG"), ("L", "JPEG"),
                                            ("CMYK", "TIFF"), ("F", "TIFF"), ("RGB", "WEBP"), ("P", "GIF"), ("RGB", "BMP")])
def test_any_image_can_bring_its_text(mode, form):
    buffer = BytesIO()
    Image.new("L", (20, 10), 99).convert(mode).save(buffer, form)
    content, suffix = bring_text(buffer.getvalue(), "Text")
    assert suffix == (".jpg" if form == "JPEG" else ".png")
    image = Image.open(BytesIO(content))
    image.load()
    assert (embedded_text(image), image.size) == ("Text", (20, 10))


def test_a_text_that_was_there_gives_way():
    buffer = BytesIO()
    Image.new("L", (20, 10), 99).save(buffer, "PNG")
    content, _ = bring_text(embed_text(buffer.getvalue(), "old"), "new")
    assert embedded_text(Image.open(BytesIO(content))) == "new"
    buffer = BytesIO()
    Image.new("L", (20, 10), 99).save(buffer, "JPEG")
    content, suffix = bring_text(buffer.getvalue(), "x" * 70_000)  # more than a JPEG's comment holds
    assert (suffix, len(embedded_text(Image.open(BytesIO(content))))) == (".png", 70_000)


def test_what_is_no_single_image_is_refused():
    buffer = BytesIO()
    frames = [Image.new("L", (20, 10), tone) for tone in (1, 99)]
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="several pages: 2 in one image"):
        bring_text(buffer.getvalue(), "Text")


def test_gold_that_a_person_saves_meanwhile_stands_once_and_stays(tmp_path):
    from test_pdf2img import params

    from ocrtune.labels.gold import put_gold, read_gold
    from ocrtune.labels.imported_gold import add_gold

    gold = tmp_path / "gold.jsonl"
    for name in "ab":
        draw_line(tmp_path / f"{name}.png", f"Zeile {name}", 300)
        (tmp_path / f"{name}.png").write_bytes(bring_text((tmp_path / f"{name}.png").read_bytes(), f"Zeile {name}")[0])

    def files():
        yield tmp_path / "a.png"
        yield tmp_path / "b.png"
        (row,) = [row for row in rows if row["page_id"] == "a"]  # both are made, and somebody saves one of them
        put_gold(gold, "a", row["sha256"], "checked", None)

    add_gold(tmp_path / "before.jsonl", [tmp_path / "a.png"], params(unit="page"))
    rows = list(read_gold(tmp_path / "before.jsonl").values())
    added, refused = add_gold(gold, files(), params(unit="page"))
    assert (added, [reason for _, reason in refused]) == (1, ["another text of the same image stands there already"])
    assert sorted(row["text"] for row in read_gold(gold).values()) == ["Zeile b", "checked"]
