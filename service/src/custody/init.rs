//! The first act: a root key is made, dealt over the tree, and the store begins.
//!
//! Everything is checked before anything is stored, so that no mistake of a caller leaves a store behind that nobody can
//! open.

use super::{Custody, Error, OpenState};
use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_keystore as keystore;
use strongroom_keystore::Barrier;
use strongroom_secret::key::RootKey;
use strongroom_secret::{SecretBytes, random};
use strongroom_unseal::loss::{self, Rollback};
use strongroom_unseal::share_set::Belongs;
use strongroom_unseal::{Custodians, Dealing, Kind, Leaf, QuorumShape, Recovery, Row, Rows, Seal, Tree};

/// What `sys/init` was given. Zero and nothing are the same, as for Vault.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct InitRequest {
    /// Shares of the custodians' leaf.
    pub secret_shares: i64,
    /// How many of them open it.
    pub secret_threshold: i64,
    /// PGP keys to encrypt them to.
    pub pgp_keys: Vec<String>,
    /// Recovery keys.
    pub recovery_shares: i64,
    /// How many of them authorise.
    pub recovery_threshold: i64,
    /// PGP keys to encrypt them to.
    pub recovery_pgp_keys: Vec<String>,
    /// A PGP key to encrypt the root token to.
    pub root_token_pgp_key: String,
}

/// What came of it. The shares exist nowhere else.
pub struct Initialised {
    /// The open store.
    pub barrier: Barrier,
    /// Whether devices alone opened the tree: the store stays open. Otherwise close it with [`Custody::close`] when the
    /// root token has been made, as Vault's clients expect.
    pub stays_open: bool,
    /// The custodians' shares, leaf by leaf in the order of the expression.
    pub keys: Vec<SecretBytes>,
    /// Who is to hold each of `keys`.
    pub holders: Vec<String>,
    /// The recovery keys.
    pub recovery_keys: Vec<SecretBytes>,
    /// What an operator should know, one text each.
    pub warnings: Vec<String>,
}

/// A request that fits the tree.
struct Plan {
    tree: Tree,
    recovery: Option<QuorumShape>,
}

impl Custody {
    /// Makes a root key, deals it and begins the store.
    ///
    /// # Errors
    /// [`Error::Request`] in Vault's words where the request does not fit the tree; [`Error::Away`] where the devices at
    /// hand do not open the tree. Nothing is stored then.
    pub async fn initialise(&self, request: &InitRequest) -> Result<Initialised, Error> {
        let _act = self.act.lock().await;
        if self.store.is_initialised() {
            return Err(Error::AlreadyInitialised);
        }
        let Plan { tree, recovery } = self.plan(request)?;

        let cluster = *uuid::Builder::from_random_bytes(random::array()?).into_uuid().as_bytes();
        let root = RootKey::generate()?;
        let (mut custodians, mut keys, mut holders) = (Vec::new(), Vec::new(), Vec::new());
        for leaf in tree.leaves() {
            let Some(shape) = leaf.quorum() else { continue };
            let names: Vec<String> = (1..=shape.shares()).map(|number| format!("{} {number}", leaf.name())).collect();
            let belongs = Belongs { cluster, generation: FIRST, leaf: leaf.name().to_owned() };
            let (dealt, shares) = Custodians::deal(belongs, shape.threshold(), &names)?;
            custodians.push(Arc::new(dealt));
            keys.extend(shares);
            holders.extend(names);
        }
        let mut leaves: Vec<&dyn Leaf> = self.devices.iter().map(|device| &**device as &dyn Leaf).collect();
        leaves.extend(custodians.iter().map(|leaf| &**leaf as &dyn Leaf));
        let enrolled = BTreeMap::new();
        let dealing = Dealing { cluster, generation: FIRST, tree: &tree, leaves: &leaves, enrolled };
        let dealt = dealing.deal(&root).await?;
        let mut rows: Vec<Row> = dealt.rows;
        let mut recovery_keys = Vec::new();
        if let Some(shape) = recovery {
            let names: Vec<String> = (1..=shape.shares()).map(|number| format!("recovery {number}")).collect();
            let (verifier, shares) = Recovery::deal(cluster, FIRST, shape.threshold(), &names)?;
            rows.push(verifier.row());
            recovery_keys = shares;
        }

        let mut warnings: Vec<String> = loss::single_losses(&tree).iter().map(ToString::to_string).collect();
        for absent in &dealt.absent {
            let text = format!("{} was away ({}) and is brought up to date when it returns", absent.leaf, absent.error);
            warnings.push(text);
        }
        let absent = |name: &str| dealt.absent.iter().any(|absent| absent.leaf == name);
        let devices = self.first_counts(cluster, &tree, &absent, &mut warnings).await;

        let clear_rows = rows.iter().map(|row| (row.name.clone(), row.bytes.clone())).collect();
        let init = keystore::Init { cluster, root: &root, generation: FIRST, clear_rows, devices };
        let barrier = self.store.initialise(init)?;
        custodians.iter().for_each(|leaf| leaf.reset());

        let stays_open = tree.is_satisfied_by_leaves(&|leaf| {
            let leaf = &tree.leaves()[leaf];
            leaf.kind() != Kind::Shamir && !absent(leaf.name())
        });
        let rows: Rows = rows.into_iter().collect();
        let mut standing = strongroom_unseal::standing(&rows, cluster, &leaves)?;
        for leaf in standing.leaves.iter_mut().filter(|leaf| leaf.kind != Kind::Shamir && !absent(&leaf.name)) {
            (leaf.satisfied, leaf.healthy) = (true, Some(true));
        }
        self.remember(&standing);
        let open = OpenState { cluster, tree, generation: FIRST, root: Arc::new(root), rows, recovery };
        self.opened(open, standing);
        // The shares must reach the caller whatever becomes of the devices' counters.
        if let Err(error) = self.raise(&barrier).await {
            tracing::error!("the epoch was not raised after init: {error}");
        }
        Ok(Initialised { barrier, stays_open, keys, holders, recovery_keys, warnings })
    }

    /// The configured expression over the configured seals, with the request's quorum for custodians.
    fn plan(&self, request: &InitRequest) -> Result<Plan, Error> {
        let names = self.expression.names();
        let kinds: Vec<Kind> = names.iter().filter_map(|name| self.kind(name)).collect();
        let by_custodians = kinds.contains(&Kind::Shamir);
        let by_devices = kinds.iter().any(|kind| *kind != Kind::Shamir);
        let seal_type = self.configured_type();
        let secret = given(request.secret_shares, request.secret_threshold, &request.pgp_keys, "secret", "pgp_keys");
        let recovery = given(
            request.recovery_shares,
            request.recovery_threshold,
            &request.recovery_pgp_keys,
            "recovery",
            "recovery_pgp_keys",
        );
        let not_applicable = |parameters: &[String]| {
            let list = parameters.join(",");
            Error::Request(format!("parameters {list} not applicable to seal type {seal_type}"))
        };
        if !by_custodians && !secret.is_empty() {
            return Err(not_applicable(&secret));
        }
        if !by_devices && !recovery.is_empty() {
            return Err(not_applicable(&recovery));
        }
        if by_custodians && by_devices && secret.is_empty() && !recovery.is_empty() {
            return Err(Error::Request(format!(
                "secret_shares and secret_threshold are missing: the seal tree {:?} has a custodians' leaf, whose shares \
                 they deal",
                self.expression.to_string()
            )));
        }
        let quorum = match by_custodians {
            true => Some(shape(request.secret_shares, request.secret_threshold, "seal")?),
            false => None,
        };
        let recovery = match by_custodians && recovery.is_empty() {
            true => None,
            false if by_devices => Some(shape(request.recovery_shares, request.recovery_threshold, "recovery")?),
            false => None,
        };
        pgp(&request.pgp_keys, request.secret_shares, "seal")?;
        pgp(&request.recovery_pgp_keys, request.recovery_shares, "recovery")?;
        if !request.root_token_pgp_key.is_empty() {
            return Err(Error::Request(format!("error parsing PGP key root_token_pgp_key: {NO_PGP}")));
        }
        let written = |name: &str| self.expression.names().iter().filter(|other| **other == name).count() > 0;
        let seals: Vec<Seal> = (self.seals.iter())
            .filter(|(name, ..)| written(name))
            .map(|(name, kind, _)| Seal {
                name: name.clone(),
                kind: *kind,
                quorum: if *kind == Kind::Shamir { quorum } else { None },
            })
            .collect();
        let tree = self.expression.resolve(&seals)?.tree;
        Ok(Plan { tree, recovery })
    }

    /// What each counting device has now. One that cannot count is said, and does not vouch.
    async fn first_counts(
        &self,
        cluster: [u8; 16],
        tree: &Tree,
        absent: &impl Fn(&str) -> bool,
        warnings: &mut Vec<String>,
    ) -> Vec<keystore::Device> {
        let mut devices: Vec<keystore::Device> = Vec::new();
        let mut uncounting: Vec<&str> = Vec::new();
        for leaf in tree.leaves().iter().filter(|leaf| leaf.kind().counts() && !absent(leaf.name())) {
            let Some(device) = self.device_of(leaf.name()) else { continue };
            if let Ok(others) = device.counts_of_others(cluster).await
                && !others.is_empty()
            {
                warnings.push(other_stores(leaf.name(), &others));
            }
            match (device.identity().await, device.count(cluster).await) {
                (Ok(id), Ok(counter)) => {
                    let id = keystore::DeviceId(id.0);
                    if !devices.iter().any(|other| other.id == id) {
                        devices.push(keystore::Device { id, counter });
                    }
                }
                (Err(error), _) | (_, Err(error)) => {
                    warnings.push(format!("rollback: {} does not count ({error})", leaf.name()));
                    uncounting.push(leaf.name());
                }
            }
        }
        let counts = |name: &str, kind: Kind| kind.counts() && !uncounting.contains(&name);
        let devices_in_tree = tree.leaves().iter().any(|leaf| leaf.kind() != Kind::Shamir);
        if devices_in_tree && loss::rollback(tree, &counts) == Rollback::Unprotected {
            warnings.push(
                "rollback: unprotected: no device of the seal tree counts, so an old copy of the store looks \
                           like the current one"
                    .replace("  ", " "),
            );
        }
        devices
    }

    /// The kind of a configured seal.
    pub(super) fn kind(&self, name: &str) -> Option<Kind> {
        self.seals.iter().find(|(other, ..)| other == name).map(|(_, kind, _)| *kind)
    }

    /// `type` before there is a stored tree.
    pub(super) fn configured_type(&self) -> &'static str {
        match self.expression.names()[..] {
            [only] => self.kind(only).map_or("shamir", Kind::name),
            _ => "multiseal",
        }
    }
}

/// That a device counts for stores that are not this one. It is no refusal: one token may serve several clusters, and who
/// emptied a store could as well give the flag that would let it pass (docs/decisions/0041-custody-limits.md).
fn other_stores(leaf: &str, others: &[([u8; 16], u64)]) -> String {
    let named: Vec<String> = (others.iter().take(OTHERS_NAMED))
        .map(|(cluster, counter)| format!("{} at {counter}", uuid::Uuid::from_bytes(*cluster)))
        .collect();
    let more = if others.len() > OTHERS_NAMED { ", …" } else { "" };
    format!(
        "{leaf} counts the epoch of {} other store(s) already ({}{more}): if one of them was here, it was emptied or taken \
         away, and this is a new one in its place",
        others.len(),
        named.join(", ")
    )
}

/// How many other stores a warning names.
const OTHERS_NAMED: usize = 8;

/// The parameters of one family that were given, by name.
fn given(shares: i64, threshold: i64, keys: &[String], family: &str, keys_name: &str) -> Vec<String> {
    let mut names = Vec::new();
    if shares != 0 {
        names.push(format!("{family}_shares"));
    }
    if threshold != 0 {
        names.push(format!("{family}_threshold"));
    }
    if !keys.is_empty() {
        names.push(keys_name.to_owned());
    }
    names
}

/// Shares and threshold, or Vault's text about them.
fn shape(shares: i64, threshold: i64, family: &str) -> Result<QuorumShape, Error> {
    let refuse = |text: &str| Err(Error::Request(format!("invalid {family} configuration: {text}")));
    if shares < 1 {
        return refuse("shares must be at least one");
    }
    if threshold < 1 {
        return refuse("threshold must be at least one");
    }
    let Ok(shares) = u8::try_from(shares) else { return refuse("shares must be less than 256") };
    let Ok(threshold) = u8::try_from(threshold) else { return refuse("threshold must be less than 256") };
    QuorumShape::new(threshold, shares)
        .map_err(|error| Error::Request(error.to_string().replacen("invalid seal", &format!("invalid {family}"), 1)))
}

fn pgp(keys: &[String], shares: i64, family: &str) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    if i64::try_from(keys.len()) != Ok(shares) {
        return Err(Error::Request(format!(
            "invalid {family} configuration: count mismatch between number of provided PGP keys and number of shares"
        )));
    }
    Err(Error::Request(format!("error parsing PGP key: {NO_PGP}")))
}

const NO_PGP: &str = "shares and tokens cannot be encrypted to PGP keys in this version; leave the parameter out";
const FIRST: u32 = 1;
