//! The settings for Azure Blob Storage.

use std::sync::Arc;

use cryptstream_engine::ObjectErrorKind;
use object_store::azure::{AzureAccessKey, AzureConfigKey, MicrosoftAzureBuilder};
use object_store::{ClientOptions, RetryConfig};
use reqwest::Url;

use super::azure::AzureContainer;
use super::http::Connector;
use super::settings::{Settings, SettingsError};
use crate::url::{Account, Container};

const ACCOUNTS: [&str; 3] = ["azure_storage_account_name", "azure_storage_account", "account_name"];
const KEYS: [&str; 4] = [
    "azure_storage_account_key",
    "azure_storage_key",
    "azure_storage_access_key",
    "azure_storage_master_key",
];
const SIGNATURES: [&str; 2] = ["azure_storage_sas_token", "azure_storage_sas_key"];
const ENDPOINTS: [&str; 2] = ["azure_storage_endpoint", "azure_endpoint"];
/// The server that Azurite is by default, and the account that it has. The key is public.
const EMULATOR: &str = "http://127.0.0.1:10000/";
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const CLOUD: &str = "core.windows.net";

/// An account, where it is, and what belongs to it alone.
#[derive(Debug, Default, PartialEq, Eq)]
struct AccountSettings {
    name: Option<String>,
    key: Option<String>,
    signature: Option<String>,
    endpoint: Option<String>,
    cloud: Option<String>,
}

/// A container with these settings.
pub(super) fn container(
    settings: &Settings,
    bucket: &str,
    retry: RetryConfig,
    connector: Connector,
) -> Result<AzureContainer, SettingsError> {
    let container =
        Container::parse(bucket).ok_or_else(|| wrong("the URL names no account of Azure"))?;
    let AccountSettings { name, key, signature, endpoint, .. } = account(settings, &container)?;
    let name = name.ok_or_else(|| {
        wrong(
            "the account is not known: name it with AZURE_STORAGE_ACCOUNT, or in the URL \
             (abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY)",
        )
    })?;
    let endpoint = endpoint.unwrap_or_else(|| format!("https://{name}.blob.{CLOUD}"));
    let endpoint = endpoint.trim_end_matches('/');
    let mut url = Url::parse(endpoint).map_err(|_| wrong("the endpoint is not a valid URL"))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(wrong("the endpoint does not begin with https:// or http://"));
    }
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.push(container.name);
    }
    let mut builder = MicrosoftAzureBuilder::new();
    for (name, value) in settings.of("azure_") {
        match name.parse::<AzureConfigKey>() {
            // Settled above; and the program `az` cannot be run.
            Ok(
                AzureConfigKey::AccountName
                | AzureConfigKey::AccessKey
                | AzureConfigKey::SasKey
                | AzureConfigKey::Endpoint
                | AzureConfigKey::UseEmulator
                | AzureConfigKey::UseAzureCli
                | AzureConfigKey::CredentialType
                | AzureConfigKey::ContainerName
                | AzureConfigKey::Client(_),
            )
            | Err(_) => {}
            Ok(key) => builder = builder.with_config(key, value),
        }
    }
    if let Some(key) = key {
        AzureAccessKey::try_new(&key).map_err(|_| wrong("the key of the account is no base64"))?;
        builder = builder.with_access_key(key);
    } else if let Some(signature) = signature {
        builder = builder.with_config(AzureConfigKey::SasKey, signature);
    }
    let allows_http = url.scheme() == "http";
    let is_true = |value: &str| value.eq_ignore_ascii_case("true") || value == "1";
    let is_anonymous = settings.get(&["azure_skip_signature"]).is_some_and(is_true);
    let store = builder
        .with_account(&name)
        .with_container_name(container.name)
        .with_endpoint(endpoint.to_owned())
        .with_client_options(ClientOptions::new().with_allow_http(allows_http))
        .with_retry(retry)
        .with_http_connector(connector)
        .build()
        // It might show a part of a secret.
        .map_err(|_| wrong("the settings of Azure (AZURE_…) are not valid"))?;
    Ok(AzureContainer { store: Arc::new(store), account: name, url, is_anonymous })
}

/// The account that the URL and the settings name.
fn account(
    settings: &Settings,
    container: &Container<'_>,
) -> Result<AccountSettings, SettingsError> {
    let text = |names: &[&str]| settings.get(names).map(str::to_owned);
    let uses_emulator = settings
        .get(&["azure_storage_use_emulator"])
        .is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    let mut account = match settings.get(&["azure_storage_connection_string"]) {
        Some(_) if uses_emulator => emulator(settings),
        Some(connection) => connection_string(connection, settings)?,
        None if uses_emulator => emulator(settings),
        None => AccountSettings::default(),
    };
    account.name = text(&ACCOUNTS).or(account.name);
    account.key = text(&KEYS).or(account.key);
    account.signature = text(&SIGNATURES).or(account.signature);
    account.endpoint = text(&ENDPOINTS).or(account.endpoint);
    let Some(Account { name, cloud }) = container.account else { return Ok(account) };
    let is_other = account.name.as_ref().is_some_and(|other| other != name);
    if is_other && (account.key.is_some() || account.signature.is_some()) {
        return Err(wrong(
            "the URL names another account than AZURE_STORAGE_ACCOUNT or the connection string, to \
             which the key or the signature belongs",
        ));
    }
    if is_other || account.endpoint.is_none() {
        account.endpoint = Some(format!("https://{name}.blob.{cloud}"));
    }
    account.name = Some(name.to_owned());
    Ok(account)
}

fn emulator(settings: &Settings) -> AccountSettings {
    let name = settings.get(&ACCOUNTS).unwrap_or(EMULATOR_ACCOUNT);
    let server = settings.get(&["azurite_blob_storage_url"]).unwrap_or(EMULATOR);
    AccountSettings {
        name: Some(name.to_owned()),
        key: Some(EMULATOR_KEY.to_owned()),
        endpoint: Some(format!("{}/{name}", server.trim_end_matches('/'))),
        ..AccountSettings::default()
    }
}

/// Reads pairs `Name=value;…`, as Azure's portal shows them.
fn connection_string(text: &str, settings: &Settings) -> Result<AccountSettings, SettingsError> {
    let mut account = AccountSettings::default();
    let mut protocol = "https";
    for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        // The text is a secret.
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| wrong("AZURE_STORAGE_CONNECTION_STRING is not a list of Name=value"))?;
        let value_text = Some(value.to_owned());
        match name.to_ascii_lowercase().as_str() {
            "accountname" => account.name = value_text,
            "accountkey" => account.key = value_text,
            "sharedaccesssignature" => account.signature = value_text,
            "blobendpoint" => account.endpoint = value_text,
            "endpointsuffix" => account.cloud = value_text,
            "defaultendpointsprotocol" => protocol = value,
            "usedevelopmentstorage" if value.eq_ignore_ascii_case("true") => {
                return Ok(emulator(settings));
            }
            _ => {}
        }
    }
    if account.endpoint.is_none()
        && let Some(name) = &account.name
    {
        let cloud = account.cloud.as_deref().unwrap_or(CLOUD);
        account.endpoint = Some(format!("{protocol}://{name}.blob.{cloud}"));
    }
    // A connection string with a signature need not name the account, but its endpoint begins with it.
    if account.name.is_none() {
        let server = account.endpoint.as_deref().and_then(|url| url.split("://").nth(1));
        account.name = server.and_then(|server| server.split('.').next()).map(str::to_owned);
    }
    Ok(account)
}

fn wrong(message: &str) -> SettingsError {
    (ObjectErrorKind::Settings, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &[(&str, &str)], bucket: &str) -> Result<AccountSettings, SettingsError> {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::read(settings.collect()).unwrap();
        account(&settings, &Container::parse(bucket).unwrap())
    }

    #[test]
    fn accounts_come_from_variables_connection_strings_and_urls() {
        let connection = "DefaultEndpointsProtocol=https;AccountName=acc1;AccountKey=a2V5==;\
                          EndpointSuffix=core.windows.net";
        let found = of(&[("AZURE_STORAGE_CONNECTION_STRING", connection)], "c").unwrap();
        assert_eq!(found.name.as_deref(), Some("acc1"));
        assert_eq!(found.key.as_deref(), Some("a2V5=="));
        assert_eq!(found.endpoint.as_deref(), Some("https://acc1.blob.core.windows.net"));
        let signed =
            "BlobEndpoint=https://acc2.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x%3D";
        let found = of(&[("AZURE_STORAGE_CONNECTION_STRING", signed)], "c").unwrap();
        assert_eq!(found.name.as_deref(), Some("acc2"));
        assert_eq!(found.signature.as_deref(), Some("sv=1&sig=x%3D"));
        let found = of(&[("AZURE_STORAGE_USE_EMULATOR", "true")], "c").unwrap();
        let server = "http://127.0.0.1:10000/devstoreaccount1";
        assert_eq!(found.endpoint.as_deref(), Some(server));
        let found = of(&[], "c@acc1.dfs.core.windows.net").unwrap();
        assert_eq!(found.endpoint.as_deref(), Some("https://acc1.blob.core.windows.net"));
    }

    #[test]
    fn a_key_is_not_used_for_another_account() {
        let settings = [("AZURE_STORAGE_ACCOUNT", "acc1"), ("AZURE_STORAGE_KEY", "hidden==")];
        assert!(of(&settings, "c@acc1.dfs.core.windows.net").is_ok());
        let (kind, message) = of(&settings, "c@acc2.dfs.core.windows.net").unwrap_err();
        assert_eq!(kind, ObjectErrorKind::Settings);
        assert!(!message.contains("hidden"));
        let (_, message) = of(&[("AZURE_STORAGE_CONNECTION_STRING", "hidden")], "c").unwrap_err();
        assert!(!message.contains("hidden"));
    }
}
