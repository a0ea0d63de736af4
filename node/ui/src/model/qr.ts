// A text as a QR code, as one shape for an image.

import { encode } from "uqr";

/** Blank modules around the code: as many as the standard asks for. */
const QUIET_MODULES = 4;

/** A square of `size` modules; `shape` is an SVG path around the dark ones. */
export type QrShape = { size: number; shape: string };

export function qrShape(text: string): QrShape {
  const { size, data } = encode(text, { ecc: "L", border: QUIET_MODULES });
  return { size, shape: data.map(rowShape).join("") };
}

function rowShape(row: boolean[], y: number): string {
  let shape = "";
  for (let x = 0; x < row.length; x++) {
    if (!row[x]) continue;
    const begin = x;
    while (row[x + 1]) x++;
    shape += `M${begin} ${y}h${x + 1 - begin}v1H${begin}z`;
  }
  return shape;
}
