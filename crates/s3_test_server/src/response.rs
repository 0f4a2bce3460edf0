//! Answers.

use std::ops::Range;
use std::sync::Arc;

use crate::xml;

/// An answer that has not been sent.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

/// A range of bytes, which may be those of an object.
#[derive(Default)]
pub(crate) struct Body {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) range: Range<usize>,
}

impl Response {
    /// One without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::default() }
    }

    /// One with an XML document, given without its declaration.
    pub(crate) fn xml(status: u16, document: &str) -> Self {
        let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{document}");
        Self { body: Body::from(text.into_bytes()), ..Self::empty(status) }
            .header("Content-Type", "application/xml")
    }

    /// One with this text.
    pub(crate) fn text(text: &str) -> Self {
        Self { body: Body::from(text.as_bytes().to_vec()), ..Self::empty(200) }
    }

    /// One with this JSON.
    pub(crate) fn json(text: &str) -> Self {
        Self::text(text).header("Content-Type", "application/json")
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Replaces the ETag by another one or by none: in the header if there is one, else in the XML.
    pub(crate) fn replace_etag(&mut self, etag: Option<&str>) {
        if let Some(at) = self.headers.iter().position(|(name, _)| name == "ETag") {
            match etag {
                Some(etag) => etag.clone_into(&mut self.headers[at].1),
                None => drop(self.headers.remove(at)),
            }
            return;
        }
        let text = String::from_utf8_lossy(self.body.as_slice()).into_owned();
        let mut replaced = text.clone();
        for old in xml::elements(&text, "ETag") {
            let new = etag.map(|etag| format!("<ETag>{}</ETag>", xml::escape(etag)));
            replaced = replaced.replace(&format!("<ETag>{old}</ETag>"), &new.unwrap_or_default());
        }
        self.body = Body::from(replaced.into_bytes());
    }

    /// The status line and the headers, with this length of the body.
    pub(crate) fn head(&self, content_len: usize) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !matches!(self.status, 204 | 304) {
            head += &format!("Content-Length: {content_len}\r\n");
        }
        head + "Server: cryptstream-s3-test-server\r\n\r\n"
    }
}

impl Body {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }

    /// Changes a bit in the middle, in a copy.
    pub(crate) fn flip_bit(&mut self) {
        let mut bytes = self.as_slice().to_vec();
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
        *self = Self::from(bytes);
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len(), bytes: Arc::new(bytes) }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        416 => "Requested Range Not Satisfiable",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}
