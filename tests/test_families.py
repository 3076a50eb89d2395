"""Each family goes through the stages: its miniature is trained, merged, and reads the test split, by the commands of the pipeline."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from conftest import ROOT, Project, page_row
from safetensors import safe_open
from safetensors.torch import load_file

from ocrtune.models.processors import revealed
from ocrtune.models.vlm import encode_pages, load_model, load_processor, open_image, prompt_text
from ocrtune.params.students import StudentProfile
from ocrtune.params.train import TrainParams
from ocrtune.rows import read_rows, write_rows
from ocrtune.training.finetuning import finetune
from ocrtune.training.lora_targets import linear_layers, lora_targets, parameter_targets
from stages.evaluate import main as evaluate
from stages.merge import main as merge
from stages.train import main as train
from tools.infer import main as infer
from tools.make_tiny import IMAGE, make_tiny

STUDENTS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["students"]
FAMILIES = [name for name in STUDENTS if name != "tiny"]
# What each says before the answer, after its own template.
PROMPTS = {
    "deepseek-ocr": "<｜begin▁of▁sentence｜><image>\nFree OCR.", "deepseek-ocr-2": "<｜begin▁of▁sentence｜><image>\nFree OCR.",
    "gemma-3": "<bos><start_of_turn>user\n<start_of_image>Extract all text from the image.<end_of_turn>\n<start_of_turn>model\n",
    "qwen25-vl": "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Read all the text in the image.<|im_end|>\n"
                  "<|im_start|>assistant\n",
    "qwen3-vl": "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Read all the text in the image.<|im_end|>\n"
                "<|im_start|>assistant\n",
    "paddleocr-vl": "<s>User: <|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>OCR:\nAssistant:\n",
    "got-ocr2": "<|im_start|>system\nYou should follow the instructions carefully and explain your answers in detail.<|im_end|>"
                "<|im_start|>user\n<img><imgpad></img>\n OCR: <|im_end|><|im_start|>assistant\n",
    "lightonocr": "<|im_start|>user\n<|image_pad|><|im_end|>\n<|im_start|>assistant\n",
    "smolvlm": "<|im_start|>User:<image> Extract all text from the image.<end_of_utterance>\nAssistant:",
    "granite-docling": "<|start_of_role|>user<|end_of_role|><image>Convert this page to docling.<|end_of_text|>\n"
                       "<|start_of_role|>assistant<|end_of_role|>",
    "glm-ocr": "[gMASK]<sop><|user|>\n<|begin_of_image|><|image|><|end_of_image|>Text Recognition:<|assistant|>\n",
}
ENDS = {"deepseek-ocr": "<｜end▁of▁sentence｜>", "deepseek-ocr-2": "<｜end▁of▁sentence｜>", "gemma-3": "<end_of_turn>",
        "paddleocr-vl": "</s>", "smolvlm": "<end_of_utterance>", "granite-docling": "<|end_of_text|>", "glm-ocr": "<|endoftext|>"}
TEXTS, SIZES = ["ab", "cat 1", "dog", "Zug 22"], [80, 200, 64, 120]
BASE, ADAPTER, MERGED, PAGES, SPLITS = map(Path, ("models/base", "models/adapter", "models/merged", "data/pages", "data/splits"))
CANARY, REPORT, DOCUMENTS = Path("data/canary"), Path("metrics/merge.json"), Path("data/documents")
OUTS = (".jsonl", ".canary.jsonl", ".json", ".csv")  # of a reader that evaluate scores


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory):
    """Return a function that gives the folder of a family's miniature, made once."""
    made = {}

    def find(family: str) -> Path:
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            make_tiny(family, made[family])
        return made[family]
    return find


def profile_of(family: str, **change) -> StudentProfile:
    told = {"dtype": "float32", "max_new_tokens": 6, "image": IMAGE.get(family, {})}
    return StudentProfile(**STUDENTS[family] | told | change)


@pytest.fixture
def corpus(project, miniatures, request) -> tuple[Project, str]:
    """Write four lines, all in each split, and a project whose student is the family's miniature under its shipped profile."""
    family = request.param
    (BASE / family).parent.mkdir(parents=True)
    (BASE / family).symlink_to(miniatures(family))
    rows = [page_row(PAGES, "doc", number, text, width) for number, (text, width) in enumerate(zip(TEXTS, SIZES, strict=True), 1)]
    write_rows(PAGES / "pages.jsonl", rows)
    examples = [{"page_id": row["page_id"], "doc_id": "doc", "image": f"../pages/{row['image']}", "text": row["text_layer"],
                 "origin": "gold"} for row in rows]
    for name in ("train", "val", "test"):
        write_rows(SPLITS / f"{name}.jsonl", examples)
    write_rows(DOCUMENTS / "documents.jsonl", [{"doc_id": "doc", "file": "files/doc.pdf", "url": "doc.pdf",
                                                 "media_type": "application/pdf"}], "doc_id")
    write_rows(CANARY / "canary.jsonl", [{"page_id": row["page_id"], "image": f"../pages/{row['image']}", "text": row["text_layer"],
                                          "sha256": row["sha256"]} for row in rows[:1]])
    project.params["student"] = family
    project.params["students"] = {family: profile_of(family).model_dump()}
    project.params["train"] |= {"epochs": None, "max_steps": 2, "learning_rate": 0.02, "warmup_steps": 0, "per_device_batch_size": 2,
                                "rehearsal": 0.0, "schedule": "constant"}
    project.save()
    return project, family


def read_names(folder: Path) -> set[str]:
    names = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            names |= set(file.keys())
    return names


@pytest.mark.parametrize("corpus", FAMILIES, indirect=True)
def test_a_family_is_trained_merged_and_reads(corpus):
    _, family = corpus
    train(BASE / family, PAGES, SPLITS, Path("data/rehearsal"), ADAPTER, Path("metrics/train"))
    merge(BASE / family, ADAPTER, PAGES, SPLITS, MERGED, REPORT)
    figures = json.loads(REPORT.read_text())
    assert figures["equal_texts"] == figures["num_pages"] == 4
    assert figures["logit_difference"] < 1e-5
    assert figures["changed_tensors"] >= 10
    assert read_names(MERGED) == read_names(BASE / family)  # the names that its repository uses
    told = json.loads((BASE / family / "config.json").read_text())
    kept = json.loads((MERGED / "config.json").read_text())
    assert kept["architectures"] == told["architectures"]
    assert kept["model_type"] == told["model_type"]
    for reader, folder in (("base", BASE), ("tuned", MERGED)):
        evaluate(reader, folder, DOCUMENTS, PAGES, SPLITS, CANARY, *(Path(f"{reader}{kind}") for kind in OUTS))
        predictions = [json.loads(line) for line in Path(f"{reader}.jsonl").read_text().splitlines()]
        assert {row["finish_reason"] for row in predictions} <= {"stop", "length"}
    with pytest.raises(SystemExit) as done:
        infer(images=[PAGES / "images"], output=Path("read"), form="json")
    assert done.value.code == 0
    # Both without the blanks around a text: a miniature may write nothing else, and `infer` calls such a page empty.
    assert [row["text"].strip() for row in json.loads(Path("read/infer.json").read_text())] == [row["text"].strip() for row in predictions]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_asked_in_its_own_words_and_ends_with_its_own_token(miniatures, family):
    profile = profile_of(family)
    processor = load_processor(miniatures(family), profile)
    assert prompt_text(processor, profile.prompt) == PROMPTS[family]
    model = load_model(miniatures(family), profile)
    ends = model.generation_config.eos_token_id
    first = ends[0] if isinstance(ends, list) else ends
    assert processor.tokenizer.convert_ids_to_tokens(first) == ENDS.get(family, "<|im_end|>")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_familys_towers_share_nothing(miniatures, family):
    model = load_model(miniatures(family), profile_of(family))
    towers = linear_layers(model)
    matched = {mode: {name for name, _ in model.named_modules() if re.fullmatch(lora_targets(model, mode, False), name)}
               for mode in ("vision", "llm", "both")}
    assert matched["vision"] == set(towers["vision"])
    assert matched["llm"] == set(towers["llm"])
    assert matched["both"] == matched["vision"] | matched["llm"]
    assert not matched["vision"] & matched["llm"]
    assert all("lm_head" not in name for name in matched["both"])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_merged_processor_encodes_as_its_base(miniatures, family, tmp_path):
    """Geometry, template and tokens travel with the weights, the video half too where there is one."""
    profile = profile_of(family)
    base = load_processor(miniatures(family), profile)
    load_model(miniatures(family), profile).save_pretrained(tmp_path)
    base.save_pretrained(tmp_path)
    page_row(tmp_path, "doc", 1, "words", 120)
    picture = open_image(tmp_path / "images/doc_p1.png")
    again = load_processor(tmp_path, profile)
    before, after = (encode_pages(processor, [picture], profile.prompt) for processor in (base, again))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (tmp_path / "video_preprocessor_config.json").is_file() == (miniatures(family) / "video_preprocessor_config.json").is_file()


@pytest.mark.parametrize("name", ["Idefics3ImageProcessorPil", "HunYuanVLImageProcessorPil", "Idefics3Processor"])
def test_processors_that_draw_with_pil_are_found_without_torchvision(name):
    assert revealed(name).__name__ == name
    assert not getattr(revealed(name), "is_dummy", False)


def test_a_processor_that_transformers_lacks_is_none():
    assert revealed("DeepseekVLV2Processor") is None


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is here")
@pytest.mark.parametrize("name", ["PixtralProcessor", "Gemma4Processor", "Lfm2VlImageProcessor"])
def test_a_processor_that_needs_torchvision_says_so(name):
    with pytest.raises(ValueError, match=f"{name}: transformers' class needs torchvision, which is not part of this environment; give"):
        revealed(name)


@pytest.mark.parametrize("corpus", ["deepseek-ocr", "deepseek-ocr-2"], indirect=True)
def test_routed_experts_are_adapted_by_choice(corpus):
    project, family = corpus
    project.params["train"]["lora"]["experts"] = True
    project.params["train"]["mode"] = "llm"
    project.save()
    train(BASE / family, PAGES, SPLITS, Path("data/rehearsal"), ADAPTER, Path("metrics/train"))
    merge(BASE / family, ADAPTER, PAGES, SPLITS, MERGED, REPORT)
    assert json.loads(REPORT.read_text())["logit_difference"] < 1e-5
    before, after = (load_file(folder / "model.safetensors") for folder in (BASE / family, MERGED))
    changed = {re.sub(r"\d+", "*", name) for name in before if not torch.equal(before[name], after[name])}
    assert {f"model.layers.*.mlp.experts.*.{name}_proj.weight" for name in ("gate", "up", "down")} <= changed
    assert all(re.match(r"model\.(layers|language_model)\.", name) for name in changed)


@pytest.mark.parametrize("corpus", ["gemma-3"], indirect=True)
def test_a_projector_without_linear_layers_is_adapted_too(corpus, capsys):
    project, family = corpus
    project.params["train"]["mode"] = "vision"
    project.save()
    train(BASE / family, PAGES, SPLITS, Path("data/rehearsal"), ADAPTER, Path("metrics/train"))
    merge(BASE / family, ADAPTER, PAGES, SPLITS, MERGED, REPORT)
    before, after = (load_file(folder / "model.safetensors") for folder in (BASE / family, MERGED))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.endswith("mm_input_projection_weight") for name in changed)
    assert not any("language_model" in name for name in changed)
    project.params["train"]["lora"]["dropout"] = 0.1
    project.save()
    with pytest.raises(SystemExit):
        train(BASE / family, PAGES, SPLITS, Path("data/rehearsal"), Path("again"), Path("metrics/train"))
    assert "mm_input_projection_weight, no linear layer, without dropout alone; set it to 0" in capsys.readouterr().err


def test_a_familys_projector_is_told_apart_even_inside_its_vision_tower(miniatures):
    model = load_model(miniatures("qwen3-vl"), profile_of("qwen3-vl"))
    assert linear_layers(model)["projector"] == [f"model.visual.{part}.linear_fc{n}" for part in ("merger", "deepstack_merger_list.0")
                                                 for n in (1, 2)]
    with pytest.raises(ValueError, match="Qwen3VLForConditionalGeneration has no routed experts; set it to false"):
        parameter_targets(model, "llm", experts=True)


@pytest.mark.parametrize("corpus", FAMILIES, indirect=True)
def test_a_training_that_goes_on_ends_with_the_same_bytes(corpus):
    """peft would lose half of DeepSeek-OCR-2's adapter on the way back from the checkpoint."""
    project, family = corpus
    params = TrainParams(**project.params["train"] | {"save_steps": 2, "early_stopping": None})
    rows = {name: read_rows(SPLITS / f"{name}.jsonl") for name in ("train", "val")}
    saved = []
    for name, steps in (("whole", [4]), ("broken", [2, 4])):
        for max_steps in steps:
            model, *_ = finetune(BASE / family, profile_of(family), params.model_copy(update={"max_steps": max_steps}), rows, SPLITS,
                                Path(name) / "log", Path(name) / "checkpoints")
        model.save_pretrained(name)
        saved.append((Path(name) / "adapter_model.safetensors").read_bytes())
    assert saved[0] == saved[1]


@pytest.mark.slow
@pytest.mark.parametrize("corpus", FAMILIES, indirect=True)
def test_a_family_learns_the_lines_it_is_shown(corpus):
    project, family = corpus
    project.params["train"] |= {"max_steps": 120, "learning_rate": 0.01, "per_device_batch_size": 4, "logging_steps": 40}
    project.save()
    train(BASE / family, PAGES, SPLITS, Path("data/rehearsal"), ADAPTER, Path("metrics/train"))
    merge(BASE / family, ADAPTER, PAGES, SPLITS, MERGED, REPORT)
    cer = {}
    for reader, folder in (("base", BASE), ("tuned", MERGED)):
        evaluate(reader, folder, DOCUMENTS, PAGES, SPLITS, CANARY, *(Path(f"{reader}{kind}") for kind in OUTS))
        cer[reader] = json.loads(Path(f"{reader}.json").read_text())["cer"]
    assert cer["tuned"] < 0.2 < 0.8 < cer["base"], cer
