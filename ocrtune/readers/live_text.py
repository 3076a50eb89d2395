"""Show answers on stderr as they come."""

import re
import sys

UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # what a terminal would obey, and what no terminal can show


class LiveText:
    """Shows tokens at once where one answer comes at a time; whole lines behind their page's id where several do."""

    def __init__(self, alone: bool):
        self.alone, self.lines = alone, {}

    def show(self, page_id: str, text: str) -> None:
        """Show the next piece of a page's answer."""
        text = UNSHOWN.sub("�", text)
        if self.alone:
            opening = "" if page_id in self.lines else f"{page_id}:\n"
            self.lines[page_id] = ""
            self.write(opening + text)
            return
        *whole, self.lines[page_id] = (self.lines.get(page_id, "") + text).split("\n")
        self.write("".join(f"{page_id} | {line}\n" for line in whole))

    def end(self, page_id: str, note: str = "") -> None:
        """Close a page's answer; `note` says what became of it where it is not whole."""
        if page_id in self.lines:
            rest = self.lines.pop(page_id)
            if self.alone:
                self.write(f"\n[{note}]\n" if note else "\n")
            else:
                self.write("".join(f"{page_id} | {line}\n" for line in (rest, note and f"[{note}]") if line))

    def write(self, text: str) -> None:
        from tqdm import tqdm

        if text and self.alone:
            print(text, end="", file=sys.stderr, flush=True)
        elif text:
            tqdm.write(text, file=sys.stderr, end="")  # above the progress bar
