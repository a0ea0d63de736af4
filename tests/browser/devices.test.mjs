// The story of one person with several devices, told in their browsers.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertAccessible, DESKTOP, focuses, launch, openPage, PHONE, pictures, shoot, tabTo } from "./browser.mjs";
import { joinDevice, startNode } from "./nodes.mjs";
import { add, bubble, button, linkOf, row, showWords, write } from "./story.mjs";

let browser;
let alice;
let bob;
let tablet;
let laptop;
let words;

const opened = async (node) => ({ node, ...(await openPage(browser, node.web)) });
const dialogOf = ({ page }) => page.getByRole("dialog");
const device = (one, name) => dialogOf(one).locator(".device", { hasText: name });
const field = ({ page }) => page.getByLabel("Message", { exact: true });
const pick = (page, label) => page.getByRole("menuitem", { name: label }).click();

async function settings(one) {
  await button(one.page, "Settings").click();
  await dialogOf(one).locator(".device").first().waitFor();
}

async function closed(one) {
  await one.page.keyboard.press("Escape");
  await dialogOf(one).waitFor({ state: "detached" });
}

/** Asks for a code and lets a new home join with it, as far as the two numbers. */
async function codeFor(one, name) {
  await settings(one);
  await button(dialogOf(one), "Add a device").click();
  const code = await dialogOf(one).getByLabel("Code", { exact: true }).inputValue();
  assert.match(code, /^kith-device:/);
  return joinDevice(name, code);
}

before(async () => {
  browser = await launch();
  [alice, bob] = await Promise.all(["Alice", "Bob"].map(async (name) => opened(await startNode(name))));
  await add(alice, await linkOf(bob), "Bob", "It is Alice");
  await button(bob.page, "Accept Alice").click();
  await write(bob.page, "from before");
  await bubble(alice.page, "from before").waitFor();
});

after(async () => {
  await browser?.close();
  await Promise.all([alice, bob, tablet, laptop].map((one) => one?.node.remove()));
});

describe("one person with several devices", { concurrency: false }, () => {
  test("the settings show the only device", async () => {
    words = await showWords(alice.page);
    await closed(alice);
    await settings(alice);
    await device(alice, "This device").getByText("Trusted, may decide").waitFor();
    await dialogOf(alice).getByRole("button", { name: /What to do with/ }).click();
    assert.equal(await alice.page.getByRole("menuitem").count(), 1);
    await pick(alice.page, "Rename");
    await dialogOf(alice).getByLabel("Name").fill("phone");
    await alice.page.keyboard.press("Enter");
    await device(alice, "phone").waitFor();
    await assertAccessible(alice.page, "the list of devices");
    await closed(alice);
    await focuses(alice.page, /aria-label="Settings"/);
  });

  test("a code is shown, large enough for a camera, for ten minutes; closing makes it void", async () => {
    await settings(alice);
    await button(dialogOf(alice), "Add a device").click();
    await dialogOf(alice).getByText(/The code serves for (10:00|9:5\d) more/).waitFor();
    for (const size of [DESKTOP, PHONE]) {
      await alice.page.setViewportSize(size);
      const { width, height } = await dialogOf(alice).getByRole("img", { name: "QR code for the new device" }).boundingBox();
      assert.ok(width >= 300 && height >= 300, `the code is ${width}×${height}`);
    }
    await alice.page.setViewportSize(DESKTOP);
    await assertAccessible(alice.page, "the code");
    await pictures(alice.page, "device-code");
    const dropped = alice.page.waitForRequest((one) => one.method() === "DELETE" && /\/api\/account\/link\/[0-9a-f]{16}$/.test(one.url()));
    await alice.page.keyboard.press("Escape");
    await dropped;
    await device(alice, "phone").waitFor();
    await closed(alice);
  });

  test("both devices show one number, and confirming takes the new one in", async () => {
    const { check, joined } = await codeFor(alice, "tablet");
    const dialog = dialogOf(alice);
    await dialog.getByText("Does the new device show the same number?").waitFor();
    await dialog.getByText("tablet wants to become a device of yours").waitFor();
    assert.equal((await dialog.locator(".check-number").innerText()).replace(/\D/g, ""), check);
    assert.equal(await dialog.getByLabel(/Passphrase/).count(), 0);
    await assertAccessible(alice.page, "the number");
    await pictures(alice.page, "device-number");
    await button(dialog, "Yes, confirm").click();
    await dialog.getByText("tablet is one of your devices now").waitFor();
    tablet = await opened(await joined);
    await button(dialog, "Done").click();
    await device(alice, "tablet").getByText("Online").waitFor();
    await device(alice, "tablet").getByText("Trusted, may decide").waitFor();
    await pictures(alice.page, "devices");
    await closed(alice);
  });

  test("the new device gets what was written before", async () => {
    await row(tablet.page, "Bob").click();
    await bubble(tablet.page, "from before").waitFor();
    await write(tablet.page, "from my tablet");
    await bubble(alice.page, "from my tablet").waitFor();
    await bubble(bob.page, "from my tablet").waitFor();
  });

  test("what is being written follows from device to device, until it is sent", async () => {
    await field(alice).fill("half a sent");
    await tablet.page.waitForFunction(() => document.querySelector("textarea").value === "half a sent");
    await field(tablet).fill("half a sentence");
    await alice.page.waitForFunction(() => document.querySelector("textarea").value === "half a sentence");
    await tablet.page.keyboard.press("Enter");
    await bubble(bob.page, "half a sentence").waitFor();
    await alice.page.waitForFunction(() => document.querySelector("textarea").value === "");
  });

  test("a message is deleted with the keyboard, on all own devices and nowhere else", async () => {
    const { page } = tablet;
    const gone = bubble(page, "from my tablet");
    await gone.focus();
    await tabTo(page, ".message-menu button");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.textContent === "Reply");
    await page.keyboard.press("ArrowUp");
    const deletion = () => page.waitForFunction(() => document.activeElement?.textContent.startsWith("Delete"));
    await deletion();
    await assertAccessible(page, "the menu of a message");
    await shoot(page, "message-menu");
    await page.keyboard.press("Escape");
    await focuses(page, /More about this message/);
    await page.keyboard.press("ArrowUp");
    await deletion();
    await page.keyboard.press("Enter");
    await dialogOf(tablet).getByText("It is deleted on your devices only. Bob keeps it.").waitFor();
    await shoot(page, "message-delete");
    await button(dialogOf(tablet), "Delete on my devices").click();
    for (const one of [tablet, alice]) await bubble(one.page, "from my tablet").waitFor({ state: "detached" });
    assert.equal(await bubble(bob.page, "from my tablet").count(), 1);
    await page.waitForFunction(() => document.activeElement?.closest(".conversation"));
  });

  test("a conversation is cleared on all own devices", async () => {
    const { page } = alice;
    await page.setViewportSize(PHONE);
    await button(page, "More about this conversation").click();
    await shoot(page, "phone-conversation-menu");
    await pick(page, "Clear conversation…");
    await dialogOf(alice).getByText("Your other devices hide them at once and erase them after a day").waitFor();
    assert.equal(await dialogOf(alice).getByRole("checkbox").count(), 0);
    await assertAccessible(page, "clearing");
    await shoot(page, "phone-clear");
    await button(dialogOf(alice), "Clear conversation").click();
    for (const one of [alice, tablet]) await one.page.getByText("No messages yet").last().waitFor();
    await page.setViewportSize(DESKTOP);
    assert.equal(await bubble(bob.page, "from before").count(), 1);
    await write(alice.page, "a new beginning");
    await bubble(tablet.page, "a new beginning").waitFor();
  });

  test("what the node refuses stands beside the text, on a phone too", async () => {
    const { page } = alice;
    await page.setViewportSize(PHONE);
    const refused = { error: { code: "not_standing", message: "this device does not speak for the account: see `kith account show`" } };
    await page.route("**/messages", (route) =>
      route.request().method() === "POST" ? route.fulfill({ status: 409, json: refused }) : route.fallback(),
    );
    await field(alice).fill("is anybody there?");
    await button(page, "Send").click();
    const alert = page.locator(".composer").getByRole("alert");
    await alert.getByText("This device does not speak for the account").waitFor();
    assert.equal(await field(alice).inputValue(), "is anybody there?");
    await assertAccessible(page, "a message that was refused");
    await shoot(page, "phone-refused");
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), PHONE.width);
    await page.unroute("**/messages");
    await button(page, "Send").click();
    await bubble(bob.page, "is anybody there?").waitFor();
    await alert.getByText("This device does not speak for the account").waitFor({ state: "detached" });
    await page.setViewportSize(DESKTOP);
    assert.match(alice.problems.pop(), /409/);
  });

  test("a third device decides once the others agree", async () => {
    const { joined } = await codeFor(alice, "laptop");
    await button(dialogOf(alice), "Yes, confirm").click();
    laptop = await opened(await joined);
    await button(dialogOf(alice), "Done").click();
    await device(alice, "laptop").getByText("Waits for your other devices to agree").waitFor();
    await pictures(alice.page, "devices-agree");
    await button(dialogOf(alice), "Agree…").click();
    await assertAccessible(alice.page, "agreeing");
    await shoot(alice.page, "agree");
    await button(dialogOf(alice), "Agree").click();
    const agreed = dialogOf(alice).locator(".agree");
    await agreed.getByText(/1 more device of yours must agree to the same/).waitFor();
    for (const name of ["phone", "tablet", "laptop"]) assert.match(await agreed.innerText(), new RegExp(name));
    await assertAccessible(alice.page, "waiting for the others to agree");
    await pictures(alice.page, "devices-agreed");
    await settings(tablet);
    await button(dialogOf(tablet), "Agree…").click();
    await button(dialogOf(tablet), "Agree").click();
    for (const one of [tablet, alice]) await device(one, "laptop").getByText("Trusted, may decide").waitFor();
    await closed(tablet);
    await closed(alice);
  });

  test("a stolen device is cut off: its page says what happened and shows nothing else", async () => {
    await settings(alice);
    await button(device(alice, "tablet"), /What to do with/).click();
    await pick(alice.page, "Remove device…");
    await dialogOf(alice).getByLabel(/stolen or lost/).check();
    await dialogOf(alice).getByLabel(/Since when/).fill("2030-01-01T10:00");
    await assertAccessible(alice.page, "removing");
    await pictures(alice.page, "device-remove");
    await dialogOf(alice).getByLabel(/Since when/).fill("");
    await button(dialogOf(alice), "Remove device").click();
    await tablet.page.getByRole("heading", { name: "This device was cut off" }).waitFor();
    assert.equal(await tablet.page.getByText("a new beginning").count(), 0);
    await tablet.node.ended();
    await assertAccessible(tablet.page, "the page of a device that was cut off");
    await pictures(tablet.page, "cut-off");
    await dialogOf(alice).getByText("No longer yours (1)").click();
    await device(alice, "tablet").getByText("Removed as stolen; it can still answer").waitFor();
    await shoot(alice.page, "devices-former");
    await closed(alice);
  });

  test("if it answers, everybody is warned", async () => {
    await tablet.node.kith("account", "contest");
    await tablet.node.again();
    await alice.page.locator(".alarm").getByText("Your devices accuse each other.").waitFor();
    await bob.page.getByText(/The devices of Alice accuse each other/).waitFor();
    await assertAccessible(alice.page, "the warning");
    await assertAccessible(bob.page, "the warning about a contact");
    await pictures(alice.page, "disputed");
    await alice.page.setViewportSize(PHONE);
    await alice.page.locator(".alarm-strip").getByText("Your devices accuse each other.").waitFor();
    // Nothing can be written here, and the reason stands where one would write.
    await alice.page.locator(".composer").getByText(/This device does not speak for your account now/).waitFor();
    assert.equal(await field(alice).count(), 0);
    await shoot(alice.page, "phone-conversation-disputed");
    await assertAccessible(alice.page, "the warning on a phone");
    await alice.page.setViewportSize(DESKTOP);
    await pictures(bob.page, "contact-disputed");
  });

  test("the recovery words decide, and the thief's device is erased", async () => {
    await button(alice.page, "Decide with the words").click();
    await dialogOf(alice).getByLabel("tablet").check();
    await dialogOf(alice).getByLabel("Your 24 words").fill(words.join(" "));
    await assertAccessible(alice.page, "the recovery words decide");
    await pictures(alice.page, "recover");
    await button(dialogOf(alice), "Decide").click();
    await alice.page.locator(".alarm").getByText("Your devices accuse each other.").waitFor({ state: "detached" });
    await bob.page.getByText(/The devices of Alice accuse each other/).waitFor({ state: "detached" });
    await tablet.node.ended();
  });

  test("no error and no violation of the policy in the whole story", () => {
    for (const one of [alice, bob, laptop]) assert.deepEqual(one.problems, []);
  });
});
