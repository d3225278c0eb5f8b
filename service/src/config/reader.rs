//! Reading that goes on after a mistake, so that `-test-config` shows them all.

use super::Environment;
use std::path::PathBuf;
use strongroom_hcl::{Body, Error, Position};

/// Collects mistakes and warnings while bodies are read.
pub(super) struct Reader<'e> {
    /// Where `env://` and Vault's names are looked up.
    pub(super) environment: &'e Environment,
    /// What is wrong, one line each.
    pub(super) mistakes: Vec<String>,
    /// What has no effect or should be thought about, one line each.
    pub(super) warnings: Vec<String>,
    /// Files that secrets were read from.
    pub(super) secret_files: Vec<PathBuf>,
}

impl<'e> Reader<'e> {
    pub(super) fn new(environment: &'e Environment, mistakes: Vec<String>) -> Self {
        Reader { environment, mistakes, warnings: Vec::new(), secret_files: Vec::new() }
    }

    /// What was read, or its mistake kept and the default of its type.
    pub(super) fn take<T: Default>(&mut self, read: Result<T, Error>) -> T {
        read.unwrap_or_else(|mistake| {
            self.mistakes.push(mistake.to_string());
            T::default()
        })
    }

    /// A mistake at a place of `body`. `reason` never repeats a secret.
    pub(super) fn refuse(&mut self, body: &Body, position: Position, reason: impl Into<String>) {
        self.mistakes.push(body.refuse(position, reason).to_string());
    }

    /// A warning at a place of `body`.
    pub(super) fn warn(&mut self, body: &Body, position: Position, text: impl Into<String>) {
        self.warnings.push(body.refuse(position, text).to_string());
    }

    /// Passes over known keys without effect; each that stands there is a warning.
    pub(super) fn without_effect(&mut self, body: &mut Body, names: &[&'static str]) {
        for name in names {
            if let Some(position) = body.skip(name) {
                self.warn(body, position, format!("{name:?} has no effect here"));
            }
        }
    }

    /// As [`Reader::without_effect`] for one key, with the reason.
    pub(super) fn no_effect(&mut self, body: &mut Body, name: &'static str, why: &str) {
        if let Some(position) = body.skip(name) {
            self.warn(body, position, format!("{name:?} has no effect here: {why}"));
        }
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(&mut self, body: Body) {
        if let Err(mistakes) = body.finish() {
            self.mistakes.extend(mistakes.errors().iter().map(ToString::to_string));
        }
    }
}
