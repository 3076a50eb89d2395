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


def draw_pages(*names: str) -> None:
    """Write an image in `in` for each name, no two of the same bytes; those named blank have no ink."""
    for number, name in enumerate(names):
        draw_line(Path(f"in/{name}.png"), "" if name.startswith("blank") else name, 120 + number)


def test_bad_answers_are_told_and_not_learnt_from(infer, server, project):
    project.params["teachers"]["api"] |= {"base_url": server.url}
    project.params["teachers"]["api"]["request"] |= {"max_retries": 0, "concurrent_requests": 1}
    project.params["teachers"]["api"]["generation"] |= {"retry_temperatures": []}
    project.save()
    draw_pages("a-whole", "b-filtered", "blank-c", "blank-d", "e-empty", "f-looping", "g-refused")
    refusal = answer(None)
    refusal["choices"][0] |= {"finish_reason": None}
    refusal["choices"][0]["message"]["refusal"] = "I can't help with that."
    answers = [answer("All of it"), answer("Part", "content_filter"), answer("Made up"), answer(""), answer(""),
               answer("and so " * 50, "length"), refusal]  # fmt: skip
    server.script = [(200, {}, each) for each in answers]
    status, _, err = infer("in", reader="api", form="json")
    found = {row["document"]: (row["finish_reason"], row["verdicts"]) for row in json.loads(Path("output/infer.json").read_text())}
    assert found == {
        "a-whole": ("stop", []), "b-filtered": ("content_filter", ["unfinished"]), "blank-c": ("stop", ["blank"]), "blank-d": ("stop", []),
        "e-empty": ("stop", ["empty"]), "f-looping": ("length", ["unfinished", "loop"]), "g-refused": ("refusal", ["unfinished", "empty"])}
    assert (status, "7 pages read, 0 refused" in err) == (0, True)
    assert "look at: in/f-looping.png, page 1: length, loop" in err
    told = ("5 pages to look at: 2 empty (ink without text)", "1 content_filter", "1 blank (text without ink)",
            "1 length (cut off at max_tokens)", "1 loop (repeats itself)", "1 refusal")  # fmt: skip
    assert [text for text in told if text not in err] == []
    status, _, err = infer("in", reader="api", form="jsonl")
    assert "6 images without a text to learn from are no training rows" in err
    (row,) = [json.loads(line) for line in Path("output/infer.jsonl").read_text().splitlines()]
    assert row["messages"][1]["content"] == "All of it"
    assert len(server.asked) == 7


def test_reading_is_paid_for_within_a_budget(infer, server, project):
    project.params["teachers"]["api"] |= {"base_url": server.url, "prices": {"prompt_per_million": 2.0, "completion_per_million": 10.0}}
    project.params["teachers"]["api"]["request"] |= {"concurrent_requests": 2}
    project.params["teachers"]["api"]["generation"] |= {"retry_temperatures": [], "max_tokens": 100}
    project.save()
    make_book(Path("in/a.pdf"), ["One"], ["Two"], ["Three"])
    make_book(Path("in/b.pdf"), *([f"{number}"] for number in range(20)))
    server.usual = (200, {}, answer("text", tokens=(1000, 100)))
    status, _, err = infer("in", reader="api", max_pages=2)
    assert (status, len(server.asked)) == (1, 2)
    assert "tokens, cost and time are not known before this reader's first pages" in err
    assert "infer: 2 read, 0 of them failed; 2,200 tokens, cost 0.0060" in err
    assert "in/b.pdf: 20 pages not read: the budget (max_pages 2) is used up" in err
    assert not Path("output/b.md").exists()
    assert Path("output/a.md").read_text().count("text") == 2
    assert "<!-- page 3 not read: the budget (max_pages 2) is used up -->" in Path("output/a.md").read_text()
    (entry,) = map(json.loads, Path(".readings/spending.log").read_text().splitlines())
    assert (entry["pages"], entry["prompt_tokens"], entry["cost"]) == (2, 2000, 0.006)
    status, _, err = infer("in", reader="api", max_tokens=15_500, form="json")
    assert (status, 2 < len(server.asked) < 23) == (1, True)
    assert "about 25,300 tokens (23,000 prompt, 2,300 completion), cost 0.07" in err
    assert "tokens left, and one page may take up to" in err
    status, _, err = infer("in", reader="api", max_cost=10.0)
    assert (status, len(server.asked)) == (0, 23)
    assert infer("in", reader="api", max_cost=0.0)[0] == 0  # all is in the store
    status, _, err = infer("in", reader="api", task="invoice", max_cost=1e-6)
    assert (status, len(server.asked)) == (1, 23)
    assert "the budget (max_cost 1e-06) has 1e-06 left, and one page may cost up to" in err


@pytest.mark.parametrize(("form", "sent"), [("md", signal.SIGINT), ("json", signal.SIGINT), ("jsonl", signal.SIGTERM)])
def test_ctrl_c_leaves_whole_documents_and_a_run_to_go_on_with(project, server, tmp_path, form, sent):
    for name in "abc":
        make_book(Path(f"in/{name}.pdf"), [name])

    def hang(handler) -> None:
        server.closing.wait(60)
        handler.hang_up()

    server.script = [(200, {}, answer("text"))]
    server.usual = (200, {}, hang)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = ["-m", "tools.infer", "in", "--base_url", server.url, "--model", "m", "--format", form]
    process = subprocess.Popen([sys.executable, *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)},
                               # Where the tests run in the background, SIGINT may be ignored, and children would inherit that.
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    done = lambda: [path for path in Path("output").glob("*") if path.is_file()]  # noqa: E731
    while not (done() and len(server.asked) == 3):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    process.send_signal(sent)
    output, _ = process.communicate(timeout=300)
    assert (process.returncode, "Traceback" in output) == (130, False), output
    assert list(scratch.glob(".ocrtune-*")) == []
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
