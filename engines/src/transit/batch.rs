//! Batches: many items in one request, each with a result of its own.

use super::errors;
use strongroom_mount::json::Writer;
use strongroom_mount::{Blame, Error, Fields, Kind, Object, Param, Request, Response};

/// What routes with batches take.
pub(crate) const ITEMS: Param =
    Param::input("batch_input", Kind::Items, "Several items, each with these parameters and a reference.");
/// What those take that answer a batch with a status of its own when an item fails.
pub(crate) const FAILURE_STATUS: Param =
    Param::input("partial_failure_response_code", Kind::Int, "The status when some item of a batch fails.");

/// Each item's `reference` and result.
pub(crate) struct Results<T> {
    held: Vec<(String, Result<T, Error>)>,
}

/// The batch, if there is one; it must not be empty.
pub(crate) fn items(request: &Request) -> Result<Option<Vec<Fields>>, Error> {
    match request.fields.items("batch_input")? {
        Some(items) if items.is_empty() => Err(errors::no_batch()),
        items => Ok(items),
    }
}

/// Refuses the whole batch when an item lacks `name`.
pub(crate) fn require(items: &[Fields], name: &str, missing: &str) -> Result<(), Error> {
    match items.iter().position(|item| !item.has(name)) {
        None => Ok(()),
        Some(at) => Err(Error::caller(format!("failed to parse batch input: '[{at}].{name}' {missing}"))),
    }
}

impl<T> Results<T> {
    /// With room for as many items.
    pub(crate) fn with_capacity(items: usize) -> Self {
        Results { held: Vec::with_capacity(items) }
    }

    /// Adds an item's result. What is not the caller's fault ends the request.
    pub(crate) fn push(&mut self, item: &Fields, result: Result<T, Error>) -> Result<(), Error> {
        if let Err(error) = &result
            && error.blame != Blame::Caller
        {
            return Err(result.err().unwrap_or_else(|| Error::us("no result")));
        }
        let reference = item.string("reference")?.unwrap_or_default().into_owned();
        self.held.push((reference, result));
        Ok(())
    }

    /// `batch_results`: what `good` writes, or `error` after what `bad` writes; `reference` always.
    pub(crate) fn write(&self, mut good: impl FnMut(&mut Writer, &T), mut bad: impl FnMut(&mut Writer)) -> Response {
        Response::data(Object::with_capacity(64 + 128 * self.held.len(), |object| {
            object.objects("batch_results", self.held.iter(), |item, (reference, result)| {
                match result {
                    Ok(value) => good(item, value),
                    Err(error) => {
                        bad(item);
                        item.string("error", &error.to_string());
                    }
                }
                item.string("reference", reference);
            });
        }))
    }

    /// The status of a batch of which some item may have failed: 400, or what the caller would rather have.
    pub(crate) fn status(&self, request: &Request) -> Result<Option<u16>, Error> {
        if self.held.iter().all(|(_, result)| result.is_ok()) {
            return Ok(None);
        }
        match request.fields.int("partial_failure_response_code")? {
            None | Some(0) => Ok(Some(400)),
            Some(code) => {
                u16::try_from(code).ok().filter(|code| (200..=599).contains(code)).map(Some).ok_or_else(|| {
                    Error::caller("partial_failure_response_code is not an HTTP status between 200 and 599")
                })
            }
        }
    }
}
