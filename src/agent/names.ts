/** Texts as small numbers, for as long as somebody uses them: a million jobs have few pools and submitters. */
export class Names {
  private readonly numbers = new Map<string, number>();
  private readonly texts: string[] = [];
  private readonly uses: number[] = [];
  private readonly free: number[] = [];

  /** The number of a text, used once more from now on. */
  use(text: string): number {
    const known = this.numbers.get(text);
    if (known !== undefined) {
      this.uses[known]!++;
      return known;
    }
    const number = this.free.pop() ?? this.texts.length;
    this.texts[number] = text;
    this.uses[number] = 1;
    this.numbers.set(text, number);
    return number;
  }

  text(number: number): string {
    return this.texts[number]!;
  }

  drop(number: number): void {
    if (--this.uses[number]! > 0) return;
    this.numbers.delete(this.texts[number]!);
    this.texts[number] = '';
    this.free.push(number);
  }
}
