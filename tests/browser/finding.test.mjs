// Two people find each other by an id alone, through a bootstrap that they choose on the page.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertAccessible, DESKTOP, focuses, launch, openPage, pictures, shoot, smallTargets } from "./browser.mjs";
import { startBootstrap, startNode } from "./nodes.mjs";
import { bubble, button, row, write } from "./story.mjs";

const NARROW = { width: 320, height: 640 };
/** What goes through the network, and waits there, may take this long. */
const FOUND_MS = 60_000;

let browser;
let bootstrap;
let alice;
let bob;

const dialogOf = ({ page }) => page.getByRole("dialog");
const chosen = (one) => dialogOf(one).locator(".device", { hasText: "127.0.0.1" });
const ownId = (one) => dialogOf(one).getByRole("region", { name: "Your id" });
const looking = ({ page }) => page.getByRole("region", { name: "Looking for" });
const findable = (one) => dialogOf(one).getByRole("switch", { name: "People who know my id can find me" });
const hidden = (one) => dialogOf(one).getByRole("switch", { name: "Hide my network addresses from contacts" });

async function person(name) {
  const node = await startNode(name);
  return { node, ...(await openPage(browser, node.web)) };
}

async function closed(one) {
  await one.page.keyboard.press("Escape");
  await dialogOf(one).waitFor({ state: "detached" });
}

async function openFinding(one) {
  await button(one.page, "Settings").click();
  await button(dialogOf(one), "Finding each other…").click();
  await dialogOf(one).getByRole("heading", { name: "Your bootstraps" }).waitFor();
}

async function closeFinding(one) {
  await one.page.keyboard.press("Escape");
  await dialogOf(one).getByRole("heading", { name: "This node" }).waitFor();
  await closed(one);
}

async function choose(one, text) {
  await dialogOf(one).getByLabel("Its addresses").fill(text);
  await one.page.keyboard.press("Enter");
}

const reached = (one) =>
  dialogOf(one).getByRole("status").getByText("Others reach you through 1 bootstrap.").waitFor({ timeout: FOUND_MS });

async function typeId(one, id) {
  await button(one.page, "Add contact").first().click();
  await dialogOf(one).getByLabel("Their link or id").fill(id);
  await dialogOf(one).getByRole("status").getByText("This is an id alone.").waitFor();
}

/** Everything fits into the narrowest width, and can be hit there. */
async function narrow(one, name, part) {
  await one.page.setViewportSize(NARROW);
  await part?.scrollIntoViewIfNeeded();
  const { clientWidth, scrollWidth } = await one.page.evaluate(() => {
    const { clientWidth, scrollWidth } = document.querySelector("dialog") ?? document.documentElement;
    return { clientWidth, scrollWidth };
  });
  assert.ok(scrollWidth <= clientWidth, `${name} is ${clientWidth} wide and needs ${scrollWidth}`);
  assert.deepEqual(await smallTargets(one.page), []);
  await assertAccessible(one.page, `${name} at 320 px`);
  await shoot(one.page, `narrow-${name}`);
  await one.page.setViewportSize(DESKTOP);
}

/** The browser itself notes what the node refuses. */
const refusals = (one, count) => {
  assert.match(one.problems.splice(0).join("\n"), new RegExp(`^(.*status of 4\\d\\d.*\\n?){${count}}$`));
};

before(async () => {
  browser = await launch();
  [bootstrap, alice, bob] = await Promise.all([startBootstrap(), person("Alice"), person("Bob")]);
});

after(async () => {
  await browser?.close();
  await Promise.all([alice?.node.remove(), bob?.node.remove(), bootstrap?.remove()]);
});

describe("finding each other", { concurrency: false }, () => {
  let id;

  test("without a bootstrap an id alone is refused, and the way to one is offered", async () => {
    id = JSON.parse((await bob.node.kith("invite")).stdout).account;
    assert.equal(id.length, 90);
    await typeId(alice, `kith:${id}`);
    await dialogOf(alice).getByLabel(/^Name/).fill("Bob");
    await assertAccessible(alice.page, "an id in the add dialog");
    await button(dialogOf(alice), "Look for them").click();
    await dialogOf(alice).getByRole("alert").getByText("needs a bootstrap. Choose one").waitFor();
    await pictures(alice.page, "add-id");
    await narrow(alice, "add-id", button(dialogOf(alice), "Choose a bootstrap…"));
    refusals(alice, 1);
    await button(dialogOf(alice), "Choose a bootstrap…").click();
    await dialogOf(alice).getByText("You have no bootstrap: you and your contacts").waitFor();
  });

  test("a bootstrap is chosen by what it printed; what is no address is refused in place", async () => {
    await choose(alice, "bootstrap.example.org");
    await dialogOf(alice).getByRole("alert").getByText("this is no address of a bootstrap").waitFor();
    assert.equal(await chosen(alice).count(), 0);
    refusals(alice, 1);
    await choose(alice, bootstrap.addresses.join("\n"));
    await chosen(alice).waitFor();
    assert.equal(await chosen(alice).count(), 1);
    assert.equal(await chosen(alice).locator("code").count(), 2);
    assert.equal(await dialogOf(alice).getByLabel("Its addresses").inputValue(), "");
    await reached(alice);
    await assertAccessible(alice.page, "finding each other");
    await pictures(alice.page, "finding");
    await narrow(alice, "finding");
    await alice.page.keyboard.press("Escape");
    assert.equal(await dialogOf(alice).getByLabel("Their link or id").inputValue(), `kith:${id}`);
    assert.equal(await dialogOf(alice).getByLabel(/^Name/).inputValue(), "Bob");
  });

  test("who is looked for stands in the list, and can be given up by the keyboard", async () => {
    await button(dialogOf(alice), "Look for them").click();
    await dialogOf(alice).waitFor({ state: "detached" });
    await looking(alice).getByText("Looking…").waitFor();
    await looking(alice).getByText("Bob", { exact: true }).waitFor();
    await assertAccessible(alice.page, "somebody who is looked for");
    await pictures(alice.page, "looking");
    await narrow(alice, "looking");
    await button(looking(alice), "Stop looking for Bob").focus();
    await alice.page.keyboard.press("Enter");
    await looking(alice).waitFor({ state: "detached" });
    await focuses(alice.page, /Add contact/);
  });

  test("the id is shown and copied where it serves", async () => {
    await button(bob.page, "My link").first().click();
    await dialogOf(bob).getByText("Your account:").waitFor();
    assert.equal(await ownId(bob).count(), 0);
    await closed(bob);
    await openFinding(bob);
    await choose(bob, bootstrap.addresses[0]);
    await reached(bob);
    await closeFinding(bob);
    await button(bob.page, "My link").first().click();
    assert.equal(await ownId(bob).locator(".account").textContent(), id);
    await button(dialogOf(bob), "Copy id").waitFor();
    await assertAccessible(bob.page, "the id beside the link");
    await pictures(bob.page, "my-id");
    await narrow(bob, "my-id", button(dialogOf(bob), "Copy id"));
    await closed(bob);
  });

  test("Alice looks for Bob, who is asked and accepts; a message arrives", async () => {
    await typeId(alice, id);
    await dialogOf(alice).getByLabel(/^Greeting/).fill("It is Alice from the fair");
    await alice.page.keyboard.press("Enter");
    await row(alice.page, "Bob").getByText("Waiting for them to accept").waitFor({ timeout: FOUND_MS });
    await looking(alice).waitFor({ state: "detached" });
    await alice.page.locator("[aria-live]", { hasText: "Bob was found. Your request waits" }).waitFor({ state: "attached" });
    const request = bob.page.locator(".request", { hasText: "Alice" });
    await request.getByText("It is Alice from the fair").waitFor({ timeout: FOUND_MS });
    await button(request, "Accept").click();
    await row(alice.page, "Bob").getByText("No messages yet").waitFor({ timeout: FOUND_MS });
    await row(alice.page, "Bob").click();
    await write(alice.page, "there you are");
    await bubble(bob.page, "there you are").waitFor({ timeout: FOUND_MS });
  });

  test("who hides his addresses is reached through a relay, and the page says so", async () => {
    await openFinding(bob);
    await hidden(bob).click();
    await bob.page.waitForFunction(() => fetch("/api/finding").then((one) => one.json()).then((one) => one.relay_only));
    await dialogOf(bob).getByRole("switch", { name: "Hide my network addresses", checked: true }).waitFor();
    await narrow(bob, "finding-hidden", hidden(bob));
    await closeFinding(bob);
    const head = alice.page.locator(".conversation-head");
    await head.getByText("Online, through a relay").waitFor({ timeout: FOUND_MS });
    await head.getByText("It cannot read it.").waitFor({ state: "attached" });
    await assertAccessible(alice.page, "a conversation through a relay");
    await pictures(alice.page, "relayed");
    await narrow(alice, "relayed");
    await button(alice.page, "Contact details").click();
    await dialogOf(alice).getByText("A relay passes on what your devices send each other.").waitFor();
    await narrow(alice, "relayed-details");
    await closed(alice);
    await write(bob.page, "through a relay");
    await bubble(alice.page, "through a relay").waitFor({ timeout: FOUND_MS });
  });

  test("who does not want to be found by an id shows none", async () => {
    await openFinding(bob);
    await findable(bob).focus();
    await bob.page.keyboard.press("Space");
    await hidden(bob).click();
    const told = () => fetch("/api/finding").then((one) => one.json());
    await bob.page.waitForFunction(`(${told})().then((one) => !one.findable && !one.relay_only)`);
    await closeFinding(bob);
    await button(bob.page, "My link").first().click();
    await dialogOf(bob).getByText("Your account:").waitFor();
    assert.equal(await ownId(bob).count(), 0);
    await closed(bob);
  });

  test("it is readable in the dark and with forced colours", async () => {
    await openFinding(alice);
    await alice.page.emulateMedia({ colorScheme: "dark" });
    await assertAccessible(alice.page, "finding each other in the dark");
    await shoot(alice.page, "finding-dark");
    await alice.page.emulateMedia({ colorScheme: "light", forcedColors: "active" });
    await shoot(alice.page, "finding-forced-colors");
    await alice.page.emulateMedia({ forcedColors: "none" });
  });

  test("a bootstrap is removed by the keyboard", async () => {
    await button(dialogOf(alice), "Remove 127.0.0.1").focus();
    await alice.page.keyboard.press("Enter");
    await chosen(alice).waitFor({ state: "detached" });
    await focuses(alice.page, /Your bootstraps/);
    await dialogOf(alice).getByRole("status").getByText("You have no bootstrap").waitFor();
    await closeFinding(alice);
  });

  test("no error and no violation of the policy in the whole story", () => {
    for (const one of [alice, bob]) assert.deepEqual(one.problems, []);
  });
});
