//! Re-encryption in the background: every row that an older term sealed is sealed anew, a full walk proves that none is
//! left, and then the keys of the older terms go out of the keyring. It goes on where it was after a seal or a restart.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_clock::{Clock, Timestamp};
use strongroom_keystore::{Barrier, Error, Progress, Reencryption, Verification, View};

/// Where the record lies in the system's storage.
const PATH: &str = "reencryption";
/// The version byte of the record.
const VERSION: u8 = 1;

/// A job as it is stored (docs/formats/reencryption.md): written when it begins and when it ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// The least term that a row has afterwards.
    pub(crate) term: u32,
    /// Rows in the store when it began.
    pub(crate) rows: u64,
    /// Seconds since 1970.
    pub(crate) started: i64,
    /// How it ended; `None` while it is under way.
    pub(crate) end: Option<End>,
}

/// How a job ended: what the walk over the whole store counted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    /// Seconds since 1970.
    pub(crate) finished: i64,
    /// Rows looked at.
    pub(crate) seen: u64,
    /// Rows sealed anew.
    pub(crate) resealed: u64,
    /// Rows that the walk found, each authenticated.
    pub(crate) rows: u64,
    /// Of those, how many each term sealed.
    pub(crate) terms: BTreeMap<u32, u64>,
    /// What the walk found to be wrong: the log and `sys/integrity/verify` name it.
    pub(crate) problems: u64,
}

impl End {
    /// Rows that a term older than `term` still seals.
    pub(crate) fn left(&self, term: u32) -> u64 {
        self.terms.range(..term).map(|(_, rows)| rows).sum()
    }

    /// Whether the walk found every row sound, and none under an older term.
    pub(crate) fn is_clean(&self, term: u32) -> bool {
        self.problems == 0 && self.left(term) == 0
    }
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Numbers and maps of numbers serialise.
        serde_json::to_writer(&mut bytes, self).expect("a record serialises");
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match bytes {
            [VERSION, json @ ..] => serde_json::from_slice(json)
                .map_err(|error| Error::Format(format!("the record of the re-encryption is damaged: {error}"))),
            _ => Err(Error::Format(
                "the record of the re-encryption has a version that this program does not know".into(),
            )),
        }
    }
}

/// What is known of the job.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// There has been none.
    #[default]
    None,
    /// Rows are being sealed anew.
    Sealing(Record, Option<Progress>),
    /// All have been; the walk runs.
    Proving(Record, Progress),
    /// It ended.
    Ended(Record),
    /// It stopped before its end, for this reason; begun again, it goes on where it was.
    Stopped(Record, String),
}

/// The one job of an open store.
pub(crate) struct Reencryptions {
    barrier: Barrier,
    rows: View,
    clock: Clock,
    job: Arc<Mutex<Job>>,
    starting: tokio::sync::Mutex<()>,
}

impl Reencryptions {
    /// What the store knows of it; nothing runs yet.
    pub(crate) async fn open(barrier: &Barrier, rows: View, clock: Clock) -> Result<Self, Error> {
        let job = match rows.get(PATH).await?.map(|row| Record::decode(row.value.expose())) {
            None => Job::None,
            Some(Ok(record)) if record.end.is_some() => Job::Ended(record),
            Some(Ok(record)) => Job::Stopped(record, "the server was sealed".into()),
            // It is a note about work, and keeps nothing from being served.
            Some(Err(error)) => {
                tracing::error!("{error}: start the re-encryption again");
                Job::None
            }
        };
        let (barrier, job) = (barrier.clone(), Arc::new(Mutex::new(job)));
        Ok(Reencryptions { barrier, rows, clock, job, starting: tokio::sync::Mutex::default() })
    }

    /// How it stands.
    pub(crate) fn job(&self) -> Job {
        self.job.lock().clone()
    }

    /// Whether it is under way.
    pub(crate) fn runs(&self) -> bool {
        matches!(*self.job.lock(), Job::Sealing(..) | Job::Proving(..))
    }

    /// Goes on with a job that a seal or a restart interrupted, also before it had begun: after a rotation of the names key.
    pub(crate) async fn resume(&self) {
        match self.job() {
            Job::Stopped(record, _) => tracing::info!(term = record.term, "the re-encryption goes on where it was"),
            _ if self.barrier.key_status().is_ok_and(|status| status.renaming) && !self.runs() => {
                tracing::info!("rows are renamed after a rotation of the names key");
            }
            _ => return,
        }
        if let Err(error) = self.start().await {
            tracing::error!("the re-encryption does not go on: {error}");
        }
    }

    /// Begins it for the current term, or goes on with one that stopped. Whether it did: not where one runs.
    pub(crate) async fn start(&self) -> Result<bool, Error> {
        let _starting = self.starting.lock().await;
        let job = self.job();
        if matches!(job, Job::Sealing(..) | Job::Proving(..)) {
            return Ok(false);
        }
        let work = self.barrier.reencryption()?;
        let progress = work.progress();
        let record = match job {
            Job::Stopped(record, _) if record.term == progress.term => record,
            _ => {
                let (rows, started) = (self.barrier.integrity()?.rows, self.clock.now().unix());
                let record = Record { term: progress.term, rows, started, end: None };
                self.rows.put(PATH, &record.encode()).await?;
                record
            }
        };
        *self.job.lock() = Job::Sealing(record.clone(), Some(progress));
        let run = run(work, record.clone(), self.rows.clone(), self.clock.clone(), self.job.clone());
        let job = self.job.clone();
        tokio::spawn(async move {
            let stopped = match run.await {
                Ok(()) => return,
                // The next unseal goes on with it.
                Err(Error::Sealed) => "the server was sealed".to_owned(),
                Err(error) => {
                    tracing::error!("the re-encryption stopped: {error}");
                    strongroom_mount::Error::from(error).text.into_owned()
                }
            };
            *job.lock() = Job::Stopped(record, stopped);
        });
        Ok(true)
    }
}

/// The job from here to its end.
async fn run(
    mut work: Reencryption,
    mut record: Record,
    rows: View,
    clock: Clock,
    job: Arc<Mutex<Job>>,
) -> Result<(), Error> {
    while let Some(progress) = work.step().await? {
        *job.lock() = Job::Sealing(record.clone(), Some(progress));
        // Requests come first.
        tokio::task::yield_now().await;
    }
    let progress = work.progress();
    *job.lock() = Job::Proving(record.clone(), progress);
    let walk = tokio::task::spawn_blocking(move || (work.prove(), work));
    let (proof, work) = walk.await.map_err(|_| Error::Poisoned("the walk of the re-encryption panicked".into()))?;
    let proof = proof?;
    let end = end(&proof, progress, clock.now());
    if end.is_clean(record.term) {
        work.retire(&proof).await?;
        tracing::info!(term = record.term, rows = end.rows, "re-encrypted: no row is left under an older term");
    } else {
        tracing::error!(
            left = end.left(record.term),
            problems = end.problems,
            "re-encrypted, and the proof does not hold: the older keys stay; see sys/integrity/verify"
        );
    }
    record.end = Some(end);
    rows.put(PATH, &record.encode()).await?;
    *job.lock() = Job::Ended(record);
    Ok(())
}

fn end(proof: &Verification, progress: Progress, now: Timestamp) -> End {
    End {
        finished: now.unix(),
        seen: progress.seen,
        resealed: progress.resealed,
        rows: proof.rows,
        terms: proof.terms.clone(),
        // The list of problems is cut; what matters here is whether there are any.
        problems: proof.problems.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_keystore::storage::{Op, Table};
    use strongroom_keystore::{Init, MountId, Store};
    use strongroom_secret::key::RootKey;

    const MOUNT: MountId = MountId([7; 16]);
    const SYSTEM: MountId = MountId([8; 16]);
    const ROWS: u64 = 500;

    /// A store whose rows the first term sealed, and the second is current.
    async fn rotated() -> (Store, RootKey, Barrier) {
        let (store, root) = (Store::inmem(), RootKey::generate().unwrap());
        let init = Init { cluster: [1; 16], root: &root, generation: 1, clear_rows: vec![], devices: vec![] };
        let barrier = store.initialise(init).unwrap();
        let view = barrier.view(MOUNT);
        for number in 0..ROWS {
            view.put(&format!("r{number}"), b"value").await.unwrap();
        }
        barrier.rotate().await.unwrap();
        (store, root, barrier)
    }

    async fn open(barrier: &Barrier) -> Reencryptions {
        Reencryptions::open(barrier, barrier.view(SYSTEM), Clock::system()).await.unwrap()
    }

    async fn until(job: &Reencryptions, wanted: impl Fn(&Job) -> bool) -> Job {
        while !wanted(&job.job()) {
            tokio::task::yield_now().await;
        }
        job.job()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_ends_with_a_proof_and_without_the_older_keys() {
        let (_store, _root, barrier) = rotated().await;
        let job = open(&barrier).await;
        assert_eq!(job.job(), Job::None);
        job.resume().await;
        assert_eq!(job.job(), Job::None, "there is nothing to go on with");
        barrier.rotate_names().await.unwrap();
        job.resume().await;
        assert!(job.runs(), "rows are to be renamed");
        let Job::Ended(record) = until(&job, |job| matches!(job, Job::Ended(_) | Job::Stopped(..))).await else {
            panic!("{:?}", job.job())
        };
        let end = record.end.clone().unwrap();
        assert!(end.is_clean(2) && end.left(2) == 0 && end.problems == 0, "{end:?}");
        assert!(end.resealed >= ROWS && end.terms.keys().eq([&2]), "{end:?}");
        let status = barrier.key_status().unwrap();
        assert_eq!((status.terms, status.names, status.renaming), (1, 2, false));
        // It is known after a restart, and can be begun again.
        let again = open(&barrier).await;
        assert_eq!(again.job(), Job::Ended(record));
        assert!(again.start().await.unwrap());
        until(&again, |job| matches!(job, Job::Ended(_))).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_goes_on_where_it_was_after_a_seal() {
        let (store, root, barrier) = rotated().await;
        let job = open(&barrier).await;
        // One step, and then the server is sealed under it.
        let record = Record { term: 2, rows: ROWS, started: 5, end: None };
        job.rows.put(PATH, &record.encode()).await.unwrap();
        let mut work = barrier.reencryption().unwrap();
        let seen = work.step().await.unwrap().unwrap().seen;
        *job.job.lock() = Job::Stopped(record.clone(), String::new());
        barrier.close();
        job.resume().await;
        assert!(matches!(job.job(), Job::Stopped(..)), "sealed is sealed");
        drop((job, work, barrier));

        let barrier = store.unseal(&root).unwrap().confirm(&[]).unwrap().serve(&[]).unwrap();
        assert_eq!(barrier.reencryption().unwrap().progress().seen, seen);
        let job = open(&barrier).await;
        job.resume().await;
        let Job::Ended(ended) = until(&job, |job| matches!(job, Job::Ended(_))).await else { unreachable!() };
        assert_eq!((ended.started, ended.rows), (5, ROWS), "it is the same job");
        assert!(ended.end.unwrap().is_clean(2));
        assert_eq!(barrier.key_status().unwrap().terms, 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn where_the_proof_does_not_hold_the_older_keys_stay() {
        let (store, root, barrier) = rotated().await;
        barrier.close();
        // A row that nobody vouches for: steps do not see it, the walk does.
        let fence = store.storage().lead().unwrap();
        store.storage().commit(fence, &[Op::put(Table::Rows, [9; 32], [1; 64])]).unwrap();
        let barrier = store.unseal(&root).unwrap().confirm(&[]).unwrap().serve(&[]).unwrap();
        let job = open(&barrier).await;
        assert!(job.start().await.unwrap());
        let ended = until(&job, |job| matches!(job, Job::Ended(_) | Job::Stopped(..))).await;
        let Job::Ended(Record { end: Some(end), .. }) = ended else { panic!("{ended:?}") };
        assert!(!end.is_clean(2) && end.problems == 1, "{end:?}");
        assert_eq!(barrier.key_status().unwrap().terms, 2);
    }

    /// The worked example of docs/formats/reencryption.md.
    const EXAMPLE: &str = concat!(
        "\u{1}{\"term\":2,\"rows\":500,\"started\":1800000000,\"end\":{\"finished\":1800000009,\"seen\":503,",
        "\"resealed\":501,\"rows\":503,\"terms\":{\"2\":503},\"problems\":0}}"
    );

    #[test]
    fn the_worked_example_is_read_and_written() {
        let terms = BTreeMap::from([(2, 503)]);
        let end = End { finished: 1_800_000_009, seen: 503, resealed: 501, rows: 503, terms, problems: 0 };
        let record = Record { term: 2, rows: 500, started: 1_800_000_000, end: Some(end) };
        assert_eq!(Record::decode(EXAMPLE.as_bytes()).unwrap(), record);
        assert_eq!(record.encode(), EXAMPLE.as_bytes());
        let document = include_str!("../../docs/formats/reencryption.md");
        assert!(document.contains(&EXAMPLE[1..]), "the document shows another example");
        for wrong in [&b""[..], b"\x02{}", b"\x01{}", b"\x01"] {
            assert!(Record::decode(wrong).is_err());
        }
    }

    #[test]
    fn what_an_older_term_still_seals_is_left() {
        let terms = BTreeMap::from([(1, 3), (2, 4), (3, 5), (4, 6)]);
        let end = End { finished: 0, seen: 0, resealed: 0, rows: 18, terms, problems: 0 };
        assert_eq!((end.left(1), end.left(3), end.is_clean(1), end.is_clean(3)), (0, 7, true, false));
    }
}
