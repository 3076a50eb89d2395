"""Share a store at a URL that fsspec knows: s3://, gs://, sftp://, memory:// and more.

Such places can't append, and each answer takes a while. So a process writes to its own disk first, and a thread sends
what is new about every second, as an object of its own: `<segment>+<place>.jsonl`. Once a segment's writer is gone, any
later process sends it whole, as `<segment>.jsonl`, and removes its parts. Objects never change, and a record that stands in
two of them is harmless. What others have sent is copied to `shared/<place>/` in the local store, and read there.
"""

import hashlib
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ocrtune.store.segments import SUFFIX, has_writer

PAUSE_S = 1.0  # between two sendings; what a machine that burns down takes with it
LONGEST_PAUSE_S = 60.0  # while the place can't be reached
MAX_PARTS = 64  # of one segment; then they become one
FETCHES = 8  # at once


class Share:
    """The place of a URL, its copy on this machine, and what of ours it has got.

    A place that can't be reached is a `ValueError` at the beginning, for going on would pay for what lies there; later
    it is told once, and what could not be sent waits on the local disk for this run's end or the next.
    """

    def __init__(self, url: str, folder: Path):
        import fsspec

        self.url, self.secret = url, "".join(re.findall(r"//[^/@:]*:([^/@]*)@", url))
        self.folder = folder
        self.copy = folder / "shared" / hashlib.sha256(self.hide(url).encode()).hexdigest()[:12]
        try:
            self.files, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise self.complain(error, "install what it names with `./run uv pip install ...`, or mend the URL") from None
        self.root = self.root.rstrip("/")
        self.sent: dict[Path, int] = {}
        self.parts: dict[Path, list[int]] = {}  # places of the parts of a segment, the last one its end
        self.sending = threading.Lock()
        self.changed = threading.Condition()
        self.thread: threading.Thread | None = None
        self.is_behind = self.has_warned = False

    def hide(self, text: str) -> str:
        """Return a text without the password that the URL may hold."""
        return text.replace(self.secret, "(hidden)") if self.secret else text

    def complain(self, error: Exception, remedy: str) -> ValueError:
        message = self.hide(f"OCRTUNE_STORE={self.url}: {type(error).__name__}: {error}")
        return ValueError(f"{message}; {remedy}")

    def pull(self) -> None:
        """Send what killed processes left behind, then make the copy equal to the place."""
        try:
            self.send_abandoned()
            there = {name: size for name, size in self.list_objects().items() if not self.is_ours(name)}
            here = {path.name: path.stat().st_size for path in self.copy.glob(f"*{SUFFIX}")}
            with ThreadPoolExecutor(FETCHES) as pool:
                list(pool.map(self.fetch, [name for name, size in there.items() if here.get(name) != size]))
            for name in here.keys() - there.keys():
                (self.copy / name).unlink(missing_ok=True)
        except Exception as error:  # each kind of place has errors of its own
            raise self.complain(error, "make it reachable, or unset OCRTUNE_STORE to use the readings of this machine alone") from None

    def list_objects(self) -> dict[str, int]:
        """Return the size of each object at the place by name."""
        self.files.invalidate_cache()
        try:
            found = self.files.ls(self.root, detail=True)
        except FileNotFoundError:
            return {}
        return {item["name"].rsplit("/", 1)[-1]: item["size"] for item in found if item["name"].endswith(SUFFIX)}

    def is_ours(self, name: str) -> bool:
        """Return whether an object is a part of a segment that lies on this machine anyway."""
        return "+" in name and (self.folder / f"{name.partition('+')[0]}{SUFFIX}").exists()

    def fetch(self, name: str) -> None:
        """Copy an object; it appears whole or not at all."""
        self.copy.mkdir(parents=True, exist_ok=True)
        partial = self.copy / f"{name}.{threading.get_ident()}.partial"
        partial.write_bytes(self.files.cat_file(f"{self.root}/{name}"))
        partial.replace(self.copy / name)

    def write(self, name: str, content: bytes) -> None:
        """Write an object."""
        try:
            self.files.pipe_file(f"{self.root}/{name}", content)
        except FileNotFoundError:  # a place with real folders wants them made
            self.files.makedirs(self.root, exist_ok=True)
            self.files.pipe_file(f"{self.root}/{name}", content)

    def remove(self, names: list[str]) -> None:
        """Remove objects, gone ones included."""
        for name in names:
            try:
                self.files.rm_file(f"{self.root}/{name}")
            except FileNotFoundError:
                continue

    def send_abandoned(self) -> None:
        """Send whole the segments that have no writer any more, in place of their parts."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if has_writer(path):
                continue
            try:
                self.write(path.name, path.read_bytes())
                self.remove([name for name in self.list_objects() if name.startswith(f"{path.stem}+")])
                self.copy.mkdir(parents=True, exist_ok=True)
                path.rename(self.copy / path.name)
            except FileNotFoundError:  # another process does the same
                continue

    def replace(self, new: Path | None, old: list[Path]) -> None:
        """Put a segment (None: nothing) in the place of others that are there: the new one first, whole."""
        try:
            if new and old:
                self.write(new.name, new.read_bytes())
                new.replace(self.copy / new.name)
            self.remove([path.name for path in old])
        except Exception as error:  # each kind of place has errors of its own
            raise self.complain(error, "nothing is lost; try again when it can be reached") from None

    def offer(self, path: Path) -> None:
        """Have a thread send what is new in a segment of ours, soon."""
        with self.changed:
            self.sent.setdefault(path, 0)
            self.is_behind = True
            if self.thread is None:
                self.thread = threading.Thread(target=self.send_on, name="share readings", daemon=True)
                self.thread.start()

    def send_on(self) -> None:
        """Send, with pauses, until nothing is new."""
        pause = PAUSE_S
        while True:
            threading.Event().wait(pause)
            pause = PAUSE_S if self.send() else min(2 * pause, LONGEST_PAUSE_S)
            with self.changed:
                if not self.is_behind:
                    self.thread = None
                    return

    def send(self) -> bool:
        """Send what is new; return whether the place took it."""
        with self.sending:
            with self.changed:
                self.is_behind, paths = False, list(self.sent)
            try:
                for path in paths:
                    self.send_part(path)
                return True
            except Exception as error:  # each kind of place has errors of its own
                with self.changed:
                    self.is_behind = True
                if not self.has_warned:
                    print(f"warning: {self.complain(error, 'readings are kept on this machine, and sent later')}", file=sys.stderr)
                self.has_warned = True
                return False

    def send_part(self, path: Path) -> None:
        """Send the complete lines of a segment that are not there yet; many parts become one."""
        start = self.sent[path]
        if not path.is_file():  # tidied up
            del self.sent[path]
            return
        content = read_from(path, start)
        if not content:
            return
        self.write(f"{path.stem}+{start}{SUFFIX}", content)
        self.sent[path] = start + len(content)
        places = self.parts.setdefault(path, [])
        places.append(start)
        if len(places) >= MAX_PARTS:
            whole = read_from(path, places[0])[: self.sent[path] - places[0]]
            self.write(f"{path.stem}+{places[0]}+{len(whole)}{SUFFIX}", whole)
            self.remove([f"{path.stem}+{place}{SUFFIX}" for place in places])
            places.clear()

    def flush(self) -> None:
        """Send what is new, now; say what has to wait for the next run."""
        if not self.send():
            waiting = sum(path.stat().st_size - self.sent[path] for path in list(self.sent) if path.is_file())
            print(f"warning: {waiting} bytes of readings are not at {self.hide(self.url)} yet; the next run sends them", file=sys.stderr)


def read_from(path: Path, start: int) -> bytes:
    """Return a segment's complete lines from a place on."""
    with path.open("rb") as file:
        file.seek(start)
        content = file.read()
    return content[: content.rfind(b"\n") + 1]
