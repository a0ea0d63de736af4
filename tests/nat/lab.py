#!/usr/bin/env python3
"""Two nodes behind two address translators, a bootstrap between them: do they find each other?

Real programs in network namespaces that this script makes and removes itself; nothing outside them
is touched. Where they are not permitted it says so and ends with 77: skipped, not passed.

    tests/nat/lab.py [--only NAME] [--keep] [--bin FOLDER]

    a (10.1.0.2) ── na ─┐                      ┌─ nb ── b (10.2.0.2)
                        ├── 198.51.100.0/24 ───┤
                        └──── bootstrap (.10) ─┘
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SKIPPED = 77
RELAY = "198.51.100.10"
ROOT = Path(__file__).resolve().parents[2]

# Endpoint-independent mapping (the port is kept), answers only from where something was sent.
CONE = "cone"
# Another port for each destination.
SYMMETRIC = "sym"

# Name, what is at a, what is at b, whether UDP passes at a and at b, and how they are connected in
# the end: straight where the translators allow it, else through the relay.
CASES = [
    ("cone-cone", CONE, CONE, True, True, "direct"),
    ("cone-sym", CONE, SYMMETRIC, True, True, "relayed"),
    ("sym-cone", SYMMETRIC, CONE, True, True, "relayed"),
    ("sym-sym", SYMMETRIC, SYMMETRIC, True, True, "relayed"),
    ("cone-cone-no-udp", CONE, CONE, False, False, "direct"),
    ("cone-cone-no-udp-at-a", CONE, CONE, False, True, "direct"),
    ("cone-sym-no-udp", CONE, SYMMETRIC, False, False, "relayed"),
    ("sym-sym-no-udp", SYMMETRIC, SYMMETRIC, False, False, "relayed"),
]


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


class Skip(Exception):
    pass


class Lab:
    """The namespaces, and who runs in them."""

    def __init__(self, programs):
        self.prefix = f"kith{os.getpid()}"
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="kith-nat-"))
        self.running = []

    def name(self, space):
        return f"{self.prefix}-{space}"

    def within(self, space, *command):
        return ("ip", "netns", "exec", self.name(space), *command)

    def ip(self, space, *what):
        run("ip", "-n", self.name(space), *what)

    def up(self):
        for tool in ("ip", "nft"):
            if shutil.which(tool) is None:
                raise Skip(f"{tool} is missing (packages iproute2 and nftables)")
        try:
            for space in ("pub", "relay", "a", "b", "na", "nb"):
                run("ip", "netns", "add", self.name(space))
                self.ip(space, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            raise Skip(f"network namespaces are not permitted: {error.stderr.strip()}") from error
        self.ip("pub", "link", "add", "br0", "type", "bridge")
        self.ip("pub", "link", "set", "br0", "up")
        self.wan("relay", "eth0", RELAY)
        for nat, host, net, public in (("na", "a", "10.1.0", 11), ("nb", "b", "10.2.0", 12)):
            self.wan(nat, "wan", f"198.51.100.{public}")
            run("ip", "link", "add", "lan", "netns", self.name(nat), "type", "veth", "peer", "name",
                "eth0", "netns", self.name(host))
            self.ip(nat, "addr", "add", f"{net}.1/24", "dev", "lan")
            self.ip(nat, "link", "set", "lan", "up")
            self.ip(host, "addr", "add", f"{net}.2/24", "dev", "eth0")
            self.ip(host, "link", "set", "eth0", "up")
            self.ip(host, "route", "add", "default", "via", f"{net}.1")
            run(*self.within(nat, "sysctl", "-qw", "net.ipv4.ip_forward=1"))

    def wan(self, space, device, address):
        run("ip", "link", "add", f"v-{space}", "netns", self.name("pub"), "type", "veth", "peer",
            "name", device, "netns", self.name(space))
        self.ip("pub", "link", "set", f"v-{space}", "master", "br0", "up")
        self.ip(space, "addr", "add", f"{address}/24", "dev", device)
        self.ip(space, "link", "set", device, "up")
        self.ip(space, "route", "add", "default", "via", "198.51.100.1")

    def translate(self, nat, kind, udp):
        """Makes a translator of this kind; what it remembers is forgotten."""
        random = "fully-random" if kind == SYMMETRIC else ""
        drop = "" if udp else "meta l4proto udp drop"
        rules = f"""
flush ruleset
table ip nat {{
  chain c_post {{
    type nat hook postrouting priority 100
    oifname "wan" masquerade {random}
  }}
}}
table inet f {{
  chain c_forward {{
    type filter hook forward priority 0; policy drop
    {drop}
    iifname "lan" accept
    ct state established,related accept
  }}
  chain c_input {{
    type filter hook input priority 0; policy drop
    iifname {{ "lan", "lo" }} accept
    icmp type echo-request accept
    ct state established,related accept
  }}
}}
"""
        run(*self.within(nat, "nft", "-f", "-"), input=rules)
        if shutil.which("conntrack"):
            subprocess.run(self.within(nat, "conntrack", "-F"), capture_output=True, check=False)

    def start(self, space, log, *command, env=None):
        out = open(self.folder / log, "ab")
        process = subprocess.Popen(
            self.within(space, *command), stdout=subprocess.PIPE, stderr=out, text=True,
            env={**os.environ, **(env or {})}, start_new_session=True)
        self.running.append(process)
        return process

    def end(self, process):
        if process in self.running:
            self.running.remove(process)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def down(self, keep):
        for process in list(self.running):
            self.end(process)
        for space in ("a", "b", "na", "nb", "relay", "pub"):
            subprocess.run(("ip", "netns", "del", self.name(space)), capture_output=True, check=False)
        if keep:
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class Node:
    """Somebody's node in a namespace."""

    def __init__(self, lab, space, name, bootstraps):
        self.lab, self.space, self.name = lab, space, name
        self.home = lab.folder / name
        self.bootstraps = bootstraps
        self.process = None
        self.kith("init", "--name", name)

    def kith(self, *arguments):
        command = self.lab.within(
            self.space, str(self.lab.programs / "kith"), "--home", str(self.home),
            "--no-passphrase", "--json", *arguments)
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise RuntimeError(f"kith {' '.join(arguments)}: {ran.stderr.strip()}")
        return json.loads(ran.stdout) if ran.stdout.strip() else None

    def up(self):
        flags = [flag for at in self.bootstraps for flag in ("--bootstrap", at)]
        self.process = self.lab.start(
            self.space, f"{self.name}.log", str(self.lab.programs / "kith"), "--home",
            str(self.home), "--no-passphrase", "--json", "run", "--api", "127.0.0.1:0", "--no-upnp",
            *flags, env={"KITH_LOG": os.environ.get("KITH_LOG", "warn")})
        self.process.stdout.readline()

    def down(self):
        if self.process:
            self.lab.end(self.process)
            self.process = None

    def id(self):
        return self.kith("invite")["account"]

    def contact(self, name):
        found = [it for it in self.kith("contact", "list") if it["name"] == name]
        return found[0] if found else None

    def says(self, to, text):
        self.kith("send", to, text)

    def heard(self, whom, text):
        return any(it["text"] == text for it in self.kith("history", whom))


def until(what, seconds, look):
    begin = time.monotonic()
    while not look():
        if time.monotonic() - begin > seconds:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - begin


def start_bootstrap(lab):
    """Starts a bootstrap; returns its addresses."""
    process = lab.start(
        "relay", "bootstrap.log", str(lab.programs / "bootstrap"), "--data",
        str(lab.folder / "bootstrap"), "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0",
        "--p2p", f"/ip4/{RELAY}/udp/8450/quic-v1", "--p2p", f"/ip4/{RELAY}/tcp/8450")
    addresses = []
    while len(addresses) < 2:
        line = process.stdout.readline()
        if not line:
            raise AssertionError("the bootstrap has ended")
        addresses += [word for word in line.split() if word.startswith("/ip4/")]
    return addresses


def connected(node, to):
    return (node.contact(to) or {}).get("connection")


def case(lab, nodes, name, at_a, at_b, udp_a, udp_b, wanted):
    alice, bob = nodes
    for node in nodes:
        node.down()
    lab.translate("na", at_a, udp_a)
    lab.translate("nb", at_b, udp_b)
    for node in nodes:
        node.up()
    begin = time.monotonic()
    if bob.contact("alice") is None:
        alice.kith("contact", "add", bob.id())
        until("bob is asked", 60, lambda: bob.contact("alice"))
        bob.kith("contact", "accept", "alice")
    alice.says("bob", f"hello, {name}")
    until("bob hears alice", 60, lambda: bob.heard("alice", f"hello, {name}"))
    heard = time.monotonic() - begin
    bob.says("alice", f"welcome, {name}")
    until("alice hears bob", 60, lambda: alice.heard("bob", f"welcome, {name}"))
    if wanted == "direct":
        until("a straight connection", 60, lambda: connected(alice, "bob") == "direct")
    else:
        # Long enough for every attempt to make a straight one.
        end = time.monotonic() + 10
        while time.monotonic() < end:
            now = connected(alice, "bob")
            assert now in ("relayed", None), f"{now} where nothing but a relay leads"
            time.sleep(0.5)
    until("they are connected", 60, lambda: connected(alice, "bob") == wanted)
    alice.says("bob", f"last, {name}")
    until("bob hears the last", 30, lambda: bob.heard("alice", f"last, {name}"))
    settled = time.monotonic() - begin
    print(f"ok      {name:<24} {wanted:<8} first message {heard:5.1f} s, all {settled:5.1f} s", flush=True)


def moved(lab, nodes):
    """Alice's computer gets another address while everything runs."""
    alice, bob = nodes
    lab.ip("a", "addr", "del", "10.1.0.2/24", "dev", "eth0")
    lab.ip("a", "addr", "add", "10.1.0.7/24", "dev", "eth0")
    lab.ip("a", "route", "add", "default", "via", "10.1.0.1")
    begin = time.monotonic()
    bob.says("alice", "moved?")
    alice.says("bob", "moved!")
    until("alice hears bob", 60, lambda: alice.heard("bob", "moved?"))
    until("bob hears alice", 60, lambda: bob.heard("alice", "moved!"))
    print(f"ok      {'another address':<24} {connected(alice, 'bob') or '':<8} healed in "
          f"{time.monotonic() - begin:5.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="one case")
    parser.add_argument("--keep", action="store_true", help="keep homes and logs")
    parser.add_argument("--bin", type=Path, default=ROOT / "target/debug", help="where the programs are")
    arguments = parser.parse_args()
    for program in ("kith", "bootstrap"):
        if not (arguments.bin / program).exists():
            sys.exit(f"{arguments.bin / program} is missing: cargo build -p kith -p bootstrap --bins")
    lab = Lab(arguments.bin)
    nodes = []
    try:
        lab.up()
        addresses = start_bootstrap(lab)
        nodes = [Node(lab, "a", "alice", addresses), Node(lab, "b", "bob", addresses)]
        for one in CASES:
            if arguments.only in (None, one[0]):
                case(lab, nodes, *one)
        moved(lab, nodes)
    except Skip as reason:
        print(f"SKIPPED: {reason}")
        sys.exit(SKIPPED)
    except BaseException:
        arguments.keep = True
        for node in nodes:
            status = node.kith("status")
            print(node.name, status["listening"], {k: v for k, v in status["refusals"].items() if v})
            print(node.kith("bootstrap", "show"))
        raise
    finally:
        lab.down(arguments.keep)


if __name__ == "__main__":
    main()
