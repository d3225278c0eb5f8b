//! How an engine lays out its routes.

/// The table of an engine's routes, and beside it who serves each: `ROUTES` and `HANDLERS`, in step. The module names its
/// `Route` and its `Handler`.
macro_rules! table {
    ($($route:path => $handler:path,)*) => {
        static ROUTES: &[Route] = &[$($route),*];
        static HANDLERS: &[Handler] = &[$($handler),*];
    };
}
