// The story of two people who get to know each other, told in their browsers.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertAccessible, focused, focuses, launch, openPage, shoot, smallTargets, tabTo } from "./browser.mjs";
import { attacks, embed, startForeign } from "./foreign.mjs";
import { startNode } from "./nodes.mjs";
import { add, bubble, button, confirmWords, linkOf, row, scrollBackTo, sendMany, showWords, write } from "./story.mjs";

const MARKUP = "<script>document.title='broken'</script><img src=x onerror=alert(1)>";
const MIXED = "שלום \u202Egnorw 🌤️ مرحبا";

let browser;
let alice;
let bob;
let carol;

async function person(name) {
  const node = await startNode(name);
  return { node, ...(await openPage(browser, node.web)) };
}

before(async () => {
  browser = await launch();
  [alice, bob] = await Promise.all([person("Alice"), person("Bob")]);
});

after(async () => {
  await browser?.close();
  await Promise.all([alice, bob, carol].map((one) => one?.node.remove()));
});

describe("two people", { concurrency: false }, () => {
  test("each page opens, says whose it is, and drops the token from its address", async () => {
    for (const { page, node } of [alice, bob]) {
      await page.getByRole("heading", { name: "Nobody here yet" }).waitFor();
      await page.locator(".own", { hasText: node.name }).waitFor();
      assert.equal(page.url(), `${node.origin}/`);
    }
    await assertAccessible(alice.page, "the empty page");
    await shoot(alice.page, "empty");
  });

  test("a one-time address does not work twice, and the page explains it", async () => {
    const second = await openPage(browser, alice.node.web);
    await second.page.getByRole("heading", { name: "This page is not open yet" }).waitFor();
    await second.page.locator("code", { hasText: "kith web" }).first().waitFor();
    await assertAccessible(second.page, "the page without a session");
    await shoot(second.page, "no-session");
    await second.context.close();
  });

  test("a bad link is refused in words", async () => {
    const { page } = alice;
    await button(page, "Add contact").first().click();
    const dialog = page.getByRole("dialog");
    await page.keyboard.press("Enter");
    await dialog.getByRole("alert").getByText("Paste their link first").waitFor();
    await dialog.getByLabel("Their link").fill("kith:nonsense");
    await page.keyboard.press("Enter");
    const refused = dialog.getByRole("alert").filter({ hasNotText: "Paste" }).filter({ hasText: /\w+ \w+/ });
    const problem = await refused.innerText();
    assert.match(problem, /^\s*[A-Z][^`]{15,}$/);
    await assertAccessible(page, "the add dialog");
    await shoot(page, "add-refused");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    alice.problems.splice(0, alice.problems.length, ...alice.problems.filter((one) => !/status of 4\d\d/.test(one)));
  });

  test("Alice adds Bob by his link and writes before he accepts", async () => {
    await add(alice, await linkOf(bob), "Bob", "It is Alice from the choir");
    await row(alice.page, "Bob").waitFor();
    await alice.page.getByText("Waiting for them to accept. You can write already").waitFor();
    await write(alice.page, "first words");
    await bubble(alice.page, "first words").getByText("Queued").waitFor();
    await shoot(alice.page, "requested");
  });

  test("Bob sees the request with its greeting and accepts", async () => {
    const { page } = bob;
    await page.getByText("It is Alice from the choir").waitFor();
    await page.locator(".request").getByText("Not validated").waitFor();
    await assertAccessible(page, "a request");
    await shoot(page, "request");
    await button(page, "Accept Alice").click();
    await page.getByRole("heading", { name: "Alice" }).waitFor();
    await bubble(page, "first words").waitFor();
    await bubble(alice.page, "first words").getByText(/^Delivered/).waitFor();
  });

  test("messages go both ways, in order, and say how far they got", async () => {
    await write(bob.page, "good to hear you");
    await bubble(alice.page, "good to hear you").waitFor();
    for (const text of ["one", "two", "three"]) await write(alice.page, text);
    await bubble(bob.page, "three").waitFor();
    const texts = (page) => page.locator(".bubble .text").allInnerTexts();
    assert.deepEqual(await texts(bob.page), ["first words", "good to hear you", "one", "two", "three"]);
    assert.deepEqual(await texts(alice.page), await texts(bob.page));
    await bubble(alice.page, "three").getByText(/^Delivered/).waitFor();
    await row(alice.page, "Bob").getByText("You: three").waitFor();
    await row(bob.page, "Alice").getByText("three").waitFor();
    assert.equal(await row(bob.page, "Alice").getByText("You:").count(), 0);
  });

  test("a reply shows what it answers and leads there", async () => {
    await bubble(bob.page, "one").hover();
    await bob.page.locator(".message", { hasText: "one" }).last().getByRole("button", { name: "Reply to this message" }).click();
    await write(bob.page, "an answer");
    const quote = bubble(alice.page, "an answer").getByRole("button", { name: /In reply to/ });
    assert.match(await quote.innerText(), /one/);
    await quote.click();
    await alice.page.locator(".message.flash", { hasText: "one" }).waitFor();
  });

  test("markup, other scripts and emoji stay text", async () => {
    await write(alice.page, MARKUP);
    await write(alice.page, MIXED);
    await write(alice.page, "see https://example.org/heath, or javascript:alert(1)");
    await bubble(bob.page, "example.org").waitFor();
    assert.equal(await bubble(bob.page, "<script>").locator(".text").innerText(), MARKUP);
    assert.equal(await bubble(bob.page, "🌤️").locator(".text").textContent(), MIXED);
    assert.equal(await bob.page.locator(".log img, .log script").count(), 0);
    assert.doesNotMatch(await bob.page.title(), /broken/);
    const links = bob.page.locator(".log a");
    assert.equal(await links.count(), 1);
    assert.equal(await links.getAttribute("href"), "https://example.org/heath");
    assert.equal(await links.getAttribute("rel"), "noopener noreferrer");
  });

  test("unread messages are counted in the list and in the title", async () => {
    await bob.page.goBack();
    await bob.page.getByText("Choose a conversation.").waitFor();
    const questions = [];
    bob.page.on("request", (request) => questions.push(new URL(request.url()).pathname));
    await write(alice.page, "are you there?");
    await bob.page.waitForFunction(() => document.title === "(1) Kith");
    await row(bob.page, "Alice").getByText("1 unread message").waitFor();
    await row(bob.page, "Alice").getByText("are you there?").waitFor();
    assert.ok(!questions.includes("/api/contacts"), "the event says enough");
    await row(bob.page, "Alice").click();
    await bob.page.waitForFunction(() => document.title === "Kith");
  });

  test("a reload keeps the session and the conversation", async () => {
    await alice.page.reload();
    await bubble(alice.page, "are you there?").waitFor();
    await assertAccessible(alice.page, "a conversation");
    await shoot(alice.page, "conversation");
  });

  test("settings, details and recovery words", async () => {
    const { page } = alice;
    const dialog = page.getByRole("dialog");
    await button(page, "Settings").click();
    const receipts = dialog.getByRole("switch", { name: /Read receipts/ });
    assert.equal(await receipts.isChecked(), false);
    await receipts.check();
    await dialog.getByText("Listens on").waitFor();
    await assertAccessible(page, "the settings");
    await shoot(page, "settings");
    await page.keyboard.press("Escape");

    await button(page, "Contact details").click();
    await dialog.getByText(/compare the account/).waitFor();
    await assertAccessible(page, "contact details");
    await shoot(page, "details");
    await page.keyboard.press("Escape");

    const words = await showWords(page);
    assert.equal(words.length, 24);
    await assertAccessible(page, "the recovery words");
    await confirmWords(page, words);
    await page.locator(".recovery-banner").waitFor({ state: "detached" });
  });

  test("a third person, who blocks", async () => {
    carol = await person("Carol");
    await add(alice, await linkOf(carol), "Carol", "Hello Carol");
    await carol.page.getByText("Hello Carol").waitFor();
    await button(carol.page, "Block Alice").click();
    await carol.page.getByText("Blocked (1)").click();
    await button(carol.page, "Unblock Alice").waitFor();
    assert.equal(await carol.page.locator(".request").count(), 0);
    assert.deepEqual(carol.problems, []);
  });

  test("who wrote last stands first in the list", async () => {
    const { page } = alice;
    const first = (name) => page.waitForFunction((name) => document.querySelector(".contact").textContent.includes(name), name);
    await row(page, "Carol").click();
    await write(page, "are you Carol?");
    await first("Carol");
    await write(bob.page, "it is me again");
    await first("Bob");
    await row(page, "Bob").getByText("1 unread message").waitFor();
    await row(page, "Bob").click();
    await row(page, "Bob").getByText("unread message").waitFor({ state: "detached" });
    await row(page, "Carol").click();
  });

  test("everything can be done with the keyboard alone", async () => {
    const { page } = alice;
    await page.reload();
    await row(page, "Bob").waitFor();
    await tabTo(page, ".skip");
    await tabTo(page, ".contact");
    await page.keyboard.press("Home");
    const first = await focused(page);
    await page.keyboard.press("ArrowDown");
    assert.notEqual(await focused(page), first);
    if (!/Bob/.test(await page.evaluate(() => document.activeElement.textContent))) await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.matches(".conversation textarea"));
    await page.keyboard.type("line one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("line two");
    await page.keyboard.press("Enter");
    await bubble(bob.page, "line two").waitFor();

    await page.reload();
    await page.waitForFunction(() => document.activeElement?.matches(".conversation textarea"));
    await tabTo(page, ".contact[aria-current]", "Shift+Tab");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.matches(".conversation textarea"));

    await bubble(page, "line two").waitFor();
    await tabTo(page, ".bubble", "Shift+Tab");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.locator(".replying").waitFor();
    assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "");
    await page.keyboard.press("Escape");
    await page.locator(".replying").waitFor({ state: "detached" });

    await tabTo(page, "[aria-label='Settings']", "Shift+Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await focuses(page, /aria-label="Settings"/);
  });

  test("a long conversation is loaded in parts and stays where the reader is", async () => {
    const { page } = alice;
    await bob.page.evaluate(sendMany, 170);
    await bubble(page, "many 170").waitFor();
    await page.reload();
    await bubble(page, "many 170").waitFor();
    const log = page.locator(".log");
    const rows = () => page.locator(".message").count();
    assert.ok((await rows()) <= 150);

    await bubble(page, "many 122").scrollIntoViewIfNeeded();
    const place = () => bubble(page, "many 122").evaluate((one) => Math.round(one.getBoundingClientRect().top));
    const before = await place();
    await bubble(page, "many 100").waitFor({ state: "attached" });
    assert.ok(Math.abs((await place()) - before) <= 2, "the text under the reader's eyes moved");

    await write(bob.page, "something new");
    await button(page, "1 new message").click();
    await bubble(page, "something new").waitFor();
    await page.waitForFunction((one) => one.scrollHeight - one.scrollTop - one.clientHeight < 3, await log.elementHandle());
    await scrollBackTo(page, "first words");
    assert.ok((await rows()) <= 300);
  });

  test("it works at the width of a phone", async () => {
    const { page } = alice;
    await page.setViewportSize({ width: 320, height: 640 });
    await button(page, "Back to contacts").click();
    await row(page, "Bob").waitFor();
    await assertAccessible(page, "the list on a phone");
    await shoot(page, "phone-list");
    await row(page, "Bob").click();
    await bubble(page, "something new").waitFor();
    assert.equal(await page.locator(".sidebar").isVisible(), false);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
    assert.deepEqual(await smallTargets(page), []);
    await assertAccessible(page, "a conversation on a phone");
    await shoot(page, "phone-conversation");
    await page.setViewportSize({ width: 1180, height: 760 });
  });

  test("it is readable in the dark and with forced colours", async () => {
    const { page } = alice;
    await page.emulateMedia({ colorScheme: "dark" });
    await assertAccessible(page, "dark colours");
    await shoot(page, "dark");
    await page.emulateMedia({ colorScheme: "light", forcedColors: "active" });
    await shoot(page, "forced-colors");
    await page.emulateMedia({ forcedColors: "none" });
  });

  test("a page of another origin gets nothing, with the cookie in the browser", async () => {
    const foreign = await startForeign();
    const page = await alice.context.newPage();
    try {
      await page.goto(foreign.address);
      const results = await page.evaluate(attacks, alice.node.origin);
      assert.deepEqual(results, results.map(() => "refused"));
      await page.evaluate(embed, `${alice.node.origin}/`);
      const framed = page.frames().find((frame) => frame !== page.mainFrame());
      assert.equal(await framed.locator("#page").count(), 0);
      assert.equal((await alice.page.evaluate(() => fetch("/api/settings").then((one) => one.json()))).read_receipts, true);
    } finally {
      await page.close();
      foreign.stop();
    }
  });

  test("a name that was bent to this computer is refused", async () => {
    const page = await alice.context.newPage();
    const answer = await page.goto(alice.node.origin.replace("127.0.0.1", "rebound.test"));
    assert.ok(answer.status() >= 400, `answered ${answer.status()}`);
    assert.equal(await page.locator("#page").count(), 0);
    await page.close();
  });

  test("no error and no violation of the policy in the whole story", () => {
    assert.deepEqual(alice.problems, []);
    assert.deepEqual(bob.problems, []);
  });

  test("a node that stops is noticed, and so is its return", async () => {
    await bob.node.halt();
    await bob.page.getByText("The node does not answer.").waitFor();
    await bubble(bob.page, "something new").waitFor();
    await shoot(bob.page, "lost");
    await bob.node.again();
    // The session may outlive the node or not; either way the page says where it stands.
    await bob.page.locator(".lost").waitFor({ state: "detached" });
    await bob.page.locator(".shell, .alone h1").first().waitFor();
  });
});
