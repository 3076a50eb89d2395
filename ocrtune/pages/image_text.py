"""The text of an image inside its file, as a PDF has a text layer: pixels stay as they are, and the two can't be parted.

A PNG holds it as an `iTXt` chunk (PNG specification, 11.3.3.4), a JPEG as a comment segment (ITU T.81, B.2.4.5).
"""

import struct
import zlib

from PIL import Image

KEYWORD = "ocrtune-text"
PNG_HEAD = 33  # bytes of signature and IHDR
MAX_COMMENT = 65_533  # bytes of a JPEG's comment


def embed_text(content: bytes, text: str) -> bytes:
    """Return the bytes of a PNG or JPEG with a text inside; another file, or a text too long for it, is a ValueError."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        data = b"iTXt" + KEYWORD.encode() + b"\0\0\0\0\0" + text.encode()
        return content[:PNG_HEAD] + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)) + content[PNG_HEAD:]
    comment = f"{KEYWORD}\0{text}".encode()
    if not content.startswith(b"\xff\xd8") or len(comment) > MAX_COMMENT:
        raise ValueError("neither a PNG nor a JPEG with room for its text")
    return content[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + content[2:]


def embedded_text(image: Image.Image) -> str | None:
    """Return the text that `embed_text` put into an open image; None where there is none."""
    if image.format == "PNG":
        return image.info.get(KEYWORD)
    comments = [data.partition(b"\0") for marker, data in getattr(image, "applist", ()) if marker == "COM"]
    return next((text.decode("utf-8", errors="replace") for keyword, _, text in comments if keyword == KEYWORD.encode()), None)
