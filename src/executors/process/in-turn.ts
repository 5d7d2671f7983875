const waiting: (() => void)[] = [];

/** Does something that takes a millisecond in the next turn of the event loop, one such thing a turn. */
export function inTurn(task: () => void): void {
  if (waiting.push(task) === 1) setImmediate(next);
}

function next(): void {
  const [task] = waiting;
  try {
    task?.();
  } finally {
    waiting.shift();
    if (waiting.length > 0) setImmediate(next);
  }
}
