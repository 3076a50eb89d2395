"""Stage crawl, in processes of its own (Twisted's reactor starts once), against real servers and folders."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.crawled_site import Site, link, make_pdf, make_png, send, send_zipped, serve

ROOT = Path(__file__).parent.parent
RUN = """
import json, sys
from pathlib import Path
from ocrtune.params.crawl import CrawlParams
from ocrtune.params.load import report_errors
from stages.crawl import crawl
with report_errors():
    crawl(Path(sys.argv[1]), Path("out"), CrawlParams(**json.loads(sys.argv[2])))
"""
PARAMS = {"folder": "unused", "urls": [], "max_pages": 100, "max_depth": 5, "allowed_domains": [], "obey_robots": True,
          "embedded_images": False, "delay_s": 0.0, "concurrent_requests": 4, "timeout_s": 2.0, "max_bytes": 200_000,
          "user_agent": "ocrtune"}  # fmt: skip


def start(folder: str, cwd: Path, **params: object) -> subprocess.Popen:
    """Start the stage in `cwd`, writing to `cwd`/out."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("DVC_ROOT", None)
    command = [sys.executable, "-c", RUN, folder, json.dumps(PARAMS | params)]
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(folder: str, cwd: Path, expect: int = 0, **params: object) -> tuple[str, str]:
    """Run the stage to its end and return what it printed, and what it complained of."""
    process = start(folder, cwd, **params)
    out, err = process.communicate(timeout=60)
    assert process.returncode == expect, out + err
    assert "Traceback" not in err
    return out, err


def rows(cwd: Path, name: str) -> list[dict]:
    """Return rows that the stage wrote."""
    return [json.loads(line) for line in (cwd / "out" / f"{name}.jsonl").read_text().splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder and return it."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def cut_short(handler) -> None:
    """Promise more bytes than come."""
    handler.send_response(200)
    handler.send_header("Content-Length", "9999")
    handler.end_headers()
    handler.wfile.write(b"%PDF-1.4 and then")
    handler.close_connection = True


TROUBLES = {
    "/robots.txt": "User-agent: *\nDisallow: /secret # naïve".encode("latin-1"),
    "/": link("a.pdf", "z-twin", "page.html", "secret/s.pdf", "gone.pdf", "moved", "away", "loop1", "http://other.example/x.pdf",
              "bomb", "big.pdf", "slow.pdf", "short.pdf", "mailto:a@b", "http://[", "sub/", "notes.pdf", "nul.html")
    + b'<img src="decoration.png"><iframe src="framed.pdf"></iframe>',
    "/a.pdf": make_pdf("a"),
    "/z-twin": make_pdf("a"),
    "/page.html": b'<html><p><a href="deep.bin">\xe9</b></i><table><a href=\'scan.pdf\'>',
    "/deep.bin": make_pdf("deep"),
    "/scan.pdf": make_png(10),
    "/secret/s.pdf": make_pdf("secret"),
    "/moved": lambda handler: send(handler, b"", 302, Location="/target.pdf"),
    "/target.pdf": lambda handler: send(handler, make_pdf("target"), Content_Type="text/html"),
    "/away": lambda handler: send(handler, b"", 301, Location="http://elsewhere.example/y.pdf"),
    "/loop1": lambda handler: send(handler, b"", 302, Location="/loop2"),
    "/loop2": lambda handler: send(handler, b"", 302, Location="/loop1"),
    "/bomb": lambda handler: send_zipped(handler, b"%PDF-" + bytes(5_000_000)),
    "/big.pdf": make_pdf("big") + bytes(300_000),
    "/slow.pdf": lambda handler: time.sleep(4),
    "/short.pdf": cut_short,
    "/sub/": lambda handler: send(handler, link("../a.pdf", "/sub/zipped"), Content_Type="text/plain"),
    "/sub/zipped": lambda handler: send_zipped(handler, make_pdf("zipped")),
    "/notes.pdf": b"only words",
    "/nul.html": b"<html>\x00<a href='\x00'>" + b"<div>" * 3000,
    "/decoration.png": make_png(20),
    "/framed.pdf": make_pdf("framed"),
}  # fmt: skip


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """One crawl of a site full of trouble: its folder, the site, what the stage printed."""
    cwd = tmp_path_factory.mktemp("troubled")
    (cwd / "empty").mkdir()
    with serve(Site(TROUBLES)) as site:
        out, _ = run("empty", cwd, urls=[f"{site.url}/"])
    return cwd, site, out


def test_documents_are_told_by_content(troubled):
    cwd, site, _ = troubled
    found = {row["url"].removeprefix(site.url): row for row in rows(cwd, "documents")}
    assert sorted(found) == ["/a.pdf", "/deep.bin", "/framed.pdf", "/scan.pdf", "/sub/zipped", "/target.pdf"]
    assert found["/scan.pdf"]["media_type"] == "image/png" and found["/scan.pdf"]["file"].endswith(".png")
    assert found["/deep.bin"]["file"].endswith(".pdf")
    for path, row in found.items():
        content = (cwd / "out" / row["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"] and len(content) == row["num_bytes"]
        assert list(row) == ["doc_id", "file", "url", "media_type", "sha256", "num_bytes"], path


def test_everything_else_is_refused_with_its_reason(troubled):
    cwd, site, _ = troubled
    refused = {row["url"].removeprefix(site.url): row["reason"] for row in rows(cwd, "refused")}
    twin = next(row["doc_id"] for row in rows(cwd, "documents") if row["url"].endswith("/a.pdf"))
    assert refused == {
        "/z-twin": f"same content as {twin}",
        "/secret/s.pdf": "disallowed by robots.txt",
        "/gone.pdf": "HTTP 404",
        "/away": "redirects to http://elsewhere.example/y.pdf, outside the allowed domains",
        "/bomb": "larger than max_bytes 200000",
        "/big.pdf": "larger than max_bytes 200000",
        "/slow.pdf": "no answer within timeout_s 2",
        "/short.pdf": "answer cut short",
        "/notes.pdf": "not a document",
    }
    assert list(refused) == sorted(refused)


def test_robots_and_strangers_are_not_asked(troubled):
    _, site, out = troubled
    assert "/secret/s.pdf" not in site.asked and "/decoration.png" not in site.asked
    assert site.asked.count("/a.pdf") == 1
    assert "15 in, 6 out, 9 refused" in out


def test_a_folder_of_documents_is_delivered_whole_and_the_same_bytes_twice(tmp_path):
    name = "b/Größe & 100%#?.bin"
    files = {"a.pdf": make_pdf("a"), name: make_pdf("b"), "b/c/d/e/f/g.PNG": make_png(1), "b/page.html": link("../a.pdf"),
             "twin.pdf": make_png(1), "note.txt": b"words", ".hidden.pdf": make_pdf("h")}  # fmt: skip
    (write_files(tmp_path / "inbox", files) / "b" / "up").symlink_to(tmp_path / "inbox", target_is_directory=True)
    out, _ = run("inbox", tmp_path, max_depth=0, delay_s=5.0)
    assert "5 in, 3 out, 2 refused" in out
    assert [row["url"] for row in rows(tmp_path, "documents")] == ["inbox/a.pdf", "inbox/b/c/d/e/f/g.PNG", f"inbox/{name}"]
    assert [row["url"] for row in rows(tmp_path, "refused")] == ["inbox/note.txt", "inbox/twin.pdf"]
    first = contents(tmp_path / "out")
    run(str(tmp_path / "inbox"), tmp_path, concurrent_requests=1, max_depth=0)
    assert contents(tmp_path / "out") == first
    assert not list((tmp_path / ".crawls").iterdir())


def test_a_saved_site_is_followed_and_its_robots_txt_honoured(tmp_path):
    files = {"index.html": link("a.pdf", "no/b.pdf", "more"), "a.pdf": make_pdf("a"), "no/b.pdf": make_pdf("b"),
             "unlinked.pdf": make_pdf("u"), "more/index.html": link("c.pdf?v=1#p2"), "more/c.pdf": make_pdf("c"),
             "robots.txt": b"User-agent: *\nDisallow: /no/\n"}  # fmt: skip
    write_files(tmp_path / "site", files)
    run("site", tmp_path)
    assert [row["url"] for row in rows(tmp_path, "documents")] == ["site/a.pdf", "site/more/c.pdf"]
    assert rows(tmp_path, "refused") == [{"url": "site/no/b.pdf", "reason": "disallowed by robots.txt"}]
    run("site/unlinked.pdf", tmp_path)
    assert [row["url"] for row in rows(tmp_path, "documents")] == ["site/unlinked.pdf"]


def test_a_cut_crawl_says_so_and_does_not_depend_on_the_race_of_answers(tmp_path):
    pages = {"/": link(*(f"p{number}.html" for number in range(6)))}
    pages |= {f"/p{number}.html": link(f"d{number}.pdf", "same.pdf") for number in range(6)}
    pages |= {f"/d{number}.pdf": make_pdf(str(number)) for number in range(6)} | {"/same.pdf": make_pdf("1")}
    (tmp_path / "empty").mkdir()
    results = []
    with serve(Site(pages, jitter_s=0.1)) as site:
        for concurrency in (8, 1):
            _, err = run("empty", tmp_path, urls=[f"{site.url}/"], max_pages=12, concurrent_requests=concurrency)
            results.append(contents(tmp_path / "out"))
            assert "max_pages 12 reached; 3 URLs were not asked for" in err
    assert results[0] == results[1]
    found = {row["url"].removeprefix(site.url): row["reason"] for row in rows(tmp_path, "refused")}
    assert found == dict.fromkeys(["/d4.pdf", "/d5.pdf", "/same.pdf"], "not asked for: max_pages 12 reached")


def test_a_killed_crawl_goes_on_where_it_stopped(tmp_path):
    pages = {"/": link(*(f"d{number}.pdf" for number in range(12)))} | {f"/d{number}.pdf": make_pdf(str(number)) for number in range(12)}
    (tmp_path / "empty").mkdir()
    with serve(Site(pages, delay_s=0.15)) as site:
        urls = [f"{site.url}/"]
        process = start("empty", tmp_path, urls=urls, concurrent_requests=1)
        deadline = time.monotonic() + 30
        while len(site.asked) < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (tmp_path / "out").exists()
        journal = next((tmp_path / ".crawls").glob("*/outcomes.jsonl"))
        finished = {json.loads(line)["address"].removeprefix(site.url) for line in journal.read_text().splitlines()}
        assert 3 <= len(finished) < 13
        with journal.open("a") as file:
            file.write('{"address": "torn')

        site.delay_s, site.asked = 0.0, []
        out, _ = run("empty", tmp_path, urls=urls, concurrent_requests=2)
        assert "going on with an interrupted crawl" in out
        assert set(site.asked) - {"/robots.txt"} == set(pages) - finished
        resumed = contents(tmp_path / "out")
        run("empty", tmp_path, urls=urls)
        assert contents(tmp_path / "out") == resumed
    assert len(rows(tmp_path, "documents")) == 12


@pytest.mark.parametrize(
    ("folder", "urls", "message"),
    [
        ("missing", [], "missing: no such folder; create it or set crawl.folder"),
        ("empty", [], "no documents found; put PDFs or images into crawl.folder"),
        ("empty", ["http://127.0.0.1:9/"], "http://127.0.0.1:9/: connection refused"),
    ],
)
def test_nothing_found_is_an_error_that_says_what_to_do(tmp_path, folder, urls, message):
    (tmp_path / "empty").mkdir()
    _, err = run(folder, tmp_path, expect=1, urls=urls)
    assert message in err
    assert not (tmp_path / "out").exists()


def test_help_is_quick():
    command = [sys.executable, "-X", "importtime", "-m", "stages.crawl", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Crawl PDFs and images" in done.stdout
    assert not [name for name in ("scrapy", "pydantic", "twisted") if f"| {name}" in done.stderr]
