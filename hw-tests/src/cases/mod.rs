//! The cases of the conformance suite. Each gets a fresh stand in a process of its own.

mod counters;
mod devices;
mod keys;
mod pins;
mod proofs;
mod seals;

pub use counters::*;
pub use devices::*;
pub use keys::*;
pub use pins::*;
pub use proofs::*;
pub use seals::*;

use std::sync::Arc;
use strongroom_hsm::{Hsm, KeyKind, KeyName, NewKey};

/// Declares the cases once: their names, and the macro that makes a test of each for a token.
macro_rules! cases {
    ($dollar:tt $($name:ident $phases:literal)*) => {
        /// The names of all cases.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Makes one test of each case for a [`Kind`](crate::Kind).
        #[macro_export]
        macro_rules! conformance {
            ($dollar kind:expr) => {
                $(
                    #[test]
                    fn $name() {
                        $crate::conform($dollar kind, stringify!($name), $phases, $crate::cases::$name);
                    }
                )*
            };
        }
    };
}

cases! {
    $
    a_token_says_who_it_is_without_a_login 1
    mechanisms_and_slots_are_listed 1
    a_made_key_is_strong_and_its_label_is_taken 1
    weak_keys_are_refused_by_the_attribute 1
    missing_and_duplicated_keys_are_refused 1
    a_key_is_looked_at_again_when_it_is_asked_for 1
    an_aes_key_seals_for_one_place_only 1
    every_changed_bit_of_a_sealed_value_is_rejected 1
    an_rsa_key_seals_by_what_the_token_has 1
    an_rsa_key_seals_by_oaep_sha256 1
    an_rsa_key_seals_by_oaep_sha1 1
    only_the_configured_mechanism_seals 1
    what_was_sealed_opens_after_a_restart 2
    another_key_is_named_not_guessed 1
    eight_threads_seal_and_open_without_a_mismatch 1
    enrolled_keys_of_every_kind_prove_themselves 1
    a_token_with_the_same_label_and_pin_is_refused 1
    a_swapped_token_never_sees_the_pin 1
    a_counter_rises_and_never_falls 1
    a_counter_survives_a_restart_and_is_one_object 2
    a_counter_left_in_the_middle_of_a_raise_reads_as_its_maximum 1
    a_counter_that_was_overwritten_is_an_error 1
    counters_of_several_clusters_share_a_token 1
    eight_threads_raise_one_counter 1
    two_processes_raise_one_counter 1
    a_refused_pin_is_tried_once_whatever_is_asked_and_restarted 2
    two_refused_pins_stop_logins_until_an_operator_asks 1
    a_token_that_counts_is_never_brought_to_its_last_try 1
    devices_share_a_login_but_not_a_wrong_pin 1
    a_token_that_is_not_there_is_away_and_found_when_it_comes 1
    two_tokens_of_one_label_are_told_apart_by_serial 1
}

/// The label of the key that most cases make.
pub const KEY: &str = "strongroom root";

fn key() -> KeyName {
    KeyName::Label(KEY.into())
}

fn make(token: &Arc<dyn Hsm>, label: &str, kind: KeyKind) -> KeyName {
    let new = NewKey::new(label, kind).expect("the order is well-formed");
    token.generate_key(&new).unwrap_or_else(|error| panic!("{kind} key {label:?}: {error}"));
    KeyName::Label(label.into())
}

fn aes(token: &Arc<dyn Hsm>) -> KeyName {
    make(token, KEY, KeyKind::Aes256)
}
