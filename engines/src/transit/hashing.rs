//! `hash`: hashes without a key.

use super::hash::Hash;
use super::{Transit, errors, text};
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "hash/{urlalgorithm?}",
    about: "Hashes an input.",
    methods: &[Method::new(Operation::Update, "Hashes.")],
    params: &[
        Param::path("urlalgorithm", "The hash function; wins over `algorithm`."),
        Param::input(
            "algorithm",
            Kind::String,
            "sha2-224 to sha2-512, sha3-224 to sha3-512, sha1; sha2-256 if left out.",
        ),
        Param::input("input", Kind::String, "What to hash, in base64."),
        Param::input("format", Kind::String, "`hex` or `base64`; hex if left out."),
    ],
    open: false,
};

pub(super) fn handle<'a>(_engine: &'a Transit, _cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let fields = &request.fields;
        let input = fields.string("input")?.ok_or_else(|| Error::caller("input missing"))?;
        let input = text::decode(&input).map_err(errors::undecodable_input)?;
        let algorithm = match fields.string("urlalgorithm")? {
            Some(name) => Some(name),
            None => fields.string("algorithm")?.filter(|name| !name.is_empty()),
        };
        let algorithm = algorithm.unwrap_or("sha2-256".into());
        let hash = Hash::from_name(&algorithm);
        let hash = hash.ok_or_else(|| Error::caller(format!("unsupported algorithm {algorithm}")))?;
        let format = fields.string("format")?.unwrap_or("hex".into());
        if !matches!(format.as_ref(), "hex" | "base64") {
            return Err(Error::caller(format!("unsupported encoding format {format}; must be \"hex\" or \"base64\"")));
        }
        let sum = hash.digest(&input);
        Ok(Response::data(Object::build(|object| match format.as_ref() {
            "hex" => object.plain("sum", &[&text::hex(&sum)]),
            _ => object.base64("sum", "", &sum),
        })))
    })
}
