// Somebody chooses where messages wait for them, on the page.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { assertAccessible, DESKTOP, focuses, launch, openPage, PHONE, pictures } from "./browser.mjs";
import { startNode } from "./nodes.mjs";
import { button } from "./story.mjs";

let browser;
let alice;
/** A web server that is no mailbox. */
let other;
let address;

const dialogOf = ({ page }) => page.getByRole("dialog");
const mailbox = (one) => dialogOf(one).locator(".device", { hasText: address });

before(async () => {
  browser = await launch();
  other = createServer((_, response) => response.end("<h1>Welcome</h1>"));
  await new Promise((listening) => other.listen(0, "127.0.0.1", listening));
  address = `http://127.0.0.1:${other.address().port}`;
  const node = await startNode("Alice");
  alice = { node, ...(await openPage(browser, node.web)) };
});

after(async () => {
  await browser?.close();
  other?.close();
  await alice?.node.remove();
});

describe("a mailbox in the settings", { concurrency: false }, () => {
  test("nobody has one at first, and the page says what it is", async () => {
    await button(alice.page, "Settings").click();
    await dialogOf(alice).getByText("None. Messages to you wait").waitFor();
    await button(dialogOf(alice), "Choose a mailbox…").click();
    await dialogOf(alice).getByText("It cannot read them").waitFor();
    await assertAccessible(alice.page, "the mailboxes");
    for (const size of [PHONE, DESKTOP]) {
      await alice.page.setViewportSize(size);
      const { width, scrollWidth } = await dialogOf(alice).evaluate(({ clientWidth, scrollWidth }) => ({ width: clientWidth, scrollWidth }));
      assert.ok(scrollWidth <= width, `the dialog is ${width} wide and needs ${scrollWidth}`);
    }
  });

  test("what is no mailbox is refused in place, and can be chosen all the same", async () => {
    await dialogOf(alice).getByLabel("Address").fill(`${address}/`);
    await alice.page.keyboard.press("Enter");
    await dialogOf(alice).getByRole("alert").getByText("was not chosen: what answers there is no mailbox").waitFor();
    assert.equal(await mailbox(alice).count(), 0);
    await assertAccessible(alice.page, "a refused mailbox");
    await dialogOf(alice).getByLabel("1 day", { exact: false }).check();
    await button(dialogOf(alice), "Add it all the same").click();
    await mailbox(alice).getByText("1 day").waitFor();
    assert.equal(await dialogOf(alice).getByLabel("Address").inputValue(), "");
    await focuses(alice.page, /inputmode="url"/);
  });

  test("what is wrong with it appears by itself", async () => {
    await mailbox(alice).getByText(/Does not work: It answered something else|Does not work: What answers/).waitFor();
    await assertAccessible(alice.page, "a mailbox that does not work");
    await pictures(alice.page, "mailboxes");
  });

  test("it is removed by the keyboard", async () => {
    await button(dialogOf(alice), `Remove ${address}`).focus();
    await alice.page.keyboard.press("Enter");
    await mailbox(alice).waitFor({ state: "detached" });
    await focuses(alice.page, /chosen-mailboxes/);
    await alice.page.keyboard.press("Escape");
    await dialogOf(alice).getByText("None. Messages to you wait").waitFor();
  });
});
