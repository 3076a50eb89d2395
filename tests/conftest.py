"""What several tests need: a project folder, rendered lines, and an untrained student small enough to train in seconds."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["DVC_NO_ANALYTICS"] = "1"  # for commands in this environment; clean_environment.py has it for the others
os.environ.setdefault("OMP_NUM_THREADS", "1")  # models this small only wait for a second thread
for name in ("OCRTUNE_STORE", "DVC_ROOT", "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ.pop(name, None)

# Minutes each; begun first, so that no process waits
LONGEST = ["test_remotes_pipeline", "test_team", "test_repro", "test_remotes", "test_sharding", "test_search_training", "test_search",
           "test_studio"]


def pytest_collection_modifyitems(items: list) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(autouse=True)
def keeps_to_its_own_folder(tmp_path_factory):
    """Fail a test that leaves something beside the folders that pytest gave out, where the next test may stumble over it."""
    yield
    beside = [path.name for path in tmp_path_factory.getbasetemp().iterdir()
              if not (path.is_symlink() or path.name[-1].isdigit() or path.name == ".lock")]
    assert not beside, f"left beside the tests' own folders: {', '.join(sorted(beside))}"


class Project:
    """A folder with params.yaml, as a user's clone has it, and the means to run stages there."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        self.save()

    def save(self) -> None:
        """Write `params` to params.yaml."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params, sort_keys=False), encoding="utf-8")

    def start(self, *words: object, **options) -> subprocess.Popen:
        """Start a Python process in the project, its output captured as text."""
        return subprocess.Popen([sys.executable, *map(str, words)], cwd=self.folder, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, env=os.environ | {"PYTHONPATH": str(ROOT)}, **options)

    def run(self, *words: object) -> tuple[int, str]:
        """Run a Python process in the project and return its exit status and output."""
        process = self.start(*words)
        output, _ = process.communicate(timeout=300)
        return process.returncode, output


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """Return a project folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def draw_line(path: Path, text: str, width: int = 120) -> str:
    """Write an image of a text line, 32 px high, and return the SHA-256 of its bytes."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 20)
    image = Image.new("L", (width, 32), 255)
    ImageDraw.Draw(image).text((4, 3), text, font=font, fill=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def page_row(folder: Path, doc_id: str, page: int, text: str, width: int = 120) -> dict:
    """Draw a page that reads `text` into a folder of pages and return its row."""
    page_id = f"{doc_id}_p{page}"
    digest = draw_line(folder / "images" / f"{page_id}.png", text, width)
    return {"page_id": page_id, "doc_id": doc_id, "page": page, "line": None, "box": None, "image": f"images/{page_id}.png",
            "width": width, "height": 32, "sha256": digest, "text_layer": text}


@pytest.fixture(scope="session")
def built_student(tmp_path_factory) -> Path:
    """Return the folder of an untrained student: the shape of the embedded one, forty times smaller."""
    import torch

    from ocrtune.pretraining.student import build_model, build_processor

    folder = tmp_path_factory.mktemp("student")
    torch.manual_seed(0)
    model = build_model(hidden_size=48, vision_layers=2, text_layers=2)
    for weight in model.parameters():  # at the default spread of 0.02 a model as small as this one is blind
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    model.save_pretrained(folder)
    build_processor().save_pretrained(folder)
    return folder


@pytest.fixture
def student(built_student, tmp_path) -> Path:
    """Return a student's folder of this test's own."""
    return Path(shutil.copytree(built_student, tmp_path / "models" / "base" / "tiny"))


@pytest.fixture
def scored(tmp_path):
    """Return a folder with the scores of readers base and tuned."""
    from compared import Scored

    scored = Scored(tmp_path)
    scored.add("base", 0.5)
    scored.add("tuned", 0.04, canary=0.03)
    return scored
