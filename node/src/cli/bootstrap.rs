//! What can a person do about how they are found?

use clap::Subcommand;
use kith_common::limits::BOOTSTRAPS_MAX;
use kith_net::bootstrap::Bootstrap;
use serde_json::{Value, json};

use super::{CliError, Global, show};
use crate::client::Client;

#[derive(Debug, Subcommand)]
pub(super) enum BootstrapCommand {
    /// Choose bootstraps, for all your devices: through them you and your contacts find each other
    /// anywhere.
    ///
    /// A bootstrap reads nothing. It sees network addresses, and which of them it connects.
    Set {
        /// Addresses as `bootstrap` prints them when it starts, or /dnsaddr/HOST.
        #[arg(required = true, value_name = "ADDRESS", num_args = 1..=BOOTSTRAPS_MAX)]
        addresses: Vec<Bootstrap>,
    },
    /// Your bootstraps, and whether they work.
    Show,
    /// Choose none: those that this program was built with are used, if there are any.
    None,
}

pub(super) fn carry_out(global: &Global, command: BootstrapCommand) -> Result<(), CliError> {
    let client = Client::open(&global.home()?)?;
    let answer = match command {
        BootstrapCommand::Show => client.get("/api/finding")?,
        BootstrapCommand::None => choose(&client, &[])?,
        BootstrapCommand::Set { addresses } => {
            let addresses: Vec<String> = addresses.iter().map(Bootstrap::to_string).collect();
            choose(&client, &addresses)?
        }
    };
    show::answer(global.json, &answer, tell);
    Ok(())
}

fn choose(client: &Client, bootstraps: &[String]) -> Result<Value, CliError> {
    Ok(client.put("/api/finding", &json!({ "bootstraps": bootstraps }))?)
}

fn tell(answer: &Value) {
    let flag = |name: &str| answer.get(name).and_then(Value::as_bool).unwrap_or_default();
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    let list = answer.get("bootstraps").and_then(Value::as_array);
    for bootstrap in list.into_iter().flatten().filter_map(Value::as_str) {
        show::line(&show::plain(bootstrap));
    }
    if !flag("on") {
        show::line(
            "You have no bootstrap: you and your contacts find each other at addresses that",
        );
        show::line("you know, in the local network, and by mailboxes.");
        show::advice("Choose one with `kith bootstrap set ADDRESS`; anybody can run one");
        return;
    }
    show::line(&match number("relays") {
        0 => "No bootstrap has answered yet: nobody reaches you through one.".to_owned(),
        1 => "Others reach you through 1 of them.".to_owned(),
        count => format!("Others reach you through {count} of them."),
    });
    let find = if flag("findable") { "can" } else { "cannot" };
    show::line(&format!("Who knows your id {find} find you (kith settings --findable on|off)."));
    if flag("relay_only") {
        show::line("Contacts learn no address of yours (kith settings --relay-only on|off).");
    } else {
        show::line("Contacts learn your addresses (kith settings --relay-only on|off).");
    }
}
