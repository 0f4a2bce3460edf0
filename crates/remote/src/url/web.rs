//! Servers in URLs of the web.

/// Names of this machine, which may be reached without TLS.
const THIS_MACHINE: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Whether it can be the name or the address of a server, with or without a port.
pub(super) fn is_server(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    text.bytes().all(is_allowed) && text.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

pub(super) fn is_this_machine(server: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    THIS_MACHINE.iter().any(|name| match server.strip_prefix(name) {
        Some(rest) => rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port),
        None => false,
    })
}
