"""Whether the checkpoints of a journal say what its entries say: all entries are folded once, and compared at each."""

from collections import deque

from pipeline import layout
from pipeline.errors import DamagedError, MissingError
from pipeline.first_few import first_few
from pipeline.journal.checkpoints import Checkpoint, Checkpoints
from pipeline.journal.entries import Entry
from pipeline.journal.folding import Summed, folded, linked
from pipeline.journal.pages import Pages
from pipeline.journal.past import NO_PAST, Past
from pipeline.storage.bucket import Bucket

# Entries that wait to be folded together.
_BATCH = 256
_NAMED = 5


class VerifiedCheckpoints:
    """Compares the checkpoints of a model with the entries, which are given one after the other, from the first on.

    The checkpoints are listed when this is made, so one that is written later is not compared.

    Attributes:
        compared: how many checkpoints were compared.
        wrong: sentences on what makes decisions wrong: entries that were changed, checkpoints that commands use.
        harmless: sentences on checkpoints whose damage cannot make a decision wrong.
        compared_until: a changed word is noticed in the entries up to this one: that of the newest checkpoint that
            stands for an entry as it is now. 0 if there is none.
    """

    def __init__(self, bucket: Bucket, model: str) -> None:
        self.compared = 0
        self.wrong: list[str] = []
        self.harmless: list[str] = []
        self.compared_until = 0
        self._model = model
        self._checkpoints = Checkpoints(bucket, model)
        self._left = deque(self._checkpoints.names())
        self._past: Past = NO_PAST
        # The pages of that, packed, by their digest.
        self._pages: dict[str, bytes] = {}
        self._waiting: list[Summed] = []
        # The chain that a checkpoint gave which is not that of the entries, continued. So a change is reported once.
        self._other_chain: str | None = None
        # Those that stand for another entry than the journal has now: the numbers of the entries, and their keys.
        self._of_others: list[tuple[int, str]] = []
        self._checked_pages: set[tuple[str, str]] = set()

    def add(self, entry: Entry, sha256: str) -> None:
        """Compare the checkpoints of the next entry, which has this SHA-256."""
        self._waiting.append((entry, sha256))
        if self._other_chain is not None:
            self._other_chain = linked(self._other_chain, sha256)
        if len(self._waiting) >= _BATCH:
            self._fold()
        while self._left and self._left[0][0] <= entry.seq:
            self._compare(*self._left.popleft(), sha256=sha256)

    def end(self, last: int) -> None:
        """Say what only the end shows, where the journal ends with entry `last`."""
        for seq, key in self._of_others:
            self._judge_other(seq, key)
        later = [layout.journal_checkpoint(self._model, *each) for each in self._left if each[0] > last]
        if later:
            self.wrong.append(
                f"the journal ends with entry {last}, and there are checkpoints of later entries: "
                f"{first_few(later, _NAMED)}. Entries are lost: restore them from a backup. Only if this journal was "
                f"begun anew on purpose, delete the folder {layout.journal_checkpoints(self._model)}"
            )
        cut_off = len(self._left) - len(later)
        if cut_off:
            after = self._past.seq + len(self._waiting)
            those = "1 checkpoint was" if cut_off == 1 else f"{cut_off} checkpoints were"
            self.harmless.append(
                f"{those} not compared, because entry {after + 1} cannot be read. Repair that first, then check again"
            )

    def _judge_other(self, seq: int, key: str) -> None:
        """One of a journal that was lost and written again is left beside newer ones. Otherwise its entry is wrong."""
        if seq <= self.compared_until:
            self.harmless.append(
                f"{key} stands for another entry {seq} than the journal has now. No command uses it. Compare entry "
                f"{seq} with a backup; if the entry is right, delete the checkpoint"
            )
        else:
            self.wrong.append(
                f"entry {seq} is not the one for which {key} was written: the entry was changed, or entries were lost "
                f"and written again. Compare entry {seq} with a backup, and restore it if it was changed. If the "
                f"journal is right, delete {key}"
            )

    def _fold(self) -> None:
        past = folded(self._past, self._waiting)
        # As if its pages were stored: only what changes later is packed again.
        digests, changed = past.pages.contents()
        packed = self._pages | {digest: content for (_, digest), content in changed.items()}
        self._pages = {digest: packed[digest] for digest in digests.values()}
        self._past = Past(
            seq=past.seq,
            chain=past.chain,
            last=past.last,
            facts=past.facts,
            pages=Pages(digests, lambda _, digest: self._pages[digest]),
            source=past.source,
        )
        self._waiting = []

    def _compare(self, seq: int, digest: str, *, sha256: str) -> None:
        key = layout.journal_checkpoint(self._model, seq, digest)
        try:
            found = self._checkpoints.read(seq, digest)
        except MissingError:
            return  # deleted since it was listed
        except DamagedError as error:
            self.compared += 1
            self.harmless.append(f"{error}. No command uses it. Delete it")
            return
        self.compared += 1
        if found.sha256 != sha256:
            self._of_others.append((seq, key))
            return
        self._fold()
        if self._is_linked(found, seq):
            self._compare_facts(found, key)
        self._compare_pages(found, key)
        self.compared_until = seq

    def _is_linked(self, found: Checkpoint, seq: int) -> bool:
        """Whether a checkpoint was made from the entries as they are now."""
        if found.chain == self._past.chain:
            return True
        if found.chain != self._other_chain:
            self._other_chain = found.chain
            self.wrong.append(
                f"an entry from {self.compared_until + 1} to {seq} was changed after the checkpoint of entry {seq} was "
                f"written: the digests of the entries differ. Compare these entries with a backup, and restore what "
                f"was changed. If none was, delete the folder {layout.journal_checkpoints(self._model)}"
            )
        return False

    def _compare_facts(self, found: Checkpoint, key: str) -> None:
        digests, _ = self._past.pages.contents()
        if found.facts != self._past.facts or found.pages != digests:
            self.wrong.append(
                f"{key} does not say what the entries say, and commands use it. Delete the folder "
                f"{layout.journal_checkpoints(self._model)} now: a command that writes makes a new checkpoint"
            )

    def _compare_pages(self, found: Checkpoint, key: str) -> None:
        new = found.pages.items() - self._checked_pages
        self._checked_pages |= new
        bad = self._checkpoints.bad_pages(sorted(new))
        if bad:
            self.harmless.append(
                f"{key} has pages that are missing or damaged: {first_few(bad, _NAMED)}. Commands read the entries "
                f"instead, which takes longer. Delete the folder {layout.journal_checkpoints(self._model)}: a command "
                f"that writes makes a new checkpoint"
            )
