//! `sys/tools`: random bytes and hashes.

use super::{Scope, text};
use strongroom_mount::{Error, Kind, Method, Object, Operation, Param, Response, Route};

/// `sys/tools/random`.
pub(super) const RANDOM: Route = Route {
    path: "tools/random/{source?}/{bytes?}",
    about: "Random bytes.",
    methods: &[Method::new(Operation::Update, "Draws them.")],
    params: &[
        Param {
            place: strongroom_mount::route::Place::Path,
            ..Param::input("source", Kind::String, "platform; or the number of bytes.")
        },
        Param {
            place: strongroom_mount::route::Place::Path,
            ..Param::input("bytes", Kind::Int, "How many, at most 131072.")
        },
        Param::input("format", Kind::String, "base64 or hex."),
    ],
    open: false,
};

/// `sys/tools/hash`.
pub(super) const HASH: Route = Route {
    path: "tools/hash/{urlalgorithm?}",
    about: "Hashes.",
    methods: &[Method::new(Operation::Update, "Hashes the input.")],
    params: &[
        Param::path("urlalgorithm", "The algorithm."),
        Param::input("algorithm", Kind::String, "The algorithm, where the path names none: sha2-256."),
        Param::input("input", Kind::String, "The input in base64."),
        Param::input("format", Kind::String, "hex or base64."),
    ],
    open: false,
};

const MOST: i64 = 128 << 10;

/// Random bytes.
pub(super) fn random(scope: &Scope<'_>) -> Result<Response, Error> {
    let fields = &scope.request.fields;
    let (source, format) = (text(scope, "source")?, text(scope, "format")?);
    // `random/16` has the number in the place of the source.
    let (source, count) = match source.parse::<i64>() {
        Ok(count) => ("platform".to_owned(), count),
        Err(_) => (source, fields.int("bytes")?.unwrap_or(32)),
    };
    if !matches!(source.as_str(), "" | "platform" | "seal" | "all") {
        return Err(Error::caller(format!(
            "unsupported entropy source {source:?}; must be \"platform\" or \"seal\", or \"all\""
        )));
    }
    if count < 1 {
        return Err(Error::caller("'bytes' cannot be less than 1"));
    }
    if count > MOST {
        return Err(Error::caller(format!("'bytes' should be less than {MOST}")));
    }
    // Between 1 and 131072.
    let mut bytes = zeroize::Zeroizing::new(vec![0; usize::try_from(count).unwrap_or(1)]);
    let hex = is_hex(&format, "base64")?;
    strongroom_secret::random::fill(&mut bytes).map_err(strongroom_keystore::Error::from)?;
    Ok(Response::data(Object::build(|out| encoded(out, "random_bytes", &bytes, hex))))
}

/// A hash.
pub(super) fn hash(scope: &Scope<'_>) -> Result<Response, Error> {
    use aws_lc_rs::digest;
    let input = text(scope, "input")?;
    let input = base64_simd::STANDARD.decode_to_vec(input.as_bytes());
    let input = input.map_err(|_| Error::caller("unable to decode input as base64"))?;
    let hex = is_hex(&text(scope, "format")?, "hex")?;
    let mut algorithm = text(scope, "urlalgorithm")?;
    if algorithm.is_empty() {
        algorithm = text(scope, "algorithm")?;
    }
    let function = match algorithm.as_str() {
        "" | "sha2-256" => &digest::SHA256,
        "sha2-224" => &digest::SHA224,
        "sha2-384" => &digest::SHA384,
        "sha2-512" => &digest::SHA512,
        "sha3-256" => &digest::SHA3_256,
        "sha3-384" => &digest::SHA3_384,
        "sha3-512" => &digest::SHA3_512,
        other => return Err(Error::caller(format!("unsupported algorithm {other}"))),
    };
    let sum = digest::digest(function, &input);
    Ok(Response::data(Object::build(|out| encoded(out, "sum", sum.as_ref(), hex))))
}

fn is_hex(format: &str, default: &str) -> Result<bool, Error> {
    match if format.is_empty() { default } else { format } {
        "hex" => Ok(true),
        "base64" => Ok(false),
        other => Err(Error::caller(format!("unsupported encoding format {other:?}; must be \"hex\" or \"base64\""))),
    }
}

fn encoded(out: &mut strongroom_mount::json::Writer, name: &str, bytes: &[u8], hex: bool) {
    if hex { out.string(name, &hex::encode(bytes)) } else { out.base64(name, "", bytes) }
}
