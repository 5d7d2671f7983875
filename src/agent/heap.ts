/** Binary heap: the element that comes before all others is at the top. */
export class Heap<T> {
  private items: T[] = [];

  constructor(private readonly before: (a: T, b: T) => boolean) {}

  peek(): T | undefined {
    return this.items[0];
  }

  /** In no order. */
  all(): Iterable<T> {
    return this.items;
  }

  push(item: T): void {
    // a list that grows from nothing makes room for sixteen more: too much where there are many heaps of one
    if (this.items.length === 0) {
      this.items = [item];
      return;
    }
    let at = this.items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(item, this.items[parent]!)) break;
      this.items[at] = this.items[parent]!;
      at = parent;
    }
    this.items[at] = item;
  }

  pop(): T | undefined {
    const top = this.items[0];
    const last = this.items.pop();
    if (this.items.length > 0 && last !== undefined) this.sink(last);
    return top;
  }

  private sink(item: T): void {
    const { length } = this.items;
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      const right = child + 1;
      const first = right < length && this.before(this.items[right]!, this.items[child]!) ? right : child;
      if (!this.before(this.items[first]!, item)) break;
      this.items[at] = this.items[first]!;
      at = first;
    }
    this.items[at] = item;
  }
}
