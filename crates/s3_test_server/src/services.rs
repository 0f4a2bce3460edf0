//! The services that a machine or a container in the cloud asks for credentials.

use std::time::{Duration, SystemTime};

use crate::date::iso_date;
use crate::error::ErrorCode;
use crate::operation::Operation;
use crate::request::{Request, percent_decode};
use crate::response::Response;

/// What the service of a machine gives, and wants with each other request.
const SESSION: &str = "a-session";

/// Answers a request for credentials; nothing if it is none. The names of the keys tell what they were
/// given for: `of-machine`, `of-container-TOKEN`, `of-TOKEN`.
pub(crate) fn answer(
    operation: Operation,
    request: &Request,
    lifetime: Duration,
) -> Option<Response> {
    match operation {
        Operation::InstanceMetadata => Some(instance(request, lifetime)),
        Operation::ContainerCredentials => {
            let token = request.header("authorization").unwrap_or("none");
            Some(Response::json(&credentials(&format!("of-container-{token}"), lifetime)))
        }
        Operation::AssumeRoleWithWebIdentity => Some(web_identity(request, lifetime)),
        _ => None,
    }
}

fn instance(request: &Request, lifetime: Duration) -> Response {
    if request.method == "PUT" {
        return match request.header("x-aws-ec2-metadata-token-ttl-seconds") {
            Some(_) => Response::text(SESSION),
            None => ErrorCode::BadRequest.response(""),
        };
    }
    if request.header("x-aws-ec2-metadata-token") != Some(SESSION) {
        return Response::empty(401);
    }
    match request.key.rsplit_once('/') {
        Some((_, "")) => Response::text("a-role"),
        Some((_, "a-role")) => Response::json(&credentials("of-machine", lifetime)),
        _ => Response::empty(404),
    }
}

fn credentials(id: &str, lifetime: Duration) -> String {
    let expiration = iso_date(SystemTime::now() + lifetime);
    format!(
        r#"{{"AccessKeyId": "{id}", "SecretAccessKey": "a-key", "Token": "a-token",
            "Expiration": "{expiration}"}}"#
    )
}

fn web_identity(request: &Request, lifetime: Duration) -> Response {
    let body = String::from_utf8_lossy(&request.body);
    let pair = |name: &str| {
        let value = body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| percent_decode(value).ok())
    };
    let (Some("AssumeRoleWithWebIdentity"), Some(token)) =
        (pair("Action").as_deref(), pair("WebIdentityToken"))
    else {
        return ErrorCode::InvalidArgument.response("");
    };
    let expiration = iso_date(SystemTime::now() + lifetime);
    Response::xml(
        200,
        &format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>of-{token}</AccessKeyId><SecretAccessKey>a-key</SecretAccessKey>\
             <SessionToken>a-token</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ),
    )
}
