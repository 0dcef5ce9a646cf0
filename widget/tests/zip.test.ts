// @vitest-environment node
import { describe, expect, it } from "vitest";
// @ts-expect-error: a script of the build, without types
import { entriesOf } from "../scripts/zip.mjs";

// One stored file "a.txt" of two bytes, as the zip format lays it out.
const NAME = Buffer.from("a.txt");

function header(signature: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUInt32LE(signature, 0);
  return bytes;
}

function zip(): Buffer {
  const local = header(0x04034b50, 30);
  local.writeUInt16LE(NAME.length, 26);
  const central = header(0x02014b50, 46);
  central.writeUInt32LE(2, 24);
  central.writeUInt16LE(NAME.length, 28);
  const body = Buffer.concat([local, NAME, Buffer.from("hi")]);
  const end = header(0x06054b50, 22);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(body.length, 16);
  return Buffer.concat([body, central, NAME, end]);
}

describe("entriesOf", () => {
  it("lists what a zip holds", () => expect(entriesOf(zip())).toEqual([{ name: "a.txt", size: 2 }]));
  it("finds nothing in zet's empty zip", () => expect(entriesOf(Buffer.alloc(0))).toEqual([]));
  it("finds nothing in a cut one", () => expect(entriesOf(zip().subarray(0, 60))).toEqual([]));
});
