"""Decide which addresses a crawl asks for, and in which order.

The order is breadth first in whole rounds, each sorted, so that the same site gives the same crawl,
however its answers race each other, also where `max_pages` cuts it short.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

DOCUMENT, PAGE, REDIRECT, REFUSED = "document", "page", "redirect", "refused"


@dataclass(frozen=True)
class Outcome:
    """What came of asking for an address: a document, a page of links, a redirect, or a refusal with its reason."""

    address: str
    kind: str
    links: tuple[str, ...] = ()
    hops: int = 1  # what following `links` costs in depth: redirects and folder listings are free
    reason: str | None = None
    sha256: str | None = None
    media_type: str | None = None
    num_bytes: int | None = None

    def to_row(self) -> dict:
        """Return the outcome as a row of the journal."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict) -> "Outcome":
        """Return the outcome that `to_row` wrote."""
        return cls(**{**row, "links": tuple(row["links"])})


class Frontier:
    """The addresses known so far, their distance from a seed, and what came of them."""

    def __init__(self, seeds: Iterable[str], is_allowed: Callable[[str], bool], max_pages: int, max_depth: int) -> None:
        self.is_allowed, self.max_pages, self.max_depth = is_allowed, max_pages, max_depth
        self.depths = dict.fromkeys(seeds, 0)
        self.round = set(self.depths)
        self.outcomes: dict[str, Outcome] = {}
        self.unasked: set[str] = set()
        self.too_deep: set[str] = set()
        self.outside: set[str] = set()
        self.num_asked = 0
        self.limit_round()

    def limit_round(self) -> None:
        """Drop from the round what lies beyond `max_pages`, keeping the first in order."""
        ordered = sorted(self.round)
        self.round = set(ordered[: self.max_pages - self.num_asked])
        self.unasked.update(ordered[self.max_pages - self.num_asked :])
        self.num_asked += len(self.round)

    def record(self, outcome: Outcome) -> None:
        """Note what came of an address of this round."""
        self.outcomes[outcome.address] = outcome

    def pending(self) -> list[str]:
        """Return the addresses of this round of which nothing has come yet, sorted."""
        return sorted(address for address in self.round if address not in self.outcomes)

    def advance(self) -> bool:
        """Form the next round from the links of this one; False when there is nothing left to ask for."""
        found: dict[str, int] = {}
        for address in self.round:
            outcome = self.outcomes[address]
            for link in outcome.links:
                if not self.is_allowed(link):
                    self.outside.add(link)
                elif link not in self.depths:
                    found[link] = min(found.get(link, self.max_depth + 1), self.depths[address] + outcome.hops)
        near = {link: depth for link, depth in found.items() if depth <= self.max_depth}
        self.too_deep |= found.keys() - near.keys()
        self.too_deep -= near.keys()
        self.depths |= near
        self.round = set(near)
        self.limit_round()
        return bool(self.round)

    def num_passages(self) -> int:
        """Return how many addresses only led on: pages of links, and redirects to where we may go."""
        refused = self.refusals()
        return sum(outcome.kind in (PAGE, REDIRECT) and address not in refused for address, outcome in self.outcomes.items())

    def refusals(self) -> dict[str, str]:
        """Return the reason for each address that was known but gave no document, nor led to one."""
        reasons = dict.fromkeys(self.too_deep - self.unasked, f"not asked for: deeper than max_depth {self.max_depth}")
        reasons |= dict.fromkeys(self.unasked, f"not asked for: max_pages {self.max_pages} reached")
        for address, outcome in self.outcomes.items():
            away = [link for link in outcome.links if outcome.kind == REDIRECT and not self.is_allowed(link)]
            if outcome.kind == REFUSED:
                reasons[address] = outcome.reason
            elif away:
                reasons[address] = f"redirects to {away[0]}, outside the allowed domains"
        return reasons
