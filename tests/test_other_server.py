"""Pages are read through a server that others wrote, `transformers serve`, with a miniature of a real family behind it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from ocrtune.params.teachers import Api, ChatRequest, Generation, Local
from ocrtune.readers.open import open_reader
from ocrtune.reading import Page
from ocrtune.rows import read_rows
from tools.make_tiny import make_tiny

CANARY = ROOT / "data/canary"
PAGES = [Page(row["page_id"], CANARY / row["image"], row["sha256"]) for row in read_rows(CANARY / "canary.jsonl")[:4]]
PROFILE = yaml.safe_load((ROOT / "params.yaml").read_text())["students"]["gemma-3"]
TOKENS = 12


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Return the model's folder and the address of its server."""
    folder = tmp_path_factory.mktemp("served") / "gemma-3"
    make_tiny("gemma-3", folder)
    log = folder.parent / "log"
    command = [Path(sys.executable).with_name("transformers"), "serve", folder, "--device", "cpu", "--dtype", "float32",
               "--host", "127.0.0.1", "--port", "0"]
    with log.open("w") as file:
        process = subprocess.Popen(command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, stdout=file, stderr=subprocess.STDOUT)
    try:
        while not (address := re.search(r"running on (http://[\d.:]+)", log.read_text())):
            with pytest.raises(subprocess.TimeoutExpired):  # alive
                process.wait(0.5)
        yield folder, address[1]
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_server_of_others_reads_as_the_local_reader_does(served, stream):
    folder, url = served
    api = Api(base_url=f"{url}/v1", model_name=str(folder),
              generation=Generation(temperature=0.0, max_tokens=TOKENS, retry_temperatures=[]),
              request=ChatRequest(stream=stream, timeout=300.0, concurrent_requests=4))
    local = Local(model=str(folder), **PROFILE | {"dtype": "float32", "max_new_tokens": TOKENS})
    read = {page.page_id: reading.text for page, reading in open_reader(api).read(PAGES)}
    assert read == {page.page_id: reading.text for page, reading in open_reader(local).read(PAGES)}
    assert any(read.values())
