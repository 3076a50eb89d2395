"""Rows of examples as other tools write and read them: images, what is asked, and the text that is the answer.

image-text  `{"image_path", "text"}`, one a line: plain fine-tuning scripts.
deepseek    `{"messages": [{"role": "<|User|>", "content": "<image>\\n...", "images": [...]}, {"role": "<|Assistant|>", ...}]}`, one a
            line: DeepSeek-OCR's tools. `<image>` stands in the question as often as there are images.
img-ocr     one array of `{"img_path", "ocr_results"}`: Gemma-OCR.
messages    `{"messages": [{"role": "user", "content": "<image>..."}, {"role": "assistant", ...}], "images": [...]}`, one a line:
            ms-swift, LLaMA-Factory.
trl         the same with `content` as a list of parts, `{"type": "image"}` and `{"type": "text", "text": ...}`: TRL.
rows        our own, of a split or of data/canary: `{"image", "text", ...}`, one a line.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

IMAGE = "<image>"
ROLES = {"<|User|>": "user", "<|Assistant|>": "assistant", "<|System|>": "system"}
ARRAYS = ("img-ocr",)  # formats whose file is one JSON array
CONVERSATIONS = ("deepseek", "messages", "trl")  # formats that hold a question: two about one image are two examples


@dataclass(frozen=True)
class Example:
    """Images by their paths, as their row has them, the text, and the words of the question: None where a format has none."""

    images: tuple[str, ...]
    text: str
    prompt: str | None = None
    system: str = ""

    def with_images(self, images: tuple[str, ...]) -> "Example":
        """Return the example with its images under other paths."""
        return replace(self, images=images)


def the_image(example: Example) -> str:
    """Return the only image of an example; of another number a ValueError."""
    if len(example.images) != 1:
        raise ValueError(f"several images: {len(example.images)}, where this format holds one")
    return example.images[0]


def question(example: Example) -> str:
    """Return images and words of a question as one text."""
    if IMAGE in (example.prompt or "") or IMAGE in example.text:
        raise ValueError(f"{IMAGE} in its text: this format takes it for a picture")
    return "\n".join([*(IMAGE for _ in example.images), *([example.prompt] if example.prompt else [])])


def image_text_row(example: Example) -> dict:
    return {"image_path": the_image(example), "text": example.text}


def img_ocr_row(example: Example) -> dict:
    return {"img_path": the_image(example), "ocr_results": example.text}


def chat_row(example: Example) -> dict:
    """Return a row of format deepseek."""
    system = [{"role": "<|System|>", "content": example.system}] if example.system else []
    asked = {"role": "<|User|>", "content": question(example), "images": list(example.images)}
    return {"messages": [*system, asked, {"role": "<|Assistant|>", "content": example.text}]}


def messages_row(example: Example) -> dict:
    """Return a row of format messages."""
    system = [{"role": "system", "content": example.system}] if example.system else []
    asked, answer = {"role": "user", "content": question(example)}, {"role": "assistant", "content": example.text}
    return {"messages": [*system, asked, answer], "images": list(example.images)}


def trl_row(example: Example) -> dict:
    """Return a row of format trl."""
    words = [{"type": "text", "text": example.prompt}] if example.prompt else []
    turns = [("system", [{"type": "text", "text": example.system}])] if example.system else []
    turns += [("user", [*({"type": "image"} for _ in example.images), *words]), ("assistant", [{"type": "text", "text": example.text}])]
    return {"messages": [{"role": role, "content": parts} for role, parts in turns], "images": list(example.images)}


def text_of(row: dict, key: str) -> str:
    """Return a row's text under a key; a ValueError where there is none."""
    if key not in row:
        raise ValueError(f"missing key: {key!r}")
    if not isinstance(row[key], str):
        raise ValueError(f"wrong type: {key!r} is {type(row[key]).__name__}, not a text")
    return row[key]


def paths_of(value: object, where: str) -> tuple[str, ...]:
    """Return image paths; anything but an array of texts, or of objects that hold one, is a ValueError."""
    if not isinstance(value, list):
        raise ValueError(f"wrong type: 'images' of {where} is {type(value).__name__}, not an array")
    found = tuple(part.get("path") if isinstance(part, dict) else part for part in value)
    if not all(isinstance(path, str) and path for path in found):
        raise ValueError(f"wrong type: 'images' of {where} holds something other than paths")
    return found


def read_content(content: object, role: str) -> tuple[str, int]:
    """Return the words of a message and how many images it names; given as a text with `<image>`, or as a list of parts."""
    if isinstance(content, str):
        return content.replace(f"{IMAGE}\n", "").replace(IMAGE, "") if role == "user" else content, content.count(IMAGE)
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise ValueError(f"wrong type: 'content' of {role} is {type(content).__name__}, not a text")
    unknown = {str(part.get("type")) for part in content} - {"image", "text"}
    if unknown:
        raise ValueError(f"unknown part: {', '.join(sorted(unknown))} in 'content' of {role}; image and text are known")
    words = [text_of(part, "text") for part in content if part["type"] == "text"]
    return "\n".join(words), sum(part["type"] == "image" for part in content)


def read_conversation(row: dict) -> Example:
    """Return the example of a conversation: one question with images, one answer, perhaps a system message before them."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ValueError("wrong type: 'messages' is no array of objects")
    roles = [ROLES.get(message.get("role"), message.get("role")) for message in messages]
    system = roles[:1] == ["system"]
    if roles[system:] != ["user", "assistant"]:
        raise ValueError(f"not one question and one answer: roles {', '.join(map(str, roles)) or 'none'}")
    asked, answer = messages[-2:]
    images = paths_of(row["images"], "the row") if "images" in row else paths_of(asked.get("images", []), "the question")
    prompt, num_places = read_content(asked.get("content"), "user")
    if not images:
        raise ValueError("no image: 'images' is empty or absent")
    if num_places != len(images):
        raise ValueError(f"{IMAGE} count: {num_places} in the question, but {len(images)} images")
    text, _ = read_content(answer.get("content"), "assistant")
    return Example(images, text, prompt, read_content(messages[0].get("content"), "system")[0] if system else "")


def read_image_text(row: dict) -> Example:
    return Example((text_of(row, "image_path"),), text_of(row, "text"))


def read_img_ocr(row: dict) -> Example:
    return Example((text_of(row, "img_path"),), text_of(row, "ocr_results"))


def read_our_row(row: dict) -> Example:
    """Return the example of a row of ours that names its image: of a split, or of data/canary."""
    return Example((text_of(row, "image"),), text_of(row, "text"))


ROW_READERS: dict[str, Callable[[dict], Example]] = {
    "image-text": read_image_text, "deepseek": read_conversation, "img-ocr": read_img_ocr,
    "messages": read_conversation, "trl": read_conversation, "rows": read_our_row,
}
ROW_WRITERS: dict[str, Callable[[Example], dict]] = {
    "image-text": image_text_row, "deepseek": chat_row, "img-ocr": img_ocr_row, "messages": messages_row, "trl": trl_row,
}


def tell_format(row: object) -> str | None:
    """Return the format of a row, by its keys; None where it is none of them."""
    if not isinstance(row, dict):
        return None
    for keys, name in (({"image_path", "text"}, "image-text"), ({"img_path", "ocr_results"}, "img-ocr"), ({"image", "text"}, "rows")):
        if keys <= row.keys():
            return name
    messages = row.get("messages")
    if not isinstance(messages, list):
        return None
    if any(isinstance(message, dict) and message.get("role") in ROLES for message in messages):
        return "deepseek"
    is_parts = any(isinstance(message, dict) and isinstance(message.get("content"), list) for message in messages)
    return "trl" if is_parts else "messages"
