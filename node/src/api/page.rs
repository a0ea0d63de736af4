//! How does the page get to the browser? From inside the program, under a strict policy.

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

use super::ApiError;

/// The built page. Without it the node runs all the same.
#[derive(RustEmbed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Page;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const NOT_BUILT: &str = "The web page was not built into this program. Run ./run in the source \
    folder (it builds the page and the node), or use the command line: kith --help\n";

/// Whether the page was built before the program.
pub(crate) fn is_built() -> bool {
    Page::get("index.html").is_some()
}

/// A file of the page; unknown paths below `/api/` are refused as JSON.
pub(super) async fn serve(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    if path.starts_with("/api/") {
        return unknown_path("there is no such path: see /api/openapi.json");
    }
    if method != Method::GET && method != Method::HEAD {
        return wrong_method().await.into_response();
    }
    let name = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
    match Page::get(name) {
        Some(file) => {
            let kind = file.metadata.mimetype().to_owned();
            // Vite puts a hash of the content into the names of assets.
            let cache = if name.starts_with("assets/") {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            };
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache.to_owned())];
            (headers, Body::from(file.data)).into_response()
        }
        None if path == "/" && !is_built() => (StatusCode::NOT_FOUND, NOT_BUILT).into_response(),
        None => unknown_path("the page has no such file: open the address that `kith` printed"),
    }
}

fn unknown_path(message: &str) -> Response {
    ApiError::new(StatusCode::NOT_FOUND, "api_unknown_path", message).into_response()
}

/// A path that is there, but not for this method.
pub(super) async fn wrong_method() -> ApiError {
    let message = "this path does not take this method: see /api/openapi.json";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "api_bad_method", message)
}

/// Headers that every answer carries.
pub(super) async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
        (
            header::HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
