/** The part of localStorage that is used. Inside a foreign frame a browser may refuse it: then memory serves. */
export interface Store {
  /** Whether what is set outlives the page. */
  readonly isLasting: boolean;
  get(key: string): string | null;
  set(key: string, value: string): void;
  remove(key: string): void;
  keys(): string[];
}

const PREFIX = "replybench:";

export function openStore(): Store {
  try {
    const storage = window.localStorage;
    storage.setItem(`${PREFIX}probe`, "1");
    storage.removeItem(`${PREFIX}probe`);
    return new BrowserStore(storage);
  } catch {
    return new MemoryStore();
  }
}

class BrowserStore implements Store {
  readonly isLasting = true;
  private readonly overflow = new MemoryStore(); // when the quota is full, this page at least remembers

  constructor(private readonly storage: Storage) {}

  get(key: string): string | null {
    return this.overflow.get(key) ?? this.storage.getItem(PREFIX + key);
  }

  set(key: string, value: string): void {
    try {
      this.storage.setItem(PREFIX + key, value);
      this.overflow.remove(key);
    } catch {
      this.overflow.set(key, value);
    }
  }

  remove(key: string): void {
    this.storage.removeItem(PREFIX + key);
    this.overflow.remove(key);
  }

  keys(): string[] {
    const own = Object.keys(this.storage)
      .filter((key) => key.startsWith(PREFIX))
      .map((key) => key.slice(PREFIX.length));
    return [...new Set([...own, ...this.overflow.keys()])];
  }
}

export class MemoryStore implements Store {
  readonly isLasting = false;
  private readonly values = new Map<string, string>();

  get(key: string): string | null {
    return this.values.get(key) ?? null;
  }

  set(key: string, value: string): void {
    this.values.set(key, value);
  }

  remove(key: string): void {
    this.values.delete(key);
  }

  keys(): string[] {
    return [...this.values.keys()];
  }
}
