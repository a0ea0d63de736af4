// Starts real nodes, each in a home of its own that is removed afterwards.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const READY_MS = 60_000;

function binary() {
  const path = process.env.KITH_BIN;
  if (!path) throw new Error("Set KITH_BIN to the path of the kith binary that is to be tested.");
  return path;
}

/** Runs the node of `home`; resolves with what it prints once it is ready. */
async function run(home, api) {
  const listen = ["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--api", api];
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

/** A new account with a running node: `web` is its launch address, `origin` the page's origin. */
export async function startNode(name) {
  const home = await mkdtemp(join(tmpdir(), "kith-browser-"));
  await promisify(execFile)(binary(), ["--home", home, "--no-passphrase", "init", "--name", name, "--json"]);
  let running = await run(home, "127.0.0.1:0");
  const { web } = running.announced;
  const origin = new URL(web).origin;

  const halt = async () => {
    if (running.child.exitCode !== null || running.child.signalCode !== null) return;
    running.child.kill("SIGTERM");
    await once(running.child, "exit");
  };
  return {
    name,
    web,
    origin,
    halt,
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
