//! What stands before the routes of each socket: whom it names, how long a body may be, and how faults are told.

use std::sync::Arc;

use crate::config::Config;
use crate::domain::value::clock::Entropy;
use crate::http::front::{BodyLimits, ErrorShape, Front, Hosts, RequestIds};
use crate::http::metrics::{Metrics, Socket};

/// The longest body of records, and of any other request to the admin API, in bytes.
const RECORDS_LIMIT: usize = 1024 * 1024;
const ADMIN_LIMIT: usize = 64 * 1024;

/// The front of a socket.
pub fn front_of(socket: Socket, config: &Config, entropy: &Arc<dyn Entropy>, metrics: &Arc<Metrics>) -> Front {
    let is_public = matches!(socket, Socket::Public | Socket::Mtls);
    // Its callers have a bearer token that no browser sends, so a page that rebinds its name reaches nothing.
    let is_directory = socket == Socket::Directory;
    let admin_names = config.listen.admin_url.iter().map(|origin| origin.authority().to_owned()).collect();
    let records =
        ["/v1/records/plan", "/v1/records/apply", "/v1/directory/import"].map(|route| (route, RECORDS_LIMIT)).to_vec();
    Front {
        socket,
        shape: match socket {
            Socket::Public | Socket::Mtls => ErrorShape::OAuth,
            Socket::Directory => ErrorShape::Scim,
            Socket::Admin | Socket::Demo | Socket::Agent => ErrorShape::Problem,
        },
        hosts: if is_public || is_directory { Hosts::RoutesLook } else { Hosts::Named(admin_names) },
        bodies: if is_public {
            BodyLimits { default: config.listen.body_limit, routes: Vec::new() }
        } else {
            BodyLimits { default: ADMIN_LIMIT, routes: if is_directory { Vec::new() } else { records } }
        },
        body_time: Front::BODY_TIME,
        handler_time: Front::HANDLER_TIME,
        trusted_proxies: config.listen.trusted_proxies.clone(),
        ids: RequestIds::new(Arc::clone(entropy)),
        metrics: Arc::clone(metrics),
    }
}
