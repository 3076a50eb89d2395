"""DeepSeek-OCR-2: the form of its prompt, and adapters that peft would lose half of."""

from pathlib import Path

# As for the first model: beginning of text, picture, words; no names of roles.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.content is string %}{% set words = message.content %}"
    "{% else %}{% set words %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>\n{% else %}{{ part.text }}{% endif %}{% endfor %}{% endset %}{% endif %}"
    "{{ words | trim }}{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
)


def load_processor(folder: Path, settings: dict):
    """Return its processor; a template of its folder goes first."""
    from ocrtune.processors import open_processor

    return open_processor(folder, settings, chat_template=CHAT_TEMPLATE)


def prepare() -> None:
    """Keep peft from losing half of an adapter."""
    from ocrtune.adapter_names import keep_own_names

    keep_own_names()
