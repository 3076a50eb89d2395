"""Take the markup out of a text: Markdown, HTML, a model's special tags, typographic quotes and dashes.

One pass of `strip_markup` takes out one layer; `ocrtune.texts.normalizers` repeats it until nothing changes. Each
pattern reads a text once: no text, however hostile, takes more than linear time. Sources: CommonMark 0.31 for
the marks, the HTML standard's named character references through Python's `html`.
"""

import html
import re

TAG = re.compile(r"<[|｜][^<>|｜]{1,80}[|｜]>")  # <|ref|>, <｜end▁of▁sentence｜>
BOXES = re.compile(r"\[\[\d{1,4}(?:, ?\d{1,4}){3}\]\]")  # coordinates between a model's special tags
COMMENT = re.compile(r"<!--[^<>]{0,1000}-->")
HTML_BREAK = re.compile(r"</?(?:br|p|div|tr|td|th|li|table|thead|tbody|ul|ol|h[1-6])\b[^<>]{0,1000}>", re.IGNORECASE)
HTML_TAG = re.compile(r"</?[a-z][a-z0-9-]{0,20}(?:\s[^<>]{0,1000})?/?>", re.IGNORECASE)
AMPERSAND = re.compile(r"&(?:(?:amp|AMP|#0*38|#[xX]0*26);)+")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[^`\n]*$", re.MULTILINE)
RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE)
TABLE_RULE = re.compile(r"^[ \t]*(?:\|[ \t]*)?:?-+:?[ \t]*(?:\|[ \t:-]*)+$", re.MULTILINE)
LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}(?=[ \t])|>+|[-*+•](?=[ \t]))[ \t]*", re.MULTILINE)
HEADING_END = re.compile(r"(?<=[ \t])#+[ \t]*$", re.MULTILINE)
IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]\n]{0,1000})\]\([^()\s]{0,1000}(?: \"[^\"\n]{0,200}\")?\)")
ESCAPE = re.compile(r"\\+([\\`*_{}\[\]()#+\-.!|<>~$&\"'])")
DOUBLE_MARK = re.compile(r"\*\*+|__+|~~+|`+")
SINGLE_MARK = re.compile(r"(?<!\w)[*_](?=\w)|(?<=[\w.,;:!?)\]])[*_](?!\w)")
# What can't be seen; the joiners U+200C and U+200D shape Persian and Indic words and stay.
INVISIBLE = dict.fromkeys((0x00AD, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF))
QUOTES_AND_DASHES = str.maketrans({
    **dict.fromkeys("“”„‟«»″〝〞＂", '"'), **dict.fromkeys("‘’‚‛‹›′´ʼ＇", "'"),
    **dict.fromkeys("‐‑‒–—―−﹘﹣", "-"), "…": "...", "⁄": "/"})
LIVE = str.maketrans("", "", "&<>|｜[]()!`*_~#\\{}$+=•")


def strip_markup(text: str) -> str:
    """Return the text with one layer of markup less, quotes and dashes in ASCII; what a table's bars part is parted by spaces.

    >>> strip_markup("# **Bill** of [Fare](x.html) — <b>Tea&amp;Cake</b> | 3 |")
    'Bill of Fare - Tea&Cake   3  '
    """
    for pattern in (TAG, BOXES, COMMENT):
        text = pattern.sub("", text)
    text = HTML_TAG.sub("", HTML_BREAK.sub(" ", text))
    text = ENTITY.sub(lambda match: html.unescape(match[0]), AMPERSAND.sub("&", text))
    text = ESCAPE.sub(r"\1", text)  # an escaped mark goes too: a second pass could not tell it from a mark
    for pattern in (FENCE, RULE, TABLE_RULE, LINE_MARK, HEADING_END):
        text = pattern.sub("", text)
    text = IMAGE_OR_LINK.sub(r"\1", text)
    text = SINGLE_MARK.sub("", DOUBLE_MARK.sub("", text))
    return text.translate(INVISIBLE).translate(QUOTES_AND_DASHES).replace("|", " ")


def drop_marks(text: str) -> str:
    """Return the text without any character that markup is made of: for texts whose layers never end."""
    return text.translate(LIVE)
