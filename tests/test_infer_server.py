"""Documents read through a server: what it is asked, when it fails, and what Ctrl-C leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from answering_server import KEY, answer
from conftest import ROOT, draw_line
from test_infer import SHIPPED, infer, make_book, server  # noqa: F401 (fixtures)


def test_a_server_is_asked_as_a_client_would(infer, server):
    draw_line(Path("page.png"), "A page")
    server.usual = (200, {}, answer("# The <|ref|>page"))
    status, out, err = infer(image_path=Path("page.png"), base_url=server.url, model="m", prompt="Read it.")
    assert (status, out) == (0, "# The <|ref|>page\n")
    ((path, headers, body),) = server.asked
    assert (path, headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert body["model"] == "m"
    (message,) = body["messages"]
    assert [part["type"] for part in message["content"]] == ["image_url", "text"]
    assert message["content"][1]["text"] == "Read it."
    assert not Path("output").exists()
    assert "reader m at http" in err


def test_tasks_and_post_processing(infer, server, project):
    project.params["prompts"]["plain"] = {"user": "Just read."}
    project.save()
    draw_line(Path("page.png"), "A page")
    marked = "<|ref|>title<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n# Title"
    server.usual = (200, {}, answer(marked))
    ask = {"base_url": server.url, "model": "deepseek-ai/DeepSeek-OCR", "output": Path("-")}
    asked = [infer("page.png", **ask, **options)[1] for options in (
        {}, {"task": "document"}, {"task": "invoice"}, {"task": "plain", "processing": "default"})]
    assert asked == ["title[[1, 2, 3, 4]]\n# Title\n", "# Title\n", "title[[1, 2, 3, 4]]\n# Title\n", marked + "\n"]
    bodies = [body["messages"] for _, _, body in server.asked]
    assert [messages[-1]["content"][1]["text"] for messages in bodies] == [
        "Free OCR.", "<|grounding|>Convert the document to markdown.", SHIPPED["prompts"]["invoice"]["user"], "Just read."]
    assert [messages[0]["content"] for messages in bodies if len(messages) == 2] == [SHIPPED["prompts"]["invoice"]["system"]]
    assert infer("page.png", **ask, task="document", processing="default")[1] == marked + "\n"
    assert len(server.asked) == 4  # post-processing comes after the store: nothing was read again


def test_a_page_that_fails_leaves_a_hole_and_is_asked_for_again(infer, server, project):
    project.params["teachers"]["api"] |= {"base_url": server.url}
    project.params["teachers"]["api"]["request"] |= {"max_retries": 0, "concurrent_requests": 1}
    project.save()
    make_book(Path("a.pdf"), ["One"], ["Two"], ["Three"])
    server.script = [(200, {}, answer("1")), (400, {}, {"error": {"message": "no -- not this"}}), (200, {}, answer("3"))]
    status, _, err = infer("a.pdf", reader="api")
    assert status == 1
    parts = Path("output/a.md").read_text().strip().split("\n\n")
    (lost,) = (number for number, part in enumerate(parts, 1) if part.startswith("<!--"))  # pages are asked for as they get ready
    hole = parts[lost - 1]
    assert sorted(part for part in parts if part != hole) == ["1", "3"]
    assert hole.startswith(f"<!-- page {lost} not read: ") and hole.count("--") == 2
    assert f"a.pdf, page {lost}: " in err
    server.usual = (200, {}, answer("2"))
    assert infer("a.pdf", reader="api")[0] == 0
    parts[lost - 1] = "2"
    assert Path("output/a.md").read_text() == "\n\n".join(parts) + "\n"
    assert len(server.asked) == 4


def test_a_server_that_is_down_leaves_what_was_read(infer, server, project):
    project.params["teachers"]["api"] |= {"base_url": server.url}
    project.params["teachers"]["api"]["request"] |= {"max_retries": 0, "concurrent_requests": 1, "max_failures": 2}
    project.save()
    for name in "abcdefgh":
        make_book(Path(f"in/{name}.pdf"), [name])
    server.script = [(200, {}, answer("read"))]
    server.usual = (500, {}, {"error": {"message": "down"}})
    status, _, err = infer("in", reader="api")
    assert (status, "Traceback" in err) == (1, False)
    assert "failures in a row" in err
    assert "infer: 1 documents written" in err
    assert sorted(path.name for path in Path("output").iterdir()) == ["a.md", "refused.jsonl"]


def test_a_document_is_written_while_the_rest_still_runs(infer, server):
    for name in "ab":
        make_book(Path(f"in/{name}.pdf"), [name])
    seen = []

    def respond(handler) -> None:
        if len(server.asked) > 1:
            for _ in range(3000):
                seen[:] = [path.name for path in Path("output").glob("*.md")]
                if seen or server.closing.wait(0.02):
                    break
        handler.send_whole(200, {}, answer("text"))

    server.script = [(200, {}, answer("text"))]
    server.usual = (200, {}, respond)
    assert infer("in", base_url=server.url, model="m")[0] == 0
    assert len(seen) == 1
    assert sorted(path.name for path in Path("output").glob("*.md")) == ["a.md", "b.md"]


@pytest.mark.parametrize("form", ["md", "json", "jsonl"])
def test_ctrl_c_leaves_whole_documents_and_a_run_to_go_on_with(project, server, form):
    for name in "abc":
        make_book(Path(f"in/{name}.pdf"), [name])

    def hang(handler) -> None:
        server.closing.wait(60)
        handler.hang_up()

    server.script = [(200, {}, answer("text"))]
    server.usual = (200, {}, hang)
    command = ["-m", "tools.infer", "in", "--base_url", server.url, "--model", "m", "--format", form]
    process = subprocess.Popen([sys.executable, *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=os.environ | {"PYTHONPATH": str(ROOT)},
                               # Where the tests run in the background, SIGINT may be ignored, and children would inherit that.
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    done = lambda: [path for path in Path("output").glob("*") if path.is_file()]  # noqa: E731
    while not (done() and len(server.asked) == 3):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=300)
    assert (process.returncode, "Traceback" in output) == (130, False), output
    assert "infer: stopped." in output and "infer: 1 documents written" in output
    assert [path.name for path in done()] == [{"md": done()[0].name}.get(form, f"infer.{form}")]
    server.usual = (200, {}, answer("text"))
    status, output = project.run(*command)
    assert status == 0, output
    assert len(server.asked) == 5
    if form == "json":
        assert [row["document"] for row in json.loads(Path("output/infer.json").read_text())] == ["a", "b", "c"]
    elif form == "jsonl":
        assert len(Path("output/infer.jsonl").read_text().splitlines()) == 3
    else:
        assert len(done()) == 3
