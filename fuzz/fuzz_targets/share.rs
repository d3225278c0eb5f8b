//! Shares as somebody enters them, and what is stored of them: no panic, and no share of nobody's is ever taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use strongroom_secret::digest::sha256;
use strongroom_unseal::share::combine;
use strongroom_unseal::{Belongs, Custodians, Envelope, Row};

fuzz_target!(|bytes: &[u8]| {
    // A quorum that stands for every server: no input is one of its shares.
    static DEALT: OnceLock<Custodians> = OnceLock::new();
    let dealt = DEALT.get_or_init(|| {
        let belongs = Belongs { cluster: [1; 16], generation: 1, leaf: "custodians".into() };
        let holders = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        Custodians::deal(belongs, 2, &holders).expect("a quorum is dealt").0
    });
    assert!(dealt.enter(bytes).is_err());

    let framed = |tag: u8| {
        let mut record = [&[1, tag], bytes].concat();
        let checksum = sha256(&[&record]);
        record.extend(&checksum[..16]);
        record
    };
    let row = Row { name: "seal/shares/custodians".into(), bytes: framed(b'S') };
    if let Ok(custodians) = Custodians::load(&[row].into_iter().collect(), [1; 16], "custodians") {
        let _ = custodians.enter(bytes);
    }
    let envelope = framed(b'E');
    if let Ok(read) = Envelope::decode(&envelope) {
        assert_eq!(read.encode().expose(), envelope);
    }
    // Shares of any shape: an error or a secret, never a panic.
    let length = usize::from(bytes.first().copied().unwrap_or(1) % 40) + 1;
    let shares: Vec<&[u8]> = bytes.chunks(length).take(300).collect();
    let mut secret = vec![0; length - 1];
    let _ = combine(&shares, &mut secret);
});
