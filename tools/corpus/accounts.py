"""Old money: pounds, shillings and pence, and accounts whose sums come out right.

>>> write_money(3 * read_money("£1 2s. 6d."))
'£3 7s. 6d.'
"""

import re
from dataclasses import dataclass

PENCE = {"£": 240, "s": 12, "d": 1}


def read_money(text: str) -> int:
    """Return an amount such as `£1 12s. 6d.` in pence."""
    pounds = re.findall(r"£(\d+)", text)
    rest = re.findall(r"(\d+)([sd])\.", text)
    if not pounds and not rest:
        raise ValueError(f"not an amount: {text!r}; write it as £1 12s. 6d.")
    return sum(240 * int(n) for n in pounds) + sum(int(n) * PENCE[unit] for n, unit in rest)


def write_money(pence: int) -> str:
    """Write pence the way a shopkeeper did, leaving out what is nought."""
    pounds, rest = divmod(pence, 240)
    shillings, pence = divmod(rest, 12)
    parts = [f"£{pounds}"] * bool(pounds) + [f"{shillings}s."] * bool(shillings) + [f"{pence}d."] * bool(pence)
    return " ".join(parts) or "nil"


@dataclass
class Account:
    """The items of one bill, added up in pence as they are worded."""

    pence: int = 0

    def add(self, row: str, wording: str) -> str:
        """Book an item `quantity | unit | what | price` and return its line of print."""
        quantity, unit, what, price = (part.strip() for part in row.split("|"))
        each = read_money(price)
        self.pence += int(quantity) * each
        if quantity == "1":
            bare = what.rstrip(",")
            shape = "{what}, one {unit}, {price}" if bare[0].isupper() else "One {unit} {what}: {price}"
            return shape.format(unit=unit, what=bare, price=write_money(each))
        return wording.format(
            qty=quantity, unit=unit, what=what, price=write_money(each), sum=write_money(int(quantity) * each)
        )

    def total(self) -> str:
        """Return the sum in print, with a full stop."""
        return write_money(self.pence).rstrip(".") + "."
