"""GOT-OCR2: its processor wants a flat list of images and is told the number of image tokens at every call."""

from pathlib import Path

PIXELS_A_TOKEN = 64  # patches of 16, brought down by 4

# Its checkpoint brings no template; these are the words that its processor lays around a question.
CHAT_TEMPLATE = (
    "<|im_start|>system\nYou should follow the instructions carefully and explain your answers in detail.<|im_end|>"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<img><imgpad></img>\n{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def load_processor(folder: Path, settings: dict):
    """Return its processor, called as any other: a list of images for each text."""
    from transformers import GotOcr2Processor

    from ocrtune.models.processors import open_processor

    class GotProcessor(GotOcr2Processor):
        def __call__(self, images=None, text=None, **kwargs):
            side = self.image_processor.size["height"] // PIXELS_A_TOKEN
            return super().__call__(images=[image for some in images for image in some], text=text, num_image_tokens=side * side, **kwargs)

    GotProcessor.__name__ = GotOcr2Processor.__name__  # the name under which it is saved
    return open_processor(folder, settings, kind=GotProcessor, chat_template=CHAT_TEMPLATE)
