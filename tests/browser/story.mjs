// What people do in the page, step by step.

export const bubble = (page, text) => page.locator(".bubble", { hasText: text }).last();
export const row = (page, name) => page.locator(".contact", { hasText: name });
export const button = (page, name) => page.getByRole("button", { name });

export async function write(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
  await bubble(page, text).waitFor();
}

/** Runs in a page: sends `count` messages to its only contact. */
export async function sendMany(count) {
  const { csrf } = await (await fetch("/api/session")).json();
  const [{ account }] = await (await fetch("/api/contacts")).json();
  for (let at = 1; at <= count; at++) {
    const answer = await fetch(`/api/contacts/${account}/messages`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrf": csrf },
      body: JSON.stringify({ text: `many ${at}` }),
    });
    if (!answer.ok) throw new Error(await answer.text());
  }
}

/** The link as the person themself finds it. */
export async function linkOf({ page }) {
  await button(page, "My link").first().click();
  const link = await page.getByRole("dialog").getByLabel("Link", { exact: true }).inputValue();
  const code = page.getByAltText("QR code of your link");
  await page.waitForFunction((image) => image.complete && image.naturalWidth > 0, await code.elementHandle());
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  return link;
}

export async function add({ page }, link, name, greeting) {
  await button(page, "Add contact").first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Their link").fill(link);
  await dialog.getByLabel(/^Name/).fill(name);
  await dialog.getByLabel(/^Greeting/).fill(greeting);
  await button(dialog, "Add contact").click();
  await dialog.waitFor({ state: "detached" });
}

/** Opens the recovery dialog as far as the words. */
export async function showWords(page) {
  const dialog = page.getByRole("dialog");
  await button(page, "Show the words").click();
  await button(dialog, "Show the words").waitFor();
  if (await dialog.getByLabel(/Passphrase/).count()) throw new Error("asked for a passphrase that there is none of");
  await button(dialog, "Show the words").click();
  await dialog.locator(".words li").nth(23).waitFor();
  return (await dialog.locator(".words li").allInnerTexts()).map((text) => text.split(/\s+/).at(-1));
}

/** Types the words that are asked back. */
export async function confirmWords(page, words) {
  const dialog = page.getByRole("dialog");
  await button(dialog, "I have written them down").click();
  for (const field of await dialog.locator(".field").all()) {
    const position = Number((await field.innerText()).match(/\d+/)[0]);
    await field.locator("input").fill(words[position - 1]);
  }
  await button(dialog, "Confirm").click();
  await button(dialog, "Done").click();
}

/** Scrolls to the top again and again until a text is there. */
export async function scrollBackTo(page, text) {
  const log = page.locator(".log");
  while ((await page.locator(".bubble", { hasText: text }).count()) === 0) {
    await log.evaluate((one) => one.scrollTo(0, 0));
    const moved = ([one, wanted]) => one.scrollTop > 0 || one.innerText.includes(wanted);
    await page.waitForFunction(moved, [await log.elementHandle(), text]);
  }
}
