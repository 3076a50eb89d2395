"""Take the markup out of a text: Markdown, HTML, a model's special tags, typographic quotes and dashes.

One pass of `strip_markup` takes out one layer; `ocrtune.texts.normalizers` repeats it until nothing changes. Each
pattern reads a text once: no text, however hostile, takes more than linear time. Sources: CommonMark 0.31 for
the marks, the HTML standard's elements, its named character references through Python's `html`.
"""

import html
import re

TAG = re.compile(r"<[|｜][^<>|｜]{1,80}[|｜]>")  # <|ref|>, <｜end▁of▁sentence｜>
BOXES = re.compile(r"\[\[\d{1,4}(?:, ?\d{1,4}){3}\]\]")  # coordinates between a model's special tags
COMMENT = re.compile(r"<!--[^<>]{0,1000}-->")
# An attribute has a value, but for those that HTML lets go without: in "a <b and c> d" there is no tag.
ATTRIBUTE = r"""(?:[a-z][\w:.-]*\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>=`]+)|nowrap|noshade|compact|checked|disabled|hidden|selected)"""
HTML_TAG = re.compile(rf"</?([a-z][a-z0-9_-]*)(?:\s+{ATTRIBUTE})*\s*/?>", re.IGNORECASE)
END_TAG = re.compile(r"</([a-z][a-z0-9_-]*)>", re.IGNORECASE)
BREAKING = frozenset("br div h1 h2 h3 h4 h5 h6 li ol p table tbody td th thead tr ul".split())
ELEMENTS = BREAKING | frozenset("""
    a abbr acronym address area article aside audio b base bdi bdo big blockquote body button canvas caption center cite code col
    colgroup data datalist dd del details dfn dialog dir dl dt em embed fieldset figcaption figure font footer form frame frameset head
    header hgroup hr html i iframe img input ins kbd label legend link main map mark menu meta meter nav noscript object optgroup
    option output param picture pre progress q rp rt ruby s samp script search section select slot small source span strike strong
    style sub summary sup svg math template textarea tfoot time title track tt u var video wbr""".split())
AMPERSAND = re.compile(r"&(?:(?:amp|AMP|#0*38|#[xX]0*26);)+")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[^`\n]*$", re.MULTILINE)
RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE)
TABLE_RULE = re.compile(r"^[ \t]*(?:\|[ \t]*)?:?-+:?[ \t]*(?:\|[ \t:-]*)+$", re.MULTILINE)
# Before a number "-", "+" and ">" are signs: "- 5 °C".
LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}(?=[ \t])|[*•](?=[ \t])|(?:>+(?!>)|[-+](?=[ \t]))(?![ \t]*[.,€£$]?\d))[ \t]*", re.MULTILINE)
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
    text = strip_tags(text)
    text = ENTITY.sub(lambda match: html.unescape(match[0]), AMPERSAND.sub("&", text))
    text = ESCAPE.sub(r"\1", text)  # an escaped mark goes too: a second pass could not tell it from a mark
    for pattern in (FENCE, RULE, TABLE_RULE, LINE_MARK, HEADING_END):
        text = pattern.sub("", text)
    text = IMAGE_OR_LINK.sub(r"\1", text)
    text = SINGLE_MARK.sub("", DOUBLE_MARK.sub("", text))
    return text.translate(INVISIBLE).translate(QUOTES_AND_DASHES).replace("|", " ")


def strip_tags(text: str) -> str:
    """Return the text without tags of HTML; those that break the line leave a space. Other elements are told by their end tag.

    >>> strip_tags("Mr. <John Smith> if a<b then c>d <watermark><b>x</b></watermark>")
    'Mr. <John Smith> if a<b then c>d x'
    """
    ended = {name.lower() for name in END_TAG.findall(text)}

    def strip(match: re.Match) -> str:
        name = match[1].lower()
        return " " if name in BREAKING else "" if name in ELEMENTS or name in ended else match[0]

    return HTML_TAG.sub(strip, text)


def drop_marks(text: str) -> str:
    """Return the text without any character that markup is made of: for texts whose layers never end."""
    return text.translate(LIVE)
