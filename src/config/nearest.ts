/**
 * The known word that was probably meant: at most two typing errors away (Damerau-Levenshtein, fewer for
 * short words), or one being the start of the other.
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: { word: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = score(word, candidate);
    if (distance !== undefined && (best === undefined || distance < best.distance)) {
      best = { word: candidate, distance };
    }
  }
  return best?.word;
}

/** A hint that names the nearest known word, else lists all of them. */
export function suggest(word: string, known: Iterable<string>): string | undefined {
  const candidates = [...known];
  const near = nearest(word, candidates);
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`;
  return candidates.length === 0 ? undefined : `known are ${candidates.toSorted().join(', ')}`;
}

function score(word: string, candidate: string): number | undefined {
  const [a, b] = [word.toLowerCase(), candidate.toLowerCase()];
  const [short, long] = [Math.min(a.length, b.length), Math.max(a.length, b.length)];
  const distance = long - short > 2 ? Infinity : editDistance(a, b);
  if (short >= 3 && (a.startsWith(b) || b.startsWith(a))) return Math.min(distance, 2);
  return distance <= 2 && distance < long - 1 ? distance : undefined;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const above = rows[i - 1]!;
      let cost = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, rows[i - 2]![j - 2]! + 1);
      }
      row.push(cost);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
