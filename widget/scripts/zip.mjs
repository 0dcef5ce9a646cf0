const END = 0x06054b50;
const ENTRY = 0x02014b50;

/** Return name and full size of each entry in a zip's central directory; an empty or cut file has none. */
export function entriesOf(bytes) {
  let at = bytes.length - 22;
  while (at >= 0 && bytes.readUInt32LE(at) !== END) at--;
  if (at < 0) return [];
  const count = bytes.readUInt16LE(at + 10);
  const entries = [];
  let offset = bytes.readUInt32LE(at + 16);
  for (let index = 0; index < count && bytes.readUInt32LE(offset) === ENTRY; index++) {
    const [name, extra, comment] = [28, 30, 32].map((field) => bytes.readUInt16LE(offset + field));
    entries.push({ name: bytes.toString("utf8", offset + 46, offset + 46 + name), size: bytes.readUInt32LE(offset + 24) });
    offset += 46 + name + extra + comment;
  }
  return entries;
}
