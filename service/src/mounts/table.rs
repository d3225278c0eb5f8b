//! The mounts of an unsealed server: which path leads where, and the storage of each.

use super::builtin::Builtins;
use super::entry::{Class, Entry};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_clock::Clock;
use strongroom_keystore::{Barrier, Batch, Error, View};
use strongroom_mount::{Backend, Caller, Ctx, MountInfo, Router, TtlLimits};

/// One mount, ready to serve.
pub struct Mount {
    /// As it is stored.
    pub entry: Entry,
    /// As its backend sees it.
    pub info: MountInfo,
    /// What serves it.
    pub backend: Arc<dyn Backend>,
    /// Its routes.
    pub router: Arc<Router>,
    /// Its storage.
    pub view: View,
}

/// All mounts.
pub struct Mounts {
    barrier: Barrier,
    /// The table's rows: `mount/<id>` and `purge/<id>`.
    rows: View,
    builtins: Builtins,
    ttl: TtlLimits,
    clock: Clock,
    /// Sorted by path. No mount lies below another.
    current: RwLock<Arc<[Arc<Mount>]>>,
    /// One change at a time.
    change: tokio::sync::Mutex<()>,
}

/// Why a mount cannot be made or moved: another one is at or above the path (`path is already in use`), or below it.
#[derive(Debug, PartialEq, Eq)]
pub struct InUse(pub String);

impl Mounts {
    /// Reads the table's rows.
    ///
    /// # Errors
    /// Those of the store; a row that cannot be read.
    pub async fn read(rows: &View) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let names = rows.list("mount", after.as_deref(), 256).await?;
            for name in &names {
                if let Some(row) = rows.get(&format!("mount/{name}")).await? {
                    entries.push(Entry::decode(row.value.expose())?);
                }
            }
            match names.last() {
                Some(last) => after = Some(last.clone()),
                None => return Ok(entries),
            }
        }
    }

    /// Makes every mount of the table ready, and finishes removals that were interrupted.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(
        barrier: &Barrier,
        rows: View,
        entries: Vec<Entry>,
        builtins: Builtins,
        ttl: TtlLimits,
        clock: Clock,
    ) -> Result<Self, Error> {
        let mounts = Mounts {
            barrier: barrier.clone(),
            rows,
            builtins,
            ttl,
            clock,
            current: RwLock::new(Arc::new([])),
            change: tokio::sync::Mutex::default(),
        };
        let mut ready = Vec::new();
        for entry in entries {
            match mounts.ready(entry.clone()) {
                Ok(mount) => ready.push(mount),
                Err(error) => tracing::error!(path = entry.path, kind = entry.kind, "a mount is not served: {error}"),
            }
        }
        mounts.replace(ready.clone());
        ready.iter().for_each(|mount| mounts.start(mount));
        mounts.purge_what_was_left().await?;
        Ok(mounts)
    }

    /// The rows that every server has, for a new store.
    ///
    /// # Errors
    /// The random generator's.
    pub fn first(batch: &mut Batch, rows: &View) -> Result<(), Error> {
        for (path, kind, description) in [
            ("sys/", "system", "system endpoints used for control, policy and debugging"),
            ("identity/", "identity", "identity store"),
            ("cubbyhole/", "cubbyhole", "per-token private secret storage"),
            ("auth/token/", "token", "token based credentials"),
        ] {
            let mut entry = Entry::new(path, kind)?;
            entry.description = description.into();
            entry.local = kind == "cubbyhole";
            if entry.class == Class::Auth {
                entry.tuning.token_type = "default-service".into();
            }
            batch.put(rows, &format!("mount/{}", entry.id), &entry.encode());
        }
        Ok(())
    }

    /// The mount that `path` lies in, and the rest of the path.
    pub fn find<'p>(&self, path: &'p str) -> Option<(Arc<Mount>, &'p str)> {
        let mounts = self.current.read();
        // The last that does not come after `path`: no mount lies below another, so none stands between.
        let at = mounts.partition_point(|mount| mount.entry.path.as_str() <= path);
        let mount = mounts.get(at.checked_sub(1)?)?;
        let rest = path.strip_prefix(mount.entry.path.as_str())?;
        Some((mount.clone(), rest))
    }

    /// The mount at exactly `path`.
    pub fn at(&self, path: &str) -> Option<Arc<Mount>> {
        self.all().iter().find(|mount| mount.entry.path == path).cloned()
    }

    /// All, sorted by path.
    pub fn all(&self) -> Arc<[Arc<Mount>]> {
        self.current.read().clone()
    }

    /// The server's limits.
    pub fn ttl(&self) -> TtlLimits {
        self.ttl
    }

    /// Whether something of this kind can be mounted by a request.
    pub fn can_mount(&self, class: Class, kind: &str) -> bool {
        self.builtins.offers(class, kind)
    }

    /// What is at, above or below `path`, and so keeps a mount from being made there.
    pub fn in_use(&self, path: &str) -> Option<InUse> {
        self.in_the_way(path, None)
    }

    /// Mounts `entry`, which is stored before this returns.
    ///
    /// # Errors
    /// `Ok(Err(InUse))` when something is in the way; options that the backend cannot have; those of the store.
    pub async fn enable(&self, entry: Entry) -> Result<Result<(), InUse>, strongroom_mount::Error> {
        let _change = self.change.lock().await;
        if let Some(in_use) = self.in_the_way(&entry.path, None) {
            return Ok(Err(in_use));
        }
        let mount = self.ready(entry)?;
        let mut batch = Batch::new();
        batch.put(&self.rows, &row(&mount.entry), &mount.entry.encode());
        self.rows.commit(batch).await?;
        let mut all = self.all().to_vec();
        all.push(mount.clone());
        self.replace(all);
        self.start(&mount);
        Ok(Ok(()))
    }

    /// Takes a mount away with all its data; nothing where there is none.
    ///
    /// # Errors
    /// Those of the store. Once the mount is gone its data is never served again, whatever fails afterwards.
    pub async fn disable(&self, path: &str) -> Result<(), Error> {
        let _change = self.change.lock().await;
        let Some(mount) = self.at(path) else { return Ok(()) };
        let mut batch = Batch::new();
        batch.delete(&self.rows, &row(&mount.entry));
        batch.put(&self.rows, &format!("purge/{}", mount.entry.id), b"");
        // It makes room.
        batch.press();
        self.rows.commit(batch).await?;
        self.replace(self.all().iter().filter(|held| held.entry.id != mount.entry.id).cloned().collect());
        self.purge(&mount.entry.id, &mount.view).await
    }

    /// Gives a mount other settings, by `edit`, which may refuse. `None` where there is no mount at `path`.
    ///
    /// # Errors
    /// Those of `edit` and of the store; options that the backend does not accept. Nothing is changed then.
    pub async fn tune(
        &self,
        path: &str,
        edit: impl FnOnce(&mut Entry) -> Result<(), strongroom_mount::Error>,
    ) -> Result<Option<()>, strongroom_mount::Error> {
        let _change = self.change.lock().await;
        let Some(mount) = self.at(path) else { return Ok(None) };
        let mut entry = mount.entry.clone();
        edit(&mut entry)?;
        if entry.options == mount.entry.options {
            self.rewrite(self.same(&mount, entry)).await?;
            return Ok(Some(()));
        }
        mount.backend.accepts(entry.options.as_ref().unwrap_or(&BTreeMap::new()))?;
        let changed = self.ready(entry)?;
        self.rewrite(changed.clone()).await?;
        self.start(&changed);
        Ok(Some(()))
    }

    /// Moves a mount. `Ok(None)` where there is none at `from`.
    ///
    /// # Errors
    /// `Ok(Some(Err(InUse)))` when something is in the way; those of the store.
    pub async fn remount(&self, from: &str, to: &str) -> Result<Option<Result<(), InUse>>, Error> {
        let _change = self.change.lock().await;
        let Some(mount) = self.at(from) else { return Ok(None) };
        if let Some(in_use) = self.in_the_way(to, Some(&mount.entry.id)) {
            return Ok(Some(Err(in_use)));
        }
        let entry = Entry { path: to.to_owned(), ..mount.entry.clone() };
        self.rewrite(self.same(&mount, entry)).await?;
        Ok(Some(Ok(())))
    }

    /// The mount with another entry. The backend stays, and with it what it has cached.
    fn same(&self, mount: &Mount, entry: Entry) -> Arc<Mount> {
        Arc::new(Mount {
            info: entry.info(self.ttl),
            entry,
            backend: mount.backend.clone(),
            router: mount.router.clone(),
            view: mount.view.clone(),
        })
    }

    /// Stores a mount that has changed, and serves it.
    async fn rewrite(&self, changed: Arc<Mount>) -> Result<(), Error> {
        let mut batch = Batch::new();
        batch.put(&self.rows, &row(&changed.entry), &changed.entry.encode());
        self.rows.commit(batch).await?;
        let others = self.all().iter().filter(|held| held.entry.id != changed.entry.id).cloned().collect::<Vec<_>>();
        self.replace(others.into_iter().chain([changed]).collect());
        Ok(())
    }

    /// The mount that is at, above or below `path`, other than the one named `but`.
    fn in_the_way(&self, path: &str, but: Option<&str>) -> Option<InUse> {
        let overlaps = |held: &str| path.starts_with(held) || held.starts_with(path);
        let all = self.all();
        let others = all.iter().filter(|mount| Some(mount.entry.id.as_str()) != but);
        others
            .map(|mount| &mount.entry)
            .find(|held| overlaps(&held.path))
            .map(|held| InUse(held.short_path().to_owned()))
    }

    fn ready(&self, entry: Entry) -> Result<Arc<Mount>, strongroom_mount::Error> {
        let none = BTreeMap::new();
        let backend = self.builtins.make(entry.class, &entry.kind, entry.options.as_ref().unwrap_or(&none))?;
        let backend = backend.ok_or_else(|| strongroom_mount::Error::us("nothing here serves this mount"))?;
        let router = Arc::new(Router::new(backend.routes()));
        let storage = entry.storage().ok_or_else(|| strongroom_mount::Error::us("the mount names no storage"))?;
        let view = self.barrier.view(storage);
        Ok(Arc::new(Mount { info: entry.info(self.ttl), entry, backend, router, view }))
    }

    /// Has the backend begin its own work beside requests. It holds on to the store alone, and ends when that is closed.
    fn start(&self, mount: &Arc<Mount>) {
        let (mount, clock) = (mount.clone(), self.clock.clone());
        tokio::spawn(async move {
            let caller = Caller::nobody(None);
            let cx = Ctx { view: &mount.view, caller: &caller, clock: &clock, mount: &mount.info };
            if let Err(error) = mount.backend.start(&cx).await {
                tracing::error!(mount = mount.entry.path, detail = error.detail, "a mount's own work failed: {error}");
            }
        });
    }

    fn replace(&self, mut mounts: Vec<Arc<Mount>>) {
        mounts.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        *self.current.write() = mounts.into();
    }

    async fn purge_what_was_left(&self) -> Result<(), Error> {
        for id in self.rows.list("purge", None, usize::MAX).await? {
            let Some(storage) = Entry::storage_of(&id) else { continue };
            self.purge(&id, &self.barrier.view(storage)).await?;
        }
        Ok(())
    }

    /// Deletes all rows of a storage, then the note that it is to be done.
    async fn purge(&self, id: &str, view: &View) -> Result<(), Error> {
        while !view.list("", None, 1).await?.is_empty() {
            self.empty(view).await?;
        }
        self.rows.delete(&format!("purge/{id}")).await
    }

    /// Deletes the rows that a storage holds now. A directory goes with its last row; it is listed once, since that opens
    /// all of its rows.
    async fn empty(&self, view: &View) -> Result<(), Error> {
        const STEP: usize = 256;
        let mut directories = vec![String::new()];
        while let Some(directory) = directories.pop() {
            let mut rows = Vec::new();
            for name in view.list(&directory, None, usize::MAX).await? {
                let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
                match path.strip_suffix('/') {
                    Some(below) => directories.push(below.to_owned()),
                    None => rows.push(path),
                }
            }
            for step in rows.chunks(STEP) {
                let mut batch = Batch::new();
                for row in step {
                    batch.delete(view, row);
                }
                view.commit(batch).await?;
            }
        }
        Ok(())
    }
}

fn row(entry: &Entry) -> String {
    format!("mount/{}", entry.id)
}
