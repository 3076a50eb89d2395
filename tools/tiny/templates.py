"""Chat templates, each as its family's checkpoint lays roles, picture and words; pages and their text alone."""


def template(user: str, assistant: str, image: str, close: str = "", words: str = "{{ part.text }}", begin: str = "") -> str:
    """Return a template: `begin`, then for each message the role's opening, its parts, and `close`; `assistant` opens the answer."""
    parts = ("{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
             f"{{% if part.type == 'image' %}}{image}{{% else %}}{words}{{% endif %}}{{% endfor %}}{{% endif %}}")
    return (f"{begin}{{% for message in messages %}}{{% if message.role == 'user' %}}{user}{{% else %}}{assistant}{{% endif %}}"
            f"{parts}{close}{{% endfor %}}{{% if add_generation_prompt %}}{assistant}{{% endif %}}")


QWEN = template("<|im_start|>user\n", "<|im_start|>assistant\n", close="<|im_end|>\n",
                image="<|vision_start|><|image_pad|><|vision_end|>")
LIGHTON = template("<|im_start|>user\n", "<|im_start|>assistant\n", close="<|im_end|>\n", image="<|image_pad|>")
GEMMA = template("<start_of_turn>user\n", "<start_of_turn>model\n", close="<end_of_turn>\n",
                 image="<start_of_image>", words="{{ part.text | trim }}", begin="{{ bos_token }}")
PADDLE = template("User: ", "Assistant:\n", image="<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>",
                  close="{{ '\n' if message.role == 'user' else eos_token }}", begin="{{ bos_token }}")
SMOL = template("User:", "Assistant:", image="<image>", words=" {{ part.text }}", close="<end_of_utterance>\n",
                begin="<|im_start|>")
GRANITE = template("<|start_of_role|>user<|end_of_role|>", "<|start_of_role|>assistant<|end_of_role|>", image="<image>",
                   close="<|end_of_text|>\n")
GLM = template("<|user|>\n", "<|assistant|>\n", image="<|begin_of_image|><|image|><|end_of_image|>", begin="[gMASK]<sop>")
