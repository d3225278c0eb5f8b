//! The least of a service around the backend: a store in memory, a router, statuses and the envelope.
#![allow(dead_code)]

use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::time::Duration;
use strongroom_clock::{Clock, Timestamp};
use strongroom_engines::transit::Transit;
use strongroom_keystore::{Init, MountId, Store, View};
use strongroom_mount::{
    Backend, Blame, Caller, Ctx, Error, Fields, MountInfo, Operation, Request, Response, Router, TtlLimits,
};
use strongroom_secret::key::RootKey;

pub(crate) type Names = Map<String, Value>;

pub(crate) struct Host {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) view: View,
    pub(crate) clock: Clock,
    caller: Caller,
    mount: MountInfo,
    router: Router,
}

impl Host {
    pub(crate) fn new() -> Host {
        let root = RootKey::generate().unwrap();
        let store = Store::inmem();
        let init = Init { cluster: [1; 16], root: &root, generation: 1, clear_rows: Vec::new(), devices: Vec::new() };
        let view = store.initialise(init).unwrap().view(MountId([7; 16]));
        Host::over(view)
    }

    /// A kv mount of this version over storage that is there already.
    pub(crate) fn kv(view: View, version: &str) -> Host {
        let options = BTreeMap::from([("version".to_owned(), version.to_owned())]);
        let mut host = Host::with(strongroom_engines::kv::backend(&options).unwrap(), view);
        host.mount.options = options;
        host
    }

    /// A fresh backend over storage that is there already: what a restart finds.
    pub(crate) fn over(view: View) -> Host {
        Host::with(Arc::new(Transit::new()), view)
    }

    fn with(backend: Arc<dyn Backend>, view: View) -> Host {
        let day = Duration::from_secs(86_400);
        Host {
            router: Router::new(backend.routes()),
            backend,
            view,
            clock: Clock::manual(Timestamp::from_unix(1_795_415_501)),
            caller: Caller::nobody(None),
            mount: MountInfo {
                path: "engine/".into(),
                accessor: "engine_1".into(),
                options: BTreeMap::new(),
                ttl: TtlLimits { default: day, max: day },
            },
        }
    }

    pub(crate) fn cx(&self) -> Ctx<'_> {
        Ctx { view: &self.view, caller: &self.caller, clock: &self.clock, mount: &self.mount }
    }

    /// A request with its route, as the pipeline hands it over; `Err` where there is no such path or operation.
    pub(crate) fn request(&self, operation: Operation, path: &str, mut fields: Fields) -> Result<Request, Error> {
        let found = self.router.find(path).ok_or_else(Error::unsupported_path)?;
        if !found.route.methods.iter().any(|method| method.operation == operation) {
            return Err(match operation {
                Operation::List => Error::unsupported_path(),
                _ => Error::unsupported_operation(),
            });
        }
        for (name, value) in found.captures.into_iter().filter(|_| !found.route.open) {
            fields.capture(name, value);
        }
        Ok(Request { operation, route: found.index, path: path.to_owned(), fields })
    }

    pub(crate) async fn answer(&self, mut request: Request) -> Result<Response, Error> {
        let cx = self.cx();
        if request.operation == Operation::Update && self.backend.exists(&cx, &request).await? == Some(false) {
            request.operation = Operation::Create;
        }
        self.backend.handle(&cx, &request).await
    }

    /// Status and body of one HTTP request.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = path.trim_end_matches('/');
        let list = method == "LIST" || (method == "GET" && query == "list=true");
        let operation = match method {
            _ if list => Operation::List,
            "GET" => Operation::Read,
            "DELETE" => Operation::Delete,
            "PATCH" => Operation::Patch,
            "SCAN" => Operation::Scan,
            _ => Operation::Update,
        };
        let fields = Fields::from_json(Bytes::copy_from_slice(body.as_bytes())).map(|mut fields| {
            for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
                fields.add(name, value);
            }
            fields
        });
        let response = fields
            .and_then(|fields| self.request(operation, path, fields))
            .and_then(|request| block_on(self.answer(request)));
        match response {
            Err(error) => {
                let text = error.to_string();
                let errors = if error.text.is_empty() { json!([]) } else { json!([text]) };
                (status(error.blame), json!({ "errors": errors }))
            }
            Ok(response) => match response.data {
                None if response.warnings.is_empty() => (response.status.unwrap_or(204), Value::Null),
                data => {
                    let data = data.map(|data| serde_json::from_slice(data.as_bytes()).unwrap()).unwrap_or_default();
                    let data: Value = data;
                    let warnings = if response.warnings.is_empty() { Value::Null } else { json!(response.warnings) };
                    let body = json!({"request_id": "0a1b2c3d-0000-1111-2222-333344445555", "lease_id": "",
                        "renewable": false, "lease_duration": response.lease_duration, "data": data, "wrap_info": null,
                        "warnings": warnings, "auth": null});
                    (response.status.unwrap_or(200), body)
                }
            },
        }
    }

    /// The `data` of a request that must succeed.
    pub(crate) fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, reply) = self.http(method, path, &if body.is_null() { String::new() } else { body.to_string() });
        assert!(status < 300, "{method} {path}: {status} {reply}");
        reply["data"].clone()
    }

    /// Status and first error of a request that must fail.
    pub(crate) fn fails(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, reply) = self.http(method, path, &if body.is_null() { String::new() } else { body.to_string() });
        assert!(status >= 400, "{method} {path}: {status} {reply}");
        (status, reply["errors"][0].as_str().unwrap_or_default().to_owned())
    }
}

fn status(blame: Blame) -> u16 {
    match blame {
        Blame::Caller => 400,
        Blame::Denied => 403,
        Blame::Missing => 404,
        Blame::Operation => 405,
        Blame::Conflict => 409,
        Blame::TooLarge => 413,
        Blame::Peer => 503,
        Blame::NoSpace => 507,
        _ => 500,
    }
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = Box::pin(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
