// The story of codes that end early, of an account that comes along, and of what a new device sees meanwhile.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertAccessible, focuses, launch, openPage, pictures, shoot } from "./browser.mjs";
import { joinDevice, mergeInto, startNode } from "./nodes.mjs";
import { button } from "./story.mjs";

let browser;
let alice;
let older;
let tablet;

const opened = async (node) => ({ node, ...(await openPage(browser, node.web)) });
const dialogOf = ({ page }) => page.getByRole("dialog");
const device = (one, name) => dialogOf(one).locator(".device", { hasText: name });
const bar = ({ page }) => page.getByRole("progressbar");

async function settings(one) {
  await button(one.page, "Settings").click();
  await dialogOf(one).locator(".device").first().waitFor();
}

async function closed(one) {
  await one.page.keyboard.press("Escape");
  await dialogOf(one).waitFor({ state: "detached" });
}

async function codeOf(one) {
  const code = await dialogOf(one).getByLabel("Code", { exact: true }).inputValue();
  assert.match(code, /^kith-device:/);
  return code;
}

/** Answers a question of the page with the node's answer, changed. */
async function altered(page, path, change) {
  const url = (one) => one.pathname === path;
  await page.route(url, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: change(await response.json()) });
  });
  return () => page.unroute(url);
}

/** Closes the code as another window would. */
const closeElsewhere = (page) =>
  page.evaluate(async () => {
    const { csrf } = await (await fetch("/api/session")).json();
    const { id } = await (await fetch("/api/account/link")).json();
    await fetch(`/api/account/link/${id}`, { method: "DELETE", headers: { "x-csrf": csrf } });
  });

before(async () => {
  browser = await launch();
  [alice, older] = await Promise.all(["Alice", "Older"].map(async (name) => opened(await startNode(name))));
});

after(async () => {
  await browser?.close();
  await Promise.all([alice, older, tablet].map((one) => one?.node.remove()));
});

describe("joining", { concurrency: false }, () => {
  test("a code that was closed elsewhere says that it has ended, and another one can be made", async () => {
    await settings(alice);
    await button(dialogOf(alice), "Add a device").click();
    const first = await codeOf(alice);
    await closeElsewhere(alice.page);
    await dialogOf(alice).getByText("It was closed somewhere else").waitFor();
    assert.equal(await dialogOf(alice).locator(".qr").count(), 0);
    // The focus follows when the page has been painted.
    await alice.page.waitForFunction(() => /This code has ended/.test(document.activeElement.textContent));
    await focuses(alice.page, /This code has ended/);
    await assertAccessible(alice.page, "a code that has ended");
    await pictures(alice.page, "code-closed");
    await alice.page.keyboard.press("Tab");
    await alice.page.keyboard.press("Enter");
    assert.notEqual(await codeOf(alice), first);
  });

  test("a code that was used elsewhere says for which device", async () => {
    const { check, joined } = await joinDevice("tablet", await codeOf(alice));
    await dialogOf(alice).getByText("Does the new device show the same number?").waitFor();
    await alice.node.kith("device", "confirm", check);
    await dialogOf(alice).getByText("tablet is one of your devices now").waitFor();
    await assertAccessible(alice.page, "a code that was used");
    await pictures(alice.page, "code-used");
    tablet = await opened(await joined);
    await alice.page.keyboard.press("Escape");
    await device(alice, "tablet").waitFor();
    await closed(alice);
  });

  test("a device that goes away before it is confirmed leaves a hint", async () => {
    await settings(alice);
    await button(dialogOf(alice), "Add a device").click();
    const { leave } = await joinDevice("watch", await codeOf(alice));
    await dialogOf(alice).getByText("watch wants to become a device of yours").waitFor();
    await leave();
    await dialogOf(alice).getByText("The device that showed a number has gone.").waitFor();
    await assertAccessible(alice.page, "a code whose device has gone");
    await pictures(alice.page, "code-gone");
    await button(dialogOf(alice), "Make a new code").click();
    await dialogOf(alice).getByText("The device that showed a number has gone.").waitFor({ state: "detached" });
  });

  test("an account that comes along is named before anything is confirmed", async () => {
    const { check, merged } = await mergeInto(older.node, await codeOf(alice));
    const dialog = dialogOf(alice);
    await dialog.getByText("another account becomes part of this one").waitFor();
    assert.equal((await dialog.locator(".check-number").innerText()).replace(/\D/g, ""), check);
    const { account } = await older.page.evaluate(async () => (await fetch("/api/account")).json());
    const shown = (await dialog.locator(".account").innerText()).replace(/\s/g, "");
    assert.equal(shown, `${account.slice(0, 20)}…with1device`);
    await dialog.getByText("Nothing undoes it.").waitFor();
    await assertAccessible(alice.page, "an account that comes along");
    await pictures(alice.page, "device-brings");
    await alice.page.emulateMedia({ colorScheme: "dark" });
    await assertAccessible(alice.page, "an account that comes along, in the dark");
    await shoot(alice.page, "device-brings-dark");
    await alice.page.emulateMedia({ colorScheme: "light" });
    await button(dialog, "Yes, make them one account").click();
    await dialog.getByText("its account becomes part of this one").waitFor();
    await merged;
    await button(dialog, "Done").click();
    await dialog.getByText("This account is one with 1 other of yours.").waitFor();
    await pictures(alice.page, "devices-absorbed");
    await closed(alice);
  });

  test("a merge that waits for more devices says how many, and what to do", async () => {
    const merging = { into: "00", signed: ["00"], missing: ["11"], needed: 2 };
    const genuine = await altered(tablet.page, "/api/account", (own) => ({ ...own, merging }));
    await settings(tablet);
    await dialogOf(tablet).getByText("1 of 2 devices have agreed; on another device run").waitFor();
    await assertAccessible(tablet.page, "a merge that waits");
    await pictures(tablet.page, "devices-merging");
    await genuine();
    await closed(tablet);
  });

  test("catching up shows how far it is, until nothing is lacking", async () => {
    let catching_up = { here: 1_204, all: 14_652 };
    const genuine = await altered(tablet.page, "/api/status", (status) => ({ ...status, catching_up }));
    await tablet.page.reload();
    await tablet.page.getByText("Getting your messages: 1,204 of 14,652", { exact: true }).waitFor();
    const value = (name) => bar(tablet).getAttribute(`aria-${name}`);
    assert.deepEqual(await Promise.all(["valuemin", "valuenow", "valuemax"].map(value)), ["0", "1204", "14652"]);
    await assertAccessible(tablet.page, "catching up");
    await pictures(tablet.page, "catching-up");
    catching_up = { here: 9_876, all: 14_652 };
    await tablet.page.getByText("Getting your messages: 9,876 of 14,652", { exact: true }).waitFor();
    await tablet.page.emulateMedia({ colorScheme: "dark" });
    await assertAccessible(tablet.page, "catching up in the dark");
    await shoot(tablet.page, "catching-up-dark");
    await tablet.page.emulateMedia({ colorScheme: "light", forcedColors: "active" });
    await shoot(tablet.page, "catching-up-forced-colors");
    await tablet.page.emulateMedia({ forcedColors: "none" });
    await genuine();
    await bar(tablet).waitFor({ state: "detached" });
  });

  test("no error and no violation of the policy in the whole story", () => {
    for (const one of [alice, older, tablet]) assert.deepEqual(one.problems, []);
  });

  test("who comes back after this device was cut off learns it", async () => {
    // Streams that break at once, with no event in them.
    const broken = { contentType: "text/event-stream", body: ": nothing\n\n" };
    await tablet.page.route("**/api/events", (route) => route.fulfill(broken));
    await tablet.page.reload();
    await tablet.page.getByText("The node does not answer.").waitFor();
    await altered(tablet.page, "/api/account", (own) => ({
      ...own,
      devices: own.devices.map((one) => (one.is_this ? { ...one, standing: "former", reason: "stolen" } : one)),
    }));
    await tablet.page.getByRole("heading", { name: "This device was cut off" }).waitFor();
    assert.equal(await tablet.page.locator(".shell").count(), 0);
  });
});
