//! Containers of Azure Blob Storage.

use std::sync::Arc;

use object_store::azure::{AzureAuthorizer, MicrosoftAzure};
use object_store::client::HttpRequest;
use object_store::path::Path;
use reqwest::Url;

use super::settings::SettingsError;
use super::translate::translate;

/// A container.
#[derive(Clone, Debug)]
pub(super) struct AzureContainer {
    pub(super) store: Arc<MicrosoftAzure>,
    pub(super) account: String,
    /// Without a `/` at its end.
    pub(super) url: Url,
    /// Whether nothing is signed, since the container is public.
    pub(super) is_anonymous: bool,
}

impl AzureContainer {
    /// The URL of a blob, or of the container if the path is empty.
    pub(super) fn place(&self, path: &Path) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path.as_ref().split('/').filter(|segment| !segment.is_empty()));
        }
        url
    }

    /// Signs a request.
    pub(super) async fn authorize(&self, request: &mut HttpRequest) -> Result<(), SettingsError> {
        if self.is_anonymous {
            return Ok(());
        }
        let credential = self.store.credentials().get_credential().await;
        let credential = credential.map_err(|error| translate(&error))?;
        AzureAuthorizer::new(&credential, &self.account)
            .try_authorize(request)
            .map_err(|error| translate(&error))
    }
}
