//! The sweep: what the journal holds is moved into the tree, in runs (`docs/decisions/0011-journal.md`).

use super::draft::Draft;
use crate::Error;
use crate::format::journal::{self, ENTRIES};
use crate::format::names::RowKey;
use crate::index::Update;
use crate::storage::{Op, Table};

impl Draft<'_> {
    /// Moves changes from the journal into the tree, in the order of their keys, when the journal is long enough.
    ///
    /// Policy, not format: in runs of [`RUN`] or more, so that neighbours share pages; all that is above the limit; faster
    /// when the journal has more pages than a limit's worth of rounds, and everything at twice that.
    ///
    /// On a `full` disk, what can wait, waits.
    pub(super) fn flush(&mut self, full: bool) -> Result<(), Error> {
        let limit = self.shared.options.journal_entries;
        let most_pages = (limit * 4 / ENTRIES + 16) as u64;
        let pages = self.head.last + 1 - self.head.first;
        let above = self.overlay.len().saturating_sub(limit);
        let n = match pages {
            pages if pages > 2 * most_pages => self.overlay.len(),
            pages if pages > most_pages && !full => above.max(self.overlay.len() / 8 + RUN),
            _ if above >= RUN && !full => above,
            _ => return Ok(()),
        };
        match self.sweep(n, pages > 2 * most_pages) {
            // A node that does not verify must not stop writes elsewhere while the journal has room.
            Err(error @ Error::Integrity { .. }) if pages <= 4 * most_pages => {
                self.shared.alarm(&error);
                Ok(())
            }
            other => other,
        }
    }

    /// Moves up to `n` changes, from the cursor on; `twice` goes round until the journal is empty.
    fn sweep(&mut self, n: usize, twice: bool) -> Result<(), Error> {
        let (mut overlay, mut head) = (self.overlay.clone(), self.head.clone());
        let mut update = Update::new(self.tree());
        let mut gone = Vec::new();
        let (mut left, mut rounds) = (n, if twice { 2 } else { 1 });
        while rounds > 0 {
            let run = overlay.take(&head.cursor, left);
            update.apply(&run)?;
            left -= run.len();
            let next = run.last().and_then(|(key, _)| key.next());
            match next {
                Some(next) if left == 0 && overlay.from(&next).next().is_some() => {
                    head.cursor = next;
                    break;
                }
                _ => {
                    // Once round: whatever the pages up to the mark held lies in the tree now.
                    gone.extend(head.first..=head.mark);
                    (head.first, head.mark, head.cursor) = (head.mark + 1, head.last, RowKey::FIRST);
                    rounds -= 1;
                }
            }
        }
        let (root, grown, ops) = update.finish();
        head.root = root;
        head.rows = head.rows.saturating_add_signed(grown);
        // A page that was begun in this very commit may go in it too.
        self.ops
            .retain(|op| op.table != Table::Journal || gone.iter().all(|page| op.key != journal::storage_key(*page)));
        let gone_last = gone.contains(&self.head.last);
        self.ops.extend(gone.iter().map(|page| Op::delete(Table::Journal, journal::storage_key(*page))));
        self.ops.extend(ops);
        if self.page_dirty && gone_last {
            let bytes = self.page.encode();
            head.last_mac = self.page_mac(head.last, &bytes);
            self.page_dirty = false;
        }
        (self.overlay, self.head) = (overlay, head);
        Ok(())
    }
}

/// The least number of changes that are moved at a time.
pub(crate) const RUN: usize = 32;
