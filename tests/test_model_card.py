"""A merged model's card names its origin by a hash that dvc.lock has, and the same merge writes the same card."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ocrtune.training.model_card import dvc_hash, licence_of, write_card

ROOT = Path(__file__).parents[1]
CONTRACT = {"student": "tiny", "base_sha256": "ab" * 32, "mode": "both", "prompt": "Read.", "image": {}, "decoding": {"temperature": 0},
            "postprocess": "default", "versions": {"torch": "2"},
            "training": {"examples": 2, "clean_print": 5, "steps": 60, "examples_a_step": 12, "learning_rate": 2e-3, "schedule": "cosine",
                         "seed": 0, "best_val_cer": 0.0839, "best_step": 40}}
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
    assert text.startswith("---\nlicense: apache-2.0\npipeline_tag")
    for words in ("2 images of 1 documents (texts: 1 gold, 1 teacher), and 5 lines of clean print;", "LoRA, rank 16, alpha 32", "abab",
                  "60 steps of 12 examples, learning rate 0.002 (cosine), seed 0", "CER 8.39% on pages not trained on, after step 40",
                  "vllm serve x", dvc_hash(adapter)):
        assert words in text


@pytest.mark.parametrize(("file", "text", "licence"), [
    ("README.md", "---\nlicense: mit\n---\n", "mit"), ("README.md", "**Licence**: Apache-2.0, weights included.", "Apache-2.0"),
    ("README.md", "---\nlicense: other\nlicense_name: qwen-research\n---\n", "qwen-research"),
    ("README.md", "Licence of the weights: Gemma Terms of Use, as their publisher states it; read it", "Gemma Terms of Use"),
    ("LICENSE", "words", "see LICENSE of the base"), ("other", "", "unknown: "),
])
def test_the_licence_is_the_bases_own_word(tmp_path, file, text, licence):
    (tmp_path / file).write_text(text)
    assert licence_of(tmp_path).startswith(licence)


def test_every_base_of_ours_states_its_licence():
    bases = [card.parent for card in (ROOT / "models/base").glob("*/README.md")]
    assert [base.name for base in bases if licence_of(base).startswith(("unknown", "see"))] == []


def test_a_fetched_base_is_named_with_its_commit(tmp_path):
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    adapter.mkdir()
    (base / "SOURCE").write_text("makers/model-1\n0123456789\n")
    (base / "README.md").write_text("Licence of the weights: Gemma Terms of Use, as their publisher states it")
    write_card(tmp_path / "card.md", base, adapter, CONTRACT, {"train": [], "val": []}, GATE, "x")
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlicense: other\nlicense_name: gemma-terms-of-use\nbase_model: makers/model-1\npipeline_tag")
    assert "makers/model-1 at commit 0123456789, weights abab" in text
