//! `random`: bytes from the module's random generator.

use super::Transit;
use super::text;
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Object, Operation, Param, Request, Response, Route};
use strongroom_secret::SecretBytes;

pub(super) const ROUTE: Route = Route {
    path: "random/{source?}/{urlbytes?}",
    about: "Random bytes. Every source is the module's generator, which the system's entropy seeds.",
    methods: &[Method::new(Operation::Update, "Draws.")],
    params: &[
        Param::path("source", "`platform`, `seal` or `all`; or a number of bytes."),
        Param::path("urlbytes", "The number of bytes."),
        Param::input("bytes", Kind::Int, "The number of bytes, 32 if left out, at most 131072."),
        Param::input("format", Kind::String, "`base64` or `hex`."),
    ],
    open: false,
};

const MOST: i64 = 128 * 1024;

pub(super) fn handle<'a>(_engine: &'a Transit, _cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let fields = &request.fields;
        let (first, second) = (fields.string("source")?, fields.string("urlbytes")?);
        let (source, bytes) = match (first.as_deref(), second.as_deref()) {
            (Some(source @ ("platform" | "seal" | "all")), bytes) => (source, bytes),
            (Some(bytes), None) => ("platform", Some(bytes)),
            (Some(source), bytes) => (source, bytes),
            (None, bytes) => ("platform", bytes),
        };
        if !matches!(source, "platform" | "seal" | "all") {
            return Err(Error::caller(format!(
                "unsupported entropy source {source:?}; must be \"platform\" or \"seal\", or \"all\""
            )));
        }
        let bytes = match bytes {
            Some(text) => text
                .parse()
                .map_err(|_| Error::caller(format!("error parsing url-set byte count: {text:?} is not a number")))?,
            None => fields.int("bytes")?.unwrap_or(32),
        };
        let bytes = match bytes {
            ..1 => return Err(Error::caller("'bytes' cannot be less than 1")),
            bytes if bytes > MOST => return Err(Error::caller(format!("'bytes' should be less than {MOST}"))),
            bytes => usize::try_from(bytes).map_err(Error::us)?,
        };
        let format = fields.string("format")?.unwrap_or("base64".into());
        if !matches!(format.as_ref(), "base64" | "hex") {
            return Err(Error::caller(format!(
                "unsupported encoding format {format:?}; must be \"hex\" or \"base64\""
            )));
        }
        let drawn = SecretBytes::random(bytes).map_err(Error::us)?;
        Ok(Response::data(Object::with_capacity(2 * bytes + 32, |object| match format.as_ref() {
            "hex" => object.plain("random_bytes", &[&text::hex(drawn.expose())]),
            _ => object.base64("random_bytes", "", drawn.expose()),
        })))
    })
}
