//! What can be mounted, and the words of a request.
//!
//! An engine or auth method implements [`Backend`]: a table of [`Route`]s, which is the one source for
//! dispatch, OpenAPI and help, and one `handle`. It gets its storage as a [`View`](strongroom_keystore::View)
//! already narrowed to its mount, inside [`Ctx`], and never learns how a request reached it.
#![forbid(unsafe_code)]

pub mod backend;
pub mod caller;
pub mod error;
pub mod fields;
pub mod json;
pub mod response;
pub mod route;
pub mod router;
pub mod weak;

pub use backend::{Answer, Backend, Ctx, MountInfo, Request, TtlLimits};
pub use caller::{Caller, Presented};
pub use error::{Blame, Error};
pub use fields::Fields;
pub use json::Object;
pub use response::{Auth, Response};
pub use route::{Access, Kind, Method, Operation, Param, Route};
pub use router::{Found, Router};
