"""A cluster of two nodes renders, labels and predicts byte for byte what one machine does, though a node is killed half way."""

import builtins
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT, page_row
from test_pdf2img import PDF, TEXTS, make_pdf
from test_pdf2img_stage import contents

from ocrtune.machines.ray_workers import RayWorkers, connect, import_ray, work_in
from ocrtune.machines.workers import Crash
from ocrtune.rows import write_rows

ray = pytest.importorskip("ray")  # an optional package
NODE = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80_000_000}


@pytest.fixture(scope="module")
def cluster():
    """Return a cluster of one node, to which others can be added."""
    import_ray()
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{ROOT}:{ROOT / 'tests'}"  # for the nodes: from the project's folder the code is found by itself
    running = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **NODE})
    yield running
    ray.shutdown()
    running.shutdown()
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.fixture
def connected(cluster, project, monkeypatch):
    """Return a project whose processes, this one too, find the cluster."""
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    return project


def finish(process: subprocess.Popen) -> str:
    """Return what a process printed, which must not have failed."""
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output[-3000:]
    return output


def run_on_both(project, cluster, words: tuple, outs: tuple, is_half_done) -> None:
    """Run a stage here, then on two nodes, of which one is killed when `is_half_done`; the outs must be the same bytes."""
    project.params["executor"] = "local"
    project.save()
    finish(project.start(*words))
    expected = [contents(project.folder / out) for out in outs]
    for out in outs:
        shutil.rmtree(project.folder / out)
        (project.folder / out).mkdir()
    shutil.rmtree(project.folder / ".readings", ignore_errors=True)
    project.params["executor"] = "ray"
    project.save()
    node = cluster.add_node(**NODE)
    process = project.start(*words)
    while process.poll() is None and not is_half_done(project.folder):
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()[0]
    cluster.remove_node(node, allow_graceful=False)
    assert process.poll() is None
    finish(process)
    assert [contents(project.folder / out) for out in outs] == expected


def make_documents(folder: Path, count: int) -> None:
    """Write PDFs of two pages, and one that is broken, as stage crawl does."""
    (folder / "files").mkdir(parents=True)
    for number in range(count):
        make_pdf(folder / f"files/d-{number:02}.pdf", [f"{text} ({number})" for text in TEXTS], pages=2)
    (folder / "files/broken.pdf").write_bytes(b"%PDF-1.7 broken")
    write_rows(folder / "documents.jsonl", [{"doc_id": path.stem, "file": f"files/{path.name}", "media_type": PDF}
                                            for path in sorted((folder / "files").iterdir())], key="doc_id")


def test_rendering_loses_nothing_with_a_node(connected, cluster):
    make_documents(connected.folder / "data/documents", 20)
    words = ("-m", "stages.pdf2img", "data/documents", "data/pages")
    run_on_both(connected, cluster, words, ("data/pages",), lambda folder: len(list((folder / "data/pages/images").glob("*"))) > 30)
    assert len(list((connected.folder / "data/pages/images").iterdir())) == 20 * 2 * 4


def num_kept(folder: Path) -> int:
    """Return how many lines the store of a project has."""
    return sum(path.read_bytes().count(b"\n") for path in (folder / ".readings").rglob("*") if path.is_file())


def square(number: int) -> int:
    return number * number


def die(number: int) -> int:
    """Take the process along, but for one number."""
    if number:
        os.kill(os.getpid(), 9)
    return number


def refuse(number: int) -> int:
    raise ValueError(f"no {number}")


def where(_: int) -> tuple[str, str | None]:
    return str(Path.cwd()), os.environ.get("CUDA_VISIBLE_DEVICES")


def test_workers_do_all_jobs_and_know_a_deadly_one(connected):
    with RayWorkers() as workers:
        assert dict(workers.run(square, ((number,) for number in range(30)))) == {(number,): number * number for number in range(30)}
        assert dict(workers.run(where, [(0,)])) == {(0,): (str(connected.folder), "")}  # in the project, without a GPU
        with pytest.raises(ValueError, match=r"^no 3$"):
            list(workers.run(refuse, [(3,)]))
        results = dict(workers.run(die, [(0,), (1,)]))
        assert results[0,] == 0
        assert isinstance(results[1,], Crash)
    with pytest.raises(ValueError, match="no machine of the cluster has a CPU and 1 GPUs"), RayWorkers(gpus=1):
        pass


def test_a_folder_that_is_not_shared_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"has no .*/absent/params.yaml; share the project's folder"):
        work_in(str(tmp_path / "absent"), square, (1,))


def test_without_ray_its_installation_is_told(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "ray":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"Ray is not installed; run `./run uv sync --locked --inexact --extra ray`"):
        connect()


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_is_told_at_once(monkeypatch, address):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("it would try for a quarter of an hour"))
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ValueError, match=f"no cluster at RAY_ADDRESS={address} .*refused.*; start one with `./run ray start --head`"):
        connect()


@pytest.mark.slow  # each process on each node loads PyTorch and the model
def test_labelling_and_predicting_lose_nothing_with_a_node(connected, cluster, student):
    """Both read: labelling as teacher does, with a measure of the ink; predicting reads a split, and clean print."""
    pages, splits, canary = (connected.folder / "data" / name for name in ("pages", "splits", "canary"))
    rows = [page_row(pages, f"d{number}", 1, f"line {number}", 90 + number % 7) for number in range(200)]
    write_rows(pages / "pages.jsonl", rows)
    connected.params["teacher"] = "local"
    connected.params["teacher_label"]["refuse"] = ["blank"]
    connected.params["teachers"]["local"] |= {"model": str(student), "dtype": "float32", "batch_size": 4, "max_new_tokens": 60,
                                              "prompts": {"ocr": "", "document": ""}}
    (connected.folder / "data/gold.jsonl").touch()
    words = ("-m", "stages.teacher_label", "data/pages", "data/gold.jsonl", "data/labels", "metrics/teacher_label.json")
    run_on_both(connected, cluster, words, ("data/labels", "metrics"), lambda folder: num_kept(folder) > 30)

    for folder in (splits, canary, connected.folder / "data/documents"):
        folder.mkdir()
    write_rows(splits / "test.jsonl", [{"page_id": row["page_id"], "doc_id": row["doc_id"], "image": f"../pages/{row['image']}",
                                        "text": row["text_layer"], "origin": "gold"} for row in rows])
    write_rows(canary / "canary.jsonl", [{**row, "image": f"../pages/{row['image']}", "text": row["text_layer"]} for row in rows[:3]])
    write_rows(connected.folder / "data/documents/documents.jsonl",
               [{"doc_id": row["doc_id"], "media_type": PDF, "url": row["doc_id"]} for row in rows], key="doc_id")
    connected.params["evaluate"] |= {"slices": []}
    connected.params["students"]["tiny"] |= {"batch_size": 4, "max_new_tokens": 50}
    (connected.folder / "metrics/evaluate").mkdir(parents=True)
    words = ("-m", "stages.evaluate", "base", student.parent, "data/documents", "data/pages", "data/splits", "data/canary",
             "data/predictions/base.jsonl", "data/predictions/canary/base.jsonl", "metrics/evaluate/base.json", "metrics/evaluate/base.csv")
    run_on_both(connected, cluster, words, ("data/predictions", "metrics/evaluate"), lambda folder: num_kept(folder) > 30)


@pytest.mark.skipif(not shutil.which("tesseract"), reason="an engine that is spread over a cluster")
def test_infer_reads_documents_with_a_cluster(connected, cluster):
    """Pages are rendered and read by two nodes, one of which is killed after the first documents; every text comes out the same."""
    (connected.folder / "in").mkdir()
    for number in range(8):
        make_pdf(connected.folder / f"in/d-{number:02}.pdf", [f"{text} ({number})" for text in TEXTS], pages=2)
    connected.params["pdf2img"]["dpi"] = 100
    words = ("-m", "tools.infer", "in", "--reader", "tesseract", "--unit", "page", "--output", "output")
    run_on_both(connected, cluster, words, ("output",), lambda folder: any((folder / "output").glob("*.md")))
    texts = [path.read_text(encoding="utf-8") for path in sorted((connected.folder / "output").glob("*.md"))]
    assert len(texts) == 8
    assert all(text.strip() for text in texts)
    assert not list(connected.folder.glob(".ocrtune-*"))  # the images that the nodes shared
