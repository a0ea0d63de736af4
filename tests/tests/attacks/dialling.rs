//! A contact that closes each session as soon as it stands.
use kith_core::engine::{Command, Input, LinkId, Output};
use kith_tests::sim::puppet::{Puppet, Victim, victim_transport};

#[test]
fn who_hangs_up_at_once_is_not_dialled_without_pause() {
    let mallory = Puppet::new(1);
    let mut victim = Victim::new();
    let mut card = mallory.person.card();
    card.addresses = vec!["sim:1".to_owned()];
    victim.command(Command::AddContact {
        card: Box::new(card),
        name: None,
        greeting: String::new(),
    });
    let mut dials = 0;
    for link in 1..=100 {
        let out = victim.wait_ms(20);
        dials += out.iter().filter(|o| matches!(o, Output::Dial { .. })).count();
        victim.link(link, &mallory);
        victim.hear(link, mallory.hello(victim.device(), &victim_transport(link)));
        victim.hear(link, mallory.certificate(&victim_transport(link)));
        victim.feed(Input::LinkDown { link: LinkId(link) });
    }
    assert!(dials < 20, "{dials}");
}
