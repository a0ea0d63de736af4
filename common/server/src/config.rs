//! How is a service set up? Flags, then environment, then a file, then defaults.
//!
//! One type says all four: clap reads flags and environment and knows the defaults; what came from
//! neither flag nor environment is replaced by what the file says. Keys of the file are the names
//! of the flags.

use std::{ffi::OsString, net::IpAddr, path::PathBuf, str::FromStr};

use anyhow::{Context, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum, parser::ValueSource};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::Table;

use crate::Service;

/// What every service understands.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// Where the service is offered; port 0 takes any free one.
    #[arg(long, value_name = "HOST:PORT", env = "KITH_LISTEN", default_value = "")]
    pub listen: String,
    /// Folder of the service's data.
    #[arg(long, value_name = "DIR", env = "KITH_DATA", default_value = "data")]
    pub data: PathBuf,
    /// Where /healthz, /readyz and /metrics are answered.
    #[arg(long, value_name = "HOST:PORT", env = "KITH_HEALTH", default_value = "")]
    pub health: String,
    /// Names by which clients know this server, with the port if it is not the usual one; without
    /// any, whatever name they use.
    #[arg(long, value_name = "HOST[:PORT]", env = "KITH_NAME", value_delimiter = ',')]
    pub name: Vec<String>,
    /// Certificate chain in PEM; without it put a proxy that speaks TLS in front.
    #[arg(long, value_name = "FILE", env = "KITH_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate in PEM.
    #[arg(long, value_name = "FILE", env = "KITH_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Proxies whose X-Forwarded-For and Forwarded are believed, for counting requests only.
    #[arg(long, value_name = "ADDRESS", env = "KITH_TRUSTED_PROXY", value_delimiter = ',')]
    pub trusted_proxy: Vec<IpAddr>,
    /// Requests of one address in a second; 0 counts none.
    #[arg(long, value_name = "N", env = "KITH_REQUESTS_PER_SECOND", default_value_t = 200)]
    pub requests_per_second: u32,
    /// Requests that one address may save up.
    #[arg(long, value_name = "N", env = "KITH_REQUESTS_BURST", default_value_t = 2000)]
    pub requests_burst: u32,
    /// Connections at one time.
    #[arg(long, value_name = "N", env = "KITH_CONNECTIONS_MAX", default_value_t = 20_000)]
    pub connections_max: usize,
    /// Connections of one address at one time, proxies excepted.
    #[arg(long, value_name = "N", env = "KITH_CONNECTIONS_PER_ADDRESS", default_value_t = 512)]
    pub connections_per_address: usize,
    /// How to write the log to standard error.
    #[arg(long, value_name = "FORMAT", env = "KITH_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A setting that is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// Lends the setting.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hidden {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What a service without settings of its own has.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct NoSettings {}

/// What to do with a command line.
#[derive(Debug)]
pub enum Start<C> {
    /// Run, set up like this.
    Run(Box<Config>, C),
    /// Print this and end.
    Print(String),
}

#[derive(Args)]
struct Meta {
    /// Settings as TOML; what flags and environment say counts more.
    #[arg(long, value_name = "FILE", env = "KITH_CONFIG")]
    config: Option<PathBuf>,
    /// Print the settings that would be used, without secrets, and end.
    #[arg(long)]
    print_config: bool,
}

/// Reads a command line, and the file that it names.
///
/// # Errors
/// If flags, environment or file say something that is not known; a [`clap::Error`] is inside if it
/// was the command line.
pub fn load<C: Args + Serialize + DeserializeOwned>(
    service: &Service,
    arguments: impl IntoIterator<Item = OsString>,
) -> anyhow::Result<Start<C>> {
    let command =
        Command::new(service.name).about(service.about).version(env!("CARGO_PKG_VERSION"));
    let command = C::augment_args(Meta::augment_args(Config::augment_args(command)))
        .mut_arg("listen", |arg| arg.default_value(service.listen))
        .mut_arg("health", |arg| arg.default_value(service.health));
    let matches = command.clone().try_get_matches_from(arguments)?;
    let meta = Meta::from_arg_matches(&matches)?;
    let mut settings = Table::try_from(Config::from_arg_matches(&matches)?)?;
    settings.extend(Table::try_from(C::from_arg_matches(&matches)?)?);
    if let Some(path) = &meta.config {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("Reading the settings in {}", path.display()))?;
        overlay(&mut settings, &text, &command, &matches)
            .with_context(|| format!("Reading the settings in {}", path.display()))?;
    }
    let config = Config::deserialize(settings.clone()).context("Reading the settings")?;
    let own = C::deserialize(settings.clone()).context("Reading the settings")?;
    if !meta.print_config {
        return Ok(Start::Run(Box::new(config), own));
    }
    // As a remark, so that what is printed serves as a file.
    let hidden = service.secrets.iter().filter(|secret| settings.remove(**secret).is_some());
    let hidden: String = hidden
        .map(|secret| format!("# {secret} is set, but not printed: give it again\n"))
        .collect();
    Ok(Start::Print(toml::to_string(&settings)? + &hidden))
}

/// Puts what the file says over defaults, but under flags and environment.
fn overlay(
    settings: &mut Table,
    text: &str,
    command: &Command,
    matches: &ArgMatches,
) -> anyhow::Result<()> {
    let file: Table = toml::from_str(text)?;
    for (key, value) in file {
        let id = key.replace('-', "_");
        let meta = ["config", "print_config"].contains(&id.as_str()) || id.contains("help");
        if meta
            || key.contains('_')
            || !command.get_arguments().any(|arg| arg.get_id() == id.as_str())
        {
            bail!("there is no setting {key:?}: see --help for all of them");
        }
        let said = matches.value_source(&id);
        if !matches!(said, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            settings.insert(key, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Service = Service {
        name: "test-server",
        about: "",
        listen: "127.0.0.1:1",
        health: "127.0.0.1:2",
        secrets: &["word"],
    };

    #[derive(Debug, Clone, Args, Serialize, Deserialize)]
    struct Own {
        #[arg(long)]
        word: Option<Hidden>,
    }

    fn start(arguments: &[&str]) -> anyhow::Result<Start<Own>> {
        load(&SERVICE, ["test-server"].iter().chain(arguments).map(OsString::from))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn flags_count_more_than_the_file_and_it_more_than_defaults() {
        let file = file("listen = \"0.0.0.0:3\"\nrequests-per-second = 7\nword = \"w\"");
        let path = file.path().to_str().unwrap();
        let Start::Run(config, own) = start(&["--config", path, "--listen", "[::1]:4"]).unwrap()
        else {
            panic!("it runs")
        };
        assert_eq!((config.listen.as_str(), config.requests_per_second), ("[::1]:4", 7));
        assert_eq!((config.health.as_str(), config.requests_burst), ("127.0.0.1:2", 2000));
        assert_eq!(own.word.as_ref().map(Hidden::expose), Some("w"));
        assert!(!format!("{own:?}").contains('"'), "secrets are not shown");
    }

    #[test]
    fn a_key_that_nobody_knows_is_named() {
        for key in ["lisetn", "config", "tls_cert"] {
            let file = file(&format!("{key} = \"x\""));
            let refusal = start(&["--config", file.path().to_str().unwrap()]).unwrap_err();
            assert!(format!("{refusal:#}").contains(key), "{refusal:#}");
        }
    }

    #[test]
    fn the_settings_are_printed_without_secrets() {
        let Start::Print(text) = start(&["--print-config", "--word", "open-sesame"]).unwrap()
        else {
            panic!("it prints")
        };
        assert!(text.contains("listen = \"127.0.0.1:1\"") && text.contains("# word is set"));
        assert!(!text.contains("sesame"), "{text}");
        let again = file(&text);
        assert!(start(&["--config", again.path().to_str().unwrap()]).is_ok(), "{text}");
    }
}
