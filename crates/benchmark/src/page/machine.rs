//! The machine, as a list of facts.

use std::fmt::Write;

use crate::chart::escape;
use crate::results::{Results, Start};
use crate::{advice, units};

/// The machine, and the conclusions.
pub(super) fn card(results: &Results) -> String {
    let machine = &results.machine;
    let kind = if machine.is_virtual { " (virtual)" } else { "" };
    let file = results.file_name.clone().map(|file| ("File", file));
    let facts = [
        ("Processor", format!("{}{kind}", machine.processor)),
        ("Features", machine.features.join(" ")),
        ("Cores usable", machine.cores.to_string()),
        ("Memory", units::size(machine.memory)),
        ("Kernel", format!("{}, {}", machine.kernel, machine.architecture)),
        ("File system", results.file_system.clone()),
        ("Folder", results.folder_name.clone()),
        ("Cipher", "AES-256-GCM in chunks of 16 KiB".to_owned()),
        ("Of age files", machine.age_cipher()),
        ("Recommended", advice::recommendation(results)),
        ("Workers pay", advice::break_even(results, Start::Cold)),
        ("Workers pay if warm", advice::break_even(results, Start::Warm)),
    ];
    let mut out =
        "<section class=\"card\">\n<h3>The machine</h3>\n<dl class=\"facts\">\n".to_owned();
    for (name, value) in facts.into_iter().chain(file).filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    out.push_str("</dl>\n</section>\n");
    out
}
