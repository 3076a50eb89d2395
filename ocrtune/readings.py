"""Read pages that have no reading yet, and hand out the readings of all."""

from collections.abc import Iterable, Mapping

from ocrtune.reading import Page, Reader, Reading
from ocrtune.store import Store, reading_key


def read_pages(reader: Reader, pages: Iterable[Page], store: Store, title: str) -> Mapping[str, tuple[str, Reading]]:
    """Return {page_id: (key, reading)} for all pages, asking the reader only for those not in the store.

    Each reading is kept the moment it comes: a run killed half way has lost the pages in flight alone.
    Images of the same bytes, such as blank pages, are read once.
    A reading that failed (`error`) is returned but not kept, so that the next run tries again.
    """
    from tqdm import tqdm

    pages = list(pages)
    readings: dict[str, tuple[str, Reading]] = {}
    missing: dict[str, list[Page]] = {}
    for page in pages:
        key = reading_key(page, reader.identity)
        found = store.get(key)
        if found is None:
            missing.setdefault(key, []).append(page)
        else:
            readings[page.page_id] = (key, found)
    print(f"{title}: {len(pages)} pages, {len(readings)} in the store, {len(missing)} to read", flush=True)
    if missing:
        with tqdm(total=len(missing), desc=title, unit="page", mininterval=2) as progress:
            for page, reading in reader.read([twins[0] for twins in missing.values()]):
                key = reading_key(page, reader.identity)
                if reading.finish_reason != "error":
                    store.put(key, reading)
                readings |= {twin.page_id: (key, reading) for twin in missing[key]}
                progress.update()
    unread = [page.page_id for page in pages if page.page_id not in readings]
    if unread:
        raise RuntimeError(f"{title}: the reader gave nothing for {len(unread)} pages, the first {unread[0]}")
    return readings
