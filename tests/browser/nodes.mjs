// Starts real nodes and a real bootstrap, each in a folder of its own that is removed afterwards.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const READY_MS = 60_000;

function binary() {
  const path = process.env.KITH_BIN;
  if (!path) throw new Error("Set KITH_BIN to the path of the kith binary that is to be tested.");
  return path;
}

/** Runs the node of `home`; resolves with what it prints once it is ready. */
async function run(home, api) {
  const listen = ["--no-mdns", "--no-upnp", "--no-built-in", "--listen", "/ip4/127.0.0.1/tcp/0", "--api", api];
  const child = spawn(binary(), ["--home", home, "--no-passphrase", "run", ...listen, "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (data) => (errors = (errors + data).slice(-20_000)));
  const ready = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", (line) => resolve(JSON.parse(line)));
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`kith ended with ${code} before it was ready:\n${errors}`)));
    setTimeout(() => reject(new Error(`kith was not ready in time:\n${errors}`)), READY_MS).unref();
  });
  return { child, announced: await ready };
}

const kith = (home, ...words) =>
  promisify(execFile)(binary(), ["--home", home, "--no-passphrase", ...words, "--json"]);

const freshHome = () => mkdtemp(join(tmpdir(), "kith-browser-"));

/** A new account with a running node: `web` is its launch address, `origin` the page's origin. */
export async function startNode(name) {
  const home = await freshHome();
  await kith(home, "init", "--name", name);
  return running(name, home);
}

/**
 * Begins to make a new home a device of the account that the code is of. `check` is the number it
 * shows; `joined` resolves with its running node once somebody confirmed it.
 */
export async function joinDevice(name, code) {
  const home = await freshHome();
  const { check, ended, leave } = await asking(home, "device", "join", code, "--name", name);
  const forget = async () => {
    await leave();
    await rm(home, { recursive: true, force: true });
  };
  return { check, joined: ended.then(() => running(name, home)), leave: forget };
}

/** Begins to make the account of a node a part of the one that the code is of. */
export async function mergeInto(node, code) {
  const { check, ended } = await asking(node.home, "account", "merge", code);
  return { check, merged: ended };
}

/** A command that shows a number and waits. `leave` stops it, after which `ended` never resolves. */
async function asking(home, ...words) {
  const child = spawn(binary(), ["--home", home, "--no-passphrase", ...words, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const exit = once(child, "exit");
  let left = false;
  const ended = exit.then(([code]) => {
    if (left) return new Promise(() => {});
    if (code !== 0) throw new Error(`kith ${words.slice(0, 2).join(" ")} ended with ${code}`);
  });
  const [line] = await Promise.race([once(lines, "line"), ended]);
  const leave = async () => {
    left = true;
    child.kill("SIGKILL");
    await exit;
  };
  return { check: JSON.parse(line).check, ended, leave };
}

async function running(name, home) {
  let running = await run(home, "127.0.0.1:0");
  const { web } = running.announced;
  const origin = new URL(web).origin;

  const ended = async () => {
    if (running.child.exitCode !== null || running.child.signalCode !== null) return;
    await once(running.child, "exit");
  };
  const halt = async () => {
    running.child.kill("SIGTERM");
    await ended();
  };
  return {
    name,
    home,
    web,
    origin,
    halt,
    ended,
    /** Runs the command line on the home. */
    kith: (...words) => kith(home, ...words),
    /** Starts the same node again, at the same address. */
    async again() {
      running = await run(home, new URL(origin).host);
      return running.announced;
    },
    async remove() {
      await halt();
      await rm(home, { recursive: true, force: true });
    },
  };
}

const bootstrapBinary = () =>
  process.env.KITH_BOOTSTRAP_BIN ?? fileURLToPath(new URL("../../target/debug/bootstrap", import.meta.url));

/** A bootstrap on this computer: `addresses` are those by which people choose it, as it prints them. */
export async function startBootstrap() {
  const data = await mkdtemp(join(tmpdir(), "kith-bootstrap-"));
  const places = ["--listen", "127.0.0.1:0", "--health", "127.0.0.1:0"];
  const p2p = ["--p2p", "/ip4/127.0.0.1/udp/0/quic-v1", "--p2p", "/ip4/127.0.0.1/tcp/0"];
  const child = spawn(bootstrapBinary(), ["--data", data, ...places, ...p2p], { stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(child, "exit");
  const addresses = [];
  const ready = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      if (/^\/ip4\/\S+\/p2p\/\w+$/.test(line)) addresses.push(line);
      if (addresses.length === 2) return;
    }
    throw new Error("the bootstrap ended before it told its addresses");
  })();
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error("the bootstrap was not ready in time")), READY_MS).unref();
  });
  await Promise.race([ready, late]);
  child.stdout.resume();
  return {
    addresses,
    async remove() {
      child.kill("SIGTERM");
      await exit;
      await rm(data, { recursive: true, force: true });
    },
  };
}
