//! Does anything that is said, or that names somebody, reach a log? Everything is logged, at every
//! level, in a world where much goes wrong; none of it may say who or what.

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER};
use kith_common::share::SharedId;
use kith_core::engine::Command;
use kith_tests::sim::{World, address, logs::Everything, malice::Trick, network::Weather, secrets};

/// All the ways in which bytes might be printed.
fn printed(bytes: &[u8]) -> Vec<String> {
    let spaced = format!("{bytes:?}");
    vec![
        HEXLOWER.encode(bytes),
        HEXLOWER.encode(bytes).to_uppercase(),
        BASE64.encode(bytes).trim_end_matches('=').to_owned(),
        BASE64URL_NOPAD.encode(bytes),
        BASE32_NOPAD.encode(bytes),
        format!("{bytes:02x?}"),
        format!("{bytes:x?}"),
        spaced.replace(' ', ""),
        spaced,
    ]
}

fn world() -> Vec<String> {
    let mut world = World::new(11, "nothing_secret_is_logged");
    let names = ["Adelheid", "Balthasar", "Cunigunde", "Mallory"];
    for name in names {
        world.person(name, 1);
    }
    world.corrupt(3);
    world.run_ms(100);
    for (one, other) in [(0, 1), (1, 2), (0, 3), (1, 3)] {
        world.befriend(one, other);
    }
    world.run_ms(10_000);
    let weather = Weather {
        loss_per_mille: 50,
        double_per_mille: 50,
        reorder_per_mille: 100,
        break_per_mille: 10,
        crash_per_mille: 20,
        ..Weather::default()
    };
    world.weather = weather;
    for number in 0..40 {
        world.say(0, 1, &format!("unutterable to Balthasar {number}"));
        world.say(1, 2, &format!("unutterable to Cunigunde {number}"));
        world.say(3, 0, &format!("unutterable by Mallory {number}"));
        world.run_ms(1500);
        for trick in Trick::ALL {
            world.misbehave(3, trick);
        }
    }
    world.command(2, Command::Block(world.account(1)));
    world.command(0, Command::Remove(world.account(3)));
    world.run_ms(60_000);
    world.settle();
    needles(&world, &names)
}

/// Everything that must not be logged.
fn needles(world: &World, names: &[&str]) -> Vec<String> {
    let mut needles: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    needles.extend(["unutterable".to_owned(), "greeting of".to_owned()]);
    for (number, person) in world.people.iter().enumerate() {
        needles.extend(printed(person.account.id().as_bytes()));
        needles.extend(printed(person.account.recovery()));
        needles.push(SharedId::of(&person.account).encode());
        for secret in secrets(world, number) {
            needles.extend(printed(&secret));
        }
        for device in person.account.devices() {
            needles.extend(printed(device.as_bytes()));
        }
    }
    needles.extend((0..world.nodes.len()).map(address));
    for id in world.book.entries.keys() {
        needles.extend(printed(id.as_bytes()));
    }
    needles
}

#[test]
fn nothing_secret_is_logged() {
    let mut forbidden = Vec::new();
    let lines = Everything::logged(|| forbidden = world());
    assert!(lines.len() > 100, "only {} lines were logged: nothing was tested", lines.len());
    for line in &lines {
        for needle in &forbidden {
            assert!(!line.contains(needle.as_str()), "{needle:?} is in the log: {line}");
        }
        assert!(!line.starts_with("ERROR"), "{line}");
    }
}

#[test]
fn what_is_logged_is_seen() {
    let lines = Everything::logged(|| {
        let key = [7_u8; 4];
        tracing::trace!(?key, name = "Adelheid", "said {}", "unutterable");
        let _span = tracing::debug_span!("inside", secret = %HEXLOWER.encode(&key)).entered();
    });
    let all = lines.join("\n");
    for word in ["[7, 7, 7, 7]", "Adelheid", "unutterable", "07070707"] {
        assert!(all.contains(word), "{word} is missing in {all}");
    }
}
