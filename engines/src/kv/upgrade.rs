//! From version 1 to version 2: every secret becomes the first version of its path.

use super::row::{Config, Metadata, Plain, State, Version};
use super::shelf::{ATTEMPTS, CONFIG, busy, commit, place};
use strongroom_clock::Timestamp;
use strongroom_keystore::{Batch, View};
use strongroom_mount::Error;

/// Secrets, and bytes of them, that are moved in one commit.
const STEP: (usize, usize) = (64, 1 << 20);

/// Notes that the mount is of version 2. One that holds nothing is ready at once; another waits for [`go_on`].
pub(super) async fn begin(view: &View) -> Result<(), Error> {
    let mut batch = Batch::new();
    // From here on version 1 cannot write any more, so that what is found below stays all there is.
    batch.expect(view, CONFIG, None).put(view, CONFIG, &Config::new(State::Upgrading).encode());
    // Who came first has noted it too.
    commit(view, batch).await?;
    if view.list("s", None, 1).await?.is_empty() {
        end(view).await?;
    }
    Ok(())
}

/// Moves up to `most` secrets; all of them, and the mount is ready. Nothing where no upgrade has begun.
pub(super) async fn go_on(view: &View, now: Timestamp, mut most: usize) -> Result<(), Error> {
    let state = view.get(CONFIG).await?.map(|row| Config::decode(row.value.expose())).transpose()?;
    if state.is_none_or(|config| config.state == State::Ready) {
        return Ok(());
    }
    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        let mut secrets = Vec::new();
        for name in view.list(&format!("s/{directory}"), None, usize::MAX).await? {
            let path = format!("{directory}{name}");
            if name.ends_with('/') { directories.push(path) } else { secrets.push(path) }
        }
        let mut rest = &secrets[..];
        while !rest.is_empty() {
            if most == 0 {
                return Ok(());
            }
            let moved = step(view, now, &rest[..rest.len().min(most)]).await?;
            rest = &rest[moved..];
            most -= moved;
        }
    }
    end(view).await
}

/// Moves the first of these secrets in one commit; how many.
async fn step(view: &View, now: Timestamp, paths: &[String]) -> Result<usize, Error> {
    for _ in 0..ATTEMPTS {
        let (mut batch, mut bytes, mut moved) = (Batch::new(), 0, 0);
        for path in paths.iter().take(STEP.0) {
            let old = format!("s/{path}");
            let Some(row) = view.get(&old).await? else {
                // Moved by somebody else.
                moved += 1;
                continue;
            };
            let data = Plain::decode(row.value.expose())?;
            bytes += data.len();
            if moved > 0 && bytes > STEP.1 {
                break;
            }
            let id = strongroom_secret::random::array().map_err(strongroom_keystore::Error::from)?;
            let metadata = Metadata { current: 1, ..Metadata::new(id, now) };
            let version = Version { destroyed: false, created: now, deleted: None, data };
            batch.expect(view, &old, Some(row.version)).delete(view, &old);
            batch.expect(view, &place(path), None).put(view, &place(path), &metadata.encode());
            batch.put(view, &metadata.version_row(1), &version.encode());
            moved += 1;
        }
        if batch.is_empty() || commit(view, batch).await? {
            return Ok(moved);
        }
    }
    Err(busy())
}

/// Notes that nothing of version 1 is left.
async fn end(view: &View) -> Result<(), Error> {
    let Some(row) = view.get(CONFIG).await? else { return Ok(()) };
    let config = Config::decode(row.value.expose())?;
    if config.state == State::Ready {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.expect(view, CONFIG, Some(row.version));
    batch.put(view, CONFIG, &Config { state: State::Ready, ..config }.encode());
    // Who came first has ended it too.
    commit(view, batch).await.map(drop)
}
