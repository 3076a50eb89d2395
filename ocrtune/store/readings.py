"""Read pages that have no reading yet, within a budget, and hand out the readings of all."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from ocrtune.reading import Page, Reader, Reading
from ocrtune.store.budget import Account, Budget, BudgetError
from ocrtune.store.store import Store, reading_key
from ocrtune.store.tracked_rows import tracked_readings
from ocrtune.workspace import main_root

Retry = Literal["all", "failed", "stale"]
FREE = ("text-layer", "letter-places")  # readers whose readings are not worth looking for anywhere else
UNREAD = Reading("", "unread", "left out by `retry`")


class Readings(Mapping):
    """{page_id: (key, reading)} in the order of the pages, fetched from the store one by one: it needs no memory for texts."""

    def __init__(self, store: Store):
        self.store = store
        self.keys_by_page: dict[str, bytes] = {}
        self.absent: dict[bytes, Reading] = {}  # what the store doesn't give: failures, and pages left out

    def __getitem__(self, page_id: str) -> tuple[str, Reading]:
        key = self.keys_by_page[page_id]
        reading = self.absent.get(key) or self.store.get(key.hex())
        if reading is None:
            raise ValueError(f"{self.store.folder}: the reading of {page_id} was there and is gone; run again, it will be read anew")
        return key.hex(), reading

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys_by_page)

    def __len__(self) -> int:
        return len(self.keys_by_page)


def read_pages(
    reader: Reader, pages: Iterable[Page], store: Store, title: str, budget: Budget | None = None, retry: Retry = "all"
) -> Readings:
    """Return {page_id: (key, reading)} for all pages, asking the reader only for those not in the store.

    Each reading is kept the moment it comes: a run killed half way has lost the pages in flight alone. Images of the same
    bytes, such as blank pages, are read once. Readings that the store lacks are looked for in the rows that DVC tracks.
    A reading that failed (`error`) is returned and noted, and the next run tries again; `retry` tells of the pages without
    a reading which to ask for: all, those that failed before, or those never asked for with this image, prompt,
    model and settings (stale). The others come back as `unread`.
    A budget that is used up is a `BudgetError`; what was read until then is kept.
    """
    store.refresh()
    readings = Readings(store)
    missing: dict[bytes, Page] = {}
    for page in pages:
        key = reading_key(page, reader.identity)
        short = readings.keys_by_page[page.page_id] = bytes.fromhex(key)
        if short not in missing and not store.holds(key):
            missing[short] = page
    if missing and reader.identity["type"] not in FREE:
        take_over(store, missing, reader.identity, title)
    left_out = {key for key in missing if retry != "all" and store.has_failed(key.hex()) != (retry == "failed")}
    in_store = sum(key not in missing for key in readings.keys_by_page.values())
    num_twins = len(readings) - in_store - len(missing)
    print(f"{title}: {len(readings)} pages, {in_store} in the store, {len(missing) - len(left_out)} to read"
          + (f", {num_twins} the same images as these" if num_twins else "")
          + (f", {len(left_out)} left out (retry: {retry})" if left_out else "")
          + (f"; {len(store.damaged)} damaged entries are read again" if store.damaged else ""), flush=True)
    readings.absent |= dict.fromkeys(left_out, UNREAD)
    wanted = {key: page for key, page in missing.items() if key not in left_out}
    if wanted:
        ask(reader, wanted, readings, title, budget or Budget())
    return readings


def take_over(store: Store, missing: dict[bytes, Page], identity: dict, title: str) -> None:
    """Put into the store what the rows of dvc.lock, in the workspace or in HEAD, hold of the missing pages."""
    count = 0
    for key, reading, _ in tracked_readings(main_root(), [None, "HEAD"]):
        if missing.pop(bytes.fromhex(key), None):
            store.put(key, reading, identity)
            count += 1
            if not missing:
                break
    if count:
        store.flush()
        print(f"{title}: {count} readings found in the rows that DVC tracks", flush=True)


def ask(reader: Reader, wanted: dict[bytes, Page], readings: Readings, title: str, budget: Budget) -> None:
    """Have the reader read what is wanted, round by round, as far as the budget goes."""
    from tqdm import tqdm

    store = readings.store
    account = Account(budget, reader, store)
    if estimate := account.estimate(len(wanted)):
        print(f"  {estimate}", flush=True)
    try:
        with tqdm(total=len(wanted), desc=title, unit="page") as progress:
            for admitted in account.rounds(wanted.values()):
                for page, reading in reader.read(admitted):
                    key = reading_key(page, reader.identity)
                    store.put(key, reading, reader.identity)
                    account.charge(page, reading)
                    if reading.finish_reason == "error":
                        readings.absent[bytes.fromhex(key)] = reading
                    progress.update()
    finally:
        store.flush()
        account.log()
    print(f"{title}: {account.summary()}", flush=True)
    if account.held:
        again = "What was read is kept: run again for the next pages, or raise the budget" if budget.pages else "Raise the budget"
        raise BudgetError(f"{title}: {budget.name} ({budget}) {account.shortage()}: {account.num_read} of {len(wanted)} pages read, "
                          f"{len(wanted) - account.num_read} to go. {again}")
