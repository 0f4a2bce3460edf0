//! Requests: HTTP/1.1, as much of it as clients of S3 use.

use std::io::{self, BufRead, Read};

/// The longest line in the head of a request, and the most headers.
const MAX_LINE: u64 = 64 << 10;
const MAX_HEADERS: usize = 200;

/// Of servers whose names end like this, the rest is the name of a bucket. Requests for them come
/// through a proxy, which this server is as well.
pub const VIRTUAL_HOSTS: &str = "virtual-hosts.test";

/// A request, addressed in path style, `/BUCKET/KEY?QUERY`, or as to a proxy:
/// `http://SERVER/BUCKET/KEY?QUERY`.
#[derive(Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The server that it was to be passed on to.
    pub(crate) proxied_to: Option<String>,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) query: Vec<(String, String)>,
    /// With names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads everything before the body; nothing if the client has closed the connection.
    pub(crate) fn read_head(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(line) = read_line(stream)? else { return Ok(None) };
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1")) =
            (words.next(), words.next(), words.next())
        else {
            return Err(malformed("the request line is malformed"));
        };
        let mut request = Self { method: method.to_owned(), ..Self::default() };
        request.parse_target(target)?;
        loop {
            let line = read_line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(Some(request));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("no header"))?;
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            if request.headers.len() > MAX_HEADERS {
                return Err(malformed("too many headers"));
            }
        }
    }

    fn parse_target(&mut self, target: &str) -> io::Result<()> {
        let virtual_path;
        let target = match target.strip_prefix("http://") {
            None => target,
            Some(rest) => {
                let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
                self.proxied_to = Some(server.to_owned());
                let bucket = server.strip_suffix(VIRTUAL_HOSTS).unwrap_or_default();
                virtual_path = format!("/{}{path}", bucket.replace('.', "/"));
                &virtual_path
            }
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.strip_prefix('/').ok_or_else(|| malformed("the path is relative"))?;
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        self.bucket = percent_decode(bucket)?;
        self.key = percent_decode(key)?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            self.query.push((percent_decode(name)?, percent_decode(&value)?));
        }
        Ok(())
    }

    /// The value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The value of a parameter of the query, which may be empty.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// The length of the body as announced, in bytes; that of a chunked one is not known.
    pub(crate) fn content_len(&self) -> io::Result<u64> {
        match self.header("content-length") {
            Some(number) => number.parse().map_err(|_| malformed("Content-Length is no number")),
            None => Ok(0),
        }
    }

    /// Reads the body.
    pub(crate) fn read_body(&mut self, stream: &mut impl BufRead) -> io::Result<()> {
        let is_chunked = self
            .header("transfer-encoding")
            .is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked"));
        if !is_chunked {
            let len = self.content_len()?;
            return read_exactly(stream, len, &mut self.body);
        }
        loop {
            let line = read_line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let len = u64::from_str_radix(digits, 16).map_err(|_| malformed("no chunk length"))?;
            read_exactly(stream, len, &mut self.body)?;
            // The end of the line, or of the trailers.
            while !read_line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?.is_empty() {}
            if len == 0 {
                return Ok(());
            }
        }
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}

fn read_exactly(stream: &mut impl BufRead, len: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let wanted = usize::try_from(len).map_err(|_| malformed("the body is too long"))?;
    body.try_reserve_exact(wanted).map_err(|_| io::ErrorKind::OutOfMemory)?;
    if stream.take(len).read_to_end(body)? == wanted {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// A line without its end; nothing at the end of the stream.
fn read_line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    stream.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(malformed("a line is too long or cut off"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| malformed("a line is not UTF-8"))
}

/// Text with `%XX` decoded. The result must be UTF-8, as keys are.
pub(crate) fn percent_decode(text: &str) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut pieces = text.split('%');
    bytes.extend(pieces.next().unwrap_or_default().bytes());
    for piece in pieces {
        let code = piece
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or_else(|| malformed("an escape is malformed"))?;
        bytes.push(code);
        bytes.extend(piece[2..].bytes());
    }
    String::from_utf8(bytes).map_err(|_| malformed("an escape is not UTF-8"))
}

/// Text with everything but unreserved characters and `/` encoded, as in `encoding-type=url`.
pub(crate) fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Option<Request>> {
        let mut stream = text.as_bytes();
        let Some(mut request) = Request::read_head(&mut stream)? else { return Ok(None) };
        request.read_body(&mut stream)?;
        Ok(Some(request))
    }

    #[test]
    fn a_request_is_taken_apart() {
        let text = "PUT /b/a%20b/%C3%A4?partNumber=1&x=a+b&acl HTTP/1.1\r\nHost: h\r\n\
                    Content-Length: 3\r\n\r\nabcdef";
        let request = read(text).unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.bucket.as_str(), request.key.as_str()),
            ("PUT", "b", "a b/ä")
        );
        assert_eq!(request.parameter("partNumber"), Some("1"));
        assert_eq!(request.parameter("x"), Some("a b"));
        assert_eq!(request.parameter("acl"), Some(""));
        assert_eq!(request.header("host"), Some("h"));
        assert_eq!(request.body, b"abc");
    }

    #[test]
    fn a_chunked_body_is_put_together() {
        let text = "PUT /b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        assert_eq!(read(text).unwrap().unwrap().body, b"abcde");
    }

    #[test]
    fn malformed_requests_are_refused() {
        assert!(read("").unwrap().is_none());
        for text in [
            "GET /b HTTP/1.0\r\n\r\n",
            "GET b HTTP/1.1\r\n\r\n",
            "GET /b/%C3 HTTP/1.1\r\n\r\n",
            "GET /b/%zz HTTP/1.1\r\n\r\n",
            "GET /b HTTP/1.1\r\nno header\r\n\r\n",
            "GET /b HTTP/1.1\r\nHost: h\r\n",
            "PUT /b/k HTTP/1.1\r\nContent-Length: 3\r\n\r\nab",
            "PUT /b/k HTTP/1.1\r\nContent-Length: x\r\n\r\nab",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn percent_encoding_is_undone() {
        let key = "a b/ä+%\n~";
        assert_eq!(percent_encode(key), "a%20b/%C3%A4%2B%25%0A~");
        assert_eq!(percent_decode(&percent_encode(key)).unwrap(), key);
    }
}
