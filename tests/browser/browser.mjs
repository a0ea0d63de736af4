// Drives Chromium, and notes everything that goes wrong in a page.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1180, height: 760 };

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
mkdirSync(shots, { recursive: true });

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP rebound.test 127.0.0.1",
    ],
  });

/** A page in a browser profile of its own. `problems` collects errors and policy violations. */
export async function openPage(browser, address, options = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error("policy:", event.violatedDirective, event.blockedURI));
  });
  await page.goto(address);
  return { context, page, problems };
}

/** A picture for people, at target/screenshots. */
export const shoot = (page, name) => page.screenshot({ path: `${shots}${name}.png` });

/** No violation of the accessibility rules in what the page shows now. */
export async function assertAccessible(page, what) {
  // Fading parts would be measured halfway.
  await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {}))).then(() => {}));
  await page.evaluate(`${axe};undefined`);
  const { violations } = await page.evaluate(() => window.axe.run());
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
  assert.deepEqual(found, [], `accessibility of ${what}`);
}

/** Presses Tab until `selector` matches what has the focus. */
export async function tabTo(page, selector, key = "Tab") {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press(key);
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) === true, selector)) return;
  }
  assert.fail(`${key} never reaches ${selector}`);
}

export const focused = (page) => page.evaluate(() => document.activeElement?.outerHTML.slice(0, 200) ?? "");

/** Waits until what begins like this has the focus, which moves a moment after what it follows. */
export const focuses = (page, pattern) =>
  page.waitForFunction(
    (source) => new RegExp(source).test(document.activeElement?.outerHTML.slice(0, 200) ?? ""),
    pattern.source,
  );

/** The visible buttons that are too small for a finger. */
export const smallTargets = (page) =>
  page.locator("button:visible").evaluateAll((all) =>
    all
      .map((one) => ({ name: one.outerHTML.slice(0, 120), ...one.getBoundingClientRect().toJSON() }))
      .filter(({ width, height }) => width > 0 && (width < 44 || height < 44))
      .map(({ name, width, height }) => `${width}×${height} ${name}`),
  );

/** Pictures at both widths; on a phone, everything fits and can be hit. */
export async function pictures(page, name) {
  await shoot(page, name);
  await page.setViewportSize(PHONE);
  await shoot(page, `phone-${name}`);
  assert.deepEqual(await smallTargets(page), []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), PHONE.width);
  await page.setViewportSize(DESKTOP);
}
