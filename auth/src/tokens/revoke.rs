//! Revocation: a token goes with all its descendants, or alone.
//!
//! A token that has had children is first marked, in a commit of its own: from then on it is refused and can have no new
//! children. Then its descendants go, leaf first, and it goes last. The mark lies in a bucket that is due, so that what
//! an interruption leaves behind is finished by [`TokenStore::expire_due`]. All of it goes through on a full disk.

use strongroom_keystore::{Batch, Version};

use super::id::TokenKey;
use super::store::{MARK, TokenStore};
use super::token::{State, Token};
use crate::Error;

/// Children that one commit takes away.
const PAGE: usize = 256;

impl TokenStore {
    /// Revokes a token and all its descendants. What is not there is revoked already: `false`.
    ///
    /// When it returns, no request with any of them is admitted any more.
    pub async fn revoke(&self, key: TokenKey) -> Result<bool, Error> {
        self.leave(key, State::Leaving).await
    }

    /// Revokes a token alone: its children become orphans.
    pub async fn revoke_orphan(&self, key: TokenKey) -> Result<bool, Error> {
        self.leave(key, State::LeavingAlone).await
    }

    async fn leave(&self, key: TokenKey, state: State) -> Result<bool, Error> {
        loop {
            let Some((token, version)) = self.row(key).await? else { return Ok(false) };
            let mut batch = Batch::new();
            if !token.may_have_children {
                self.remove(&mut batch, &token, version);
            } else if token.state == State::Live {
                self.rewrite(&mut batch, &token, version, &self.leaving(&token, state));
            }
            batch.press();
            match self.commit(batch).await {
                Ok(()) if token.may_have_children => {
                    let mut all = usize::MAX;
                    self.prune(key, &mut all).await?;
                    return Ok(true);
                }
                Ok(()) => return Ok(true),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn leaving(&self, token: &Token, state: State) -> Token {
        Token { state, due: Some(self.clock.now()), ..token.clone() }
    }

    /// Takes away a token that is due and, unless it goes alone, its descendants, until all are gone or `left` is used up.
    ///
    /// A walk with its own stack: trees are as deep as their makers like.
    pub(super) async fn prune(&self, root: TokenKey, left: &mut usize) -> Result<(), Error> {
        let mut stack = vec![root];
        let mut page = PAGE;
        while let Some(&top) = stack.last() {
            if *left == 0 {
                return Ok(());
            }
            match self.prune_step(top, page.min(*left)).await {
                Ok(Step::Gone { removed }) => {
                    *left = left.saturating_sub(removed);
                    stack.pop();
                    page = PAGE;
                }
                Ok(Step::Deeper { removed, parents }) => {
                    *left = left.saturating_sub(removed);
                    stack.extend(parents);
                    page = PAGE;
                }
                // Somebody changed one of those that were read. Fewer at a time meet fewer changes.
                Err(error) if error.is_conflict() => page = (page / 2).max(1),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn prune_step(&self, top: TokenKey, page: usize) -> Result<Step, Error> {
        let Some((token, version)) = self.row(top).await? else { return Ok(Step::Gone { removed: 0 }) };
        let mut batch = Batch::new();
        if token.state == State::Live && token.may_have_children {
            // It expired, or went with its parent: no new children from here on.
            self.rewrite(&mut batch, &token, version, &self.leaving(&token, State::Leaving));
            batch.press();
            self.commit(batch).await?;
            return Ok(Step::Deeper { removed: 0, parents: vec![] });
        }
        let children = self.parents.dir(&top.name());
        let names = children.list("", None, page).await?;
        let mut parents = Vec::new();
        let mut removed = 0;
        for name in &names {
            let key = TokenKey::parse(name).ok_or(Error::StoredToken("a parent's directory names what is no token"))?;
            match self.row(key).await? {
                Some((child, version)) if child.parent == Some(top) => {
                    if token.state == State::LeavingAlone {
                        self.rewrite(&mut batch, &child, version, &Token { parent: None, ..child.clone() });
                        batch.delete(&children, name);
                    } else if child.may_have_children {
                        parents.push(key);
                    } else {
                        self.remove(&mut batch, &child, version);
                        removed += 1;
                    }
                }
                _ => {
                    batch.delete(&children, name);
                }
            }
        }
        let last = names.len() < page && parents.is_empty() && removed < page;
        if last {
            self.remove(&mut batch, &token, version);
            removed += 1;
        }
        batch.press();
        self.commit(batch).await?;
        Ok(if last { Step::Gone { removed } } else { Step::Deeper { removed, parents } })
    }

    /// Enters a child with its parent, in the commit that makes it: the parent must be as it was read.
    pub(super) fn adopt(&self, batch: &mut Batch, parent: &Token, version: Version, child: TokenKey) {
        if parent.may_have_children {
            batch.expect(&self.ids, &parent.key.name(), Some(version));
        } else {
            self.rewrite(batch, parent, version, &Token { may_have_children: true, ..parent.clone() });
        }
        batch.put(&self.parents.dir(&parent.key.name()), &child.name(), MARK);
    }
}

enum Step {
    /// The token is gone.
    Gone { removed: usize },
    /// There is more below it: these first.
    Deeper { removed: usize, parents: Vec<TokenKey> },
}
