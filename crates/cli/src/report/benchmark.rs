//! The report of `benchmark`.

use std::io::{self, Write};
use std::path::Path;

use cryptstream_benchmark::{Glyphs, Results};

use super::{end, wants_json};
use crate::args::ReportOptions;
use crate::json::SCHEMA;
use crate::messages;

/// Shows the results; `page` is the file that also has them.
pub(crate) fn done(results: &Results, page: Option<&Path>, options: ReportOptions) {
    if wants_json(options) {
        let mut object = results.json();
        object["schema"] = SCHEMA.into();
        object["command"] = "benchmark".into();
        object["version"] = env!("CARGO_PKG_VERSION").into();
        object["report"] = page.map(Path::to_string_lossy).into();
        end(object, options, false);
    }
    if !options.json && !options.quiet {
        let text = results.table(Glyphs::of_locale());
        // A closed pipe is not a failure.
        let _ = io::stdout().write_all(text.as_bytes());
        if let Some(page) = page {
            messages::note(&messages::report_written(page));
        }
    }
}
