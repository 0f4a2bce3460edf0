//! A failure and its exit status.

use std::path::{Path, PathBuf};

use serde_json::Value;

pub(crate) use crate::exit_code as code;
use crate::json;

/// A failure: what to print, and how to exit.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// A stable word for programs.
    pub(super) kind: &'static str,
    pub(super) file: Option<PathBuf>,
    pub(super) message: String,
    pub(super) help: String,
    pub(super) shared: Option<Shared>,
    /// The request to a store that has failed, for programs.
    pub(super) store: Option<Box<Value>>,
}

/// A reason that makes other files of the run fail as well; it is reported once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    /// There is no room.
    NoRoom,
    /// The file system of the outputs has no symbolic links.
    NoLinks,
    /// The outputs exist, and `--remove-source` removes only what this run has processed.
    SourceKept,
}

impl Failure {
    pub(super) fn new(
        code: u8,
        kind: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let (message, help) = (message.into(), help.into());
        Self { code, kind, file: None, message, help, shared: None, store: None }
    }

    pub(super) fn full(self, is_full: bool) -> Self {
        Self { shared: is_full.then_some(Shared::NoRoom), ..self }
    }

    /// With other help.
    pub(crate) fn helped_by(self, help: String) -> Self {
        Self { help, ..self }
    }

    /// A stable word for programs.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) fn shared(&self) -> Option<Shared> {
        self.shared
    }

    pub(super) fn about(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// The failure as an object for programs.
    pub(crate) fn json(&self) -> Value {
        let mut object = serde_json::json!({
            "code": self.code,
            "kind": self.kind,
            "file": null,
            "message": self.message,
            "help": self.help,
        });
        if let Some(file) = &self.file {
            json::insert_name(&mut object, "file", file);
        }
        if let Some(store) = &self.store {
            object["store"] = (**store).clone();
        }
        object
    }
}
