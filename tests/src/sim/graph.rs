//! What did the logs look like when it failed? Graphviz: paste into `dot -Tsvg`.

use core::fmt::Write;

use kith_common::frame::Frame;

use super::{book::Book, node::Node};

/// Draws every log: boxes are entries with the nodes that have them, arrows lead to what an entry
/// depends on, dashed ones to what it answers.
pub fn draw(book: &Book, nodes: &[Node]) -> String {
    let mut out = String::from("digraph logs {\n  rankdir=RL; node [shape=box];\n");
    let name = |device| {
        nodes.iter().find(|node| node.device == device).map_or("?", |node| node.name.as_str())
    };
    for (id, known) in &book.entries {
        let holders: Vec<String> = (0..book.views.len())
            .filter(|node| book.views[*node].has(known))
            .map(|node| node.to_string())
            .collect();
        let (who, seq, holders) = (name(known.device), known.entry.seq, holders.join(","));
        let log = known.log;
        let _ = writeln!(out, "  \"{id:?}\" [label=\"{who}#{seq}\\n{log:?}\\nat {holders}\"];");
        for below in &known.below {
            let _ = writeln!(out, "  \"{id:?}\" -> \"{below:?}\";");
        }
        if let Some(answered) = known.reply_to {
            let _ = writeln!(out, "  \"{id:?}\" -> \"{answered:?}\" [style=dashed];");
        }
    }
    out.push_str("}\n");
    out
}

/// A frame in a few words.
pub(crate) fn frame(bytes: &[u8]) -> String {
    match Frame::decode(bytes) {
        Ok(Some(Frame::Hello { .. })) => "hello".to_owned(),
        Ok(Some(Frame::Certificate { .. })) => "who it is".to_owned(),
        Ok(Some(Frame::Request { .. })) => "a request".to_owned(),
        Ok(Some(Frame::Frontiers { ask, frontiers })) => {
            format!("{} frontiers{}", frontiers.len(), if ask { " and asks" } else { "" })
        }
        Ok(Some(Frame::Entries { log, entries })) => {
            format!("{} entries of {log:?}", entries.len())
        }
        Ok(Some(Frame::Accounts { proofs })) => format!("{} accounts", proofs.len()),
        Ok(Some(Frame::AccountHeads { heads })) => format!("heads of {} accounts", heads.len()),
        Ok(Some(Frame::Want { entries, .. })) => format!("wants {} bodies", entries.len()),
        Ok(Some(Frame::Hints { devices })) => format!("where {} devices are", devices.len()),
        Ok(Some(Frame::Packages { packages })) => format!("{} packages", packages.len()),
        Ok(Some(Frame::Seek { tokens })) => format!("looks for {} records", tokens.len()),
        Ok(Some(Frame::Records { records })) => format!("{} records", records.len()),
        Ok(Some(Frame::Who { .. })) => "asks whose id it knows".to_owned(),
        Ok(Some(Frame::Card { .. })) => "a card".to_owned(),
        Ok(Some(Frame::Join { .. } | Frame::Offer { .. } | Frame::Accept { .. })) => {
            "linking".to_owned()
        }
        Ok(None) | Err(_) => "something else".to_owned(),
    }
}
