//! The little XML that S3 needs.

use std::fmt::Write;

/// Text as the content of an element. Control characters become references, as S3 writes them,
/// although XML 1.0 forbids most of these.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_ascii_control() => {
                let _ = write!(escaped, "&#{};", control as u32);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// What [`escape`] and other writers of XML have escaped.
pub(crate) fn unescape(text: &str) -> String {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        unescaped.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').map_or(rest.len(), |end| end + 1);
        match &rest[..end] {
            "&amp;" => unescaped.push('&'),
            "&lt;" => unescaped.push('<'),
            "&gt;" => unescaped.push('>'),
            "&quot;" => unescaped.push('"'),
            "&apos;" => unescaped.push('\''),
            other => unescaped.push_str(&reference(other).unwrap_or_else(|| other.to_owned())),
        }
        rest = &rest[end..];
    }
    unescaped + rest
}

/// The character of a numeric reference such as `&#10;` or `&#xA;`.
fn reference(text: &str) -> Option<String> {
    let number = text.strip_prefix("&#")?.strip_suffix(';')?;
    let code = match number.strip_prefix('x') {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
        None => number.parse(),
    };
    Some(char::from_u32(code.ok()?)?.to_string())
}

/// The contents of all elements with this name, which must not be nested in each other.
pub(crate) fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(start.as_str())
        .skip(1)
        .filter_map(|rest| rest.split_once(end.as_str()))
        .map(|(content, _)| content)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_is_undone() {
        let text = "a<b>&\"c\"\n\r\u{1}ä'";
        assert_eq!(escape(text), "a&lt;b&gt;&amp;&quot;c&quot;&#10;&#13;&#1;ä'");
        assert_eq!(unescape(&escape(text)), text);
        assert_eq!(unescape("&#x41;&apos;&unknown;&"), "A'&unknown;&");
    }

    #[test]
    fn elements_are_found_in_order() {
        let xml = "<A><B>1</B><C>x</C></A><A><B>2</B></A><A>";
        assert_eq!(elements(xml, "A"), ["<B>1</B><C>x</C>", "<B>2</B>"]);
        assert_eq!(elements(xml, "B"), ["1", "2"]);
    }
}
