"""A merged model's card names its origin by a hash that dvc.lock has, and the same merge writes the same card."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ocrtune.model_card import dvc_hash, licence_of, write_card

ROOT = Path(__file__).parents[1]
CONTRACT = {"student": "tiny", "base_sha256": "ab" * 32, "mode": "both", "prompt": "Read.", "image": {}, "decoding": {"temperature": 0},
            "postprocess": "default", "versions": {"torch": "2"}}
GATE = {"dtype": "float32", "changed_tensors": 3, "num_pages": 2, "equal_texts": 2, "logit_difference": 1e-6}


def test_the_hash_is_that_of_dvc_lock(project):
    folder = Path("models/adapter")
    for name, content in (("b.bin", b"1"), ("a/é.txt", b"2"), ("a.txt", b"3"), ("a/deep/c", b"")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", folder], check=True)
    assert yaml.safe_load(Path("models/adapter.dvc").read_text())["outs"][0]["md5"] == dvc_hash(folder)


def test_a_card_says_where_the_model_comes_from_and_has_no_clock(tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 16, "lora_alpha": 32}')
    rows = [{"doc_id": "a", "origin": "teacher"}, {"doc_id": "a", "origin": "gold"}]
    for name in ("one.md", "two.md"):
        write_card(tmp_path / name, ROOT / "models/base/tiny", adapter, CONTRACT, {"train": rows, "val": rows[:1]}, GATE, "vllm serve x")
    text = (tmp_path / "one.md").read_text(encoding="utf-8")
    assert text == (tmp_path / "two.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlicense: Apache-2.0\n")
    for words in ("2 images of 1 documents (texts: 1 by gold, 1 by teacher)", "LoRA, rank 16, alpha 32", "vllm serve x", "abab",
                  dvc_hash(adapter)):
        assert words in text


@pytest.mark.parametrize(("file", "text", "licence"), [
    ("README.md", "---\nlicense: mit\n---\n", "mit"), ("README.md", "**Licence**: Apache-2.0, weights included.", "Apache-2.0"),
    ("LICENSE", "words", "see LICENSE of the base"), ("other", "", "unknown: "),
])
def test_the_licence_is_the_bases_own_word(tmp_path, file, text, licence):
    (tmp_path / file).write_text(text)
    assert licence_of(tmp_path).startswith(licence)
