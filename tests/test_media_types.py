"""Files are told by their content; the bytes are made by the libraries that other people use."""

from io import BytesIO

import pymupdf
import pytest
from PIL import Image

from ocrtune.pages.media_types import SUFFIXES, looks_like_html, sniff_media_type

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "TIFF": "image/tiff", "WEBP": "image/webp",
           "BMP": "image/bmp", "JPEG2000": "image/jp2"}  # fmt: skip


@pytest.mark.parametrize(("file_format", "media_type"), FORMATS.items())
def test_images_are_known_by_their_bytes(file_format, media_type):
    buffer = BytesIO()
    Image.new("L", (40, 20), 200).save(buffer, file_format)
    assert sniff_media_type(buffer.getvalue()) == media_type
    assert media_type in SUFFIXES


def test_pdf_is_known_also_behind_rubbish():
    pdf = pymupdf.open()
    pdf.new_page()
    assert sniff_media_type(pdf.tobytes()) == "application/pdf"
    assert sniff_media_type(b"Content-Type: x\r\n\r\n" + pdf.tobytes()) == "application/pdf"


@pytest.mark.parametrize("content", [b"", b"BM, said the parrot", b"RIFF....WAVE", b"<p>%PDF-1.7 is a version</p>", b"II and MM"])
def test_what_is_no_document_is_not_taken_for_one(content):
    assert sniff_media_type(content) is None


def test_html_is_known_without_a_content_type():
    assert looks_like_html(b"\xef\xbb\xbf <!-- <a> --> <?xml version='1.0'?><!DOCTYPE HTML>")
    assert not looks_like_html(b"words <html>")
