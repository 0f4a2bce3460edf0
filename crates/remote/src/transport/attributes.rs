//! What stores keep of objects besides their content, as rclone does.

use chrono::{DateTime, SecondsFormat};
use object_store::{Attribute, Attributes, GetResult};

use crate::protocol::{Meta, NewObject};
use crate::url::Scheme;

/// The user-defined metadata with the time of the file that the object was made from: in S3 seconds
/// since 1970, with a fraction, elsewhere a time as in RFC 3339.
const MTIME: &str = "mtime";
/// The user-defined metadata with the type and the permission bits of that file, in octal.
const MODE: &str = "mode";
/// The user-defined metadata with the mark of the run that has written the object.
const MARK: &str = "cryptstream-mark";
/// The same in Azure, where names are those of variables in C#.
const AZURE_MARK: &str = "cryptstream_mark";
const CONTENT_TYPE: &str = "application/octet-stream";
/// The type of a regular file.
const REGULAR: u32 = 0o100_000;
const SECOND: u64 = 1_000_000_000;

/// The attributes of a new object.
pub(super) fn attributes(object: &NewObject, class: Option<&str>) -> Attributes {
    let metadata = |name: &'static str, value: String| (Attribute::Metadata(name.into()), value);
    let mut attributes = Attributes::from_iter([
        (Attribute::ContentType, CONTENT_TYPE.to_owned()),
        metadata(mark_name(object.location.scheme), object.mark.clone()),
    ]);
    let written = |time| match object.location.scheme {
        Scheme::S3 => written_time(time),
        _ => DateTime::from_timestamp_nanos(time).to_rfc3339_opts(SecondsFormat::Nanos, true),
    };
    let modified = object.modified.map(|time| metadata(MTIME, written(time)));
    let mode = object.mode.map(|mode| metadata(MODE, format!("{:o}", REGULAR | mode)));
    let class = class.map(|class| (Attribute::StorageClass, class.to_owned()));
    for (attribute, value) in modified.into_iter().chain(mode).chain(class) {
        attributes.insert(attribute, value.into());
    }
    attributes
}

/// Those of the object that it replaces, with its own mark and, if it is to have another one, its
/// storage class.
pub(super) fn with_mark(
    mut attributes: Attributes,
    object: &NewObject,
    class: Option<&str>,
) -> Attributes {
    if let Some(class) = class {
        attributes.insert(Attribute::StorageClass, class.to_owned().into());
    }
    let name = mark_name(object.location.scheme);
    attributes.insert(Attribute::Metadata(name.into()), object.mark.clone().into());
    attributes
}

fn mark_name(scheme: Scheme) -> &'static str {
    if scheme.is_azure() { AZURE_MARK } else { MARK }
}

/// What an object is like.
pub(super) fn meta_of(result: &GetResult) -> Meta {
    let get = |name: &'static str| {
        let value = result.attributes.get(&Attribute::Metadata(name.into()))?;
        Some(value.as_ref().to_owned())
    };
    let last = result.meta.last_modified.timestamp_nanos_opt();
    let modified = get(MTIME).and_then(|text| read_time(&text)).or(last).unwrap_or_default();
    let mode = get(MODE).and_then(|text| u32::from_str_radix(&text, 8).ok());
    Meta {
        len: result.meta.size,
        etag: result.meta.e_tag.clone(),
        version: result.meta.version.clone(),
        modified,
        mode: mode.map(|mode| mode & 0o777),
        mark: get(MARK).or_else(|| get(AZURE_MARK)),
        is_stream: false,
    }
}

/// A time in nanoseconds as decimal seconds.
fn written_time(time: i64) -> String {
    let sign = if time < 0 { "-" } else { "" };
    let (seconds, rest) = (time.unsigned_abs() / SECOND, time.unsigned_abs() % SECOND);
    let text = format!("{sign}{seconds}.{rest:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The reverse, of a time as in RFC 3339 as well.
fn read_time(text: &str) -> Option<i64> {
    read_seconds(text).or_else(|| DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt())
}

/// Decimal seconds. As a float they would lose the nanoseconds.
fn read_seconds(text: &str) -> Option<i64> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let rest: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let seconds: i64 = seconds.parse().ok()?;
    let time = seconds.checked_mul(SECOND as i64)?.checked_add(rest)?;
    Some(if is_negative { -time } else { time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_by_rclone_and_read_back() {
        for (time, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (-1, "-0.000000001"),
            (1_500_000_000, "1.5"),
            (-1_500_000_000, "-1.5"),
            (100_000_000_000, "100"),
            (1_700_000_000_123_456_789, "1700000000.123456789"),
        ] {
            assert_eq!(written_time(time), text);
            assert_eq!(read_time(text), Some(time));
        }
        assert_eq!(read_time("1.1234567891"), Some(1_123_456_789));
        for text in ["2023-11-14T22:13:20.123456789Z", "2023-11-14T23:13:20.123456789+01:00"] {
            assert_eq!(read_time(text), Some(1_700_000_000_123_456_789));
        }
        for wrong in ["", "x", "1.x", "2026-01-01", "99999999999999999999"] {
            assert_eq!(read_time(wrong), None, "{wrong}");
        }
    }
}
