//! A device in the service: named threads that make a token's calls, and a watchdog that answers when the token does not.
//!
//! Back-pressure: the queue is bounded and a full one refuses at once. A call that outlives the timeout is answered
//! [`Error::Away`] and marks the device: until that call returns, the device refuses everything at once, so that no
//! thread piles up behind it and no other device notices. A vendor call cannot be cancelled; one that never returns
//! keeps its device away until the process is restarted.

use crate::call::{Call, Slot};
use crate::{
    CounterName, DevicePin, Error, ErrorKind, Hsm, Identity, KeyInfo, KeyName, Limits, MechanismInfo, NewKey, Result,
    Sealed,
};
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use strongroom_secret::SecretBytes;

/// A handle on a device; clones are cheap and share its threads, which end when the last clone is dropped.
#[derive(Clone)]
pub struct Device(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    hsm: Arc<dyn Hsm>,
}

/// How a device is doing, for `sys/seal-tree`, `sys/hsm` and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Neither hung, nor was the last call answered `Away`.
    pub present: bool,
    /// Calls that wait for a thread.
    pub queued: usize,
    /// Calls at the token now, hung ones included.
    pub running: usize,
    /// Calls at the token that outlived their timeout.
    pub hung: usize,
    /// Calls that succeeded since the start.
    pub succeeded: u64,
    /// Calls that failed since the start, by kind.
    pub failed: BTreeMap<ErrorKind, u64>,
    /// The last failure, whether or not calls have succeeded since.
    pub last_error: Option<Error>,
}

impl Device {
    /// Starts the threads of a device. Nothing is sent to the token yet. `name` is the seal's, for threads and messages.
    pub fn start(name: &str, limits: Limits, hsm: Arc<dyn Hsm>) -> Result<Self> {
        let limits = limits.checked()?;
        let state = State {
            queue: VecDeque::new(),
            running: (0..limits.threads).map(|_| None).collect(),
            closed: false,
            health: Health {
                present: true,
                queued: 0,
                running: 0,
                hung: 0,
                succeeded: 0,
                failed: BTreeMap::new(),
                last_error: None,
            },
        };
        let shared = Arc::new(Shared {
            name: name.into(),
            limits,
            state: Mutex::new(state),
            work: Condvar::new(),
            watch: Condvar::new(),
        });
        let device = Device(Arc::new(Handle { shared: shared.clone(), hsm: hsm.clone() }));
        for index in 0..limits.threads {
            let (shared, hsm) = (shared.clone(), hsm.clone());
            spawn(format!("hsm-{name}-{index}"), move || shared.serve(index, &*hsm))?;
        }
        spawn(format!("hsm-{name}-watch"), move || shared.guard())?;
        Ok(device)
    }

    /// The configured name.
    pub fn name(&self) -> &str {
        &self.0.shared.name
    }

    /// Makes any call on the device's threads. A full queue or a hanging device is an error at once.
    pub fn call<T: Send + 'static>(&self, op: impl FnOnce(&dyn Hsm) -> Result<T> + Send + 'static) -> Call<T> {
        let (slot, call) = Slot::new();
        let answer = slot.clone();
        let run = Box::new(move |hsm: &dyn Hsm| {
            let result = op(hsm);
            let error = result.as_ref().err().cloned();
            let answer: Box<dyn FnOnce()> = Box::new(move || {
                slot.fill(result);
            });
            (error, answer)
        });
        self.0.shared.submit(Job { run, answer, submitted: Instant::now() });
        call
    }

    /// See [`Hsm::identity`].
    pub fn identity(&self) -> Call<Identity> {
        self.call(|hsm| hsm.identity())
    }

    /// See [`Hsm::mechanisms`].
    pub fn mechanisms(&self) -> Call<Vec<MechanismInfo>> {
        self.call(|hsm| hsm.mechanisms())
    }

    /// See [`Hsm::keys`].
    pub fn keys(&self) -> Call<Vec<KeyInfo>> {
        self.call(|hsm| hsm.keys())
    }

    /// See [`Hsm::generate_key`].
    pub fn generate_key(&self, new: NewKey) -> Call<KeyInfo> {
        self.call(move |hsm| hsm.generate_key(&new))
    }

    /// See [`Hsm::key`].
    pub fn key(&self, name: KeyName) -> Call<KeyInfo> {
        self.call(move |hsm| hsm.key(&name))
    }

    /// See [`Hsm::seal`].
    pub fn seal(&self, key: KeyName, aad: Vec<u8>, secret: SecretBytes) -> Call<Sealed> {
        self.call(move |hsm| hsm.seal(&key, &aad, &secret))
    }

    /// See [`Hsm::open`].
    pub fn open(&self, key: KeyName, aad: Vec<u8>, sealed: Sealed) -> Call<SecretBytes> {
        self.call(move |hsm| hsm.open(&key, &aad, &sealed))
    }

    /// See [`Hsm::enrol`].
    pub fn enrol(&self, key: KeyName) -> Call<DevicePin> {
        self.call(move |hsm| hsm.enrol(&key))
    }

    /// See [`Hsm::prove`].
    pub fn prove(&self, key: KeyName, pin: DevicePin) -> Call<()> {
        self.call(move |hsm| hsm.prove(&key, &pin))
    }

    /// See [`Hsm::counter_read`].
    pub fn counter_read(&self, counter: CounterName) -> Call<Option<u64>> {
        self.call(move |hsm| hsm.counter_read(&counter))
    }

    /// See [`Hsm::counters`].
    pub fn counters(&self) -> Call<Vec<(CounterName, u64)>> {
        self.call(|hsm| hsm.counters())
    }

    /// See [`Hsm::counter_raise`].
    pub fn counter_raise(&self, counter: CounterName, to: u64) -> Call<()> {
        self.call(move |hsm| hsm.counter_raise(&counter, to))
    }

    /// See [`Hsm::permit_login`]; sends nothing to the token.
    pub fn permit_login(&self) {
        self.0.hsm.permit_login();
    }

    /// How the device is doing. Sends nothing to the token.
    pub fn health(&self) -> Health {
        let state = self.0.shared.state.lock();
        let running = state.running.iter().flatten().count();
        Health { queued: state.queue.len(), running, ..state.health.clone() }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_all();
        self.shared.watch.notify_all();
    }
}

struct Shared {
    name: String,
    limits: Limits,
    state: Mutex<State>,
    work: Condvar,
    watch: Condvar,
}

struct State {
    queue: VecDeque<Job>,
    /// One place per thread.
    running: Vec<Option<Running>>,
    closed: bool,
    health: Health,
}

/// Makes the call; gives how it failed, and what hands out the answer once that is counted.
type Run = Box<dyn FnOnce(&dyn Hsm) -> (Option<Error>, Box<dyn FnOnce()>) + Send>;

struct Job {
    run: Run,
    answer: Arc<dyn Answer>,
    submitted: Instant,
}

struct Running {
    answer: Arc<dyn Answer>,
    started: Instant,
    hung: bool,
}

/// A slot of whatever type, for those who only ever put an error into it.
trait Answer: Send + Sync {
    fn fail(&self, error: Error) -> bool;
    fn is_settled(&self) -> bool;
}

impl<T: Send> Answer for Slot<T> {
    fn fail(&self, error: Error) -> bool {
        self.fill(Err(error))
    }

    fn is_settled(&self) -> bool {
        Slot::is_settled(self)
    }
}

impl Shared {
    fn submit(&self, job: Job) {
        let mut state = self.state.lock();
        let refusal = if state.health.hung > 0 {
            self.hanging()
        } else if state.queue.len() >= self.limits.queue {
            Error::Busy { device: self.name.clone(), queued: state.queue.len() }
        } else {
            state.queue.push_back(job);
            drop(state);
            self.work.notify_one();
            self.watch.notify_one();
            return;
        };
        state.health.count(Some(refusal.clone()));
        drop(state);
        job.answer.fail(refusal);
    }

    /// One thread's life.
    fn serve(&self, index: usize, hsm: &dyn Hsm) {
        while let Some(job) = self.next(index) {
            let answer = job.answer.clone();
            let run = job.run;
            // The token's state is repaired by its own implementation; a panic there may not end the thread.
            let (error, hand_out) = catch_unwind(AssertUnwindSafe(|| run(hsm))).unwrap_or_else(|_| {
                let error = Error::Away(format!("device {}: a call panicked", self.name));
                let told = error.clone();
                (
                    Some(error),
                    Box::new(move || {
                        answer.fail(told);
                    }),
                )
            });
            let mut state = self.state.lock();
            let hung = state.running[index].take().is_some_and(|running| running.hung);
            if hung {
                state.health.hung -= 1;
                tracing::info!(device = %self.name, "a hanging call returned: the device answers again");
            } else {
                state.health.count(error);
            }
            if state.closed {
                // The watchdog may be waiting for this call's deadline, and has nothing else to end for.
                self.watch.notify_one();
            }
            drop(state);
            // Whoever has the answer sees it counted in the device's health.
            hand_out();
        }
    }

    fn next(&self, index: usize) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            match state.queue.pop_front() {
                Some(job) if job.answer.is_settled() => {}
                Some(job) => {
                    let running = Running { answer: job.answer.clone(), started: Instant::now(), hung: false };
                    state.running[index] = Some(running);
                    return Some(job);
                }
                None if state.closed => return None,
                None => self.work.wait(&mut state),
            }
        }
    }

    /// The watchdog's life: sleeps until the next deadline, and answers what is overdue.
    fn guard(&self) {
        let mut state = self.state.lock();
        loop {
            match self.answer_overdue(&mut state) {
                Some(deadline) => drop(self.watch.wait_until(&mut state, deadline)),
                None if state.closed => return,
                None => self.watch.wait(&mut state),
            }
        }
    }

    /// Fails what is overdue, and gives the next deadline. A queued call has waited behind others: the device is busy.
    fn answer_overdue(&self, state: &mut State) -> Option<Instant> {
        let now = Instant::now();
        let timeout = self.limits.timeout;
        for place in 0..state.running.len() {
            let Some(running) = &mut state.running[place] else { continue };
            if running.hung || running.started + timeout > now {
                continue;
            }
            running.hung = true;
            // It may have been answered this moment; the thread has not come back to say so, which it must to go on.
            running.answer.fail(self.hanging());
            state.health.hung += 1;
            let error = self.hanging();
            tracing::warn!(device = %self.name, "{error}");
            state.health.count(Some(error));
        }
        if state.health.hung > 0 {
            for job in std::mem::take(&mut state.queue) {
                job.answer.fail(self.hanging());
                state.health.count(Some(self.hanging()));
            }
        }
        while state.queue.front().is_some_and(|job| job.submitted + timeout <= now) {
            let queued = state.queue.len();
            if let Some(job) = state.queue.pop_front() {
                let error = Error::Busy { device: self.name.clone(), queued };
                job.answer.fail(error.clone());
                state.health.count(Some(error));
            }
        }
        let running = state.running.iter().flatten().filter(|running| !running.hung).map(|running| running.started);
        let queued = state.queue.front().map(|job| job.submitted);
        running.chain(queued).min().map(|since| since + timeout)
    }

    fn hanging(&self) -> Error {
        Error::Away(format!("device {} has not answered a call within {:?}", self.name, self.limits.timeout))
    }
}

impl Health {
    fn count(&mut self, outcome: Option<Error>) {
        match outcome {
            None => {
                self.succeeded += 1;
                self.present = self.hung == 0;
            }
            Some(error) => {
                let kind = error.kind();
                *self.failed.entry(kind).or_default() += 1;
                self.present = self.hung == 0 && (self.present || kind != ErrorKind::Busy) && kind != ErrorKind::Away;
                self.last_error = Some(error);
            }
        }
    }
}

fn spawn(name: String, life: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = std::thread::Builder::new().name(name.clone()).spawn(life);
    spawned.map(drop).map_err(|error| Error::Away(format!("thread {name} cannot be started: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Soft, SoftConfig};
    use std::sync::mpsc;
    use std::time::Duration;
    use strongroom_secret::Key;

    fn soft() -> Arc<Soft> {
        let current_key = Key::from_slice(&[1; 32]).unwrap();
        let config = SoftConfig { current_key_id: "k".into(), current_key, previous: None };
        Arc::new(Soft::new(config).unwrap())
    }

    fn device(limits: Limits) -> Device {
        Device::start("test", limits, soft()).unwrap()
    }

    const PATIENT: Limits = Limits { threads: 1, queue: 2, timeout: Duration::from_secs(600) };
    const HASTY: Limits = Limits { threads: 2, queue: 2, timeout: Duration::from_millis(5) };

    /// A call that stays at the token until the sender is dropped or sends; answers once it is there.
    fn stuck(device: &Device) -> (mpsc::Sender<()>, Call<()>) {
        let (release, held) = mpsc::channel::<()>();
        let (entered, there) = mpsc::channel();
        let call = device.call(move |_| {
            entered.send(()).unwrap();
            let _ = held.recv();
            Ok(())
        });
        there.recv().unwrap();
        (release, call)
    }

    #[test]
    fn calls_are_answered_from_the_device_s_own_named_threads() {
        let device = device(PATIENT);
        let key = soft().current();
        let sealed = device.seal(key.clone(), b"a".to_vec(), SecretBytes::from_slice(b"root")).wait().unwrap();
        assert!(device.open(key.clone(), b"a".to_vec(), sealed).wait().unwrap().same_as(b"root"));
        let pin = device.enrol(key.clone()).wait().unwrap();
        device.prove(key.clone(), pin).wait().unwrap();
        assert_eq!(device.identity().wait().unwrap().model, "static");
        assert_eq!(device.keys().wait().unwrap().len(), 1);
        assert_eq!(device.key(key).wait().unwrap().label, "k");
        assert_eq!(device.mechanisms().wait().unwrap().len(), 1);
        let name = device.call(|_| Ok(std::thread::current().name().map(String::from))).wait().unwrap();
        assert_eq!(name.as_deref(), Some("hsm-test-0"));
        assert!(matches!(device.counter_read(CounterName([0; 16])).wait(), Err(Error::Unsupported(_))));
        let health = device.health();
        assert!(health.present);
        assert_eq!(health.failed.get(&ErrorKind::Unsupported), Some(&1));
    }

    #[test]
    fn a_full_queue_refuses_at_once_and_the_waiting_calls_are_made() {
        let device = device(PATIENT);
        let (release, call) = stuck(&device);
        let waiting = [device.identity(), device.identity()];
        let refused = device.identity().wait();
        assert_eq!(refused, Err(Error::Busy { device: "test".into(), queued: 2 }));
        assert!(device.health().present, "a busy device is not away");
        assert_eq!((device.health().queued, device.health().running), (2, 1));
        drop(release);
        call.wait().unwrap();
        for call in waiting {
            call.wait().unwrap();
        }
    }

    #[test]
    fn a_hanging_call_is_answered_marks_the_device_and_holds_up_no_other() {
        let device = device(HASTY);
        let other = Device::start("other", PATIENT, soft()).unwrap();
        let (release, call) = stuck(&device);
        assert!(matches!(call.wait(), Err(Error::Away(text)) if text.contains("test") && text.contains("5ms")));
        assert!(matches!(device.identity().wait(), Err(Error::Away(_))));
        let health = device.health();
        assert_eq!((health.present, health.hung, health.running, health.queued), (false, 1, 1, 0));
        other.identity().wait().unwrap();
        drop(release);
        while device.health().hung > 0 {
            std::thread::yield_now();
        }
        device.identity().wait().unwrap();
        assert!(device.health().present);
    }

    #[test]
    fn what_waits_behind_a_hanging_call_is_answered_too() {
        let device = device(Limits { threads: 1, ..HASTY });
        let (release, first) = stuck(&device);
        let second = device.identity();
        assert!(matches!(first.wait(), Err(Error::Away(_))));
        assert!(matches!(second.wait(), Err(Error::Away(_) | Error::Busy { .. })));
        drop(release);
    }

    #[test]
    fn a_panic_is_an_error_and_the_thread_lives_on() {
        let device = device(PATIENT);
        let call = device.call::<()>(|_| panic!("on purpose"));
        assert!(matches!(call.wait(), Err(Error::Away(text)) if text.contains("panicked")));
        device.identity().wait().unwrap();
    }

    #[test]
    fn a_call_given_up_before_its_turn_is_not_made() {
        let device = device(PATIENT);
        let (release, call) = stuck(&device);
        let (made, seen) = mpsc::channel();
        drop(device.call(move |_| made.send(()).map_err(|_| Error::Rejected)));
        drop(release);
        call.wait().unwrap();
        device.identity().wait().unwrap();
        assert!(seen.try_recv().is_err());
    }

    #[test]
    fn the_threads_end_with_the_last_handle() {
        struct Watched(Arc<Soft>, #[expect(dead_code, reason = "its drop is the signal")] mpsc::Sender<()>);
        let (alive, ended) = mpsc::channel();
        let watched = Arc::new(Watched(soft(), alive));
        let device = Device::start("test", PATIENT, watched.0.clone()).unwrap();
        let weak = Arc::downgrade(&device.0.shared);
        let call = device.call(move |_| {
            drop(watched);
            Ok(())
        });
        call.wait().unwrap();
        assert!(ended.recv().is_err());
        drop(device);
        while weak.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}
