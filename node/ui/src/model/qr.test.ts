import { expect, test } from "vitest";
import { qrShape } from "./qr";

test("a code has its quiet zone and its three corners", () => {
  const { size, shape } = qrShape("kith-device:abc");
  expect(size).toBe(21 + 8);
  expect(shape).toMatch(/^M4 4h7v1H4zM/);
  expect(shape).toContain(`M${size - 11} 4h7v1H${size - 11}z`);
  expect(shape).toContain(`M4 ${size - 11}h7v1H4z`);
});

test("a code with many addresses fits", () => {
  expect(qrShape(`kith-device:${"a".repeat(1_500)}`).size).toBeLessThan(180);
});
