"""What an examination found, with its remedy."""

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """`fine`, `note` (works, but mind it) or `wrong` (will fail); `remedy` is what to do."""

    level: Literal["fine", "note", "wrong"]
    subject: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.level:5}  {self.subject}: {self.text}" + (f"\n       -> {self.remedy}" if self.remedy else "")
