"""Tell what a file is by its first bytes: names and servers' Content-Type lie too often."""

SUFFIXES = {
    "application/pdf": ".pdf",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/tiff": ".tif",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/jp2": ".jp2",
}
SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
)
BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes; "BM" alone begins many a text
PDF_SEARCH = 1024  # bytes; readers tolerate rubbish before %PDF-, mail headers for one
HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<title", b"<frameset")


def sniff_media_type(content: bytes) -> str | None:
    """Return the media type of a document, or None if these bytes are neither a PDF nor an image we read."""
    for signature, media_type in SIGNATURES:
        if content.startswith(signature):
            return media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[:2] == b"BM" and int.from_bytes(content[14:18], "little") in BITMAP_HEADERS:
        return "image/bmp"
    if b"%PDF-" in content[:PDF_SEARCH] and not content.lstrip().startswith(b"<"):
        return "application/pdf"
    return None


def looks_like_html(content: bytes) -> bool:
    """Say whether bytes begin as HTML does, whatever comments and declarations stand first."""
    text = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    while text.startswith((b"<!--", b"<?xml")):
        text = text.partition(b"-->" if text.startswith(b"<!--") else b"?>")[2].lstrip()
    return text.startswith(HTML_STARTS)
