/** A column of numbers of which most tables have none but zeros: until there is another it takes no memory. */
export class RareNumbers {
  private values = new Float64Array(0);

  get(row: number): number {
    return this.values[row] ?? 0;
  }

  set(row: number, value: number): void {
    if (row >= this.values.length) {
      if (value === 0) return;
      const larger = new Float64Array(Math.ceil((row + 1) * 1.5));
      larger.set(this.values);
      this.values = larger;
    }
    this.values[row] = value;
  }
}
