use std::fs;

use tempfile::TempDir;

use super::*;

/// A home folder with the two files of AWS.
struct Home(TempDir);

impl Home {
    fn new(config: &str, credentials: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/config"), config).unwrap();
        fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        Self(home)
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<AwsSettings, String> {
        self.try_load(variables).map_err(|error| {
            let message = error.to_string();
            assert!(!message.contains("hidden"), "{message}");
            message.replace(self.0.path().to_str().unwrap(), "~")
        })
    }

    fn try_load(&self, variables: &[(&str, &str)]) -> Result<AwsSettings, ProfileError> {
        self.load_if(variables, |_, _| true)
    }

    fn load_if(
        &self,
        variables: &[(&str, &str)],
        is_trusted: impl Fn(&Path, &File) -> bool,
    ) -> Result<AwsSettings, ProfileError> {
        let variable = |wanted: &str| {
            let home = ("HOME", self.0.path().to_str().unwrap());
            let all = variables.iter().chain([&home]);
            all.filter(|(name, _)| *name == wanted).map(|(_, value)| value.into()).next()
        };
        AwsSettings::load(variable, is_trusted)
    }

    /// The id, the key and the token.
    fn keys(&self, variables: &[(&str, &str)]) -> Option<(String, String, Option<String>)> {
        let credentials = self.load(variables).unwrap().credentials?;
        let token = credentials.session_token.map(|token| token.to_string());
        Some((credentials.access_key_id, credentials.secret_access_key.to_string(), token))
    }
}

fn keys(id: &str, token: Option<&str>) -> Option<(String, String, Option<String>)> {
    Some((id.to_owned(), format!("hidden-{id}"), token.map(str::to_owned)))
}

#[test]
fn without_files_and_variables_there_are_no_settings() {
    assert_eq!(AwsSettings::load(|_| None, |_, _| true).unwrap(), AwsSettings::default());
    let home = tempfile::tempdir().unwrap();
    assert_eq!(Home(home).load(&[]), Ok(AwsSettings::default()));
    let home = Home::new("[profile other]\nregion = r", "[other]\naws_access_key_id = x");
    assert_eq!(home.load(&[("AWS_PROFILE", "")]), Ok(AwsSettings::default()));
}

#[test]
fn profiles_are_found_by_their_names() {
    let home = Home::new(
        "[default]\nregion = r-default\n[profile a]\nregion = r-a\n[b]\nregion = r-b\n\
         [profile \"c d\"]\nregion = r-cd\n[profilex]\nregion = r-x",
        "[b]\nendpoint_url = http://b\n[profile e]\nregion = r-e",
    );
    let region = |profile| home.load(&[("AWS_PROFILE", profile)]).map(|settings| settings.region);
    assert_eq!(home.load(&[]).unwrap().region.as_deref(), Some("r-default"));
    for (profile, wanted) in
        [("default", Some("r-default")), ("a", Some("r-a")), ("b", None), ("c d", Some("r-cd"))]
    {
        assert_eq!(region(profile).unwrap().as_deref(), wanted, "{profile}");
    }
    for profile in ["e", "x", "A"] {
        let message =
            format!("environment: AWS_PROFILE names the profile `{profile}`, which does not exist");
        assert_eq!(region(profile), Err(message));
    }
    let both = home.load(&[("AWS_PROFILE", "a"), ("AWS_DEFAULT_PROFILE", "c d")]).unwrap();
    assert_eq!(both.region.as_deref(), Some("r-cd"));
}

#[test]
fn credentials_have_the_order_of_the_aws_cli() {
    let config = "[default]\naws_access_key_id = config\naws_secret_access_key = hidden-config\n\
                  aws_session_token = of-config\n";
    let process = r#"credential_process = printf '{"Version": 1, "AccessKeyId": "process",
        "SecretAccessKey": "hidden-process", "Expiration": "2030-01-01T00:00:00Z"}'"#;
    let credentials =
        "[default]\naws_access_key_id = file\naws_secret_access_key = hidden-file\nregion = r-file";
    let variables = [
        ("AWS_ACCESS_KEY_ID", "variable"),
        ("AWS_SECRET_ACCESS_KEY", "hidden-variable"),
        ("AWS_SESSION_TOKEN", "of-variable"),
        ("AWS_CREDENTIAL_EXPIRATION", "2030-01-01T00:00:00+00:00"),
    ];

    let home = Home::new(config, "");
    assert_eq!(home.keys(&[]), keys("config", Some("of-config")));
    let config = format!("{config}{process}\nregion = r-config\nendpoint_url = http://config\n");
    let home = Home::new(&config, "[default]\nregion = r-file");
    assert_eq!(home.keys(&[]), keys("process", None));
    let home = Home::new(&config, credentials);
    assert_eq!(home.keys(&[]), keys("file", None));
    assert_eq!(home.keys(&variables), keys("variable", Some("of-variable")));

    // The files are merged, and the credentials file comes first.
    let settings = home.load(&variables).unwrap();
    assert_eq!(settings.region.as_deref(), Some("r-file"));
    assert_eq!(settings.endpoint.as_deref(), Some("http://config"));
    let expires = settings.credentials.unwrap().expires;
    assert_eq!(expires, parse_time("2030-01-01T00:00:00Z"));
}

#[test]
fn regions_and_endpoints_have_the_order_of_the_aws_cli() {
    let home = Home::new(
        "[default]\nregion = r # comment\nendpoint_url = http://profile\n\
         [profile s]\nendpoint_url = http://profile\nservices = mine\n\
         [services mine]\ndynamodb =\n  endpoint_url = http://wrong\ns3 =\n  x = 1\n  \
         endpoint_url = http://service:1/path\n\
         [profile i]\nendpoint_url = http://profile\nignore_configured_endpoint_urls = true\n\
         [profile lost]\nservices = none",
        "",
    );
    let endpoint = |variables: &[_]| home.load(variables).unwrap().endpoint;
    assert_eq!(endpoint(&[]).as_deref(), Some("http://profile"));
    let service = ("AWS_PROFILE", "s");
    assert_eq!(endpoint(&[service]).as_deref(), Some("http://service:1/path"));
    let all = ("AWS_ENDPOINT_URL", "http://all");
    assert_eq!(endpoint(&[service, all]).as_deref(), Some("http://all"));
    let s3 = ("AWS_ENDPOINT_URL_S3", "http://s3");
    assert_eq!(endpoint(&[service, all, s3]).as_deref(), Some("http://s3"));
    let ignore = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
    assert_eq!(endpoint(&[service, all, s3, (ignore, "TRUE")]), None);
    let ignoring = ("AWS_PROFILE", "i");
    assert_eq!(endpoint(&[ignoring, s3]), None);
    assert_eq!(endpoint(&[ignoring, (ignore, "false")]).as_deref(), Some("http://profile"));
    assert_eq!(
        home.load(&[("AWS_PROFILE", "lost")]),
        Err("~/.aws/config:17: there is no section `[services none]`".to_owned())
    );

    let region = |variables: &[_]| home.load(variables).unwrap().region;
    assert_eq!(region(&[]).as_deref(), Some("r"));
    let default = ("AWS_DEFAULT_REGION", "r-default");
    assert_eq!(region(&[default]).as_deref(), Some("r-default"));
    assert_eq!(region(&[default, ("AWS_REGION", "r-first")]).as_deref(), Some("r-first"));
}

#[test]
fn files_can_be_elsewhere() {
    let home = Home::new("", "");
    fs::write(home.0.path().join("c"), "[profile a]\nregion = r").unwrap();
    fs::write(home.0.path().join("d"), "[a]\nendpoint_url = http://d").unwrap();
    let absolute = home.0.path().join("d");
    let variables = [
        ("AWS_PROFILE", "a"),
        ("AWS_CONFIG_FILE", "~/c"),
        ("AWS_SHARED_CREDENTIALS_FILE", absolute.to_str().unwrap()),
    ];
    let settings = home.load(&variables).unwrap();
    assert_eq!(settings.region.as_deref(), Some("r"));
    assert_eq!(settings.endpoint.as_deref(), Some("http://d"));
}

#[test]
fn what_needs_other_services_is_refused_with_advice() {
    let process = "credential_process = false\n";
    for (settings, key) in [
        ("role_arn = arn:x\nsource_profile = y\n", "role_arn"),
        ("role_arn = arn:x\nweb_identity_token_file = /x\n", "web_identity_token_file"),
        ("sso_session = x\nsso_account_id = 1\nsso_role_name = y\n", "sso_account_id"),
        ("login_session = x\n", "login_session"),
    ] {
        let home = Home::new(&format!("[profile \"p q\"]\n{settings}{process}"), "");
        let error = home.try_load(&[("AWS_PROFILE", "p q")]).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(&format!("the profile `p q` has `{key}`, which is not supported")),
            "{error}"
        );
        let help = error.help().unwrap();
        assert!(help.contains("export-credentials --profile 'p q' --format process"), "{help}");
        // With keys in the environment, the profile's are not needed.
        let variables = [
            ("AWS_PROFILE", "p q"),
            ("AWS_ACCESS_KEY_ID", "v"),
            ("AWS_SECRET_ACCESS_KEY", "hidden-v"),
        ];
        assert_eq!(home.keys(&variables), keys("v", None));
    }
    // The store's client takes these itself.
    let home = Home::new("", "[default]\naws_access_key_id = a\naws_secret_access_key = hidden-a");
    assert_eq!(home.keys(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/x")]), None);
}

#[test]
fn errors_name_the_file_and_the_line_but_no_secret() {
    let error = |config: &str, credentials: &str, variables: &[_]| {
        Home::new(config, credentials).load(variables).unwrap_err()
    };
    assert_eq!(
        error("", "[default]\n\naws_access_key_id = a\naws_secret_access_keys = hidden", &[]),
        "~/.aws/credentials:3: aws_access_key_id is set, but aws_secret_access_key is not"
    );
    assert_eq!(
        error("", "[default]\naws_access_key_id = a\naws_secret_access_key = hid den", &[]),
        "~/.aws/credentials:3: aws_secret_access_key has an invalid value"
    );
    assert_eq!(
        error("[default]\nhidden", "", &[]),
        "~/.aws/config:2: is neither `[SECTION]` nor `KEY = VALUE` in a section"
    );
    assert_eq!(
        error("[default]\nregion = r\n  aws_secret_access_key = hidden", "", &[]),
        "~/.aws/config:2: region has an invalid value"
    );
    assert_eq!(
        error("", "", &[("AWS_ACCESS_KEY_ID", "a")]),
        "environment: AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"
    );
    let id = ("AWS_ACCESS_KEY_ID", "a");
    assert_eq!(
        error("", "", &[id, ("AWS_SECRET_ACCESS_KEY", "hidden\n")]),
        "environment: AWS_SECRET_ACCESS_KEY has an invalid value"
    );
    assert_eq!(
        error("[default]\ncredential_process = sh -c 'echo hidden; echo why >&2; exit 1'", "", &[]),
        "~/.aws/config:2: credential_process failed (exit status: 1): why"
    );
}

#[test]
fn secrets_are_not_printed_for_debugging() {
    let home = Home::new(
        "",
        "[default]\naws_access_key_id = id\naws_secret_access_key = hidden\naws_session_token = hidden",
    );
    let printed = format!("{:?}", home.load(&[]).unwrap());
    assert!(printed.contains("id") && !printed.contains("hidden"), "{printed}");
}

#[test]
fn commands_in_files_of_others_are_not_run() {
    let home = Home::new("[default]\nregion = r\ncredential_process = touch started", "");
    let error = home.load_if(&[], |path, _| !path.ends_with("config")).unwrap_err();
    assert!(matches!(error.problem(), ProfileProblem::Untrusted), "{error}");
    // Where it does not count, the file may be anybody's.
    let variables = [("AWS_ACCESS_KEY_ID", "v"), ("AWS_SECRET_ACCESS_KEY", "hidden-v")];
    let settings = home.load_if(&variables, |_, _| false).unwrap();
    assert_eq!(settings.region.as_deref(), Some("r"));
}
