//! What anybody may see: `sys/seal-status` and `sys/seal-tree`.

use super::{Custody, SHARES_WAIT};
use strongroom_clock::Timestamp;
use strongroom_unseal::loss::{self, Rollback};
use strongroom_unseal::{Kind, Tree};

/// `sys/seal-status`, as far as custody knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealStatus {
    /// `shamir`, `pkcs11`, …; `multiseal` for a tree of several leaves.
    pub kind: &'static str,
    /// Whether there is anything to open.
    pub initialised: bool,
    /// Whether it is closed.
    pub sealed: bool,
    /// Shares needed: of the custodians, else of the recovery keys.
    pub threshold: u8,
    /// Shares dealt.
    pub shares: u8,
    /// Shares entered.
    pub progress: u8,
    /// Names the attempt while shares are entered; empty otherwise.
    pub nonce: String,
    /// Whether devices alone open it and shares only authorise.
    pub recovery_seal: bool,
    /// What an operator should know.
    pub warnings: Vec<String>,
    /// The cluster's id, once there is one. Untrusted while sealed.
    pub cluster: Option<[u8; 16]>,
    /// The store's epoch. Untrusted while sealed.
    pub epoch: Option<u64>,
    /// The four words of the store's state. Untrusted while sealed.
    pub words: Option<[&'static str; 4]>,
    /// How well an old copy of the store is noticed.
    pub rollback: Option<Rollback>,
    /// Why it stays sealed although its root key opens.
    pub refused: Option<String>,
}

/// `sys/seal-tree`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealTree {
    /// The stored expression; before init the configured one.
    pub expression: String,
    /// Whether the root is open.
    pub satisfied: bool,
    /// The generation of the root key.
    pub generation: Option<u32>,
    /// What is still needed, in the words of the expression.
    pub needed: Option<String>,
    /// The leaves in the order of the expression.
    pub leaves: Vec<LeafStatus>,
}

/// One leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafStatus {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether it answers, as far as it was asked.
    pub healthy: Option<bool>,
    /// Whether its part of the root is open.
    pub satisfied: bool,
    /// The latest generation that it holds.
    pub generation: Option<u32>,
    /// When it last opened its part.
    pub last_success: Option<Timestamp>,
    /// What went wrong last; `None` once it has answered again.
    pub last_error: Option<String>,
    /// Who the device is, in words, and its id; empty for custodians.
    pub device: Option<(String, String)>,
    /// Shares entered and needed, for custodians.
    pub shares: Option<(u8, u8)>,
}

impl Custody {
    /// How it stands. Sends nothing to a device.
    pub fn status(&self) -> SealStatus {
        // A store whose rows cannot be read says so through `refused`.
        let unreadable = match self.is_initialised() {
            true => self.read_sealed().err().map(|error| error.public()),
            false => None,
        };
        self.forget_what_waited_too_long();
        let head = self.store.clear_head();
        let state = self.state.lock();
        let waiting = state.sealed.as_ref().filter(|_| state.open.is_none()).and_then(|sealed| sealed.complete);
        let waiting = waiting.map(|since| {
            let until = since.plus(SHARES_WAIT);
            format!(
                "enough shares were entered; they wait until {until} for what else is needed, and are forgotten then"
            )
        });
        let warnings = state.forgotten.iter().chain(&waiting).chain(&state.warnings).cloned().collect();
        let mut status = SealStatus {
            kind: self.configured_type(),
            initialised: self.is_initialised(),
            sealed: state.open.is_none(),
            threshold: 0,
            shares: 0,
            progress: 0,
            nonce: String::new(),
            recovery_seal: !self.expression.names().iter().any(|name| self.kind(name) == Some(Kind::Shamir)),
            warnings,
            cluster: head.as_ref().map(|head| head.cluster),
            epoch: head.as_ref().map(|head| head.epoch),
            words: head.as_ref().map(|head| head.words),
            rollback: None,
            refused: state.refused.clone().or(unreadable),
        };
        if let Some(sealed) = &state.sealed
            && state.open.is_none()
        {
            status.about(&sealed.tree);
            status.nonce = sealed.nonce.clone().unwrap_or_default();
            let entered = sealed.custodians.iter().map(|leaf| leaf.progress().entered);
            status.progress = entered.fold(0, u8::saturating_add);
            if status.recovery_seal {
                let recovery = strongroom_unseal::Recovery::load(&sealed.rows, sealed.cluster).ok().flatten();
                if let Some(shape) = recovery.map(|recovery| recovery.set().shape()) {
                    (status.threshold, status.shares) = (shape.threshold(), shape.shares());
                }
                status.progress = sealed.recovery.as_ref().map_or(0, |gathering| gathering.progress().entered);
            }
        }
        if let Some(open) = &state.open {
            status.about(&open.tree);
            if let Some(shape) = open.recovery.filter(|_| status.recovery_seal) {
                (status.threshold, status.shares) = (shape.threshold(), shape.shares());
            }
        }
        status
    }

    /// The leaves, with what they did last. Sends nothing to a device.
    pub fn tree(&self) -> SealTree {
        let _ = self.read_sealed();
        let state = self.state.lock();
        let stored = state.open.as_ref().map(|open| &open.tree).or(state.sealed.as_ref().map(|sealed| &sealed.tree));
        let Some(tree) = stored else {
            return SealTree {
                expression: self.expression.to_string(),
                satisfied: false,
                generation: None,
                needed: None,
                leaves: Vec::new(),
            };
        };
        let open = state.open.is_some();
        let standing = state.standing.as_ref();
        let leaves = tree.leaves().iter().map(|leaf| {
            let stood = standing.and_then(|standing| standing.leaves.iter().find(|stood| stood.name == leaf.name()));
            let history = state.history.get(leaf.name());
            let health = self.device_of(leaf.name()).and_then(|device| device.health());
            let custodians = (state.sealed.as_ref().filter(|_| !open))
                .and_then(|sealed| sealed.custodians.iter().find(|held| held.set().belongs().leaf == leaf.name()));
            let entered = custodians.map_or(0, |held| held.progress().entered);
            LeafStatus {
                name: leaf.name().to_owned(),
                kind: leaf.kind(),
                healthy: match (stood.and_then(|stood| stood.healthy), health) {
                    (_, Some(health)) if !health.present => Some(false),
                    (None, Some(health)) if health.succeeded > 0 => Some(true),
                    (stood, _) => stood,
                },
                satisfied: stood.is_some_and(|stood| stood.satisfied),
                generation: stood.and_then(|stood| stood.generation),
                last_success: history.and_then(|history| history.last_success),
                last_error: history.and_then(|history| history.last_error.clone()),
                device: stood
                    .filter(|stood| stood.device.0 != [0; 16])
                    .map(|stood| (stood.device_text.clone(), stood.device.to_string())),
                shares: leaf.quorum().map(|shape| (entered, shape.threshold())),
            }
        });
        let leaves = leaves.collect();
        SealTree {
            expression: tree.to_string(),
            satisfied: open,
            generation: standing.map(|standing| standing.generation),
            needed: standing.and_then(|standing| standing.needed.clone()).filter(|_| !open),
            leaves,
        }
    }
}

impl SealStatus {
    /// What the tree itself says.
    fn about(&mut self, tree: &Tree) {
        self.kind = match tree.leaves() {
            [only] => only.kind().name(),
            _ => "multiseal",
        };
        self.recovery_seal = !tree.leaves().iter().any(|leaf| leaf.kind() == Kind::Shamir);
        for shape in tree.leaves().iter().filter_map(|leaf| leaf.quorum()) {
            self.threshold = self.threshold.saturating_add(shape.threshold());
            self.shares = self.shares.saturating_add(shape.shares());
        }
        self.rollback = Some(loss::rollback(tree, &|_, kind| kind.counts()));
    }
}
