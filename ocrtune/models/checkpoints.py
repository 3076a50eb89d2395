"""Check a model's folder before it is loaded: is it all there, whole, and nothing but data?"""

import json
from pathlib import Path

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def read_config(folder: Path) -> dict:
    """Return config.json of a model's folder; one absent or not JSON is a `ValueError`."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder}: no config.json; put the model's files there (config, *.safetensors, tokenizer, processor)") from None
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}; fetch it again") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ValueError(f"{path}: has no model_type; is this the config of a model of transformers?")
    return config


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model's folder; where there is none, or a shard is absent, a `ValueError`."""
    index = folder / INDEX
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError):
            raise ValueError(f"{index}: not an index of weights; fetch it again") from None
    else:
        names = [WEIGHTS]
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        pickled = sorted(path.name for kind in ("*.bin", "*.pt", "*.pth") for path in folder.glob(kind))
        why = f"; {pickled[0]} is a pickle, which can run code when it is opened: convert it to safetensors" if pickled else ""
        raise ValueError(f"{folder}: {absent[0]} is not there{why}")
    return [folder / name for name in names]


def check_whole(path: Path, advice: str = "fetch it again") -> None:
    """Raise a `ValueError` where a safetensors file does not end where its header says; `advice` is what to do then."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if size >= 8 and length <= size - 8 else b""
    try:
        tensors = json.loads(header)
        ends = [tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path}: not a safetensors file, or its head is torn; {advice}") from None
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise ValueError(f"{path}: {size:,} bytes where its head announces {expected:,}: torn or damaged; {advice}")


def check_code(folder: Path, known: bool, trusted: bool) -> None:
    """Raise a `ValueError` where a model needs code that comes with its weights, and its profile does not trust it."""
    if not known and not trusted:
        kind = read_config(folder)["model_type"]
        raise ValueError(
            f"{folder}: transformers has no model of type {kind!r}; it may come with code of its own, which is not run unless its "
            "profile says trust_remote_code: true with the revision (a commit) that you have read")


def check_loaded(folder: Path, report: dict) -> None:
    """Raise a `ValueError` where weights that the model needs were absent from the checkpoint or of another shape."""
    odd = [f"{name} is missing" for name in sorted(report["missing_keys"])]
    odd += [f"{name} has another shape" for name, *_ in sorted(report["mismatched_keys"], key=str)]
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        raise ValueError(f"{folder}: the weights are not those of config.json: {odd[0]}{more}; fetch the model again")
