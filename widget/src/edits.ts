const WORDS = /[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu;
const LONGEST = 1_500; // words; longer texts are compared up to here, so that typing never stalls

/**
 * Return how far `used` is from `offered`: 0 unchanged, 1 nothing left. It is one minus the share of words
 * (and punctuation marks) that both have in the same order: 1 - 2·LCS / (|offered| + |used|).
 */
export function editShare(offered: string, used: string): number {
  const a = words(offered);
  const b = words(used);
  if (a.length + b.length === 0) return 0;
  return 1 - (2 * commonLength(a, b)) / (a.length + b.length);
}

function words(text: string): string[] {
  return (text.match(WORDS) ?? []).slice(0, LONGEST);
}

/** Length of the longest common subsequence, in one row of memory. */
function commonLength(a: string[], b: string[]): number {
  const row = new Uint16Array(b.length + 1);
  for (const word of a) {
    let diagonal = 0;
    for (let j = 1; j <= b.length; j++) {
      const above = row[j] ?? 0;
      row[j] = word === b[j - 1] ? diagonal + 1 : Math.max(above, row[j - 1] ?? 0);
      diagonal = above;
    }
  }
  return row[b.length] ?? 0;
}
